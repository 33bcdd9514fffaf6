/// Ways to write the length of a body.
let lengthRows: [WireCase] =
    [
        (
            "Content-Length: 5\r\nContent-Length: 6", "two different lengths",
            "RFC 9112 6.3, CVE-2020-10108 (Twisted)"
        ),
        ("Content-Length: 5\r\nContent-Length: 5", "two equal lengths", "RFC 9112 6.3"),
        (
            "Content-Length: 5\r\nX: y\r\ncontent-length: 6", "a second length further on",
            "RFC 9112 6.3"
        ),
        ("Content-Length: 5, 6", "a list of different lengths", "RFC 9112 6.3"),
        (
            "Content-Length: 5, 5", "a list of equal lengths",
            "RFC 9112 6.3, CVE-2019-16792 (Waitress)"
        ),
        ("Content-Length: 5,", "a list with an empty member", "RFC 9112 6.3"),
        ("Content-Length: ,5", "a list that begins empty", "RFC 9112 6.3"),
        (
            "Content-Length:", "no length",
            "RFC 9110 8.6, CVE-2023-40225 (HAProxy), CVE-2023-40175 (Puma)"
        ),
        (
            "Content-Length: \r\nContent-Length: 5", "an empty length before one",
            "CVE-2023-40225 (HAProxy)"
        ),
        ("Content-Length: +5", "a plus sign", "RFC 9110 8.6, CVE-2021-32715 (hyper)"),
        ("Content-Length: -5", "a minus sign", "RFC 9110 8.6"),
        ("Content-Length: -0", "a minus zero", "RFC 9110 8.6"),
        (
            "Content-Length: 0x5", "a hexadecimal length",
            "RFC 9110 8.6, CVE-2023-38697 (protocol-http1)"
        ),
        ("Content-Length: 5 5", "a space within", "RFC 9110 8.6"),
        ("Content-Length: 5\t5", "a tab within", "RFC 9110 8.6"),
        ("Content-Length: 5.0", "a fraction", "RFC 9110 8.6"),
        ("Content-Length: 5e0", "an exponent", "RFC 9110 8.6"),
        ("Content-Length: 5;", "a semicolon", "RFC 9110 8.6"),
        ("Content-Length: \"5\"", "quotes", "RFC 9110 8.6"),
        ("Content-Length: 5_0", "an underscore", "RFC 9110 8.6 (Python's int() takes it)"),
        ("Content-Length: five", "a word", "RFC 9110 8.6"),
        ("Content-Length: 5a", "a letter behind it", "RFC 9110 8.6"),
        ("Content-Length: \u{B2}", "a superscript", "RFC 9110 8.6"),
        ("Content-Length: \u{D9}\u{A5}", "an Arabic digit", "RFC 9110 8.6"),
        ("Content-Length: 5\u{B}", "a vertical tab", "RFC 9110 8.6"),
        ("Content-Length: 18446744073709551616", "2^64", "RFC 9110 8.6"),
        (
            "Content-Length: 18446744073709551621", "2^64 and 5",
            "RFC 9110 8.6"
        ),
        (
            "Content-Length: 99999999999999999999999999", "more than any number holds",
            "RFC 9110 8.6"
        ),
        ("Content-Length : 5", "a space before the colon", "RFC 9112 5.1, CVE-2024-27982 (Node)"),
        ("Content-Length\t: 5", "a tab before the colon", "RFC 9112 5.1"),
        (" Content-Length: 5", "a space before it", "RFC 9112 5.2, CVE-2024-27982 (Node)"),
        ("Content-Length: 5\r\n 0", "a fold", "RFC 9112 5.2"),
        ("Content-Length:\r\n 5", "a fold before the number", "RFC 9112 5.2"),
        ("\u{0}Content-Length: 5", "a NUL before it", "RFC 9110 5.1"),
        ("Content-Length\u{0}: 5", "a NUL behind its name", "RFC 9110 5.1"),
        ("Content-Length: 5\u{0}", "a NUL behind it", "RFC 9110 5.5"),
        ("X: y\rContent-Length: 5", "a bare CR before it", "RFC 9112 2.2"),
        ("X: y\nContent-Length: 5", "a bare LF before it", "RFC 9112 2.2"),
    ].map {
        refused("a length with \($0.1) is refused", $0.2, 400, post("\($0.0)\r\n", "hello"))
    }
    + [
        ("5", "hello", 5), ("0", "", 0), ("0005", "hello", 5), ("00", "", 0),
        (" \t5\t ", "hello", 5),
    ].map {
        forwarded(
            "the length \($0.0.debugDescription) is that many bytes, and is written anew",
            "RFC 9110 8.6", post("Content-Length:\($0.0)\r\n", $0.1), as: "POST /plain/a",
            body: $0.1, has: ["Content-Length: \($0.2)"], framing: .length($0.2))
    } + [
        forwarded(
            "a name that is nearly Content-Length is another", "RFC 9110 5.1",
            post("Content_Length: 9\r\nX-Content-Length: 8\r\nContent-Length: 2\r\n", "hi"),
            as: "POST /plain/a", body: "hi",
            has: ["Content_Length: 9", "X-Content-Length: 8", "Content-Length: 2"]),
        forwarded(
            "HTTP/1.0 has bodies with a length too", "RFC 9112 6.3",
            "POST /plain/a HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", as: "POST /plain/a",
            body: "hi", end: .closed),
        forwarded(
            "a POST without a length has no body, and what follows is the next request",
            "RFC 9112 6.3", post(""), as: "POST /plain/a", lacks: ["Content-Length"],
            framing: StrictMessage.Framing.none),
    ]

/// Ways to write `Transfer-Encoding`.
let codingRows: [WireCase] =
    [
        ("chunked, chunked", 400, "chunked twice", "RFC 9112 7.1"),
        ("chunked, gzip", 400, "another coding behind chunked", "RFC 9112 6.1"),
        (
            "chunked, identity", 400, "identity behind chunked",
            "RFC 9112 6.1, CVE-2024-1135 (Gunicorn)"
        ),
        ("gzip, chunked", 501, "a coding before chunked", "RFC 9112 6.1"),
        ("identity, chunked", 501, "identity before chunked", "RFC 9112 7, CVE-2022-1705 (Go)"),
        ("gzip", 501, "another coding alone", "RFC 9112 6.1, 6.3"),
        ("identity", 501, "identity alone", "RFC 9112 7"),
        ("", 400, "no coding", "RFC 9112 6.1"),
        (
            ",chunked", 400, "an empty coding before chunked",
            "RFC 9112 6.1"
        ),
        ("chunked,", 400, "an empty coding behind chunked", "RFC 9112 6.1"),
        ("chunked;a=b", 400, "a parameter of chunked", "RFC 9112 7.1"),
        ("\"chunked\"", 400, "quotes around chunked", "RFC 9112 6.1"),
        ("chunked x", 400, "a word behind chunked", "RFC 9112 6.1"),
        ("x chunked", 501, "a word before chunked", "RFC 9112 6.1"),
        ("xchunked", 501, "a coding that ends in chunked", "PortSwigger, HTTP desync attacks"),
        ("chunkedx", 501, "a coding that begins with chunked", "CVE-2022-32213 (llhttp)"),
        ("chunke", 501, "a coding that is nearly chunked", "PortSwigger, HTTP desync attacks"),
        ("chunk", 501, "the coding chunk", "PortSwigger, HTTP desync attacks"),
        ("CHUN KED", 501, "chunked in two words", "PortSwigger, HTTP desync attacks"),
        ("\u{B}chunked", 400, "a vertical tab before chunked", "CVE-2019-16786 (Waitress)"),
        ("\u{C}chunked", 400, "a form feed before chunked", "CVE-2019-16786 (Waitress)"),
        ("chunked\u{0}", 400, "a NUL behind chunked", "RFC 9110 5.5"),
        ("\u{A0}chunked", 400, "a no-break space before chunked", "RFC 9110 5.6.3"),
        (
            "chunked\u{FF}", 400, "a byte beyond ASCII behind chunked",
            "PortSwigger, HTTP desync attacks"
        ),
        ("'chunked'", 501, "apostrophes around chunked", "PortSwigger, HTTP desync attacks"),
        ("[chunked]", 400, "brackets around chunked", "PortSwigger, HTTP desync attacks"),
        ("chunked\r\nTransfer-Encoding: chunked", 400, "a second line of chunked", "RFC 9112 6.1"),
        (
            "chunked\r\nTransfer-Encoding: identity", 400, "a second line of identity",
            "CVE-2020-8287 (Node)"
        ),
        (
            "identity\r\nTransfer-Encoding: chunked", 400, "a line of identity before it",
            "CVE-2020-8287 (Node)"
        ),
        (
            "chunked\r\nTransfer-Encoding: x", 400, "a second line of another coding",
            "PortSwigger, HTTP desync attacks"
        ),
        ("\r\n chunked", 400, "a fold before chunked", "CVE-2022-32215 (llhttp)"),
        ("x\r\n\tchunked", 400, "a fold between two codings", "CVE-2022-32215 (llhttp)"),
        ("chunked\r\n , identity", 400, "a fold behind chunked", "RFC 9112 5.2"),
    ].map {
        refused(
            "a Transfer-Encoding with \($0.2) is refused", $0.3, $0.1,
            post("Transfer-Encoding: \($0.0)\r\n", "2\r\nhi\r\n0\r\n\r\n"))
    }
    + [
        ("Transfer-Encoding : chunked", "a space before its colon", "CVE-2019-16869 (Netty)"),
        (" Transfer-Encoding: chunked", "a space before it", "CVE-2020-7238 (Netty)"),
        (
            "Transfer-Encoding\t: chunked", "a tab before its colon",
            "PortSwigger, HTTP desync attacks"
        ),
        ("Transfer Encoding: chunked", "a space in its name", "RFC 9110 5.1"),
        ("Transfer-Encoding\u{0}: chunked", "a NUL in its name", "RFC 9110 5.1"),
        ("\u{FF}Transfer-Encoding: chunked", "a byte before its name", "RFC 9110 5.1"),
        ("X: y\nTransfer-Encoding: chunked", "a bare LF before it", "CVE-2019-16785 (Waitress)"),
        ("X: y\rTransfer-Encoding: chunked", "a bare CR before it", "CVE-2023-30589 (llhttp)"),
        (
            "X:\rxTransfer-Encoding: chunked", "a CR and a letter before it",
            "CVE-2023-30589 (llhttp)"
        ),
        ("Transfer-Encoding chunked", "no colon", "CVE-2019-20444 (Netty)"),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5", "a length behind it",
            "RFC 9112 6.1, 6.3"
        ),
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked", "a length before it",
            "RFC 9112 6.1, CVE-2019-20445 (Netty)"
        ),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked", "a length of 0 before it",
            "RFC 9112 6.3"
        ),
        (
            "Content-Length: 4\r\nTransfer-Encoding: gzip", "a length and another coding",
            "RFC 9112 6.3"
        ),
        (
            "Content-Length: x\r\nTransfer-Encoding: chunked", "a broken length before it",
            "RFC 9112 6.3"
        ),
        ("Transfer-Encoding: \r\nContent-Length: 5", "a length and no coding", "RFC 9112 6.3"),
    ].map {
        refused(
            "chunked with \($0.1) is refused", $0.2, 400,
            post("\($0.0)\r\n", "2\r\nhi\r\n0\r\n\r\n"))
    } + [
        refused(
            "chunked in HTTP/1.0 is refused", "RFC 9112 6.1", 400,
            "POST /plain/a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        refused(
            "chunked in HTTP/1.0 that keeps its connection is refused", "RFC 9112 6.1", 400,
            "POST /plain/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        forwarded(
            "chunked is written in any case", "RFC 9112 7",
            post("tRANSFER-eNCODING:\t CHUNKED \r\n", "2\r\nhi\r\n0\r\n\r\n"),
            as: "POST /plain/a", body: "hi", framing: .chunked),
        forwarded(
            "a name that is nearly Transfer-Encoding is another", "RFC 9110 5.1",
            post(
                "Transfer_Encoding: chunked\r\nX-Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
                "hi"),
            as: "POST /plain/a", body: "hi", has: ["Transfer_Encoding: chunked"],
            framing: .length(2)),
        forwarded(
            "chunked in Content-Encoding is no framing", "RFC 9110 8.4",
            post("Content-Encoding: chunked\r\nContent-Length: 2\r\n", "hi"), as: "POST /plain/a",
            body: "hi", has: ["Content-Encoding: chunked"], framing: .length(2)),
        forwarded(
            "chunked in TE is no framing", "RFC 9110 10.1.4", get("TE: chunked\r\n"),
            as: "GET /plain/a", lacks: ["TE", "Transfer-Encoding"]),
    ]

/// A chunked body.
private func chunks(_ body: String) -> String { post("Transfer-Encoding: chunked\r\n", body) }

let chunkRows: [WireCase] =
    [
        ("zz\r\nab\r\n0\r\n\r\n", "letters for a size", "RFC 9112 7.1"),
        ("\r\nab\r\n0\r\n\r\n", "no size", "RFC 9112 7.1"),
        (
            "0x2\r\nab\r\n0\r\n\r\n", "a prefix before its size",
            "CVE-2022-24801 (Twisted), CVE-2023-38697"
        ),
        ("+2\r\nab\r\n0\r\n\r\n", "a plus before its size", "CVE-2022-24801 (Twisted)"),
        ("-2\r\nab\r\n0\r\n\r\n", "a minus before its size", "RFC 9112 7.1"),
        (" 2\r\nab\r\n0\r\n\r\n", "a space before its size", "RFC 9112 7.1"),
        ("2 \r\nab\r\n0\r\n\r\n", "a space behind its size", "RFC 9112 7.1"),
        ("2\t\r\nab\r\n0\r\n\r\n", "a tab behind its size", "RFC 9112 7.1"),
        ("2 a\r\nab\r\n0\r\n\r\n", "a word behind its size", "RFC 9112 7.1.1"),
        (
            "2_0\r\nab\r\n0\r\n\r\n", "an underscore in its size",
            "RFC 9112 7.1 (Python's int() takes it)"
        ),
        ("2.0\r\nab\r\n0\r\n\r\n", "a fraction for a size", "RFC 9112 7.1"),
        ("2h\r\nab\r\n0\r\n\r\n", "a letter behind its size", "RFC 9112 7.1"),
        ("10000000000000002\r\nab\r\n0\r\n\r\n", "a size of 2^64 and 2", "CVE-2021-32714 (hyper)"),
        ("ffffffffffffffff0\r\nab\r\n0\r\n\r\n", "a size of 17 digits", "RFC 9112 7.1"),
        ("00000000000000002\r\nab\r\n0\r\n\r\n", "17 digits that are mostly zeros", "RFC 9112 7.1"),
        ("2\nab\r\n0\r\n\r\n", "a bare LF behind its size", "CVE-2025-22871 (Go)"),
        ("2\rab\r\n0\r\n\r\n", "a bare CR behind its size", "RFC 9112 2.2"),
        ("2\r\r\nab\r\n0\r\n\r\n", "a CR more behind its size", "RFC 9112 2.2"),
        ("2\r\nab\n0\r\n\r\n", "a bare LF behind its data", "CVE-2025-43859 (h11)"),
        ("2\r\nab\r0\r\n\r\n", "a bare CR behind its data", "CVE-2025-43859 (h11)"),
        ("2\r\nabXX0\r\n\r\n", "two other bytes behind its data", "CVE-2025-43859 (h11)"),
        ("2\r\nab0\r\n\r\n", "nothing behind its data", "RFC 9112 7.1"),
        ("2\r\nabc\r\n0\r\n\r\n", "more data than its size", "RFC 9112 7.1"),
        ("3\r\nab\r\n0\r\n\r\n", "less data than its size", "RFC 9112 7.1"),
        (
            "2;a\nb\r\nab\r\n0\r\n\r\n", "a bare LF in its extension",
            "CVE-2025-55315 (Kestrel), EXT.TERM"
        ),
        (
            "2;\nab\r\n0\r\n\r\n", "a bare LF that ends its extension",
            "w4ke, Funky chunks, TERM.EXT"
        ),
        ("2;a\rb\r\nab\r\n0\r\n\r\n", "a bare CR in its extension", "w4ke, Funky chunks"),
        ("2;\rX\r\nab\r\n0\r\n\r\n", "a CR and a letter in its extension", "w4ke, Funky chunks"),
        ("2;a\u{0}b\r\nab\r\n0\r\n\r\n", "a NUL in its extension", "RFC 9112 7.1.1"),
        (
            "2;a=\"b\n\"\r\nab\r\n0\r\n\r\n", "a bare LF in a quoted extension",
            "CVE-2024-52304 (aiohttp)"
        ),
        ("2;a=\"b\u{7F}\"\r\nab\r\n0\r\n\r\n", "a DEL in a quoted extension", "RFC 9112 7.1.1"),
        (
            "2;" + String(repeating: "a", count: 300) + "\r\nab\r\n0\r\n\r\n",
            "an extension beyond its limit", "RFC 9112 7.1.1, CVE-2024-21647 (Puma)"
        ),
        ("2\u{0}\r\nab\r\n0\r\n\r\n", "a NUL behind its size", "RFC 9112 7.1"),
        ("2\u{B}\r\nab\r\n0\r\n\r\n", "a vertical tab behind its size", "RFC 9112 7.1"),
        (
            "\u{EF}\u{BB}\u{BF}2\r\nab\r\n0\r\n\r\n", "a byte order mark before its size",
            "RFC 9112 7.1"
        ),
        ("2\r\nab\r\n0\n\r\n", "a bare LF behind the last size", "CVE-2025-22871 (Go)"),
        ("2\r\nab\r\n0\r\n\n", "a bare LF for the end of the body", "RFC 9112 2.2"),
        ("2\r\nab\r\n0\r\n\rX", "a bare CR for the end of the body", "RFC 9112 2.2"),
        ("2\r\nab\r\n0\r\nX", "a letter for the end of the body", "RFC 9112 7.1.2"),
        ("2\r\nab\r\n0\r\nnonsense\r\n\r\n", "a trailer line without a colon", "RFC 9112 7.1.2"),
        ("2\r\nab\r\n0\r\nX : y\r\n\r\n", "a trailer name with a space", "RFC 9112 5.1"),
        ("2\r\nab\r\n0\r\nX: y\r\n z\r\n\r\n", "a trailer line that is folded", "RFC 9112 5.2"),
        ("2\r\nab\r\n0\r\nX: y\u{0}\r\n\r\n", "a NUL in a trailer line", "RFC 9110 5.5"),
        (
            "2\r\nab\r\n0\r\nX: y\n\r\n", "a bare LF behind a trailer line",
            "CVE-2025-53643 (aiohttp, trailers)"
        ),
        ("2\r\nab\r\n0\r\nX: y\rZ: a\r\n\r\n", "a bare CR in a trailer line", "RFC 9112 2.2"),
        ("2\r\nab\r\n0\r\n: y\r\n\r\n", "a nameless trailer line", "RFC 9110 5.1"),
        (
            "2\r\nab\r\n0\r\nGET /smuggled HTTP/1.1\r\n\r\n", "a request for a trailer line",
            "CVE-2025-53643 (aiohttp)"
        ),
        ("2\r\nab\r\n0\r\n\u{0}\r\n\r\n", "a NUL for a trailer line", "RFC 9112 7.1.2"),
        (
            "2\r\nab\r\n0\r\n" + String(repeating: "X: y\r\n", count: 129) + "\r\n",
            "too many trailer lines", "RFC 9110 6.5"
        ),
        (
            "2\r\nab\r\n0\r\nX: " + String(repeating: "y", count: 17 << 10) + "\r\n\r\n",
            "trailer lines that are too long", "RFC 9110 6.5"
        ),
        ("2\r\nab\r\nGET /smuggled HTTP/1.1\r\n", "a request for a size", "RFC 9112 7.1"),
        ("0 \r\n\r\n", "a space behind the last size", "RFC 9112 7.1"),
        ("0;\n\r\n", "a bare LF in the last extension", "w4ke, Funky chunks"),
        ("{0\r\n\r\n", "a brace before its size", "RFC 9112 7.1"),
    ].map {
        refused("a chunk with \($0.1) is refused", $0.2, 400, chunks($0.0), mayBegin: true)
    }
    + [
        ("2\r\nhi\r\n0\r\n\r\n", "hi", "one chunk"),
        ("0\r\n\r\n", "", "no chunk but the last"),
        ("1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", "hi", "two chunks"),
        ("A\r\n0123456789\r\n0\r\n\r\n", "0123456789", "a size in upper case"),
        ("a\r\n0123456789\r\n0\r\n\r\n", "0123456789", "a size in lower case"),
        ("0002\r\nhi\r\n0\r\n\r\n", "hi", "leading zeros"),
        ("0000000000000002\r\nhi\r\n0\r\n\r\n", "hi", "sixteen digits"),
        ("2\r\nhi\r\n000\r\n\r\n", "hi", "a last size of zeros"),
        ("2;a=b\r\nhi\r\n0\r\n\r\n", "hi", "an extension"),
        ("2;a=\"b;c\"\r\nhi\r\n0;d\r\n\r\n", "hi", "quoted extensions, also of the last"),
        ("2 ; a = b\r\nhi\r\n0\t;c\r\n\r\n", "hi", "whitespace around its extensions"),
        ("2;\r\nhi\r\n0\r\n\r\n", "hi", "an empty extension"),
        ("2\r\n\r\n\r\n0\r\n\r\n", "\r\n", "data that looks like an end"),
        ("5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n", "data that looks like the last chunk"),
        ("2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n", "hi", "a trailer section"),
        ("2\r\nhi\r\n0\r\nX: \u{FF}\r\n\r\n", "hi", "a trailer of bytes beyond ASCII"),
    ].map {
        forwarded(
            "a chunked body with \($0.2) is passed on in a form that all agree on",
            "RFC 9112 7.1, 7.1.1", chunks($0.0), as: "POST /plain/a", body: $0.1,
            lacks: ["Content-Length"], framing: .chunked)
    }
    + [
        "Content-Length: 99", "Transfer-Encoding: chunked", "Host: evil", "Authorization: b",
        "Idempotency-Key: z", "Connection: close", "Cookie: a", "Content-Type: x", "TE: trailers",
        "Expect: 100-continue", "Max-Forwards: 0", "Via: 1.1 x",
    ].map {
        forwarded(
            "the trailer line \($0) changes nothing and is not passed on", "RFC 9110 6.5.1",
            chunks("2\r\nhi\r\n0\r\n\($0)\r\n\r\n"), as: "POST /plain/a", body: "hi",
            has: ["Host: a"], framing: .chunked)
    }

/// What attackers send, whole.
let smugglingRows: [WireCase] = [
    refused(
        "CL.TE: what is behind the last chunk stays within", "PortSwigger, HTTP desync attacks",
        400,
        post(
            "Content-Length: 41\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")),
    refused(
        "TE.CL: what the length leaves out stays within", "PortSwigger, HTTP desync attacks", 400,
        post(
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "25\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n0\r\n\r\n")),
    refused(
        "TE.TE: two lines, one of them hidden", "PortSwigger, HTTP desync attacks", 400,
        post(
            "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
            "5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n")),
    forwarded(
        "0.CL: a GET's body is its own", "PortSwigger, HTTP/1.1 must die",
        get("Content-Length: 23\r\n") + "GET /smuggled HTTP/1.1\r\n", as: "GET /plain/a",
        body: "GET /smuggled HTTP/1.1\r", framing: .length(23)
    ).with {
        // The LF that is left begins no request.
        $0.sees.append(.init(status: 400))
        $0.methods = ["GET", "GET"]
        $0.end = .closed
    },
    forwarded(
        "CL.0: a POST's body is its own, though it is a request",
        "PortSwigger, browser-powered desync",
        post("Content-Length: 38\r\n", "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n"),
        as: "POST /plain/a", body: "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
        framing: .length(38)),
    forwarded(
        "TE.0: an OPTIONS' chunks are its own", "TE.0, Bugcrowd 2024",
        "OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "26\r\nGET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n",
        as: "OPTIONS /plain/a", body: "GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n",
        framing: .chunked),
    forwarded(
        "an OPTIONS' body of a length is its own", "CVE-2025-54142 (Akamai)",
        "OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
        as: "OPTIONS /plain/a", body: "GET /", framing: .length(5)),
    forwarded(
        "a HEAD's body is its own", "RFC 9110 9.3.2",
        "HEAD /plain/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
        as: "HEAD /plain/a", body: "GET /", framing: .length(5)
    ).with {
        $0.answers = [.init(pieces: [wireBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")])]
    },
    forwarded(
        "a DELETE's body is its own", "RFC 9110 9.3.5",
        "DELETE /plain/a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /",
        as: "DELETE /plain/a", body: "GET /", framing: .length(5)),
    forwarded(
        "an unknown method's body is its own", "RFC 9112 6",
        "FROB /plain/a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
        as: "FROB /plain/a", body: "GET /", framing: .chunked),
    WireCase(
        name: "TRACE with content is refused", source: "RFC 9110 9.3.8",
        sends: ["TRACE /plain/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"],
        sees: [.init(status: 400, lacks: ["Via"])], isWhole: true),
    forwarded(
        "Expect with a body that comes at once ends where the body ends",
        "PortSwigger, Expect-based desync",
        post("Expect: 100-continue\r\nContent-Length: 5\r\n", "GET /"), as: "POST /plain/a",
        body: "GET /"),
    forwarded(
        "Expect in a GET without a body waits for nothing", "PortSwigger, Expect-based desync",
        get("Expect: 100-continue\r\n"), as: "GET /plain/a"),
    forwarded(
        "Expect in a GET with a body of a length keeps to it", "PortSwigger, 0.CL by Expect",
        get("Expect: 100-continue\r\nContent-Length: 5\r\n") + "GET /", as: "GET /plain/a",
        body: "GET /"),
    forwarded(
        "Expect in HTTP/1.0 is ignored", "RFC 9110 10.1.1",
        "POST /plain/a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
        as: "POST /plain/a", body: "hi", end: .closed),
    forwarded(
        "Expect is written in any case", "RFC 9110 10.1.1",
        post("eXPECT: 100-CONTINUE\r\nContent-Length: 2\r\n", "hi"), as: "POST /plain/a",
        body: "hi"),
    refused(
        "an obfuscated Expect is refused", "PortSwigger, HTTP/1.1 must die", 417,
        post("Expect: y 100-continue\r\nContent-Length: 2\r\n", "hi")),
    refused(
        "an Expect that lists two is refused", "RFC 9110 10.1.1", 417,
        post("Expect: 100-continue, 200-ok\r\nContent-Length: 2\r\n", "hi")),
    refused(
        "an Expect that is folded is refused", "CVE-2025-32094 (Akamai)", 400,
        "OPTIONS /plain/a HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 2\r\n\r\nhi"
    ),
    refused(
        "an empty Expect is refused", "RFC 9110 10.1.1", 417,
        post("Expect:\r\nContent-Length: 2\r\n", "hi")),
    refused(
        "an unknown expectation is 417", "RFC 9110 10.1.1, 15.5.18", 417,
        get("Expect: the-unexpected\r\n")),
    refused(
        "a length in front of a body that hides a field is refused", "CVE-2021-40346 (HAProxy)",
        400,
        post(
            "Content-Length0aaaa\u{0}: 1\r\nContent-Length: 30\r\n",
            "GET /smuggled HTTP/1.1\r\n\r\n")),
    refused(
        "a nameless field does not cut the fields behind it off", "CVE-2023-25725 (HAProxy)", 400,
        post(":\r\nContent-Length: 30\r\n", "GET /smuggled HTTP/1.1\r\n\r\n")),
    forwarded(
        "h2c is not let through", "BishopFox, h2c smuggling; RFC 9113 3.1",
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
        as: "GET /plain/a", lacks: ["Upgrade", "HTTP2-Settings", "Connection"]),
    forwarded(
        "Connection cannot take Host away", "Nathan Davison, abusing hop-by-hop headers",
        get("Connection: close, Host\r\n"), as: "GET /plain/a", has: ["Host: a"], end: .closed),
    forwarded(
        "Connection cannot take the length away", "Nathan Davison, abusing hop-by-hop headers",
        post("Connection: Content-Length\r\nContent-Length: 5\r\n", "GET /"), as: "POST /plain/a",
        body: "GET /", framing: .length(5)),
    forwarded(
        "Connection cannot take the chunks away", "Nathan Davison, abusing hop-by-hop headers",
        post(
            "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n",
            "2\r\nhi\r\n0\r\n\r\n"),
        as: "POST /plain/a", body: "hi", framing: .chunked),
    forwarded(
        "Connection cannot take away what this gateway adds",
        "Nathan Davison, abusing hop-by-hop headers",
        get("Connection: X-Forwarded-For, Via\r\n"), as: "GET /plain/a",
        has: ["X-Forwarded-For: 127.0.0.1"]),
    refused(
        "a response for a request is refused", "RFC 9112 2.1", 400,
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    refused(
        "a request in the middle of another's fields is refused", "RFC 9112 5", 400,
        get("X: y\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n")),
    refused(
        "a line separator of Unicode ends no line", "RFC 9112 2.2", 400,
        "GET /plain/a HTTP/1.1\u{E2}\u{80}\u{A8}Host: a\r\n\r\n"),
    refused(
        "a NEL ends no line", "RFC 9112 2.2", 400, "GET /plain/a HTTP/1.1\u{85}Host: a\r\n\r\n"),
    refused(
        "LF CR ends no line", "RFC 9112 2.2", 400, "GET /plain/a HTTP/1.1\n\rHost: a\r\n\r\n"),
    forwarded(
        "a length that ends within a CRLF leaves the rest to the next request", "RFC 9112 6.3",
        post("Content-Length: 3\r\n", "ab\r") + "\r\n", as: "POST /plain/a", body: "ab\r"),
]

/// Bodies that end early, or in pieces.
let bodyRows: [WireCase] =
    [
        ("Content-Length: 10\r\n\r\nabc", "of a length"),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nab", "in a chunk"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "without a last chunk"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", "without its last line"),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n", "in its trailers"),
        ("Transfer-Encoding: chunked\r\n\r\n", "before its first chunk"),
    ].map {
        WireCase(
            name: "a body that is cut short \($0.1) is no request", source: "RFC 9112 8",
            sends: ["POST /plain/a HTTP/1.1\r\nHost: a\r\n\($0.0)"], end: .cut, mayBegin: true,
            endsInput: true)
    }
    + [
        ("GET /plain/a HT", "in its request line"),
        ("GET /plain/a HTTP/1.1\r\n", "before its fields"),
        ("GET /plain/a HTTP/1.1\r\nHost: a\r\n", "before its empty line"),
        ("GET /plain/a HTTP/1.1\r\nHost: a\r\n\r", "in its empty line"),
        ("\r\n", "before it begins"),
    ].map {
        WireCase(
            name: "a head that is cut short \($0.1) is no request", source: "RFC 9112 8",
            sends: [$0.0], end: .cut, endsInput: true)
    } + [
        forwarded(
            "a head may come in two pieces, cut within a CRLF", "RFC 9112 2.2",
            "GET /plain/a HTTP/1.1\r", "\nHost: a\r\n\r", "\n", as: "GET /plain/a"),
        forwarded(
            "a body may come in pieces behind its head", "RFC 9112 6.3",
            post("Content-Length: 6\r\n"), "ab", "cd", "ef", as: "POST /plain/a", body: "abcdef"),
        forwarded(
            "a chunk may come in pieces", "RFC 9112 7.1", post("Transfer-Encoding: chunked\r\n"),
            "5", "\r", "\nhe", "llo\r", "\n0\r\n", "\r\n", as: "POST /plain/a", body: "hello"),
        forwarded(
            "a body of all bytes stays as it is", "RFC 9110 6.4",
            post("Content-Length: 256\r\n", latin(Array(0...255))), as: "POST /plain/a",
            body: latin(Array(0...255))),
        forwarded(
            "a body of 100 KiB stays as it is", "RFC 9110 6.4",
            post("Content-Length: 102400\r\n", String(repeating: "0123456789", count: 10240)),
            as: "POST /plain/a", body: String(repeating: "0123456789", count: 10240)),
        forwarded(
            "a chunk of 100 KiB stays as it is", "RFC 9112 7.1",
            post(
                "Transfer-Encoding: chunked\r\n",
                "19000\r\n" + String(repeating: "0123456789", count: 10240) + "\r\n0\r\n\r\n"),
            as: "POST /plain/a", body: String(repeating: "0123456789", count: 10240)),
    ]
