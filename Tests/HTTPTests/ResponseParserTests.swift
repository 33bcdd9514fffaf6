import Testing

@testable import HTTP

struct ResponseParserTests {
    /// Method, input, and what becomes of it.
    static let valid: [(Method, String, String)] = [
        (
            .get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "200 OK 1.1 3 keep {Content-Length=3} [38]"
        ),
        (
            .get, "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
            "200  1.1 0 keep {Content-Length=0} [36]"
        ),
        (
            .get, "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
            "200  1.1 0 keep {Content-Length=0} [35]"
        ),
        (.get, "HTTP/1.1 200 A b\t\u{E9}\r\n\r\n", "200 A b\t\u{E9} 1.1 untilClose close {} [22]"),
        (.get, "HTTP/1.1 999 \r\n\r\n", "999  1.1 untilClose close {} [17]"),
        (.get, "HTTP/1.1 200 OK\r\n\r\n", "200 OK 1.1 untilClose close {} [19]"),
        (
            .post, "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "200 OK 1.1 chunked keep {Transfer-Encoding=Chunked} [47]"
        ),
        (
            .post, "HTTP/1.1 201 C\r\nConnection: close\r\nContent-Length: 1\r\n\r\n",
            "201 C 1.1 1 close {Connection=close|Content-Length=1} [56]"
        ),
        (
            .get, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n",
            "200 OK 1.0 1 close {Content-Length=1} [38]"
        ),
        (
            .get, "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n",
            "200 OK 1.0 1 keep {Content-Length=1|Connection=keep-alive} [62]"
        ),
        (
            .get, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n",
            "200 OK 1.0 untilClose close {Connection=keep-alive} [43]"
        ),
        (
            .head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "200 OK 1.1 none keep {Content-Length=5} [38]"
        ),
        (.head, "HTTP/1.1 200 OK\r\n\r\n", "200 OK 1.1 none keep {} [19]"),
        (
            .head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "200 OK 1.1 none keep {Transfer-Encoding=chunked} [47]"
        ),
        (
            .get, "HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n",
            "304 N 1.1 none keep {Content-Length=5} [37]"
        ),
        (.get, "HTTP/1.1 304 N\r\n\r\n", "304 N 1.1 none keep {} [18]"),
        (
            .get, "HTTP/1.1 204 N\r\nContent-Length: 5\r\nX: y\r\n\r\n",
            "204 N 1.1 none keep {X=y} [43]"
        ),
        (
            .get, "HTTP/1.1 204 N\r\nTransfer-Encoding: chunked\r\n\r\n",
            "204 N 1.1 none keep {} [46]"
        ),
        (
            .get, "HTTP/1.1 205 R\r\nContent-Length: 0\r\n\r\n",
            "205 R 1.1 0 keep {Content-Length=0} [37]"
        ),
        (
            .get, "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: a\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
            "100 C 1.1 none keep {} 103 E 1.1 none keep {Link=a} 204 N 1.1 none keep {} [63]"
        ),
        (
            .get, "HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
            "101 S 1.1 none keep {Upgrade=x|Connection=upgrade} idle"
        ),
        (.get, "HTTP/1.1 100 C\r\nContent-Length: 7\r\n\r\nH", "100 C 1.1 none keep {} more"),
        (
            .get, "HTTP/1.1 200 OK\r\nExpect: x\r\nHost: ,\r\nContent-Length: 0\r\n\r\n",
            "200 OK 1.1 0 keep {Expect=x|Host=,|Content-Length=0} [58]"
        ),
        (.get, "", "idle"), (.get, "HTTP/1.1 2", "more"), (.get, "HTTP/1.1 200 OK\r\n\r", "more"),
    ]

    static let bad: [String] = [
        "\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 000 OK\r\n\r\n", "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1\t200 OK\r\n\r\n",
        "HTTP/1.1 200\tOK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/2.2 200 OK\r\n\r\n", "HTTP/0.9 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n", "HTTP/1.1\r\n\r\n", "<html>\r\n\r\n", "200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 O\u{0}K\r\n\r\n", "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 O\rK\r\n\r\n", "SSH-2.0-OpenSSH\r\n",
    ]

    /// Field lines that no final answer may have.
    static let badFields: [String] = [
        "Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 5", "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5", "Content-Length: -1",
        "Content-Length: +1", "Content-Length:", "Content-Length: 18446744073709551621",
        "Content-Length: 0x1", "Transfer-Encoding: gzip", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding:",
        "Transfer-Encoding: identity", "Content-Length : 5", "X: a\r\n b", " X: a", "X", ": x",
        "X: a\rb", "X: a\nb", "X: \u{0}", "X Y: a", "Transfer-Encoding: chunked;q=1",
    ]

    @Test(arguments: valid)
    func `a valid head is read the same however it is cut`(
        method: Method, input: String, expected: String
    ) {
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofResponse: cutting, to: method) == expected)
        }
    }

    @Test(arguments: bad)
    func `a bad status line is refused however it is cut`(input: String) {
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofResponse: cutting) == "refused")
        }
    }

    @Test(arguments: badFields, [Method.get, .head])
    func `a bad field line is refused however it is cut`(fields: String, method: Method) {
        for cutting in cuttings(latin1("HTTP/1.1 200 OK\r\n\(fields)\r\n\r\n")) {
            #expect(outcome(ofResponse: cutting, to: method) == "refused")
        }
    }

    @Test func `chunked is refused in 1 dot 0`() {
        let input = latin1("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        #expect(outcome(ofResponse: [input]) == "refused")
    }

    @Test func `a flood of interim answers is refused`() {
        var limits = HTTPLimits()
        limits.interimCount = 2
        let interim = "HTTP/1.1 103 E\r\n\r\n"
        let final = "HTTP/1.1 204 N\r\n\r\n"
        let passed = outcome(ofResponse: [latin1(interim + interim + final)], limits: limits)
        #expect(passed.contains("204"))
        let refused = outcome(
            ofResponse: [latin1(interim + interim + interim + final)], limits: limits)
        #expect(refused.hasSuffix("refused"))
    }
}
