/// An answer of 200 with these field lines, each with its line end, and what follows them.
private func ok(_ lines: String, _ body: String = "") -> String {
    "HTTP/1.1 200 OK\r\n\(lines)\r\n\(body)"
}

private let head = "HEAD /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"
private let old = "GET /plain/a HTTP/1.0\r\nHost: a\r\n\r\n"
private let date = "Date: Sat, 28 Nov 2026 00:00:00 GMT\r\n"

/// Answers of origins that are good, if odd, and what the client sees.
let answerRows: [WireCase] = [
    answered(
        "an answer of a length keeps it", "RFC 9112 6.3", ok("Content-Length: 4\r\n", "good"), 200,
        body: "good", has: ["Content-Length: 4", "Via: 1.1 oncegate"], framing: .length(4)),
    answered(
        "an answer of no bytes says so", "RFC 9112 6.3", ok("Content-Length: 0\r\n"), 200, body: "",
        framing: .length(0)),
    answered(
        "an answer's length is written anew", "RFC 9110 8.6",
        ok("Content-Length: 0004\r\n", "good"),
        200, body: "good", framing: .length(4)),
    answered(
        "an answer in chunks stays in chunks", "RFC 9112 7.1",
        ok("Transfer-Encoding: chunked\r\n", "2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n"), 200, body: "good",
        lacks: ["Content-Length"], framing: .chunked),
    answered(
        "an answer's chunks lose extensions and odd sizes", "RFC 9112 7.1.1",
        ok("Transfer-Encoding: CHUNKED\r\n", "0002;a=b\r\ngo\r\n2 ;c=\"d\"\r\nod\r\n00;e\r\n\r\n"),
        200, body: "good", framing: .chunked),
    answered(
        "an answer of no chunks but the last is empty", "RFC 9112 7.1",
        ok("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), 200, body: "", framing: .chunked),
    answered(
        "an answer that ends with its connection is given in chunks", "RFC 9112 6.3",
        ok("", "good"),
        then: .close, 200, body: "good", framing: .chunked),
    answered(
        "an empty answer that ends with its connection is empty", "RFC 9112 6.3", ok(""),
        then: .close, 200, body: "", framing: .chunked),
    answered(
        "an HTTP/1.0 answer of a length is given as one of HTTP/1.1", "RFC 9112 2.3",
        "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood", then: .close, 200, body: "good",
        has: ["Via: 1.0 oncegate"], framing: .length(4)),
    answered(
        "an HTTP/1.0 answer that ends with its connection is given in chunks", "RFC 9112 6.3",
        "HTTP/1.0 200 OK\r\n\r\ngood", then: .close, 200, body: "good", framing: .chunked),
    answered(
        "an HTTP/1.0 answer that keeps its connection is taken", "RFC 9112 9.3, C.2.2",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ngood", 200,
        body: "good", lacks: ["Connection"]),
    answered(
        "a higher minor version of an answer is taken for 1.1", "RFC 9110 2.5",
        "HTTP/1.2 200 OK\r\nContent-Length: 4\r\n\r\ngood", 200, body: "good"),
    answered(
        "a status line without a reason or its space is taken", "RFC 9112 4",
        "HTTP/1.1 200\r\nContent-Length: 4\r\n\r\ngood", 200, body: "good"),
    answered(
        "a status line with an empty reason is taken", "RFC 9112 4",
        "HTTP/1.1 200 \r\nContent-Length: 4\r\n\r\ngood", 200, body: "good"),
    answered(
        "a reason is passed on", "RFC 9112 4",
        "HTTP/1.1 200 All is well: really\r\nContent-Length: 0\r\n\r\n", 200,
        reason: "All is well: really"),
    answered(
        "a reason beyond ASCII is passed on", "RFC 9112 4",
        "HTTP/1.1 200 \u{C3}\u{A9}\u{FF}\r\nContent-Length: 0\r\n\r\n", 200,
        reason: "\u{C3}\u{A9}\u{FF}"),
    answered(
        "204 has no body and no length", "RFC 9110 15.3.5, RFC 9112 6.3",
        "HTTP/1.1 204 No Content\r\n\r\n", 204, body: "",
        lacks: ["Content-Length", "Transfer-Encoding"]),
    answered(
        "204 loses a length of 0", "RFC 9110 8.6",
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        204, body: "", lacks: ["Content-Length"]),
    answered(
        "204 loses a transfer coding", "RFC 9112 6.1",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, body: "",
        lacks: ["Transfer-Encoding"]),
    answered(
        "304 keeps the length of what it does not carry", "RFC 9110 8.6, 15.4.5",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\nETag: \"a\"\r\n\r\n", 304, body: "",
        has: ["Content-Length: 4", "ETag: \"a\""]),
    answered(
        "304 without a length has none", "RFC 9110 15.4.5", "HTTP/1.1 304 Not Modified\r\n\r\n",
        304,
        body: "", lacks: ["Content-Length", "Transfer-Encoding"]),
    answered(
        "the answer to HEAD keeps the length of what it does not carry", "RFC 9110 9.3.2, 8.6",
        ok("Content-Length: 4\r\n"), to: head, 200, body: "", has: ["Content-Length: 4"]),
    answered(
        "the answer to HEAD may say nothing of a length", "RFC 9110 9.3.2", ok(""), to: head, 200,
        body: "", lacks: ["Content-Length"]),
    answered(
        "the answer to HEAD may be said to be chunked and is not", "RFC 9112 6.1",
        ok("Transfer-Encoding: chunked\r\n"), to: head, 200, body: "", lacks: ["Content-Length"]),
    answered(
        "the answer to HEAD may be an error with a length", "RFC 9110 9.3.2",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n", to: head, 404, body: "",
        has: ["Content-Length: 9"]),
    answered(
        "205 of no bytes is passed on", "RFC 9110 15.3.6",
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, body: ""),
    answered(
        "an answer in chunks is given to HTTP/1.0 as it is without them", "RFC 9112 6.1, 7",
        ok("Transfer-Encoding: chunked\r\n", "2\r\ngo\r\n2\r\nod\r\n0\r\nX: y\r\n\r\n"), to: old,
        200,
        body: "good", lacks: ["Transfer-Encoding", "Content-Length"], framing: .untilClose,
        end: .closed),
    answered(
        "an answer that ends with its connection ends with HTTP/1.0's", "RFC 9112 6.3",
        ok("", "good"),
        to: old, then: .close, 200, body: "good", framing: .untilClose, end: .closed),
    answered(
        "an answer of a length keeps it for HTTP/1.0", "RFC 9112 6.3",
        ok("Content-Length: 4\r\n", "good"),
        to: old, 200, body: "good", framing: .length(4), end: .closed),
    answered(
        "an origin that closes its connection does not close the client's", "RFC 9110 7.6.1",
        ok("Connection: close\r\nContent-Length: 4\r\n", "good"), then: .close, 200, body: "good",
        lacks: ["Connection"]),
    answered(
        "103 goes before the answer", "RFC 8297 2, RFC 9110 15.2",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok("Content-Length: 4\r\n", "good"), 200,
        body: "good", interims: [103]),
    answered(
        "several interim answers go before the answer", "RFC 9110 15.2",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
            + ok("Content-Length: 4\r\n", "good"), 200, body: "good", interims: [103, 102, 103]),
    answered(
        "an unknown interim answer is passed on", "RFC 9110 15.2",
        "HTTP/1.1 199 Soon\r\nX: y\r\n\r\n" + ok("Content-Length: 4\r\n", "good"), 200,
        body: "good",
        interims: [199]),
    answered(
        "an interim answer loses its framing fields", "RFC 9110 8.6, RFC 9112 6.1",
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\n"
            + ok("Content-Length: 4\r\n", "good"),
        200, body: "good", interims: [103]),
    answered(
        "100 that nobody waits for is not passed on", "RFC 9110 15.2.1",
        "HTTP/1.1 100 Continue\r\n\r\n" + ok("Content-Length: 4\r\n", "good"), 200, body: "good"),
    answered(
        "HTTP/1.0 is sent no interim answers", "RFC 9110 15.2",
        "HTTP/1.1 103 Early Hints\r\n\r\n" + ok("Content-Length: 4\r\n", "good"), to: old, 200,
        body: "good", end: .closed),
    answered(
        "an answer of 100 KiB stays as it is", "RFC 9110 6.4",
        ok("Content-Length: 102400\r\n", String(repeating: "0123456789", count: 10240)), 200,
        body: String(repeating: "0123456789", count: 10240)),
    answered(
        "an answer of all bytes stays as it is", "RFC 9110 6.4",
        ok("Content-Length: 256\r\n", latin(Array(0...255))), 200, body: latin(Array(0...255))),
    answered(
        "an answer in chunks of all bytes stays as it is", "RFC 9110 6.4",
        ok("Transfer-Encoding: chunked\r\n", "100\r\n" + latin(Array(0...255)) + "\r\n0\r\n\r\n"),
        200,
        body: latin(Array(0...255))),
    answered(
        "an answer's body may look like an answer", "RFC 9112 6.3",
        ok("Content-Length: 38\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 200,
        body: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    answered(
        "trailers of an answer are passed on", "RFC 9110 6.5",
        ok(
            "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "4\r\ngood\r\n0\r\nX-Sum: 1\r\n\r\n"
        ),
        to: get("TE: trailers\r\nConnection: TE\r\n"), 200, body: "good", framing: .chunked
    ).with { $0.sees[0].trailers = ["X-Sum: 1"] },
    answered(
        "trailers of an answer that frame or identify are not passed on", "RFC 9110 6.5.1",
        ok(
            "Transfer-Encoding: chunked\r\n",
            "4\r\ngood\r\n0\r\nContent-Length: 1\r\nSet-Cookie: a=b\r\nConnection: close\r\n"
                + "Transfer-Encoding: x\r\nContent-Type: y\r\nCache-Control: z\r\n\r\n"),
        200, body: "good", framing: .chunked
    ).with { $0.sees[0].trailers = [] },
    WireCase(
        name: "an early answer ends a request whose body is not whole",
        source: "RFC 9110 7.5, RFC 9112 9.3",
        sends: [post("Content-Length: 10\r\n", "abcde")],
        answers: [
            .init(
                pieces: [wireBytes(ok("Content-Length: 4\r\n", "good"))], moment: .afterHead)
        ],
        sees: [.init(status: 200, body: "good")], end: .closed, mayBegin: true),
]

/// Answers of origins that no client may see.
let brokenAnswerRows: [WireCase] =
    [
        (
            "Content-Length: 4\r\nContent-Length: 5\r\n\r\ngood!", "two different lengths",
            "RFC 9112 6.3"
        ),
        ("Content-Length: 4\r\nContent-Length: 4\r\n\r\ngood", "two equal lengths", "RFC 9112 6.3"),
        ("Content-Length: 4, 4\r\n\r\ngood", "a list of lengths", "RFC 9112 6.3"),
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
            "a length and chunked", "RFC 9112 6.1, 6.3"
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
            "chunked and a length", "RFC 9112 6.1, 6.3"
        ),
        ("Content-Length: -4\r\n\r\ngood", "a negative length", "RFC 9110 8.6"),
        ("Content-Length: +4\r\n\r\ngood", "a signed length", "RFC 9110 8.6"),
        ("Content-Length: 4x\r\n\r\ngood", "a length with a letter", "RFC 9110 8.6"),
        ("Content-Length: 0x4\r\n\r\ngood", "a hexadecimal length", "RFC 9110 8.6"),
        ("Content-Length:\r\n\r\ngood", "an empty length", "RFC 9110 8.6"),
        ("Content-Length: 18446744073709551616\r\n\r\ngood", "a length of 2^64", "RFC 9110 8.6"),
        ("Content-Length : 4\r\n\r\ngood", "a space before a colon", "RFC 9112 5.1"),
        (
            "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "a coding that cannot be taken off", "RFC 9112 6.1"
        ),
        ("Transfer-Encoding: gzip\r\n\r\ngood", "a coding that is not chunked", "RFC 9112 6.3"),
        (
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "a coding behind chunked",
            "RFC 9112 6.1"
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "chunked twice", "RFC 9112 6.1"
        ),
        ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "an unknown coding", "RFC 9112 6.1"),
        ("X: y\u{0}z\r\nContent-Length: 4\r\n\r\ngood", "a NUL in a value", "RFC 9110 5.5"),
        ("X: y\u{1}z\r\nContent-Length: 4\r\n\r\ngood", "a control in a value", "RFC 9110 5.5"),
        ("X: y\rz\r\nContent-Length: 4\r\n\r\ngood", "a bare CR in a value", "RFC 9112 2.2"),
        ("X: y\nContent-Length: 4\r\n\r\ngood", "a bare LF behind a field", "RFC 9112 2.2"),
        ("X: y\r\n z\r\nContent-Length: 4\r\n\r\ngood", "a folded field", "RFC 9112 5.2"),
        (
            " X: y\r\nContent-Length: 4\r\n\r\ngood", "a space before its first field",
            "RFC 9112 2.2"
        ),
        ("no colon\r\nContent-Length: 4\r\n\r\ngood", "a line without a colon", "RFC 9112 5"),
        (": y\r\nContent-Length: 4\r\n\r\ngood", "a nameless field", "RFC 9110 5.1"),
        ("X Y: z\r\nContent-Length: 4\r\n\r\ngood", "a space in a name", "RFC 9110 5.1"),
        (
            String(repeating: "X: y\r\n", count: 129) + "Content-Length: 4\r\n\r\ngood",
            "too many fields", "RFC 9110 5.4"
        ),
        (
            "X: " + String(repeating: "y", count: 66 << 10) + "\r\n\r\n",
            "fields that are too long", "RFC 9110 5.4"
        ),
    ].map {
        badAnswer(
            "an answer with \($0.1) is 502", $0.2, "HTTP/1.1 200 OK\r\n\($0.0)", then: .close)
    }
    + [
        ("HTTP/1.1 20 OK", "a status of two digits"),
        ("HTTP/1.1 2000 OK", "a status of four digits"),
        ("HTTP/1.1 2x0 OK", "a letter in its status"), ("HTTP/1.1 099 OK", "a status below 100"),
        ("HTTP/1.1 -20 OK", "a negative status"), ("HTTP/1.1  200 OK", "two spaces"),
        ("HTTP/1.1\t200 OK", "a tab"), ("HTTP/1.1 200OK", "no space behind the status"),
        ("HTTP/1.1 200\tOK", "a tab behind the status"), (" HTTP/1.1 200 OK", "a space before it"),
        ("http/1.1 200 OK", "a version in lower case"), ("HTTP/2 200 OK", "half a version"),
        ("HTTP/2.0 200 OK", "another major version"), ("HTTP/0.9 200 OK", "version 0.9"),
        ("HTTP/1.10 200 OK", "a version of three digits"), ("HTTP/1.1", "nothing but a version"),
        ("ICY 200 OK", "another protocol"), ("HTTP/1.1 200 O\u{0}K", "a NUL in its reason"),
        ("HTTP/1.1 200 O\rK", "a bare CR in its reason"),
        ("\r\nHTTP/1.1 200 OK", "an empty line before it"),
        ("GET / HTTP/1.1", "a request for a status line"),
        ("SSH-2.0-OpenSSH_9.2", "a greeting of SSH"),
        ("\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{16}", "an alert of TLS"),
        ("<html>good</html>", "HTTP/0.9's body"),
        (String(repeating: "a", count: 20 << 10), "a line without an end"),
    ].map {
        badAnswer(
            "a status line with \($0.1) is 502", "RFC 9112 4, 2.3",
            "\($0.0)\r\nContent-Length: 4\r\n\r\ngood", then: .close)
    } + [
        badAnswer(
            "an answer whose status line ends in LF is 502", "RFC 9112 2.2",
            "HTTP/1.1 200 OK\nContent-Length: 4\r\n\r\ngood", then: .close),
        badAnswer("an origin that closes without an answer is 502", "RFC 9112 8", "", then: .close),
        badAnswer("an origin that resets without an answer is 502", "RFC 9112 8", "", then: .reset),
        badAnswer(
            "a status line that is cut short is 502", "RFC 9112 8", "HTTP/1.1 200", then: .close),
        badAnswer(
            "an answer's head that is cut short is 502", "RFC 9112 8",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n", then: .close),
        badAnswer(
            "an interim answer alone is 502", "RFC 9110 15.2", "HTTP/1.1 100 Continue\r\n\r\n",
            then: .close),
        badAnswer(
            "101 that nobody asked for is 502", "RFC 9110 15.2.2, 7.8",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
        badAnswer(
            "interim answers without an end are 502", "RFC 9110 15.2",
            String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 40)),
        badAnswer(
            "chunked in HTTP/1.0 is 502", "RFC 9112 6.1",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
            then: .close),
        badAnswer(
            "204 with a body is 502, and the body nobody's answer", "RFC 9112 6.3",
            "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\ngood"),
        badAnswer(
            "304 with a body is 502, and the body nobody's answer", "RFC 9112 6.3",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\ngood"),
        badAnswer(
            "a body in answer to HEAD is 502, and nobody's answer", "RFC 9112 6.3",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood",
            to: "HEAD /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"),
        badAnswer(
            "an answer behind an empty one is nobody's", "RFC 9112 9.2, response splitting",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        ),
        badAnswer(
            "an answer behind a 204 is nobody's", "RFC 9112 9.2, response splitting",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"),
    ]
    + [
        ("zz\r\ngood\r\n0\r\n\r\n", "letters for a size", StrictOrigin.Answer.End.keep),
        ("4\r\ngood!\r\n0\r\n\r\n", "more data than its size", .keep),
        ("4\ngood\r\n0\r\n\r\n", "a bare LF behind its size", .keep),
        ("4\r\ngood\n0\r\n\r\n", "a bare LF behind its data", .keep),
        ("10000000000000004\r\ngood\r\n0\r\n\r\n", "a size of 2^64 and 4", .keep),
        ("-4\r\ngood\r\n0\r\n\r\n", "a negative size", .keep),
        ("4;a\nb\r\ngood\r\n0\r\n\r\n", "a bare LF in its extension", .keep),
        ("4\r\ngood\r\n0\r\nnonsense\r\n\r\n", "a trailer that is none", .keep),
        ("4\r\ngood\r\n", "no last chunk", .close), ("4\r\ngood\r\n0\r\n", "no last line", .close),
        ("4\r\ngo", "an end in its data", .close), ("", "nothing of it", .close),
        ("4\r\ngood\r\n", "no last chunk and a reset", .reset),
        (
            "4\r\ngood\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            "an answer behind it", .keep
        ),
    ].map {
        brokenAnswer(
            "an answer's chunk with \($0.1) never looks whole", "RFC 9112 7.1, 8",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\($0.0)", then: $0.2
        ).with { $0.isWhole = true }
    } + [
        brokenAnswer(
            "an answer of fewer bytes than its length never looks whole", "RFC 9112 8",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ngood", then: .close),
        brokenAnswer(
            "an answer of fewer bytes and a reset never looks whole", "RFC 9112 8",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ngood", then: .reset),
        brokenAnswer(
            "an answer of no bytes of its length never looks whole", "RFC 9112 8",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", then: .close),
        brokenAnswer(
            "a short answer for HTTP/1.0 never looks whole", "RFC 9112 8",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ngood",
            to: "GET /plain/a HTTP/1.0\r\nHost: a\r\n\r\n", then: .close),
        brokenAnswer(
            "an answer with bytes behind it never looks whole", "RFC 9112 9.2, response splitting",
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        ).with { $0.isWhole = true },
    ]

/// What becomes of the fields of good answers.
let answerForwardingRows: [WireCase] =
    [
        200, 201, 202, 203, 206, 207, 226, 299, 300, 301, 302, 303, 307, 308, 399, 400, 401, 404,
        409,
        418, 429, 451, 499, 500, 503, 511, 599,
    ].map {
        answered(
            "the status \($0) is passed on with its body", "RFC 9110 15",
            "HTTP/1.1 \($0) Reason \($0)\r\nContent-Length: 4\r\n\r\ngood", $0, body: "good",
            reason: "Reason \($0)")
    } + [
        answered(
            "an answer's Date is kept", "RFC 9110 6.6.1", ok("\(date)Content-Length: 0\r\n"), 200,
            has: ["Date: Sat, 28 Nov 2026 00:00:00 GMT"]),
        answered(
            "an answer without a Date gets one", "RFC 9110 6.6.1", ok("Content-Length: 0\r\n"), 200),
        answered(
            "hop-by-hop fields of an answer stay behind", "RFC 9110 7.6.1",
            ok(
                "Connection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Stay: 2\r\n"
                    + "Proxy-Connection: keep-alive\r\nContent-Length: 0\r\n"),
            200, has: ["X-Stay: 2"],
            lacks: ["X-Hop", "Keep-Alive", "Proxy-Connection", "Connection"]),
        answered(
            "an Upgrade that an answer offers stays behind", "RFC 9110 7.8",
            ok("Upgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 0\r\n"), 200,
            lacks: ["Upgrade", "Connection"]),
        answered(
            "lines of one name stay several, in their order", "RFC 9110 5.3, RFC 6265 3",
            ok(
                "Set-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\nsEt-cOOkie: c=3\r\nContent-Length: 0\r\n"
            ),
            200, has: ["Set-Cookie: a=1", "Set-Cookie: b=2", "sEt-cOOkie: c=3"]),
        answered(
            "an answer's bytes beyond ASCII stay as they are", "RFC 9110 5.5",
            ok("X: \u{80}\u{FF}\r\nContent-Length: 0\r\n"), 200, has: ["X: \u{80}\u{FF}"]),
        answered(
            "an answer's Via is added to", "RFC 9110 7.6.3",
            ok("Via: 1.0 fred\r\nContent-Length: 0\r\n"),
            200, has: ["Via: 1.0 fred", "Via: 1.1 oncegate"]),
        answered(
            "Server and other fields of an answer are its own", "RFC 9110 10.2.4",
            ok(
                "Server: x/1\r\nETag: W/\"a\"\r\nAge: 3\r\nWarning: 1 a \"b\"\r\nContent-Length: 0\r\n"
            ),
            200, has: ["Server: x/1", "ETag: W/\"a\"", "Age: 3"]),
        answered(
            "an answer's content coding is left alone", "RFC 9110 8.4",
            ok("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\u{1F}\u{8B}\u{0}\u{FF}"), 200,
            body: "\u{1F}\u{8B}\u{0}\u{FF}", has: ["Content-Encoding: gzip"]),
        answered(
            "a range is passed on", "RFC 9110 14.4",
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/9\r\nContent-Length: 4\r\n\r\ngood",
            206, body: "good", has: ["Content-Range: bytes 0-3/9"]),
        answered(
            "an interim answer's fields lose what is hop-by-hop", "RFC 9110 7.6.1",
            "HTTP/1.1 103 Early Hints\r\nKeep-Alive: a\r\nLink: </a>\r\n\r\n"
                + ok("Content-Length: 0\r\n"),
            200, interims: [103]),
    ]
