import Testing

@testable import HTTP

struct RequestParserTests {
    /// Inputs and what becomes of them: the head, and in brackets the bytes taken.
    static let valid: [(String, String)] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / 1.1 none keep {Host=a} [27]"),
        ("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 none close {} [18]"),
        ("GET / HTTP/1.0\r\nHost: a\r\n\r\n", "GET / 1.0 none close {Host=a} [27]"),
        (
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "GET / 1.0 none keep {Connection=keep-alive} [42]"
        ),
        (
            "GET / HTTP/1.0\r\nConnection: x, Keep-Alive , close\r\n\r\n",
            "GET / 1.0 none close {Connection=x, Keep-Alive , close} [53]"
        ),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET / 1.1 none keep {Host=a} [30]"),
        ("GET / HTTP/1.1\r\nHost: \t a\t \r\n\r\n", "GET / 1.1 none keep {Host=a} [31]"),
        ("GET / HTTP/1.1\r\nhOST: a\r\nX:\r\n\r\n", "GET / 1.1 none keep {hOST=a|X=} [31]"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: b\tc\r\n\r\n",
            "GET / 1.1 none keep {Host=a|X=b\tc} [35]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: \u{80}\u{FF}\r\n\r\n",
            "GET / 1.1 none keep {Host=a|X=\u{80}\u{FF}} [34]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\n\r\n",
            "GET / 1.1 none keep {Host=a|X=1|X=2} [39]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09aZ: v\r\n\r\n",
            "GET / 1.1 none keep {Host=a|!#$%&'*+-.^_`|~09aZ=v} [51]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            "GET / 1.1 none close {Host=a|Connection=close} [46]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: te\r\nConnection: CLOSE\r\n\r\n",
            "GET / 1.1 none close {Host=a|Connection=te|Connection=CLOSE} [62]"
        ),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
            "GET / 1.1 none keep {Host=a|Connection=closed} [47]"
        ),
        (
            "POST /x?y=1&z HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "POST /x?y=1&z 1.1 5 keep {Host=a|Content-Length=5} [54]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "POST / 1.1 0 keep {Host=a|Content-Length=0} [47]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0007\r\n\r\n",
            "POST / 1.1 7 keep {Host=a|Content-Length=0007} [50]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "POST / 1.1 18446744073709551615 keep {Host=a|Content-Length=18446744073709551615} [66]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / 1.1 chunked keep {Host=a|Transfer-Encoding=chunked} [56]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING:  CHUNKED \r\n\r\n",
            "POST / 1.1 chunked keep {Host=a|TRANSFER-ENCODING=CHUNKED} [58]"
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\n",
            "POST / 1.0 3 close {Content-Length=3} [38]"
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-Continue\r\n\r\n",
            "POST / 1.1 1 keep {Host=a|Content-Length=1|Expect=100-Continue} [69]"
        ),
        (
            "GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n",
            "GET / 1.0 none close {Expect=miracles} [36]"
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 none keep {Host=a} [31]"),
        (
            "FROB! /a%20b/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
            "FROB! /a%20b/%zz 1.1 none keep {Host=a} [38]"
        ),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", "GET / 1.1 none keep {Host=a} [27]"),
        (
            "GET http://b/c?d HTTP/1.1\r\nX: y\r\nHost: a\r\n\r\n",
            "GET /c?d 1.1 none keep {X=y|Host=b} [44]"
        ),
        (
            "GET HTTP://B:8080 HTTP/1.1\r\nhOST: a\r\n\r\n",
            "GET / 1.1 none keep {hOST=B:8080} [39]"
        ),
        ("GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n", "GET /?c 1.1 none keep {Host=b} [36]"),
        (
            "GET http://[::1]:8/ HTTP/1.0\r\nX: y\r\n\r\n",
            "GET / 1.0 none close {X=y|Host=[::1]:8} [38]"
        ),
        ("OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * 1.1 none keep {Host=b} [38]"),
        (
            "OPTIONS http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS / 1.1 none keep {Host=b} [39]"
        ),
        ("get // HTTP/1.1\r\nHost: a\r\n\r\n", "get // 1.1 none keep {Host=a} [28]"),
        (
            "GET /?a?b/*:@!$&'()+,;=~|{}\\\"<>^`[] HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?a?b/*:@!$&'()+,;=~|{}\\\"<>^`[] 1.1 none keep {Host=a} [57]"
        ),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n\r\nGET", "DELETE / 1.1 none keep {Host=a} [30]"),
        ("", "idle"), ("\r\n", "idle"), ("G", "more"), ("\r\nG", "more"), ("\r\n\r", "more"),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r", "more"), ("GET / HTTP/1.1\r\n", "more"),
    ]

    /// A request line, and the status that refuses it.
    static let badLines: [(String, Int)] = [
        ("GET / HTTP/1.1 ", 400), ("GET  / HTTP/1.1", 400), ("GET /  HTTP/1.1", 400),
        (" GET / HTTP/1.1", 400), ("GET\t/ HTTP/1.1", 400), ("GET /\tHTTP/1.1", 400),
        ("GET /", 400), ("GET", 400), ("GET ", 400), ("GET / ", 400), (" ", 400),
        ("GET  HTTP/1.1", 400), ("G\u{E9}T / HTTP/1.1", 400), ("G(T / HTTP/1.1", 400),
        ("GET: / HTTP/1.1", 400), ("GET / http/1.1", 400), ("GET / HTTP/1", 400),
        ("GET / HTTP/1.", 400), ("GET / HTTP/11", 400), ("GET / HTTP/1.10", 400),
        ("GET / HTTP/ 1.1", 400), ("GET / HTTP/1,1", 400), ("GET / HTTP/a.b", 400),
        ("GET / HTTP/+.1", 400), ("GET / HTTPS/1.1", 400), ("GET / ICAP/1.0", 400),
        ("GET / HTTP/2.0", 505), ("GET / HTTP/0.9", 505),
        ("GET / HTTP/9.9", 505), ("PRI * HTTP/2.0", 505), ("GET /a b HTTP/1.1", 400),
        ("GET /#f HTTP/1.1", 400), ("GET # HTTP/1.1", 400), ("GET /\u{E9} HTTP/1.1", 400),
        ("GET /\u{80} HTTP/1.1", 400), ("GET ftp://a/ HTTP/1.1", 400),
        ("GET http:// HTTP/1.1", 400), ("GET http:///a HTTP/1.1", 400),
        ("GET http://:80/ HTTP/1.1", 400), ("GET http://u@a/ HTTP/1.1", 400),
        ("GET http://a:65536/ HTTP/1.1", 400), ("GET http://a\\b HTTP/1.1", 400),
        ("GET http://a#b HTTP/1.1", 400), ("GET http:/a HTTP/1.1", 400),
        ("GET http:a HTTP/1.1", 400), ("GET https://a/ HTTP/1.1", 421),
        ("GET https:// HTTP/1.1", 400), ("GET http://[::1/ HTTP/1.1", 400),
        ("GET a HTTP/1.1", 400), ("GET ? HTTP/1.1", 400), ("GET * HTTP/1.1", 400),
        ("OPTIONS ** HTTP/1.1", 400), ("OPTIONS *? HTTP/1.1", 400), ("options * HTTP/1.1", 400),
        ("GET a:80 HTTP/1.1", 400), ("GET \\ HTTP/1.1", 400),
        ("CONNECT a:443 HTTP/1.1", 501), ("CONNECT / HTTP/1.1", 501),
        ("CONNECT a:443 HTTP/2.0", 505), ("CONNECT /#a HTTP/1.1", 400),
        ("GET /\u{0} HTTP/1.1", 400), ("GET /\u{7F} HTTP/1.1", 400),
        ("GET /\u{1} HTTP/1.1", 400), ("\u{16}\u{3}\u{1}", 400), ("GET /\r HTTP/1.1", 400),
        ("GET /\n HTTP/1.1", 400), ("GET / HTTP/1.1\nHost: a\n", 400),
        ("GET / HTTP/1.1\r\rHost: a", 400),
    ]

    /// Field lines after a valid request line and `Host`, and the status that refuses them.
    static let badFields: [(String, Int)] = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Transfer-Encoding: gzip\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\ncontent-length:", 400),
        ("Content-Length: 5, 6", 400), ("Content-Length: 5,5", 400), ("Content-Length: 5,", 400),
        ("Content-Length: +5", 400), ("Content-Length: -5", 400), ("Content-Length: 0x5", 400),
        ("Content-Length: 5 5", 400), ("Content-Length: 5\t5", 400), ("Content-Length:", 400),
        ("Content-Length: 5.0", 400), ("Content-Length: 5e1", 400), ("Content-Length: \"5\"", 400),
        ("Content-Length: 5;", 400), ("Content-Length: \u{B2}", 400), ("Content-Length: a", 400),
        ("Content-Length: 18446744073709551616", 400),
        ("Content-Length: 18446744073709551621", 400),
        ("Content-Length: 99999999999999999999999", 400), ("Content-Length : 5", 400),
        ("Content-Length\t: 5", 400), ("Content_Length: 5\r\nContent-Length", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding:", 400),
        ("Transfer-Encoding: chunked, chunked", 400), ("Transfer-Encoding: chunked, gzip", 400),
        ("Transfer-Encoding: chunked,", 400), ("Transfer-Encoding: ,chunked", 400),
        ("Transfer-Encoding: chunked;a=b", 400), ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: chunked x", 400), ("Transfer-Encoding:", 400),
        ("Transfer-Encoding: chun ked", 501), ("Transfer-Encoding: gzip", 501),
        ("Transfer-Encoding: gzip, chunked", 501), ("Transfer-Encoding: identity", 501),
        ("Transfer-Encoding: xchunked", 501), ("Transfer-Encoding: chunked2", 501),
        ("Transfer-Encoding: foo;bar=1, chunked", 501), ("Transfer-Encoding: \u{B}chunked", 400),
        ("Transfer-Encoding : chunked", 400), ("Transfer-Encoding\r\n : chunked", 400),
        ("Host: a", 400), ("Host: b", 400), ("host:", 400), ("X: a\r\n b", 400),
        ("X: a\r\n\tb", 400), ("X: a\r\n ", 400), (": a", 400), ("X", 400), ("X Y: a", 400),
        ("X\u{E9}: a", 400), ("X(: a", 400), ("X@: a", 400), ("\"X\": a", 400), ("X;: a", 400),
        ("X: a\u{0}", 400), ("X: \u{1}a", 400), ("X: a\u{7F}b", 400), ("X: a\u{8}", 400),
        ("X: a\rb", 400), ("X: a\nb: c", 400), ("X: a\r\r\nb: c", 400), ("X\u{0}: a", 400),
        ("X: a\n\n", 400), ("X: 12345678\u{1F}", 400), ("X: \u{C}", 400),
        ("Expect: miracles", 417), ("Expect:", 417), ("Expect: 100-continue, x", 417),
        ("Expect: 100-continue\r\nExpect: x", 417), ("Expect: 200-ok", 417),
        ("Expect: x\r\nContent-Length: a", 400),
    ]

    static let goodHosts = [
        "a", "A.example", "a.example:80", "a:", "127.0.0.1:8080", "[::]", "[::1]:443",
        "[2001:db8:0:0:0:0:0:1]", "[::ffff:192.0.2.1]", "[1::8]", "[1:2:3:4:5:6:7::]",
        "[1:2:3:4:5:6:192.0.2.1]", "a_b", "a%2Fb", "xn--nxasmq6b:65535", "a.", "!$&'()*+,;=~-",
    ]
    static let badHosts = [
        "", ":80", "a b", "a:b", "a:80:80", "a:65536", "a:000080", "a:-1", "a/b", "a@b", "u:p@a",
        "a?b", "a#b", "a\\b", "[", "[]", "[::1", "::1", "[::1]a", "[::1]:x", "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]", "[1::2::3]", "[12345::]", "[:1]", "[1:]", "[::g]", "[::1%25eth0]",
        "[fe80::1%eth0]", "[v1.a]", "[::1.2.3]", "[::1.2.3.256]", "[1:2:3:4:5:6:7:8::]",
        "[1:2:3:4:5:6:7:1.2.3.4]", "[:::]", "[::1.2.3.4:1]", "a%", "a%2", "a%2g", "\u{E9}", "<a>",
        "a, b", "a\"b",
    ]

    @Test(arguments: valid)
    func `a valid head is read the same however it is cut`(input: String, expected: String) {
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofRequest: cutting) == expected)
        }
    }

    @Test(arguments: badLines)
    func `a bad request line is refused however it is cut`(line: String, status: Int) {
        for cutting in cuttings(latin1(line + "\r\nHost: a\r\n\r\n")) {
            #expect(outcome(ofRequest: cutting) == "\(status)")
        }
    }

    @Test(arguments: badFields)
    func `a bad field line is refused however it is cut`(fields: String, status: Int) {
        let input = "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n"
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofRequest: cutting) == "\(status)")
        }
        let alone = "POST / HTTP/1.1\r\n\(fields)\r\nHost: a\r\n\r\n"
        #expect(outcome(ofRequest: [latin1(alone)]) == "\(status)")
    }

    @Test(arguments: goodHosts)
    func `a valid Host is taken`(host: String) {
        let input = latin1("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(
            outcome(ofRequest: [input])
                == "GET / 1.1 none keep {Host=\(host)} [\(input.count)]")
    }

    @Test(arguments: badHosts, ["1.0", "1.1"])
    func `an invalid Host is refused in both versions`(host: String, version: String) {
        let input = "GET / HTTP/\(version)\r\nHost: \(host)\r\n\r\n"
        for cutting in cuttings(latin1(input)) { #expect(outcome(ofRequest: cutting) == "400") }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nX: Host: a\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        ("POST / HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\tX: a\r\n\r\n", 400),
        ("\n", 400), ("\rGET", 400), ("\r\n\r\n\r\n\r\n\r\n", 400), ("\u{0}", 400),
        ("GET /\u{16}", 400), ("GET / HTTP/1.1\n", 400),
    ])
    func `a bad head is refused as soon as it shows`(input: String, status: Int) {
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofRequest: cutting) == "\(status)")
        }
    }

    /// Inputs at and just beyond small limits: a line of 20 bytes, fields of 30 bytes, 3 lines.
    @Test(arguments: [
        ("GET /12345 HTTP/1.1\r\nHost: a\r\n\r\n", "GET"), ("GET /123456 HTTP/1.1\r\n", "GET"),
        ("GET /1234567 HTTP/1.1", "414"), ("GET /1234567890123456", "414"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdef\r\n\r\n", "GET"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdefg\r\n", "431"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: 0123456789abcdefghi", "431"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX:\r\n\r\n", "GET"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX:\r\nX:\r\n", "431"),
        ("GET / HTTP/1.1\r\nHost: a\r\nX:\r\nX:\r\n(:\r\n", "431"),
    ])
    func `a limit is kept to the byte`(input: String, expected: String) {
        var limits = HTTPLimits()
        limits.requestLine = 20
        limits.fields = 30
        limits.fieldCount = 3
        for cutting in cuttings(latin1(input)) {
            let result = outcome(ofRequest: cutting, limits: limits)
            #expect(result.hasPrefix(expected) || expected == "GET" && result == "more")
        }
    }

    @Test func `an https target is taken where TLS was`() throws {
        let input = latin1("GET https://b/c HTTP/1.1\r\nHost: a\r\n\r\n")
        var parser = RequestParser(takesHTTPS: true)
        let head = try #require(try parser.parse(input.span).head)
        #expect(latin1(head.target) == "/c")
        #expect(head.fields.text(.host) == "b")
    }

    @Test(arguments: ["", "Host: a\r\nHost: a\r\n", "Host: b/c\r\n", "Host:\r\n"])
    func `an absolute target does not make up for a wrong Host`(fields: String) {
        let input = latin1("GET http://b/ HTTP/1.1\r\n\(fields)\r\n")
        for cutting in cuttings(input) { #expect(outcome(ofRequest: cutting) == "400") }
    }

    @Test func `a head with an absolute target is written with its new Host`() throws {
        let input = latin1("GET http://b/c HTTP/1.1\r\nX: y\r\nHost: a\r\nZ: 1\r\n\r\n")
        var parser = RequestParser()
        let head = try #require(try parser.parse(input.span).head)
        var bytes: [UInt8] = []
        RequestSerializer.append(
            UpstreamRequest(method: .get, target: head.target, fields: head.fields, body: .none),
            to: &bytes)
        #expect(latin1(bytes) == "GET /c HTTP/1.1\r\nX: y\r\nHost: b\r\nZ: 1\r\n\r\n")
    }

    @Test func `nothing is parsed after a refusal`() throws {
        var parser = RequestParser()
        #expect(throws: RequestError.self) { try parser.parse(latin1("\u{0}").span) }
        #expect(throws: RequestError.self) {
            try parser.parse(latin1("GET / HTTP/1.1\r\nHost: a\r\n\r\n").span)
        }
    }

    @Test func `pipelined requests come out one by one`() throws {
        let input = latin1(
            "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: b\r\n\r\n")
        var parser = RequestParser()
        let first = try parser.parse(input.span)
        #expect(first.consumed == 28)
        #expect(first.head.map { latin1($0.target) } == "/1")
        #expect((parser.isIdle as Bool) == true)
        let second = try parser.parse(input.span.extracting(28..<input.count))
        #expect(second.consumed == input.count - 28)
        #expect(second.head.map { latin1($0.target) } == "/2")
    }

    @Test func `a body behind a cut head is not taken`() throws {
        let head = latin1("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        for cut in 1..<head.count {
            var parser = RequestParser()
            #expect(try parser.parse(head.span.extracting(0..<cut)).head == nil)
            let rest = head[cut...] + [UInt8](repeating: 0, count: 100_000)
            let (consumed, last) = try parser.parse(Array(rest).span)
            #expect(consumed == head.count - cut)
            #expect(last?.fields.bytes == head)
        }
    }

    @Test(arguments: [
        ("1.1", "Content-Length: 1", true), ("1.1", "Transfer-Encoding: chunked", true),
        ("1.1", "Content-Length: 0", false), ("1.1", "X: 1", false),
        ("1.0", "Content-Length: 1", false),
    ])
    func `a client waits for 100 only before a body in 1.1`(
        version: String, field: String, waits: Bool
    ) throws {
        let input = "PUT / HTTP/\(version)\r\nHost: a\r\nExpect: 100-continue\r\n\(field)\r\n\r\n"
        var parser = RequestParser()
        #expect(try parser.parse(latin1(input).span).head?.expectsContinue == waits)
    }
}
