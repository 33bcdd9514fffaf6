import Glibc
import Testing

/// Connections that switch protocols: what is passed on before, what goes by after, and the end.
@Suite(.ownThread) struct TunnelTests {
    private static let offer = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
    private static let switching =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    /// An origin that switches, then does `body`.
    private func onSwitch(
        _ site: Site, _ path: String = "/plain/ws",
        _ body: @escaping @Sendable (OriginExchange) throws -> Void
    ) {
        site.origin.on(path) { exchange in
            try exchange.send(Self.switching)
            try body(exchange)
            exchange.close()
        }
    }

    private func open(_ site: Site, _ path: String = "/plain/ws") throws -> RawClient {
        let client = try site.connect()
        try client.send(.get(path, Self.offer))
        let response = try client.response(to: "GET")
        #expect(response.status == 101)
        return client
    }

    @Test(arguments: ["/plain/ws", "/orders/ws"])
    func `both directions flow after the origin's 101, and nothing before`(path: String) throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on(path) { exchange in
                try gate.pass()
                #expect(!exchange.socket.hasInput && exchange.reader.rest.isEmpty)
                try exchange.send(Self.switching + "hello")
                #expect(try exchange.reader.exactly(5, Deadline()) == Array("early".utf8))
                for _ in 0..<3 {
                    try exchange.send(try exchange.reader.exactly(4, Deadline()))
                }
                #expect(try exchange.reader.untilClose(by: Deadline()) == [])
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                Call.get(path, Self.offer + [("Sec-WebSocket-Key", "x")]).bytes
                    + Array("early".utf8))
            let request = try site.origin.waitForRequests(1)
            #expect(request.fields["Upgrade"] == "websocket")
            #expect(request.fields["Connection"] == "upgrade")
            #expect(request.fields["Sec-WebSocket-Key"] == "x")
            #expect(client.isQuiet)
            gate.open()
            let response = try client.response(to: "GET")
            #expect(response.status == 101)
            #expect(response.fields["Upgrade"] == "websocket")
            #expect(response.fields["Connection"] == "upgrade")
            #expect(try client.bytes(5) == Array("hello".utf8))
            for text in ["ping", "pong", "\0\r\n\r"] {
                try client.send(text)
                #expect(try client.bytes(4) == Array(text.utf8))
            }
            let open = try site.admin("/metrics")
            #expect(open.text.contains(#"oncegate_tunnels{upstream="api"} 1"#))
            client.shutWriting()
            #expect(try client.remainder() == [])
            let line = try site.gateway.accessLine { $0["status"]?.number == 101 }
            #expect(line["bytes_in"]?.number == 17)
            #expect(line["bytes_out"]?.number == 17)
            #expect(line["outcome"]?.string == "forwarded")
            #expect(line["tunnel_ms"]?.number != nil)
            let metrics = try site.admin("/metrics")
            #expect(metrics.text.contains(#"oncegate_tunnels{upstream="api"} 0"#))
            #expect(metrics.text.contains(#"oncegate_tunnels_total{upstream="api"} 1"#))
            let bytes = #"oncegate_tunnel_bytes_total{upstream="api",direction="in"} 17"#
            #expect(metrics.text.contains(bytes), "\(metrics.text)")
        }
    }

    @Test func `any other status is an ordinary answer, and the connection goes on`() throws {
        try Site.run { site in
            site.origin.answer("/plain/ws", 403, [], "no")
            site.origin.answer("/plain/next", 200, [], "next")
            let client = try site.connect()
            // What stands behind the head is a request after all.
            try client.send(Call.get("/plain/ws", Self.offer).bytes + Call.get("/plain/next").bytes)
            let refusal = try client.response(to: "GET")
            #expect(refusal.status == 403 && refusal.text == "no")
            #expect(try client.response(to: "GET").text == "next")
            #expect(try client.exchange(.get("/plain/next")).text == "next")
            #expect(site.origin.connectionCount == 1)
        }
    }

    @Test func `a 426 says what to upgrade to`() throws {
        try Site.run { site in
            site.origin.answer("/plain/ws", 426, Self.offer, "upgrade")
            let client = try site.connect()
            let response = try client.exchange(.get("/plain/ws"))
            #expect(response.status == 426)
            #expect(response.fields["Upgrade"] == "websocket")
            #expect(response.fields["Connection"]?.lowercased() == "upgrade")
            #expect(try client.exchange(.get("/plain/ws")).text == "upgrade")
        }
    }

    @Test func `a client that ends its side still gets what the origin sends`() throws {
        try Site.run { site in
            onSwitch(site) { exchange in
                let all = try exchange.reader.untilClose(by: Deadline())
                try exchange.send(Array("got ".utf8) + all)
            }
            let client = try open(site)
            try client.send("something")
            client.shutWriting()
            #expect(try client.remainder() == Array("got something".utf8))
            _ = try site.gateway.accessLine { $0["status"]?.number == 101 }
        }
    }

    @Test func `an origin that ends its side still gets what the client sends`() throws {
        try Site.run { site in
            let received = Monitor<[UInt8]?>(nil)
            let size = 8 << 20
            onSwitch(site) { exchange in
                try exchange.send("bye")
                exchange.socket.shutWriting()
                exchange.pause(milliseconds: 200)
                let all = try exchange.reader.untilClose(by: Deadline())
                received.with { $0 = all }
            }
            let client = try open(site)
            #expect(try client.remainder() == Array("bye".utf8))
            // More than fits on the way, then the end.
            try client.send([UInt8](repeating: 0x61, count: size))
            client.shutWriting()
            let all = try received.wait(for: "the client's bytes") { $0 }
            #expect(all.count == size && all.allSatisfy { $0 == 0x61 })
        }
    }

    @Test func `a client that resets ends the origin's connection at once`() throws {
        try Site.run { site in
            onSwitch(site) { exchange in _ = try? exchange.reader.untilClose(by: Deadline()) }
            let client = try open(site)
            client.reset()
            try site.origin.waitForNoConnections()
            _ = try site.gateway.accessLine { $0["status"]?.number == 101 }
        }
    }

    @Test func `an origin that resets ends the client's connection at once`() throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on("/plain/ws") { exchange in
                try exchange.send(Self.switching)
                try gate.pass()
                exchange.reset()
            }
            let client = try open(site)
            gate.open()
            #expect(try client.remainder() == [])
        }
    }

    @Test func `a reset reaches an origin that does not read`() throws {
        try Site.run { site in
            let gate = Gate()
            let isCut = Gate()
            onSwitch(site) { exchange in
                try gate.pass()
                _ = try? exchange.reader.untilClose(by: Deadline())
                isCut.open()
            }
            let client = try open(site)
            // Until all that lies between is full.
            while try client.sendNow([UInt8](repeating: 0x61, count: 1 << 16)) {}
            client.reset()
            let line = try site.gateway.accessLine { $0["status"]?.number == 101 }
            #expect((line["bytes_in"]?.number ?? 0) > 0)
            gate.open()
            try isCut.pass()
        }
    }

    @Test func `a tunnel in which nothing moves is closed`() throws {
        let impatient = Configuration { $0.upstream["timeouts"] = #"{"tunnel_idle": "300ms"}"# }
        try Site.run(impatient) { site in
            onSwitch(site) { exchange in _ = try exchange.reader.untilClose(by: Deadline()) }
            let client = try open(site)
            #expect(try client.remainder() == [])
            try site.origin.waitForNoConnections()
        }
    }

    @Test func `neither an upstream's limits nor a client's end a tunnel`() throws {
        let impatient = Configuration {
            $0.upstream["timeouts"] = #"{"idle": "200ms", "total": "300ms"}"#
            $0.members["timeouts"] = #"{"body_idle": "200ms", "write_idle": "200ms"}"#
        }
        try Site.run(impatient) { site in
            onSwitch(site) { exchange in
                exchange.pause(milliseconds: 700)
                try exchange.send("late")
                #expect(try exchange.reader.exactly(2, Deadline()) == Array("ok".utf8))
                try exchange.send("done")
            }
            let client = try open(site)
            #expect(try client.bytes(4) == Array("late".utf8))
            try client.send("ok")
            #expect(try client.bytes(4) == Array("done".utf8))
        }
    }

    @Test func `a side that does not read stops the other, and memory stays flat`() throws {
        try Site.run { site in
            let size = 64 << 20
            onSwitch(site, "/plain/up") { exchange in
                exchange.pause(milliseconds: 300)
                try exchange.reader.skip(size, by: Deadline())
                try exchange.send("all")
            }
            onSwitch(site, "/plain/down") { exchange in
                let block = [UInt8](repeating: 0x61, count: 1 << 20)
                for _ in 0..<64 { try exchange.send(block) }
            }
            _ = try site.send(.get("/plain/warm"))
            let before = try site.gateway.process.memory("VmRSS")
            let up = try open(site, "/plain/up")
            let block = [UInt8](repeating: 0x61, count: 1 << 20)
            for _ in 0..<64 { try up.send(block) }
            #expect(try up.bytes(3) == Array("all".utf8))
            let down = try open(site, "/plain/down")
            down.pause(milliseconds: 300)
            try down.skip(size)
            #expect(try down.remainder() == [])
            let peak = try site.gateway.process.memory("VmHWM")
            #expect(peak - before < 16 << 10, "\(before) KiB became \(peak) KiB")
        }
    }

    @Test func `a request with a body is sent whole before anything is tunnelled`() throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on("/plain/ws") { exchange in
                try exchange.send(Self.switching + "first")
                try gate.pass()
                try exchange.readBody()
                #expect(exchange.request.text == "hello world")
                #expect(try exchange.reader.exactly(6, Deadline()) == Array("tunnel".utf8))
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n"
                    + "Upgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            try site.origin.waitForRequests(1)
            #expect(client.isQuiet)
            try client.send("6\r\n world\r\n0\r\n\r\ntunnel")
            gate.open()
            #expect(try client.response().status == 101)
            #expect(try client.remainder() == Array("first".utf8))
        }
    }

    @Test(arguments: [
        ([("A", "b")], "websocket"), (offer, "other"), (offer, ""), (offer, "websocket, other"),
        ([("Upgrade", "websocket")], "websocket"), ([("Connection", "upgrade")], "websocket"),
    ])
    func `a switch that was not asked for is no answer`(
        fields: [(String, String)], protocols: String
    ) throws {
        try Site.run { site in
            site.origin.on("/plain/ws") { exchange in
                let line = protocols.isEmpty ? "" : "Upgrade: \(protocols)\r\n"
                try exchange.send("HTTP/1.1 101 Fine\r\nConnection: upgrade\r\n\(line)\r\n")
                _ = try? exchange.reader.untilClose(by: Deadline())
                exchange.close()
            }
            let client = try site.connect()
            let response = try client.exchange(.get("/plain/ws", fields))
            try expectProblem(response, 502, "outcome-unknown", executed: "unknown")
            try site.origin.waitForNoConnections()
        }
    }

    @Test(arguments: [
        ("h2c", nil), ("h2c, websocket", "websocket"), ("HTTP/2.0", nil),
        ("TLS/1.0, foo/2", "foo/2"),
        ("H2C", nil), ("websocket, H2c", "websocket"),
    ])
    func `an upgrade to another HTTP is not passed on`(asked: String, passed: String?) throws {
        try Site.run { site in
            let fields = [
                ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", asked),
                ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
            ]
            _ = try site.send(.get("/plain/a", fields))
            _ = try site.send(.get("/plain/a", [("Connection", "upgrade")] + fields.dropFirst()))
            for request in site.origin.requests {
                #expect(request.fields["Upgrade"] == passed)
                #expect(request.fields["Connection"] == passed.map { _ in "upgrade" })
                #expect(request.fields.all("HTTP2-Settings") == [])
            }
            #expect(site.origin.requests.count == 2)
        }
    }

    @Test(arguments: [
        "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 0\r\n",
        "GET /plain/a HTTP/1.0\r\nHost: a\r\n",
    ])
    func `a guarded request and HTTP 1.0 ask for no upgrade`(head: String) throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(head + "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            #expect(try client.response().status == 201)
            #expect(site.origin.requests[0].fields.all("Upgrade") == [])
            #expect(site.origin.requests[0].fields.all("Connection") == [])
        }
    }

    @Test func `draining ends with the tunnels cut`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"drain": "300ms"}"# }) { site in
            onSwitch(site) { exchange in _ = try? exchange.reader.untilClose(by: Deadline()) }
            let client = try open(site)
            site.gateway.terminate()
            #expect(try client.remainder() == [])
            #expect(try site.gateway.process.waitForExit() == .code(0))
            _ = try site.gateway.accessLine { $0["status"]?.number == 101 }
        }
    }

    @Test func `a tunnel goes through TLS, and so does each direction's end`() throws {
        let origin = try TLSOrigin(script: Self.echo)
        try origin.runGateway(#"{"ca": "\#(origin.directory.path)/ca.pem"}"#) { client in
            try client.send(Call.get("/plain/ws", Self.offer).bytes + Array("early".utf8))
            #expect(try client.response(to: "GET").status == 101)
            #expect(try client.bytes(5) == Array("hello".utf8))
            let block = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            try client.send(block)
            let echo = try client.bytes(5 + block.count)
            #expect(echo.elementsEqual(Array("early".utf8) + block))
            client.shutWriting()
            #expect(try client.remainder() == Array("the end".utf8))
        }
    }

    /// Says hello with the 101, sends back what comes, and says goodbye after its end.
    private static let echo = """
        import socket, ssl
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("origin.pem", "origin.key")
        print("port", listener.getsockname()[1])
        while True:
            connection = context.wrap_socket(listener.accept()[0], server_side=True)
            head = b""
            while b"\\r\\n\\r\\n" not in head:
                head += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\n"
                b"Upgrade: websocket\\r\\n\\r\\nhello")
            connection.sendall(head.split(b"\\r\\n\\r\\n", 1)[1])
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.sendall(b"the end")
            connection.close()

        """
}
