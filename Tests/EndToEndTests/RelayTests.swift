import Testing

/// What passes through: fields, bodies as they come, interim answers, trailers.
@Suite(.ownThread) struct RelayTests {
    @Test func `fields pass in both directions, line by line`() throws {
        let lines = [("X-One", "1"), ("x-two", "a, b"), ("X-One", "2"), ("X-Empty", "")]
        try Site.run { site in
            site.origin.answer("/plain/a", 200, lines, "body")
            let response = try site.send(.get("/plain/a?b=%20c&d", lines))
            let request = site.origin.requests[0]
            #expect(request.target == "/plain/a?b=%20c&d")
            #expect(request.fields["Host"] == "api.example")
            for fields in [request.fields, response.fields] {
                let names = Set(lines.map { $0.0.lowercased() })
                let seen = fields.lines.filter { names.contains($0.name.lowercased()) }
                #expect(seen.map { "\($0.name): \($0.value)" } == lines.map { "\($0): \($1)" })
            }
            #expect(response.text == "body")
        }
    }

    @Test(arguments: ["/plain/a", "/orders"])
    func `the origin is told who asked, and through whom`(target: String) throws {
        try Site.run { site in
            let call = Call(key: "k") {
                $0.target = target
                $0.fields = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
            }
            _ = try site.send(call)
            let fields = site.origin.requests[0].fields
            #expect(fields["X-Forwarded-For"]?.hasSuffix("127.0.0.1") == true)
            #expect(fields["X-Forwarded-For"]?.contains("203.0.113.9") == false)
            #expect(fields["X-Forwarded-Proto"] == "http")
            #expect(fields["X-Forwarded-Host"] == "api.example")
            #expect(fields["Via"]?.hasPrefix("1.1 ") == true)
        }
    }

    @Test func `a trusted proxy's word is passed on`() throws {
        try Site.run(.init { $0.members["trusted_proxies"] = #"["127.0.0.0/8"]"# }) { site in
            let fields = [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")]
            _ = try site.send(.get("/plain/a", fields))
            let seen = site.origin.requests[0].fields
            let chain = seen["X-Forwarded-For"]?.filter { $0 != " " }
            #expect(chain == "203.0.113.9,127.0.0.1")
            #expect(seen["X-Forwarded-Proto"] == "https")
        }
    }

    @Test(arguments: ["/plain/a", "/orders"])
    func `fields of one hop stay on it`(target: String) throws {
        try Site.run { site in
            site.origin.answer(
                target, 200,
                [
                    ("Connection", "keep-alive, X-Hop"), ("X-Hop", "1"),
                    ("Keep-Alive", "timeout=9"),
                    ("Proxy-Authenticate", "Basic"), ("X-End", "2"),
                ])
            let call = Call(key: "k") {
                $0.target = target
                $0.fields = [
                    ("Connection", "keep-alive, x-hop"), ("X-Hop", "1"), ("Keep-Alive", "5"),
                    ("Proxy-Connection", "keep-alive"), ("TE", "trailers, deflate"),
                    ("Upgrade", "h2c"), ("X-End", "2"),
                ]
            }
            let response = try site.send(call)
            let request = site.origin.requests[0]
            for name in ["X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"] {
                #expect(request.fields.all(name) == [], "\(name)")
                #expect(response.fields.all(name) == [], "\(name)")
            }
            #expect(request.fields["X-End"] == "2")
            #expect(response.fields["X-End"] == "2")
            #expect([nil, "trailers"].contains(request.fields["TE"]))
        }
    }

    @Test func `a field of the framing cannot be struck out by Connection`() throws {
        try Site.run { site in
            let call = Call(key: "k") {
                $0.fields = [("Connection", "Content-Length, Host, Authorization")]
            }
            _ = try site.send(call)
            #expect(site.origin.requests.allSatisfy { $0.text == #"{"item": "book"}"# })
            #expect(site.origin.violations == [])
        }
    }

    @Test(arguments: [200, 204, 304])
    func `HEAD, 204 and 304 have no body, and the connection lives on`(status: Int) throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                let length = status == 204 ? [] : [("Content-Length", "5")]
                try exchange.reply(status, length)
            }
            let client = try site.connect()
            for _ in 0..<2 {
                var call = Call.get("/plain/a")
                call.method = status == 200 ? "HEAD" : "GET"
                let response = try client.exchange(call)
                #expect(response.status == status)
                #expect(response.body == [])
                #expect(response.fields["Content-Length"] == (status == 204 ? nil : "5"))
            }
            expectExecuted(try client.exchange(Call(key: "k")))
        }
    }

    @Test(arguments: ["/plain/a", "/orders"])
    func `chunks are taken from a client and from the origin`(target: String) throws {
        try Site.run { site in
            site.origin.on(target) { exchange in
                try exchange.readBody()
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "1;ext=1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n")
            }
            let client = try site.connect()
            try client.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n"
                    + "5;name=\"v\"\r\nhello\r\n006\r\n world\r\n0\r\n\r\n")
            let response = try client.response()
            #expect(response.status == 200)
            #expect(response.text == "a0123456789")
            #expect(site.origin.requests.map(\.text) == ["hello world"])
            #expect(client.isQuiet)
        }
    }

    @Test func `trailers pass in both directions`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.readBody()
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        + "1\r\na\r\n0\r\nX-Sum: 97\r\n\r\n")
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/a HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                    + "Transfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n"
                    + "2\r\nhi\r\n0\r\nX-Check: 9\r\n\r\n")
            let response = try client.response()
            #expect(response.trailers["X-Sum"] == "97")
            #expect(site.origin.requests[0].trailers["X-Check"] == "9")
        }
    }

    @Test func `interim answers pass before the final one`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
                try exchange.send("HTTP/1.1 102 Processing\r\n\r\n")
                try exchange.reply(200, [], Array("done".utf8))
            }
            let response = try site.send(.get("/plain/a"))
            #expect(response.interims.map(\.status) == [103, 102])
            #expect(response.interims[0].fields["Link"] == "</style.css>")
            #expect(response.text == "done")
        }
    }

    @Test func `an answer that ends with the origin's connection is whole`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\n\r\nuntil the end")
                exchange.close()
            }
            let client = try site.connect()
            for _ in 0..<2 {
                let response = try client.exchange(.get("/plain/a"))
                #expect(response.text == "until the end")
            }
        }
    }

    @Test func `events arrive as they are sent`() throws {
        try Site.run { site in
            let gates = (0..<3).map { _ in Gate() }
            site.origin.on("/plain/events") { exchange in
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        + "Transfer-Encoding: chunked\r\n\r\n")
                for (number, gate) in gates.enumerated() {
                    try gate.pass()
                    try exchange.send("9\r\ndata: \(number)\n\n\r\n")
                }
                try exchange.send("0\r\n\r\n")
            }
            let client = try site.connect()
            try client.send(.get("/plain/events"))
            #expect(try client.head().status == 200)
            for (number, gate) in gates.enumerated() {
                gate.open()
                #expect(try client.chunk() == Array("data: \(number)\n\n".utf8))
            }
            #expect(try client.chunk() == nil)
        }
    }

    @Test func `a request's body arrives as it is sent`() throws {
        try Site.run { site in
            let arrivals = Monitor<[[UInt8]]>([])
            site.origin.on("/plain/upload") { exchange in
                while let chunk = try exchange.reader.chunk(by: Deadline()) {
                    arrivals.with { $0.append(chunk) }
                }
                _ = try exchange.reader.exactly(2, Deadline())
                try exchange.reply(200)
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for number in 1...3 {
                try client.send("1\r\n\(number)\r\n")
                try arrivals.wait(for: "chunk \(number)") { $0.count == number ? true : nil }
            }
            try client.send("0\r\n\r\n")
            let response = try client.response()
            #expect(response.status == 200)
            #expect(arrivals.with { $0 } == [[0x31], [0x32], [0x33]])
        }
    }

    @Test func `a final answer before the end of the request's body gets through`() throws {
        try Site.run { site in
            site.origin.on("/plain/upload") { exchange in
                try exchange.reply(413, [("Connection", "close")], Array("too much".utf8))
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
            let response = try client.response()
            #expect(response.status == 413)
            #expect(response.text == "too much")
        }
    }

    @Test func `a client that hangs up ends the origin's stream`() throws {
        try Site.run { site in
            let isCut = Gate()
            site.origin.on("/plain/endless") { exchange in
                defer { isCut.open() }
                try exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while true {
                    try exchange.send("1\r\na\r\n")
                    exchange.pause(milliseconds: 5)
                }
            }
            let client = try site.connect()
            try client.send(.get("/plain/endless"))
            #expect(try client.head().status == 200)
            #expect(try client.chunk() != nil)
            client.reset()
            try isCut.pass()
        }
    }

    @Test func `a long answer passes without being gathered`() throws {
        try Site.run { site in
            let size = 256 << 20
            site.origin.on("/plain/long") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
                let block = [UInt8](repeating: 0x61, count: 1 << 20)
                for _ in 0..<256 { try exchange.send(block) }
            }
            _ = try site.send(.get("/plain/warm"))
            let before = try site.gateway.process.memory("VmRSS")
            let client = try site.connect()
            try client.send(.get("/plain/long"))
            #expect(try client.head().fields["Content-Length"] == "\(size)")
            try client.skip(size, within: .seconds(120))
            let peak = try site.gateway.process.memory("VmHWM")
            #expect(peak - before < 16 << 10, "\(before) KiB became \(peak) KiB")
            #expect(client.isQuiet)
        }
    }

    @Test func `a long request passes without being gathered`() throws {
        let route = #"{"path": "/plain/**", "upstream": "api", "limits": {"body": "none"}}"#
        try Site.run(.init { $0.routes = [route] }) { site in
            let size = 256 << 20
            site.origin.on("/plain/long") { exchange in
                try exchange.reader.skip(size, by: Deadline(in: .seconds(120)))
                try exchange.reply(200)
            }
            _ = try site.send(.get("/plain/warm"))
            let before = try site.gateway.process.memory("VmRSS")
            let client = try site.connect()
            try client.send(
                "POST /plain/long HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
            let block = [UInt8](repeating: 0x61, count: 1 << 20)
            for _ in 0..<256 { try client.send(block) }
            let response = try client.response(within: .seconds(120))
            #expect(response.status == 200)
            let peak = try site.gateway.process.memory("VmHWM")
            #expect(peak - before < 16 << 10, "\(before) KiB became \(peak) KiB")
        }
    }
}
