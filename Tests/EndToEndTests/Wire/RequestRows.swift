/// A GET with these field lines, each with its line end.
func get(_ lines: String = "", _ target: String = "/plain/a") -> String {
    "GET \(target) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n"
}

/// A POST with these field lines, each with its line end, and what follows them.
func post(_ lines: String, _ body: String = "", to target: String = "/plain/a") -> String {
    "POST \(target) HTTP/1.1\r\nHost: a\r\n\(lines)\r\n\(body)"
}

/// A request line alone, with a Host.
private func line(_ line: String) -> String { "\(line)\r\nHost: a\r\n\r\n" }

let requestLineRows: [WireCase] =
    [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE", "M-SEARCH",
        "get", "PROPFIND", "QUERY", "X!#$%&'*+-.^_`|~09",
    ].map {
        forwarded(
            "the method \($0) is forwarded as it is", "RFC 9110 9.1",
            line("\($0) /plain/a HTTP/1.1"), as: "\($0) /plain/a")
    }
    + [
        ("GE T", "a space"), ("G(T", "a parenthesis"), ("G\u{1}T", "a control"),
        ("G\"T", "a quote"),
        ("G\u{E9}T", "a byte beyond ASCII"), ("GET:", "a colon"), ("[GET]", "brackets"),
        ("G\u{0}ET", "a NUL"), ("GET,", "a comma"), ("{GET", "a brace"), ("G\\T", "a backslash"),
    ].map {
        refused(
            "a method with \($0.1) is refused", "RFC 9110 5.6.2, 9.1", 400,
            line("\($0.0) /plain/a HTTP/1.1"))
    }
    + [
        "/plain/a?b=c", "/plain/?", "/plain/??a?/b", "/plain/%41%2F%2e", "/plain//a",
        "/plain/a;b=c",
        "/plain/a:b@c", "/plain/!$&'()*+,;=-._~", "/plain/a?b=http://c/", "/plain/./a/../b",
        "/plain/%E2%82%AC", "/plain/a?%zz", "/plain/a?x=%0d%0aX-Injected:%201",
    ].map {
        forwarded(
            "the target \($0) is forwarded byte by byte", "RFC 9110 7.7, RFC 9112 3.2.1",
            line("GET \($0) HTTP/1.1"), as: "GET \($0)")
    }
    + [
        ("/plain/\u{E9}", "a raw byte beyond ASCII"), ("/plain/a#b", "a fragment"),
        ("/plain/\u{7F}", "a DEL"), ("/plain/\u{1}", "a control"), ("/plain/\u{0}", "a NUL"),
        ("/plain/a\u{B}b", "a vertical tab"), ("/plain/a\u{C}b", "a form feed"),
        ("plain/a", "no slash before it"), ("?a", "nothing but a query"),
        ("*", "nothing but a star"),
        ("*/plain/a", "a star before it"), ("a.example:80", "nothing but an authority"),
        ("//", "nothing but slashes and a fragment #"), ("\\plain\\a", "backslashes for slashes"),
        ("/plain/a b", "a space"), ("/plain/a\tb", "a tab"), ("", "nothing"),
    ].map {
        refused(
            "a target with \($0.1) is refused", "RFC 9112 3.2, CVE-2023-45539 (HAProxy, fragments)",
            400, line("GET \($0.0)\($0.1.hasSuffix("#") ? "#" : "") HTTP/1.1"))
    } + [
        forwarded(
            "OPTIONS with a star is forwarded as it is", "RFC 9112 3.2.4",
            line("OPTIONS * HTTP/1.1"), as: "OPTIONS *"),
        refused(
            "a star is for OPTIONS alone, in this very case", "RFC 9112 3.2.4", 400,
            line("options * HTTP/1.1")),
        refused(
            "CONNECT to an authority is not served", "RFC 9112 3.2.3", 501,
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"),
        refused(
            "CONNECT with a path is not served", "RFC 9112 3.2.3", 501,
            line("CONNECT /plain/a HTTP/1.1")),
        refused(
            "CONNECT's bytes are not taken for requests", "RFC 9110 9.3.6", 501,
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc"),
        WireCase(
            name: "a malformed percent sequence is refused, and nothing else",
            source: "RFC 3986 2.1",
            sends: [line("GET /plain/%zz HTTP/1.1")], sees: [.init(status: 400, lacks: ["Via"])]),
        WireCase(
            name: "an encoded NUL in a path is refused, and nothing else", source: "RFC 3986 7.3",
            sends: [line("GET /plain/%00 HTTP/1.1")], sees: [.init(status: 400, lacks: ["Via"])]),
    ] + versionRows + spacingRows + absoluteRows

private let versionRows: [WireCase] =
    [
        ("HTTP/2.0", 505), ("HTTP/0.9", 505), ("HTTP/3.0", 505), ("HTTP/1.10", 400),
        ("http/1.1", 400), ("Http/1.1", 400), ("HTTP/1", 400), ("HTTP/1.", 400), ("HTTP/.1", 400),
        ("HTTP/11", 400), ("HTTP/01.1", 400), ("HTTP/1.1a", 400), ("HTTP/ 1.1", 400),
        ("HTTP/1,1", 400), ("HTTP/+1.1", 400), ("HTTP/-1.1", 400), ("HTTPS/1.1", 400),
        ("HTP/1.1", 400), ("HTTP\u{0}/1.1", 400), ("HTTP/1.1\u{E9}", 400), ("HTTP/A.1", 400),
        ("HTTP//1.1", 400), ("1.1", 400), ("HTTP/1.1 HTTP/1.1", 400),
    ].map {
        refused(
            "the version \($0.0.debugDescription) is refused", "RFC 9112 2.3, RFC 9110 15.6.6",
            $0.1, line("GET /plain/a \($0.0)"))
    } + [
        forwarded(
            "HTTP/1.0 is answered and closed", "RFC 9112 9.3",
            "GET /plain/a HTTP/1.0\r\nHost: a\r\n\r\n",
            as: "GET /plain/a", has: ["Via: 1.0 oncegate", "Host: a"], end: .closed),
        forwarded(
            "HTTP/1.0 needs no Host, and the origin gets one", "RFC 9112 3.2",
            "GET /plain/a HTTP/1.0\r\n\r\n", as: "GET /plain/a", end: .closed),
        forwarded(
            "a higher minor version is taken for 1.1", "RFC 9110 2.5",
            line("GET /plain/a HTTP/1.2"), as: "GET /plain/a"),
        forwarded(
            "the highest minor version is taken for 1.1, and so is its framing", "RFC 9110 2.5",
            "POST /plain/a HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2\r\nab\r\n0\r\n\r\n", as: "POST /plain/a", body: "ab"),
        refused(
            "a request without a version is not answered as HTTP/0.9", "RFC 9112 3, Appendix C.1",
            400, "GET /plain/a\r\n"),
        refused(
            "a request without a version is refused though fields follow", "RFC 9112 3", 400,
            line("GET /plain/a")),
        refused(
            "HTTP/2's preface is refused", "RFC 9113 3.4", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        refused(
            "a TLS greeting is refused", "RFC 8446 5.1", 400,
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{FC}\u{3}\u{3}\r\n\r\n"),
        refused(
            "an answer is no request", "RFC 9112 2.1", 400, "HTTP/1.1 200 OK\r\nHost: a\r\n\r\n"),
        refused("an RTSP request is refused", "RFC 9112 3", 400, line("GET /plain/a RTSP/1.0")),
        refused(
            "PROXY protocol's text is no request line where it is not expected",
            "HAProxy PROXY protocol 2.1", 400,
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get()),
    ]

private let spacingRows: [WireCase] =
    [
        ("GET  /plain/a HTTP/1.1", "two spaces behind the method"),
        ("GET /plain/a  HTTP/1.1", "two spaces before the version"),
        ("GET\t/plain/a HTTP/1.1", "a tab behind the method"),
        ("GET /plain/a\tHTTP/1.1", "a tab before the version"),
        (" GET /plain/a HTTP/1.1", "a space before the method"),
        ("\tGET /plain/a HTTP/1.1", "a tab before the method"),
        ("GET /plain/a HTTP/1.1 ", "a space behind the version"),
        ("GET /plain/a HTTP/1.1\t", "a tab behind the version"),
        ("GET\u{B}/plain/a HTTP/1.1", "a vertical tab behind the method"),
        ("GET\u{A0}/plain/a HTTP/1.1", "a no-break space behind the method"),
        ("GET", "nothing but a method"), ("GET ", "nothing but a method and a space"),
        (" ", "nothing but a space"), ("GET\r/plain/a HTTP/1.1", "a bare CR behind the method"),
        ("GET /plain/a\rHTTP/1.1", "a bare CR before the version"),
        ("GET /plain/a HTTP/1.1\r", "a CR more before its end"),
    ].map {
        refused("a request line with \($0.1) is refused", "RFC 9112 3", 400, line($0.0))
    } + [
        forwarded(
            "an empty line before a request is skipped", "RFC 9112 2.2", "\r\n" + get(),
            as: "GET /plain/a"),
        forwarded(
            "four empty lines before a request are skipped", "RFC 9112 2.2",
            "\r\n\r\n\r\n\r\n" + get(),
            as: "GET /plain/a"),
        refused(
            "more empty lines before a request are refused", "RFC 9112 2.2", 400,
            "\r\n\r\n\r\n\r\n\r\n" + get()),
        refused("a bare LF before a request is refused", "RFC 9112 2.2", 400, "\n" + get()),
        refused("a bare CR before a request is refused", "RFC 9112 2.2", 400, "\r" + get()),
        refused(
            "a request line that ends in LF is refused", "RFC 9112 2.2", 400,
            "GET /plain/a HTTP/1.1\nHost: a\r\n\r\n"),
        refused(
            "a request of bare LF lines is refused", "RFC 9112 2.2", 400,
            "GET /plain/a HTTP/1.1\nHost: a\n\n"),
        refused(
            "whitespace between the request line and the first field is refused", "RFC 9112 2.2",
            400, "GET /plain/a HTTP/1.1\r\n Host: a\r\n\r\n"),
        refused(
            "a tab between the request line and the first field is refused", "RFC 9112 2.2", 400,
            "GET /plain/a HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n"),
    ]

private let absoluteRows: [WireCase] =
    [
        ("http://b.example/plain/a", "GET /plain/a", "b.example"),
        ("http://b.example:8080/plain/a?c=d", "GET /plain/a?c=d", "b.example:8080"),
        ("HTTP://B.Example/plain/a", "GET /plain/a", "B.Example"),
        ("http://[2001:db8::1]:80/plain/a", "GET /plain/a", "[2001:db8::1]:80"),
        ("http://192.0.2.1/plain/a", "GET /plain/a", "192.0.2.1"),
        ("http://b.example:/plain/a", "GET /plain/a", "b.example:"),
        ("http://b.example", "GET /", "b.example"), ("http://b.example?c", "GET /?c", "b.example"),
        ("http://b.example/plain/http://c/", "GET /plain/http://c/", "b.example"),
        ("http://b.example//plain/a", "GET //plain/a", "b.example"),
    ].map {
        forwarded(
            "the absolute target \($0.0) replaces Host", "RFC 9112 3.2.2",
            line("GET \($0.0) HTTP/1.1"), as: $0.1, has: ["Host: \($0.2)"])
    }
    + [
        "http:///plain/a", "http://", "http://:80/plain/a", "http://u@b/plain/a",
        "http://u:p@b/plain/a", "http://b:99999/plain/a", "http://b:x/plain/a", "http:/plain/a",
        "http:plain/a", "ftp://b/plain/a", "javascript:alert(1)", "http://b\\plain/a",
        "http://[::1/plain/a", "http://b#c", "http://b/plain/a#c", "http//b/plain/a",
        "ws://b/plain/a", "http://%zz/plain/a", "//b.example:80", "http:",
    ].filter { $0 != "//b.example:80" }.map {
        refused(
            "the absolute target \($0) is refused", "RFC 9110 4.2.1, 4.2.4, RFC 9112 3.2.2", 400,
            line("GET \($0) HTTP/1.1"))
    } + [
        refused(
            "an https resource is not served without TLS", "RFC 9110 7.4", 421,
            line("GET https://b.example/plain/a HTTP/1.1")),
        refused(
            "an absolute target does not make up for a missing Host", "RFC 9112 3.2", 400,
            "GET http://b/plain/a HTTP/1.1\r\n\r\n"),
        refused(
            "an absolute target does not make up for two Hosts", "RFC 9112 3.2", 400,
            "GET http://b/plain/a HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n"),
        refused(
            "an absolute target does not make up for a malformed Host", "RFC 9112 3.2", 400,
            "GET http://b/plain/a HTTP/1.1\r\nHost: b/c\r\n\r\n"),
        forwarded(
            "an absolute target gives HTTP/1.0 its Host", "RFC 9112 3.2.2",
            "GET http://b.example/plain/a HTTP/1.0\r\n\r\n", as: "GET /plain/a",
            has: ["Host: b.example"], end: .closed),
        forwarded(
            "OPTIONS for an absolute target without a path asks for a star", "RFC 9112 3.2.4",
            line("OPTIONS http://b.example HTTP/1.1"), as: "OPTIONS *", has: ["Host: b.example"]),
        forwarded(
            "OPTIONS for an absolute target with a path keeps it", "RFC 9112 3.2.4",
            line("OPTIONS http://b.example/ HTTP/1.1"), as: "OPTIONS /", has: ["Host: b.example"]),
        forwarded(
            "an absolute target that the Host contradicts wins", "RFC 9112 3.2.2",
            "GET http://b.example/plain/a HTTP/1.1\r\nHost: evil.example\r\n\r\n",
            as: "GET /plain/a", has: ["Host: b.example", "X-Forwarded-Host: b.example"]),
        forwarded(
            "a body behind an absolute target is framed as ever", "RFC 9112 3.2.2, 6.3",
            "POST http://b.example/plain/a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            as: "POST /plain/a", body: "hi", has: ["Host: b.example"]),
    ]

let hostRows: [WireCase] =
    [
        "a", "A.example", "a.example:80", "a:", "127.0.0.1:8080", "[::1]", "[::1]:443",
        "[2001:db8:0:0:0:0:0:1]", "[::ffff:192.0.2.1]", "a_b", "a.", "xn--nxasmq6b:65535", "a%2Fb",
        "!$&'()*+;=~-",
    ].map {
        forwarded(
            "the Host \($0) is taken and kept", "RFC 9110 7.2",
            "GET /plain/a HTTP/1.1\r\nHost: \($0)\r\n\r\n", as: "GET /plain/a", has: ["Host: \($0)"]
        )
    }
    + [
        "", ":80", "a b", "a:b", "a:80:80", "a:65536", "a/b", "a@b", "u:p@a", "a?b", "a#b", "a\\b",
        "[", "[]", "[::1", "::1", "[::1]a", "[::1]:x", "[12345::]", "[::g]", "[fe80::1%eth0]", "a%",
        "a%2g", "\u{E9}", "<a>", "a, b", "a\"b", "a:-1", "a:+1", "http://a", "a;\u{1}",
    ].map {
        refused(
            "the Host \($0.debugDescription) is refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.1\r\nHost: \($0)\r\n\r\n")
    } + [
        refused(
            "HTTP/1.1 without a Host is refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.1\r\n\r\n"),
        refused(
            "two Hosts are refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
        refused(
            "two equal Hosts are refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
        refused(
            "two Hosts in different cases are refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nX: 1\r\nhOST: b\r\n\r\n"),
        refused(
            "a second Host behind a space is refused", "RFC 9112 3.2, 5.1", 400,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n"),
        refused(
            "a second Host that is folded is refused", "RFC 9112 5.2", 400,
            "GET /plain/a HTTP/1.1\r\nHost: a\r\n Host: b\r\n\r\n"),
        refused(
            "HTTP/1.0 with two Hosts is refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
        refused(
            "HTTP/1.0 with a malformed Host is refused", "RFC 9112 3.2", 400,
            "GET /plain/a HTTP/1.0\r\nHost: a b\r\n\r\n"),
        forwarded(
            "whitespace around the Host is not part of it", "RFC 9110 5.5",
            "GET /plain/a HTTP/1.1\r\nHost: \t a \t\r\n\r\n", as: "GET /plain/a", has: ["Host: a"]),
        forwarded(
            "Host may come last and be written in any case", "RFC 9110 5.3",
            "GET /plain/a HTTP/1.1\r\nX: y\r\nhOsT:a\r\n\r\n", as: "GET /plain/a", has: ["hOsT: a"]),
        forwarded(
            "what other fields say of the host is not the Host", "RFC 9110 7.2",
            get("X-Host: b\r\nX-Original-URL: /b\r\nX-Rewrite-URL: /c\r\n"), as: "GET /plain/a",
            has: ["Host: a", "X-Host: b", "X-Original-URL: /b", "X-Rewrite-URL: /c"]),
    ]

let fieldRows: [WireCase] =
    [
        (
            "X : y", "a space before the colon",
            "RFC 9112 5.1, CVE-2019-16276 (Go), CVE-2019-16869 (Netty)"
        ),
        ("X\t: y", "a tab before the colon", "RFC 9112 5.1"),
        ("X y: z", "a space in the name", "RFC 9110 5.1"),
        (": y", "no name", "RFC 9110 5.1, CVE-2023-25725 (HAProxy)"),
        ("X", "no colon", "RFC 9112 5, CVE-2019-20444 (Netty)"),
        ("X(: y", "a parenthesis in the name", "RFC 9110 5.6.2"),
        ("\"X\": y", "quotes around the name", "RFC 9110 5.6.2"),
        ("X;: y", "a semicolon in the name", "RFC 9110 5.6.2"),
        ("X@: y", "an at sign in the name", "RFC 9110 5.6.2"),
        ("X/Y: z", "a slash in the name", "RFC 9110 5.6.2"),
        ("[X]: z", "brackets around the name", "RFC 9110 5.6.2"),
        ("X\\: z", "a backslash in the name", "RFC 9110 5.6.2"),
        ("X\u{E9}: y", "a byte beyond ASCII in the name", "RFC 9110 5.6.2"),
        ("X\u{0}: y", "a NUL in the name", "RFC 9110 5.6.2"),
        ("X\u{1}: y", "a control in the name", "RFC 9110 5.6.2"),
        ("X: y\u{0}z", "a NUL in the value", "RFC 9110 5.5, CVE-2019-9900 (Envoy)"),
        ("X: y\u{1}z", "a control in the value", "RFC 9110 5.5"),
        ("X: y\u{7F}z", "a DEL in the value", "RFC 9110 5.5"),
        ("X: y\u{8}z", "a backspace in the value", "RFC 9110 5.5"),
        ("X: y\u{B}z", "a vertical tab in the value", "RFC 9110 5.5"),
        ("X: y\u{C}z", "a form feed in the value", "RFC 9110 5.5"),
        ("X: y\u{1B}z", "an escape in the value", "RFC 9110 5.5"),
        ("X: y\rz", "a bare CR in the value", "RFC 9112 2.2, CVE-2023-30589 (llhttp)"),
        ("X: y\r\rZ: a", "two bare CRs in the value", "RFC 9112 2.2"),
        ("X: y\nZ: a", "a bare LF behind it", "RFC 9112 2.2, CVE-2019-16785 (Waitress)"),
        ("X: y\n\nGET /smuggled HTTP/1.1", "two bare LFs behind it", "RFC 9112 2.2"),
        ("X: y\r\n z", "a fold", "RFC 9112 5.2"),
        ("X: y\r\n\tz", "a fold by a tab", "RFC 9112 5.2"),
        ("X:\r\n y", "a fold before its value", "RFC 9112 5.2"),
        ("X: y\r\n \r\n z", "a fold that is blank", "RFC 9112 5.2"),
        ("X: y\r\n ", "a blank line that is not empty behind it", "RFC 9112 5.2"),
        ("X: y\r\n\u{B}z", "a vertical tab as a fold", "RFC 9112 5.2"),
        (
            "\u{FEFF}X: y".replacing("\u{FEFF}", with: "\u{EF}\u{BB}\u{BF}"), "a byte order mark",
            "RFC 9110 5.1"
        ),
        ("GET /smuggled HTTP/1.1", "a request line in its place", "RFC 9112 5"),
        ("X: y\r\n: z", "a nameless one behind it", "RFC 9110 5.1"),
        ("\u{0}", "nothing but a NUL", "RFC 9112 5"),
    ].map {
        refused("a field line with \($0.1) is refused", $0.2, 400, get("\($0.0)\r\n"))
    } + [
        forwarded(
            "a field name may have all the characters of a token", "RFC 9110 5.6.2",
            get("!#$%&'*+-.^_`|~09aZ: y\r\n"), as: "GET /plain/a", has: ["!#$%&'*+-.^_`|~09aZ: y"]),
        forwarded(
            "a field name with an underscore is passed on", "RFC 9110 5.1 (nginx drops it)",
            get("X_Y: z\r\n"), as: "GET /plain/a", has: ["X_Y: z"]),
        forwarded(
            "an empty value is a value", "RFC 9110 5.5", get("X:\r\nY: \r\n"), as: "GET /plain/a",
            has: ["X: ", "Y: "]),
        forwarded(
            "a tab within a value stays", "RFC 9110 5.5", get("X: a\tb\r\n"), as: "GET /plain/a",
            has: ["X: a\tb"]),
        forwarded(
            "whitespace around a value is left out", "RFC 9110 5.5", get("X: \t a b \t \r\n"),
            as: "GET /plain/a", has: ["X: a b"]),
        forwarded(
            "bytes beyond ASCII in a value stay as they are", "RFC 9110 5.5",
            get("X: \u{80}\u{FF}\u{E2}\u{82}\u{AC}\r\n"), as: "GET /plain/a",
            has: ["X: \u{80}\u{FF}\u{E2}\u{82}\u{AC}"]),
        forwarded(
            "a value may look like a field line", "RFC 9110 5.5",
            get("X: Transfer-Encoding: chunked\r\n"), as: "GET /plain/a",
            has: ["X: Transfer-Encoding: chunked"]),
        forwarded(
            "a value may begin with a colon", "RFC 9110 5.5", get("X:: y\r\n"), as: "GET /plain/a",
            has: ["X: : y"]),
        forwarded(
            "names are told apart in no case, and keep the case they have", "RFC 9110 5.1",
            get("x-A: 1\r\nX-a: 2\r\nCOOKIE: b=c\r\n"), as: "GET /plain/a",
            inOrder: ["x-A: 1", "X-a: 2", "COOKIE: b=c"]),
    ]

let limitRows: [WireCase] = [
    forwarded(
        "a request line of 16 KiB is taken", "RFC 9112 3",
        get("", "/plain/" + String(repeating: "a", count: (16 << 10) - 20)),
        as: "GET /plain/" + String(repeating: "a", count: (16 << 10) - 20)),
    refused(
        "a request line of a byte more than 16 KiB is 414", "RFC 9110 15.5.15", 414,
        get("", "/plain/" + String(repeating: "a", count: (16 << 10) - 19))),
    refused(
        "a request line without an end is 414", "RFC 9110 15.5.15", 414,
        "GET /" + String(repeating: "a", count: 20 << 10)),
    refused(
        "a method without an end is 414", "RFC 9112 3", 414, String(repeating: "A", count: 20 << 10)
    ),
    forwarded(
        "128 field lines are taken", "RFC 6585 5",
        get(String(repeating: "X: y\r\n", count: 127)), as: "GET /plain/a"),
    refused(
        "129 field lines are 431", "RFC 6585 5", 431, get(String(repeating: "X: y\r\n", count: 128))
    ),
    forwarded(
        "a field section of 64 KiB is taken", "RFC 6585 5",
        get("X: " + String(repeating: "y", count: (64 << 10) - 14) + "\r\n"), as: "GET /plain/a"),
    refused(
        "a field section of a byte more than 64 KiB is 431", "RFC 6585 5", 431,
        get("X: " + String(repeating: "y", count: (64 << 10) - 13) + "\r\n")),
    refused(
        "a field line without an end is 431", "RFC 6585 5", 431,
        "GET /plain/a HTTP/1.1\r\nHost: a\r\nX: " + String(repeating: "y", count: 70 << 10)),
    refused(
        "a field name without an end is 431", "CVE-2021-40346 (HAProxy, a name's length)", 431,
        get("Content-Length0" + String(repeating: "a", count: 70 << 10) + ":\r\n")),
    forwarded(
        "a field name of 300 bytes is taken whole", "CVE-2021-40346 (HAProxy, a name's length)",
        get("Content-Length0" + String(repeating: "a", count: 270) + ":\r\n"), as: "GET /plain/a",
        has: ["Content-Length0" + String(repeating: "a", count: 270) + ": "]),
    WireCase(
        name: "a body longer than its route takes is 413", source: "RFC 9110 15.5.14",
        sends: [
            post("Content-Length: 1025\r\n", String(repeating: "b", count: 1025), to: "/small/a")
        ],
        sees: [.init(status: 413, lacks: ["Via"])], isWhole: true),
    forwarded(
        "a body as long as its route takes is taken", "RFC 9110 15.5.14",
        post("Content-Length: 1024\r\n", String(repeating: "b", count: 1024), to: "/small/a"),
        as: "POST /small/a", body: String(repeating: "b", count: 1024)),
    refused(
        "an announced body of 2^64 - 1 bytes is 413 before it comes", "RFC 9110 8.6", 413,
        post("Content-Length: 18446744073709551615\r\n", to: "/small/a")),
    refused(
        "an announced chunked body is 413 as soon as it is too long", "RFC 9110 15.5.14", 413,
        post(
            "Transfer-Encoding: chunked\r\n", "800\r\n" + String(repeating: "b", count: 1030),
            to: "/small/a"),
        mayBegin: true),
]
