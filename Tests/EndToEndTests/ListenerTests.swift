import Glibc
import Testing

/// Ways in and out: PROXY headers, Unix sockets, IPv6.
@Suite(.ownThread) struct ListenerTests {
    private static func proxied(_ change: (inout Configuration) -> Void = { _ in }) -> Configuration
    {
        Configuration {
            $0.members["listeners"] = #"[{"address": "127.0.0.1:0", "proxy_protocol": true}]"#
            change(&$0)
        }
    }

    private static let signature: [UInt8] = [
        13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10,
    ]

    @Test func `a PROXY header says who the peer is, for everything`() throws {
        let configuration = Self.proxied { $0.members["trusted_proxies"] = #"["192.0.2.0/24"]"# }
        try Site.run(configuration) { site in
            let client = try site.connect()
            // However it is cut, the header comes first and the request behind it.
            for byte in Array("PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n".utf8) {
                try client.send([byte])
            }
            let fields = [("X-Forwarded-For", "203.0.113.9")]
            #expect(try client.exchange(.get("/plain/a", fields)).status == 201)
            #expect(try client.exchange(.get("/plain/b")).status == 201)
            let sent = site.origin.requests.map(\.fields)
            #expect(sent[0]["X-Forwarded-For"] == "203.0.113.9, 192.0.2.1")
            #expect(sent[0]["X-Forwarded-Port"] == "443")
            #expect(sent[0]["X-Forwarded-Proto"] == "http")
            #expect(sent[1]["X-Forwarded-For"] == "192.0.2.1")
            let line = try site.gateway.accessLine { $0["path"]?.string == "/plain/a" }
            #expect(line["peer"]?.string == "192.0.2.1")
            #expect(line["client"]?.string == "203.0.113.9")
        }
    }

    @Test func `a binary header with TLS makes the connection secure`() throws {
        try Site.run(Self.proxied()) { site in
            let client = try site.connect()
            let v6 = [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
            let tls: [UInt8] = [0x20, 0, 5, 1, 0, 0, 0, 0]
            let header =
                Self.signature + [0x21, 0x21, 0, 44] + v6 + v6 + [0x12, 0x67, 1, 0xBB] + tls
            try client.send(header + Call.get("/plain/a").bytes)
            #expect(try client.response(to: "GET").status == 201)
            let sent = site.origin.requests[0].fields
            #expect(sent["X-Forwarded-For"] == "2001:db8::1")
            #expect(sent["X-Forwarded-Proto"] == "https" && sent["X-Forwarded-Port"] == "443")
        }
    }

    @Test func `a proxy's own connection keeps its address`() throws {
        try Site.run(Self.proxied()) { site in
            for header in [Array("PROXY UNKNOWN\r\n".utf8), Self.signature + [0x20, 0, 0, 0]] {
                let client = try site.connect()
                try client.send(header + Call.get("/plain/a").bytes)
                #expect(try client.response(to: "GET").status == 201)
            }
            for request in site.origin.requests {
                #expect(request.fields["X-Forwarded-For"] == "127.0.0.1")
            }
        }
    }

    @Test func `what is no PROXY header is never read as HTTP`() throws {
        try Site.run(Self.proxied { $0.members["timeouts"] = #"{"request_head": "200ms"}"# }) {
            site in
            let proxied = "PROXY TCP4 192.0.2.1 192.0.2.2 1 "
            for bytes in [
                Call.get("/plain/a").bytes, Array((proxied + "99999\r\n").utf8),
                Array((proxied + "1\n").utf8), Self.signature + [0x21, 0x11, 0xFF, 0xFF],
                Array("PROXY TCP4 192.0.2.1".utf8),
            ] {
                let client = try site.connect()
                try client.send(bytes)
                #expect(try client.remainder() == [])
            }
            // Health checks that connect and hang up are no mistakes.
            try site.connect().close()
            #expect(site.origin.requests.count == 0)
            let metrics = try site.pollAdmin("/metrics") {
                $0.contains("oncegate_bad_proxy_headers_total 5\n")
            }
            #expect(metrics.status == 200)
            let line = try site.gateway.accessLine { $0["outcome"]?.string == "refused" }
            #expect(line["peer"]?.string == "127.0.0.1" && line["reason"]?.string != nil)
        }
    }

    @Test func `a Unix socket has its permissions and goes with the process`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/gateway.sock"
        let configuration = Configuration {
            $0.members["listeners"] = """
                [{"address": "127.0.0.1:0"}, {"address": "unix:\(path)", "mode": "0622"}]
                """
            $0.members["trusted_proxies"] = #"["unix"]"#
        }
        func mode() -> mode_t? {
            var status = stat()
            return lstat(path, &status) == 0 ? status.st_mode : nil
        }
        try Site.run(configuration) { site in
            #expect(mode() == S_IFSOCK | 0o622)
            let client = try RawClient(at: .unix(path))
            let fields = [("X-Forwarded-For", "203.0.113.9")]
            #expect(try client.exchange(.get("/plain/a", fields)).status == 201)
            let sent = site.origin.requests[0].fields
            #expect(sent["X-Forwarded-For"] == "203.0.113.9, unknown")
            #expect(sent["X-Forwarded-Port"] == nil)
            let line = try site.gateway.accessLine { $0["peer"]?.string == "unix" }
            #expect(line["client"]?.string == "203.0.113.9")
            // One that was left behind is taken over, and one that is somebody else's is left alone.
            try site.gateway.kill()
            #expect(mode() != nil)
            try site.gateway.restart()
            expectExecuted(try RawClient(at: .unix(path)).exchange(Call(key: "k")))
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            #expect(mode() == nil)
            try site.gateway.restart()
            #expect(unlink(path) == 0)
            let (other, _) = try Socket.listening(at: .unix(path))
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            #expect(mode() != nil)
            other.close()
        }
    }

    @Test func `an upstream may be on a Unix socket`() throws {
        let directory = try TemporaryDirectory()
        let origin = try ScriptedOrigin(at: .unix(directory.path + "/api.sock"))
        defer { origin.stop() }
        try Site.run(.init { $0.upstream["url"] = #""unix:\#(directory.path)/api.sock""# }) {
            site in
            #expect(try site.send(.get("/plain/a")).status == 201)
            expectExecuted(try site.send(Call(key: "k")))
            #expect(origin.requests.map { $0.fields["Host"] } == ["api.example", "api.example"])
            #expect(origin.violations == [])
        }
    }

    @Test func `IPv6 goes in and out`() throws {
        let origin = try ScriptedOrigin(at: .v6(0))
        defer { origin.stop() }
        let configuration = Configuration {
            $0.members["listeners"] = #"[{"address": "[::1]:0"}]"#
            $0.upstream["url"] = #""http://[::1]:\#(origin.port)""#
            $0.upstream["host"] = #""upstream""#
            $0.members["forwarded"] = #""both""#
            $0.routes = [#"{"path": "/six/**", "host": "[::1]", "upstream": "api"}"#]
        }
        try Site.run(configuration) { site in
            let client = try RawClient(at: .v6(site.gateway.port))
            let host = "[::1]:\(site.gateway.port)"
            try client.send("GET /six/a HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            #expect(try client.response(to: "GET").status == 201)
            let sent = origin.requests[0].fields
            #expect(sent["Host"] == "[::1]:\(origin.port)")
            #expect(sent["X-Forwarded-For"] == "::1" && sent["X-Forwarded-Host"] == host)
            #expect(sent["Forwarded"] == #"for="[::1]";host="\#(host)";proto=http"#)
            let line = try site.gateway.accessLine { $0["path"]?.string == "/six/a" }
            #expect(line["route"]?.string == "/six/**" && line["peer"]?.string == "::1")
        }
    }

    @Test func `the wildcard of IPv6 leaves IPv4 alone`() throws {
        try Site.run(.init { $0.members["listeners"] = #"[{"address": "[::]:0"}]"# }) { site in
            let client = try RawClient(at: .v6(site.gateway.port))
            let response = try client.exchange(.get("/plain/a"))
            #expect(response.status == 201)
            #expect(site.origin.requests[0].fields["X-Forwarded-For"] == "::1")
            // Another program may have the port of IPv4.
            let (other, port) = try Socket.listening(at: .v4(site.gateway.port))
            #expect(port == site.gateway.port)
            other.close()
        }
    }
}
