/// A row with several answers on one connection.
private func several(
    _ name: String, _ source: String, _ bytes: String..., as lines: [String],
    bodies: [String]? = nil, end: WireCase.End = .alive
) -> WireCase {
    var row = WireCase(name: name, source: source, sends: bytes)
    row.methods = lines.map { String($0.prefix { $0 != " " }) }
    row.sees = lines.map { .init(status: 200, body: $0.hasPrefix("HEAD") ? "" : "ok") }
    row.forwards = lines.enumerated().map { .init(line: $1, body: bodies?[$0]) }
    row.end = end
    return row
}

let persistenceRows: [WireCase] =
    [
        "close", "CLOSE", "Close", "keep-alive, close", "close, keep-alive", "x-a, close",
        ",close,",
        "\tclose ", "close\r\nConnection: keep-alive", "keep-alive\r\nConnection: close",
    ].map {
        forwarded(
            "Connection: \($0.debugDescription) closes behind the answer", "RFC 9112 9.3, 9.6",
            get("Connection: \($0)\r\n"), as: "GET /plain/a", lacks: ["Connection"], end: .closed)
    }
    + ["keep-alive", "Keep-Alive", "closed", "x-close", "close-x", "\"close\"", "TE", ""].map {
        forwarded(
            "Connection: \($0.debugDescription) does not close", "RFC 9112 9.3",
            get("Connection: \($0)\r\n"), as: "GET /plain/a")
    } + [
        several(
            "two requests at once are answered in order", "RFC 9112 9.3.2",
            get("", "/plain/1") + get("", "/plain/2"), as: ["GET /plain/1", "GET /plain/2"]),
        several(
            "ten requests at once are answered in order", "RFC 9112 9.3.2",
            (0..<10).map { get("", "/plain/\($0)") }.joined(),
            as: (0..<10).map { "GET /plain/\($0)" }),
        several(
            "requests of all kinds follow each other at once", "RFC 9112 9.3.2",
            post("Content-Length: 2\r\n", "hi") + get()
                + post("Transfer-Encoding: chunked\r\n", "2\r\nho\r\n0\r\n\r\n", to: "/plain/b")
                + get("", "/plain/c"),
            as: ["POST /plain/a", "GET /plain/a", "POST /plain/b", "GET /plain/c"],
            bodies: ["hi", "", "ho", ""]),
        several(
            "an empty line between requests is skipped", "RFC 9112 2.2",
            get("", "/plain/1") + "\r\n" + get("", "/plain/2"),
            as: ["GET /plain/1", "GET /plain/2"]),
        several(
            "an empty line behind a body is skipped", "RFC 9112 2.2",
            post("Content-Length: 2\r\n", "hi") + "\r\n" + get(),
            as: ["POST /plain/a", "GET /plain/a"],
            bodies: ["hi", ""]),
        several(
            "a request behind chunks with trailers begins behind them", "RFC 9112 7.1.2",
            post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\nX: y\r\n\r\n")
                + get("", "/plain/2"),
            as: ["POST /plain/a", "GET /plain/2"], bodies: ["hi", ""]),
        several(
            "a request may be cut anywhere before the next", "RFC 9112 9.3.2",
            get("", "/plain/1") + "GET /pla", "in/2 HTTP/1.1\r\nHost: a\r\n\r\n",
            as: ["GET /plain/1", "GET /plain/2"]),
        several(
            "nothing behind a request that closes is served", "RFC 9112 9.6",
            get("Connection: close\r\n") + get("", "/plain/2"), as: ["GET /plain/a"], end: .closed),
        several(
            "nothing behind an HTTP/1.0 request is served", "RFC 9112 9.3",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\n\r\n" + get("", "/plain/2"), as: ["GET /plain/a"],
            end: .closed),
        several(
            "HTTP/1.0 may ask to keep its connection", "RFC 9112 9.3, C.2.2",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
                + get("", "/plain/2"),
            as: ["GET /plain/a", "GET /plain/2"]
        ).with { $0.sees[0].has = ["Connection: keep-alive"] },
        several(
            "HTTP/1.0 that lists close beside keep-alive is closed", "RFC 9112 9.3",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
            as: ["GET /plain/a"], end: .closed),
        several(
            "Proxy-Connection keeps no connection", "RFC 9112 C.2.2",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n",
            as: ["GET /plain/a"], end: .closed
        ).with { $0.forwards[0].lacks = ["Proxy-Connection"] },
        several(
            "Keep-Alive alone keeps no connection", "RFC 9112 C.2.2",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nKeep-Alive: timeout=60\r\n\r\n",
            as: ["GET /plain/a"],
            end: .closed
        ).with { $0.forwards[0].lacks = ["Keep-Alive"] },
        WireCase(
            name: "what is behind a good request is refused for itself", source: "RFC 9112 9.3.2",
            sends: [get() + "GET  /plain/b HTTP/1.1\r\nHost: a\r\n\r\n" + get("", "/smuggled")],
            sees: [.init(status: 200), .init(status: 400)], end: .closed,
            forwards: [.init(line: "GET /plain/a")], methods: ["GET", "GET"]),
        WireCase(
            name: "a body of HTTP/1.0 and keep-alive ends where it says", source: "RFC 9112 6.3",
            sends: [
                "POST /plain/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi"
                    + get("", "/plain/2")
            ], sees: [.init(status: 200), .init(status: 200)],
            forwards: [.init(line: "POST /plain/a", body: "hi"), .init(line: "GET /plain/2")],
            methods: ["POST", "GET"]),
        WireCase(
            name: "a client that has ended its direction is answered", source: "RFC 9112 9.6",
            sends: ["GET /plain/a HTTP/1.0\r\nHost: a\r\n\r\n"],
            sees: [.init(status: 200, body: "ok")], end: .closed,
            forwards: [.init(line: "GET /plain/a")], endsInput: true),
        several(
            "a HEAD between others has no body", "RFC 9110 9.3.2, RFC 9112 6.3",
            get("", "/plain/1") + "HEAD /plain/2 HTTP/1.1\r\nHost: a\r\n\r\n" + get("", "/plain/3"),
            as: ["GET /plain/1", "HEAD /plain/2", "GET /plain/3"]
        ).with {
            $0.answers = [
                .init(pieces: [StrictOrigin.plainAnswer]),
                .init(pieces: [wireBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")]),
            ]
        },
        WireCase(
            name: "an origin's failure does not end the client's connection",
            source: "RFC 9112 9.3",
            sends: [get() + get("", "/plain/2")], answers: [.init(pieces: [], end: .close)],
            sees: [.init(status: 502), .init(status: 200)],
            forwards: [.init(line: "GET /plain/a"), .init(line: "GET /plain/2")],
            methods: ["GET", "GET"]),
    ]

let forwardingRows: [WireCase] =
    [
        ("Keep-Alive: timeout=5", "Keep-Alive"),
        ("Proxy-Connection: keep-alive", "Proxy-Connection"),
        ("TE: gzip", "TE"), ("Upgrade: foo", "Upgrade"),
        ("Trailer: X", "Trailer"), ("Proxy-Authorization: Basic a", "Proxy-Authorization"),
        ("Connection: X-Hop\r\nX-Hop: 1", "X-Hop"), ("Connection: x-hop\r\nX-HOP: 1", "X-Hop"),
        ("X-Hop: 1\r\nConnection: close-not, X-Hop", "X-Hop"),
        ("Connection: a\r\nX-Hop: 1\r\nConnection: b,X-Hop ,c", "X-Hop"),
        ("Connection: ,, X-Hop", "X-Hop"), ("Connection: X-Hop\r\nX-Hop: 1\r\nX-Hop: 2", "X-Hop"),
    ].map {
        forwarded(
            "of \($0.0.debugDescription), \($0.1) stays behind", "RFC 9110 7.6.1",
            get("\($0.0)\r\nX-Stay: 1\r\n"), as: "GET /plain/a", has: ["X-Stay: 1"],
            lacks: [$0.1, "Connection"])
    } + [
        forwarded(
            "of TE, only trailers passes, made anew with its Connection", "RFC 9110 10.1.4",
            get("TE: trailers, deflate;q=0.5\r\nX-Stay: 1\r\n"), as: "GET /plain/a",
            inOrder: ["X-Stay: 1", "Connection: TE", "TE: trailers"]),
        forwarded(
            "Via is added", "RFC 9110 7.6.3", get(), as: "GET /plain/a", has: ["Via: 1.1 oncegate"]),
        forwarded(
            "Via is added behind those before it", "RFC 9110 7.6.3",
            get("Via: 1.0 fred, 1.1 p\r\n"),
            as: "GET /plain/a", inOrder: ["Via: 1.0 fred, 1.1 p", "Via: 1.1 oncegate"]),
        forwarded(
            "fields keep their order and their case", "RFC 9110 5.3, 5.1",
            get("b: 1\r\nA: 2\r\nC: 3\r\na: 4\r\nAccept: x\r\nCookie: d\r\n"), as: "GET /plain/a",
            inOrder: ["b: 1", "A: 2", "C: 3", "a: 4", "Accept: x", "Cookie: d"]),
        forwarded(
            "conditions and ranges are passed on", "RFC 9110 13, 14",
            get("If-None-Match: \"a\"\r\nRange: bytes=0-3\r\nIf-Range: \"a\"\r\n"),
            as: "GET /plain/a",
            has: ["If-None-Match: \"a\"", "Range: bytes=0-3", "If-Range: \"a\""]),
        forwarded(
            "Authorization and cookies are passed on", "RFC 9110 11.6.2",
            get("Authorization: Bearer a\r\nCookie: a=b\r\nCookie: c=d\r\n"), as: "GET /plain/a",
            inOrder: ["Authorization: Bearer a", "Cookie: a=b", "Cookie: c=d"]),
        forwarded(
            "X-Forwarded-For of a stranger is replaced", "RFC 7239 8.1",
            get("X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n"), as: "GET /plain/a",
            has: ["X-Forwarded-For: 127.0.0.1"]),
        forwarded(
            "Max-Forwards of OPTIONS is lowered", "RFC 9110 7.6.2",
            "OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n",
            as: "OPTIONS /plain/a",
            has: ["Max-Forwards: 9"]),
        forwarded(
            "Max-Forwards of TRACE is lowered to 0", "RFC 9110 7.6.2",
            "TRACE /plain/a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\n\r\n", as: "TRACE /plain/a",
            has: ["Max-Forwards: 0"]),
        forwarded(
            "Max-Forwards has a largest number", "RFC 9110 7.6.2",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 99999999999999999999999\r\n\r\n",
            as: "OPTIONS *", has: ["Max-Forwards: 255"]),
        forwarded(
            "Max-Forwards of other methods is passed on", "RFC 9110 7.6.2",
            get("Max-Forwards: 0\r\n"),
            as: "GET /plain/a", has: ["Max-Forwards: 0"]),
        WireCase(
            name: "OPTIONS that may go no further is answered here",
            source: "RFC 9110 7.6.2, 9.3.7",
            sends: ["OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n"],
            sees: [.init(status: 200, body: "", framing: .length(0))]),
        WireCase(
            name: "OPTIONS for a star that may go no further is answered here",
            source: "RFC 9110 7.6.2",
            sends: ["OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 00\r\n\r\n"],
            sees: [.init(status: 200, body: "", framing: .length(0))]),
        WireCase(
            name: "TRACE that may go no further comes back, without what is secret",
            source: "RFC 9110 7.6.2, 9.3.8",
            sends: [
                "TRACE /plain/a HTTP/1.1\r\nHost: a\r\nCookie: b=c\r\nVia: 1.1 x\r\n"
                    + "Authorization: d\r\nMax-Forwards: 0\r\n\r\n"
            ],
            sees: [
                .init(
                    status: 200,
                    body:
                        "TRACE /plain/a HTTP/1.1\r\nHost: a\r\nVia: 1.1 x\r\nMax-Forwards: 0\r\n\r\n",
                    has: ["Content-Type: message/http"])
            ]),
        WireCase(
            name: "Max-Forwards that is no number is refused", source: "RFC 9110 7.6.2",
            sends: ["OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nMax-Forwards: -1\r\n\r\n"],
            sees: [.init(status: 400)]),
        WireCase(
            name: "Max-Forwards that is there twice is refused", source: "RFC 9110 7.6.2",
            sends: [
                "TRACE /plain/a HTTP/1.1\r\nHost: a\r\nMax-Forwards: 1\r\nMax-Forwards: 0\r\n\r\n"
            ],
            sees: [.init(status: 400)]),
        forwarded(
            "a body keeps its type and coding", "RFC 9110 8",
            post(
                "Content-Type: a/b; c=\"d\"\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n",
                "\u{1F}\u{8B}"),
            as: "POST /plain/a", body: "\u{1F}\u{8B}",
            has: ["Content-Type: a/b; c=\"d\"", "Content-Encoding: gzip"]),
        forwarded(
            "an empty body is told from none", "RFC 9110 8.6", post("Content-Length: 0\r\n"),
            as: "POST /plain/a", has: ["Content-Length: 0"], framing: .length(0)),
        forwarded(
            "a request of HTTP/1.0 goes on as one of 1.1", "RFC 9112 2.3, RFC 9110 2.5",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nX: y\r\n\r\n", as: "GET /plain/a",
            has: ["X: y", "Via: 1.0 oncegate"], end: .closed),
        forwarded(
            "what only the gateway tells its backends is believed of nobody", "design, section 5",
            get(
                "Idempotency-Record-Id: a\r\nIdempotency-Recovery-Point: b\r\nIdempotency-Stage-Token: c\r\n"
            ),
            as: "GET /plain/a",
            lacks: [
                "Idempotency-Record-Id", "Idempotency-Recovery-Point", "Idempotency-Stage-Token",
            ]),
    ]

/// A keyed POST with these field lines, each with its line end, and what follows them.
private func order(_ lines: String, _ body: String = "", key: String = "{key}") -> String {
    "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: \(key)\r\n\(lines)\r\n\(body)"
}

/// A request that an attacker hides, under a key of its own.
private let hidden =
    "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {next}\r\nContent-Length: 0\r\n\r\n"

let keyedRows: [WireCase] =
    [
        ("Content-Length: 2\r\nContent-Length: 3\r\n", "two lengths", "RFC 9112 6.3", 400),
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "a length and chunked",
            "RFC 9112 6.3", 400
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n", "chunked and a length",
            "RFC 9112 6.3", 400
        ),
        ("Transfer-Encoding: gzip, chunked\r\n", "an unknown coding", "RFC 9112 6.1", 501),
        ("Content-Length: +2\r\n", "a signed length", "RFC 9110 8.6", 400),
        ("Content-Length: 2\r\nX : y\r\n", "a space before a colon", "RFC 9112 5.1", 400),
        ("Content-Length: 2\r\nX: y\r\n z\r\n", "a fold", "RFC 9112 5.2", 400),
        ("Content-Length: 2\nX: y\r\n", "a bare LF", "RFC 9112 2.2", 400),
        ("Content-Length: 2\r\nX: y\rz\r\n", "a bare CR", "RFC 9112 2.2", 400),
        ("Content-Length: 2\r\nX: \u{0}\r\n", "a NUL", "RFC 9110 5.5", 400),
        ("Content-Length: 2\r\nHost: b\r\n", "two Hosts", "RFC 9112 3.2", 400),
        ("Expect: x\r\nContent-Length: 2\r\n", "an unknown expectation", "RFC 9110 10.1.1", 417),
    ].map {
        refused(
            "a keyed request with \($0.1) leaves its key free, and the hidden one's", $0.2, $0.3,
            order($0.0, "{}" + hidden))
    }
    + [
        ("zz\r\n{}\r\n0\r\n\r\n", "letters for a size"),
        ("2\n{}\r\n0\r\n\r\n", "a bare LF behind its size"),
        ("2\r\n{}\n0\r\n\r\n", "a bare LF behind its data"),
        ("2;a\nb\r\n{}\r\n0\r\n\r\n", "a bare LF in its extension"),
        ("2\r\n{}x\r\n0\r\n\r\n", "more data than its size"),
        ("2\r\n{}\r\n0\r\nX\r\n\r\n", "a trailer that is none"),
        ("10000000000000002\r\n{}\r\n0\r\n\r\n", "a size of 2^64 and 2"),
        ("2 \r\n{}\r\n0\r\n\r\n", "a space behind its size"),
    ].map {
        refused(
            "a keyed chunk with \($0.1) leaves its key free, and the hidden one's", "RFC 9112 7.1",
            400,
            order("Transfer-Encoding: chunked\r\n", $0.0 + hidden))
    } + [
        forwarded(
            "a keyed body of a length is sent as it is", "RFC 9112 6.3",
            order("Content-Length: 2\r\n", "{}"),
            as: "POST /orders", body: "{}", lacks: ["Idempotency-Key"], framing: .length(2)
        ).with { $0.sees[0].has = ["Idempotency-Status: executed", "Idempotency-Key: {key}"] },
        forwarded(
            "a keyed body in chunks is sent with its length", "RFC 9112 6.3",
            order(
                "Transfer-Encoding: chunked\r\n",
                "1\r\n{\r\n1;a\r\n}\r\n0\r\nIdempotency-Key: z\r\n\r\n"),
            as: "POST /orders", body: "{}", lacks: ["Transfer-Encoding", "Idempotency-Key"],
            framing: .length(2)
        ).with { $0.sees[0].has = ["Idempotency-Status: executed", "Idempotency-Key: {key}"] },
        forwarded(
            "a keyed request without a body has none upstream", "RFC 9112 6.3", order(""),
            as: "POST /orders", body: "", framing: StrictMessage.Framing.none),
        forwarded(
            "a hidden request in a keyed body is a body", "PortSwigger, CL.0",
            order("Content-Length: 38\r\n", "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"),
            as: "POST /orders", body: "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
            framing: .length(38)),
        forwarded(
            "a hidden request in keyed chunks is a body", "TE.0",
            order(
                "Transfer-Encoding: chunked\r\n",
                "26\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n"),
            as: "POST /orders", body: "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
            framing: .length(38)),
        forwarded(
            "Connection cannot take a key away", "Nathan Davison, abusing hop-by-hop headers",
            order("Connection: Idempotency-Key\r\nContent-Length: 2\r\n", "{}"), as: "POST /orders",
            body: "{}", lacks: ["Idempotency-Key"]
        ).with { $0.sees[0].has = ["Idempotency-Status: executed"] },
        forwarded(
            "a keyed body that is expected is asked for and sent", "RFC 9110 10.1.1",
            order("Expect: 100-continue\r\nContent-Length: 2\r\n", "{}"), as: "POST /orders",
            body: "{}", lacks: ["Expect"]),
        WireCase(
            name: "a keyed request and its retry at once are executed once",
            source: "design, section 2",
            sends: [order("Content-Length: 2\r\n", "{}") + order("Content-Length: 2\r\n", "{}")],
            sees: [
                .init(status: 200, body: "ok", has: ["Idempotency-Status: executed"]),
                .init(
                    status: 200, body: "ok",
                    has: ["Idempotency-Status: replayed", "Idempotent-Replayed: true"]),
            ], forwards: [.init(line: "POST /orders", body: "{}")], methods: ["POST", "POST"]),
        WireCase(
            name: "a retry in chunks is the same request", source: "design, section 2",
            sends: [
                order("Content-Length: 2\r\n", "{}")
                    + order("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n")
            ],
            sees: [
                .init(status: 200, body: "ok"),
                .init(status: 200, body: "ok", has: ["Idempotency-Status: replayed"]),
            ], forwards: [.init(line: "POST /orders", body: "{}")], methods: ["POST", "POST"]),
        WireCase(
            name: "a retry with an absolute target is the same request",
            source: "RFC 9112 3.2.2; design, section 2",
            sends: [
                order("Content-Length: 2\r\n", "{}")
                    + "POST http://a/orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: {key}\r\n"
                    + "Content-Length: 2\r\n\r\n{}"
            ],
            sees: [
                .init(status: 200, body: "ok"),
                .init(status: 200, body: "ok", has: ["Idempotency-Status: replayed"]),
            ], forwards: [.init(line: "POST /orders", body: "{}")], methods: ["POST", "POST"]),
        WireCase(
            name: "two keys are refused, and nothing else", source: "design, section 2",
            sends: [order("Idempotency-Key: {next}\r\nContent-Length: 2\r\n", "{}")],
            sees: [.init(status: 400)], isWhole: true),
        WireCase(
            name: "a replay to HTTP/1.0 has a length", source: "RFC 9112 6.1",
            sends: [
                "POST /orders HTTP/1.0\r\nConnection: keep-alive\r\nIdempotency-Key: {key}\r\n"
                    + "Content-Length: 2\r\n\r\n{}"
                    + "POST /orders HTTP/1.0\r\nIdempotency-Key: {key}\r\nContent-Length: 2\r\n\r\n{}"
            ],
            answers: [
                .init(pieces: [
                    wireBytes(
                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
                ])
            ],
            sees: [
                .init(status: 200, body: "ok"),
                .init(
                    status: 200, body: "ok", has: ["Idempotency-Status: replayed"],
                    framing: .length(2)),
            ], end: .closed, forwards: [.init(line: "POST /orders", body: "{}")],
            methods: ["POST", "POST"]),
    ]
    + [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", "two lengths"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "a length and chunked"
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
            "a broken chunk"
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "no last chunk"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "fewer bytes than its length"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
            "an answer behind it"
        ),
        ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\nContent-Length: 2\r\n\r\nok", "a fold"),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "101"), ("", "nothing"),
    ].map {
        badAnswer(
            "an answer to a keyed request with \($0.1) is no outcome",
            "RFC 9112 6.3, 8; design, section 2",
            $0.0, to: order("Content-Length: 2\r\n", "{}"), then: .close
        ).with {
            $0.sees[0].has = ["Idempotency-Status: unknown"]
            $0.forwards[0].body = "{}"
        }
    } + [
        answered(
            "a keyed answer in chunks is stored and given with its length", "RFC 9112 6.3",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            to: order("Content-Length: 2\r\n", "{}"), 200, body: "ok",
            has: ["Idempotency-Status: executed"], lacks: ["Transfer-Encoding"], framing: .length(2)
        ),
        answered(
            "a keyed answer that ends with its connection is stored and given with its length",
            "RFC 9112 6.3", "HTTP/1.1 200 OK\r\n\r\nok", to: order("Content-Length: 2\r\n", "{}"),
            then: .close, 200, body: "ok", has: ["Idempotency-Status: executed"],
            framing: .length(2)),
        answered(
            "a keyed 204 has no length", "RFC 9110 8.6",
            "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            to: order("Content-Length: 2\r\n", "{}"), 204, body: "",
            has: ["Idempotency-Status: executed"], lacks: ["Content-Length", "Transfer-Encoding"]),
        answered(
            "a keyed answer loses what is hop-by-hop", "RFC 9110 7.6.1",
            "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: a\r\nContent-Length: 2\r\n\r\nok",
            to: order("Content-Length: 2\r\n", "{}"), then: .close, 200, body: "ok",
            lacks: ["X-Hop", "Keep-Alive", "Connection"]),
    ]
