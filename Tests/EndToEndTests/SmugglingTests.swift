import Testing

/// Requests that two readers could take for different ones. Each is refused with its status, the
/// connection is closed, and nothing of it reaches the origin.
@Suite(.ownThread) struct SmugglingTests {
    /// Bytes and the status that they deserve.
    struct Attack: Sendable, CustomTestStringConvertible {
        let name: String
        let status: Int
        let bytes: [UInt8]
        var testDescription: String { name }

        init(_ name: String, _ status: Int, _ text: String) {
            self.name = name
            self.status = status
            bytes = Array(text.utf8)
        }

        /// A keyed POST with these field lines, each with its own line end, and a body.
        init(_ name: String, _ status: Int, lines: String, body: String = "") {
            self.init(
                name, status,
                "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n\(lines)\r\n\(body)")
        }
    }

    static let framing = [
        Attack(
            "length and chunked", 400, lines: "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            body: "0\r\n\r\n"),
        Attack(
            "chunked and length", 400, lines: "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            body: "0\r\n\r\n"),
        Attack("two lengths", 400, lines: "Content-Length: 1\r\nContent-Length: 2\r\n", body: "ab"),
        Attack("a list of lengths", 400, lines: "Content-Length: 1, 2\r\n", body: "ab"),
        Attack("a signed length", 400, lines: "Content-Length: +2\r\n", body: "ab"),
        Attack("a negative length", 400, lines: "Content-Length: -2\r\n", body: "ab"),
        Attack("a hexadecimal length", 400, lines: "Content-Length: 0x2\r\n", body: "ab"),
        Attack("an empty length", 400, lines: "Content-Length: \r\n"),
        Attack("a length with a space", 400, lines: "Content-Length: 1 1\r\n", body: "ab"),
        Attack(
            "an endless length", 400, lines: "Content-Length: 99999999999999999999999999\r\n",
            body: "ab"),
        Attack(
            "an unknown coding", 501, lines: "Transfer-Encoding: xchunked\r\n", body: "0\r\n\r\n"),
        Attack(
            "a coding before chunked", 501, lines: "Transfer-Encoding: gzip, chunked\r\n",
            body: "0\r\n\r\n"),
        Attack(
            "chunked twice", 400, lines: "Transfer-Encoding: chunked, chunked\r\n",
            body: "0\r\n\r\n"),
        Attack(
            "chunked before identity", 400,
            lines: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            body: "0\r\n\r\n"),
        Attack(
            "chunked in HTTP/1.0", 400,
            "POST /orders HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        Attack(
            "a space before the colon", 400, lines: "Content-Length : 2\r\n", body: "ab"),
        Attack("a folded line", 400, lines: "X-Long: a\r\n b\r\nContent-Length: 0\r\n"),
        Attack("a line without a colon", 400, lines: "Content-Length\r\n"),
        Attack("a name with a space", 400, lines: "X Y: 1\r\nContent-Length: 0\r\n"),
        Attack("an empty name", 400, lines: ": 1\r\nContent-Length: 0\r\n"),
        Attack("a name with a control", 400, lines: "X\u{1}: 1\r\nContent-Length: 0\r\n"),
        Attack("a bare LF after a field", 400, lines: "X-One: 1\nContent-Length: 0\r\n"),
        Attack("a bare CR in a value", 400, lines: "X-One: a\rb\r\nContent-Length: 0\r\n"),
        Attack("a NUL in a value", 400, lines: "X-One: a\u{0}b\r\nContent-Length: 0\r\n"),
    ]

    static let chunks = [
        ("letters as a size", "zz\r\nab\r\n0\r\n\r\n"),
        ("an empty size", "\r\nab\r\n0\r\n\r\n"),
        ("a prefixed size", "0x2\r\nab\r\n0\r\n\r\n"),
        ("a signed size", "+2\r\nab\r\n0\r\n\r\n"),
        ("a negative size", "-2\r\nab\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000002\r\nab\r\n0\r\n\r\n"),
        ("a size with spaces before it", " 2\r\nab\r\n0\r\n\r\n"),
        ("a bare LF after the size", "2\nab\r\n0\r\n\r\n"),
        ("a bare LF after the data", "2\r\nab\n0\r\n\r\n"),
        ("more data than said", "2\r\nabc\r\n0\r\n\r\n"),
        ("a bare CR in an extension", "2;a\rb\r\nab\r\n0\r\n\r\n"),
        ("a trailer that is no field", "2\r\nab\r\n0\r\nnonsense\r\n\r\n"),
    ].map {
        Attack("a chunk with " + $0.0, 400, lines: "Transfer-Encoding: chunked\r\n", body: $0.1)
    }

    static let heads = [
        Attack("no Host", 400, "GET /plain/a HTTP/1.1\r\n\r\n"),
        Attack("two Hosts", 400, "GET /plain/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        Attack("a Host with a space", 400, "GET /plain/a HTTP/1.1\r\nHost: a b\r\n\r\n"),
        Attack("a Host with a path", 400, "GET /plain/a HTTP/1.1\r\nHost: a/b\r\n\r\n"),
        Attack("no version", 400, "GET /plain/a\r\nHost: a\r\n\r\n"),
        Attack("a version in lower case", 400, "GET /plain/a http/1.1\r\nHost: a\r\n\r\n"),
        Attack("a version of three digits", 400, "GET /plain/a HTTP/1.10\r\nHost: a\r\n\r\n"),
        Attack("HTTP/2 in an HTTP/1 frame", 505, "GET /plain/a HTTP/2.0\r\nHost: a\r\n\r\n"),
        Attack("two spaces", 400, "GET  /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a tab", 400, "GET\t/plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a space in the target", 400, "GET /plain/a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a space at the end", 400, "GET /plain/a HTTP/1.1 \r\nHost: a\r\n\r\n"),
        Attack("a target without a slash", 400, "GET plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a control in the target", 400, "GET /plain/\u{1} HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a method that is no token", 400, "G(T /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a space before the method", 400, " GET /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack("a bare LF after the line", 400, "GET /plain/a HTTP/1.1\nHost: a\r\n\r\n"),
        Attack("a space before the fields", 400, "GET /plain/a HTTP/1.1\r\n Host: a\r\n\r\n"),
        Attack("an answer", 400, "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n"),
        Attack("a TLS greeting", 400, "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\r\n\r\n"),
        Attack("HTTP/2's preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        Attack(
            "a long target", 414,
            "GET /plain/\(String(repeating: "a", count: 17 << 10)) HTTP/1.1\r\nHost: a\r\n\r\n"),
        Attack(
            "long fields", 431,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "a", count: 65 << 10))\r\n\r\n"
        ),
        Attack(
            "many fields", 431,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\n\(String(repeating: "X: a\r\n", count: 200))\r\n"),
        Attack(
            "an unknown expectation", 417,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n"),
    ]

    @Test(arguments: framing + chunks + heads)
    func `a request with two readings is refused, closed, and kept from the origin`(
        attack: Attack
    ) throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(attack.bytes + Array("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            let refused = try client.response()
            #expect(refused.status == attack.status, "\(refused.text)")
            #expect(refused.fields["Connection"] == "close")
            #expect(try client.remainder() == [])
            _ = try site.send(.get("/plain/last"))
            #expect(site.origin.requests.map(\.target) == ["/plain/last"])
        }
    }

    @Test(arguments: framing + chunks + heads)
    func `it makes no difference in which pieces it comes`(attack: Attack) throws {
        guard attack.bytes.count < 1000 else { return }
        try Site.run { site in
            let client = try site.connect()
            for byte in attack.bytes {
                // The gateway may refuse, and close, before the last byte.
                guard (try? client.send([byte])) != nil else { break }
            }
            if let refused = try? client.response() { #expect(refused.status == attack.status) }
            _ = try site.send(.get("/plain/last"))
            #expect(site.origin.requests.map(\.target) == ["/plain/last"])
        }
    }

    @Test func `a body that looks like a request is a body`() throws {
        try Site.run { site in
            let body = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
            let response = try site.send(Call(key: "k") { $0.body = body })
            expectExecuted(response)
            #expect(site.origin.requests.map(\.text) == [body])
        }
    }
}
