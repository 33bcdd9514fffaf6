"""A real WebSocket client and server (PyPI `websockets`) with the gateway between them.

    python -m venv .build/websocket
    .build/websocket/bin/pip install -r Tests/WebSocket/requirements.txt
    .build/websocket/bin/python Tests/WebSocket/through_gateway.py .build/release/oncegate

Each check runs over an `http://` and an `https://` upstream. Exits 1 at the first that fails.
"""

import asyncio
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile

import websockets

LIMIT = 60  # seconds, for everything together per upstream


def make_certificate(directory):
    """A certificate for 127.0.0.1 that is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=origin", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", f"{directory}/key.pem", "-out", f"{directory}/certificate.pem"],
        check=True, stderr=subprocess.DEVNULL)


async def origin(socket):
    """Echoes; some texts have it close."""
    try:
        async for message in socket:
            if isinstance(message, str) and message.startswith("close "):
                await socket.close(int(message.split()[1]), "as asked")
                return
            await socket.send(message)
    except websockets.ConnectionClosedError:
        pass  # The client's own code, where that is no success.


def configuration(directory, port, is_secure):
    upstream = {"url": f"http{'s' if is_secure else ''}://127.0.0.1:{port}"}
    if is_secure:
        upstream["tls"] = {"ca": f"{directory}/certificate.pem"}
    return {
        "listeners": [{"address": "127.0.0.1:0"}],
        "admin": None,
        "store": {"type": "sqlite", "path": f"{directory}/{port}.db"},
        "upstreams": {"api": upstream},
        "routes": [{
            "path": "/**", "upstream": "api",
            # GET is not guarded, so that upgrades pass.
            "idempotency": {"scope": ["header:Authorization"]},
        }],
    }


async def start_gateway(binary, directory, port, is_secure):
    path = f"{directory}/{port}.json"
    with open(path, "w") as file:
        json.dump(configuration(directory, port, is_secure), file)
    process = await asyncio.create_subprocess_exec(
        binary, "serve", "--config", path,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    while line := await process.stderr.readline():
        found = re.search(rb'"message":"listening".*"address":"[^"]*:(\d+)"', line)
        if found:
            return process, int(found[1])
    raise SystemExit("the gateway did not start")


async def check_echo(url):
    async with websockets.connect(url) as socket:
        for message in ["text", "", "\u00fcml\u00e4ut", b"", b"\0\r\n\r\n", os.urandom(70_000)]:
            await socket.send(message)
            assert await socket.recv() == message


async def check_long_messages(url):
    message = os.urandom(1 << 20)
    async with websockets.connect(url, max_size=4 << 20) as socket:
        # All on their way at once, in both directions.
        sending = asyncio.create_task(send_all(socket, message, 8))
        for _ in range(8):
            answer = await socket.recv()
            assert hashlib.sha256(answer).digest() == hashlib.sha256(message).digest()
        await sending


async def send_all(socket, message, count):
    for _ in range(count):
        await socket.send(message)


async def check_fragments(url):
    async with websockets.connect(url) as socket:
        await socket.send(["one ", "two ", "three"])
        assert await socket.recv() == "one two three"
        await socket.send([b"1", b"", b"2" * 100_000])
        assert await socket.recv() == b"1" + b"2" * 100_000


async def check_pings(url):
    async with websockets.connect(url, ping_interval=None) as socket:
        for payload in [b"", b"payload", b"x" * 125]:
            await (await socket.ping(payload))


async def check_close_codes(url):
    for code in [1000, 1001, 1011, 3000, 4999]:
        async with websockets.connect(url) as socket:
            await socket.send(f"close {code}")
            try:
                await socket.recv()
                raise AssertionError("it was not closed")
            except websockets.ConnectionClosed as error:
                assert error.rcvd.code == code and error.rcvd.reason == "as asked"
        async with websockets.connect(url) as socket:
            await socket.close(code, "enough")
            assert socket.close_code == code


async def check_subprotocol(url):
    async with websockets.connect(url, subprotocols=["other", "chat"]) as socket:
        assert socket.subprotocol == "chat"


async def check_many(url):
    async def one(number):
        async with websockets.connect(url) as socket:
            for turn in range(20):
                await socket.send(f"{number}/{turn}")
                assert await socket.recv() == f"{number}/{turn}"
    await asyncio.gather(*[one(number) for number in range(50)])


async def check_access_lines(process, wanted):
    while True:
        line = json.loads(await process.stdout.readline())
        if line.get("status") == 101:
            assert line["bytes_in"] > 0 and line["bytes_out"] > 0 and "tunnel_ms" in line, line
            wanted -= 1
        if wanted == 0:
            return


CHECKS = [
    (check_echo, 1), (check_long_messages, 1), (check_fragments, 1), (check_pings, 1),
    (check_close_codes, 10), (check_subprotocol, 1), (check_many, 50),
]


async def run(binary, directory, is_secure):
    context = None
    if is_secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{directory}/certificate.pem", f"{directory}/key.pem")
    async with websockets.serve(
            origin, "127.0.0.1", 0, ssl=context, max_size=4 << 20, subprotocols=["chat"]
    ) as server:
        port = server.sockets[0].getsockname()[1]
        process, front = await start_gateway(binary, directory, port, is_secure)
        try:
            for check, tunnels in CHECKS:
                await check(f"ws://127.0.0.1:{front}/socket")
                await check_access_lines(process, tunnels)
                print("ok", "wss" if is_secure else "ws", check.__name__)
        finally:
            process.terminate()
            await process.communicate()
        assert process.returncode == 0, process.returncode


async def main(binary):
    with tempfile.TemporaryDirectory() as directory:
        make_certificate(directory)
        for is_secure in [False, True]:
            await asyncio.wait_for(run(binary, directory, is_secure), LIMIT)


asyncio.run(main(sys.argv[1]))
