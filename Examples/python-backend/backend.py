#!/usr/bin/env python3
"""A shop's backend that completes carts in three steps, each of them once.

The gateway in front of it holds the cart's idempotency key, whose record says how far the work has
come. After a crash, of this process or of the gateway, the next request with the key comes with the
recovery point that was reached, and the work goes on there.

    oncegate serve --config gateway.json &
    python3 backend.py
    curl -i http://127.0.0.1:8080/carts/7/complete -H 'Idempotency-Key: cart-7' -d '{}'

Try a crash, then start it again without CRASH_AT and repeat the request:

    CRASH_AT='payment done' python3 backend.py

CRASH_WITH=SIGSTOP freezes it there instead: when it is woken (kill -CONT) after the gateway has been
started anew, it finds that the work is no longer its own.
"""
import contextlib
import http.server
import json
import os
import signal
import sqlite3
import threading
import urllib.error
import urllib.request

PORT = int(os.environ.get("PORT", "9000"))
ADMIN = os.environ.get("ADMIN", "http://127.0.0.1:9901")
DATABASE = os.environ.get("DATABASE", "shop.db")
CRASH_AT = os.environ.get("CRASH_AT")
CRASH_WITH = signal.Signals[os.environ.get("CRASH_WITH", "SIGKILL")]


class Fenced(Exception):
    """Somebody else has the work: this process was too slow, or was taken for dead."""


def moment(name):
    """Says where the work is. A crash is tried by naming one of these moments."""
    global CRASH_AT
    print(name, flush=True)
    if name == CRASH_AT:
        CRASH_AT = None
        os.kill(os.getpid(), CRASH_WITH)


def connect():
    return contextlib.closing(sqlite3.connect(DATABASE, isolation_level=None, timeout=30))


def once(step, cart, effect):
    """Runs a step's effect, unless it was done; its result either way.

    The effect and the mark that it is done are one transaction. The recovery point alone would not
    do: a crash can come between the effect and the report of it.
    """
    with connect() as db:
        db.execute("BEGIN IMMEDIATE")
        row = db.execute(
            "SELECT result FROM steps WHERE cart = ? AND step = ?", (cart, step)).fetchone()
        result = row[0] if row else effect(db)
        if row is None:
            db.execute("INSERT INTO steps VALUES (?, ?, ?)", (cart, step, result))
        db.execute("COMMIT")
    return result


def compute_taxes(cart):
    def effect(db):
        return db.execute("INSERT INTO taxes (cart, amount) VALUES (?, 19)", (cart,)).lastrowid
    return once("taxes", cart, effect)


def authorize_payment(cart):
    # A provider elsewhere takes an idempotency key of its own: the record's id and the step's name.
    def effect(db):
        return db.execute("INSERT INTO payments (cart, amount) VALUES (?, 119)", (cart,)).lastrowid
    return once("payment", cart, effect)


def place_order(cart):
    def effect(db):
        return db.execute("INSERT INTO orders (cart) VALUES (?)", (cart,)).lastrowid
    return once("order", cart, effect)


class Record:
    """The key's record, as the gateway told of it."""

    def __init__(self, fields):
        self.id = fields["Idempotency-Record-Id"]
        self.point = fields["Idempotency-Recovery-Point"]
        self.token = fields["Idempotency-Stage-Token"]

    def advance(self, **stage):
        """Tells the gateway what is done. Without a recovery point it is the whole work."""
        request = urllib.request.Request(
            f"{ADMIN}/v1/keys/{self.id}/stages", json.dumps(stage).encode(),
            {"Content-Type": "application/json", "Idempotency-Stage-Token": self.token})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                self.point = json.load(response)["recovery_point"]
        except urllib.error.HTTPError as error:
            if error.code in (401, 409):
                raise Fenced(error.read().decode()) from error
            raise


def complete_cart(cart, record):
    if record.point == "started":
        moment("taxes begin")
        compute_taxes(cart)
        moment("taxes done")
        record.advance(recovery_point="tax_lines_created", response_code=200)
        moment("taxes told")
    if record.point == "tax_lines_created":
        moment("payment begin")
        authorize_payment(cart)
        moment("payment done")
        record.advance(recovery_point="payment_authorized", response_code=200)
        moment("payment told")
    if record.point == "payment_authorized":
        moment("order begin")
        answer = {"cart": cart, "order": place_order(cart)}
        moment("order done")
        record.advance(response_code=201, response_body=answer)
        moment("order told")
        return answer
    raise ValueError(f"nothing is known of {record.point}")


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.strip("/").split("/")
        if len(parts) != 3 or parts[0] != "carts" or parts[2] != "complete":
            return self.answer(404, {"error": "no such path"})
        if "Idempotency-Stage-Token" not in self.headers:
            return self.answer(400, {"error": "carts are completed through the gateway"})
        try:
            self.answer(201, complete_cart(parts[1], Record(self.headers)))
        except Fenced as error:
            self.answer(503, {"error": f"somebody else is at it: {error}"})

    def do_GET(self):
        """What was done so far, for you to look at."""
        with connect() as db:
            done = {table: [row[0] for row in db.execute(f"SELECT cart FROM {table} ORDER BY id")]
                    for table in ("taxes", "payments", "orders")}
        self.answer(200, done)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments):
        pass


def main():
    with connect() as db:
        db.executescript("""
            PRAGMA journal_mode = WAL;
            CREATE TABLE IF NOT EXISTS steps (
                cart TEXT, step TEXT, result, PRIMARY KEY (cart, step));
            CREATE TABLE IF NOT EXISTS taxes (id INTEGER PRIMARY KEY, cart TEXT, amount);
            CREATE TABLE IF NOT EXISTS payments (id INTEGER PRIMARY KEY, cart TEXT, amount);
            CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, cart TEXT);
            """)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Backend)
    print(f"listening on 127.0.0.1:{server.server_port}", flush=True)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
