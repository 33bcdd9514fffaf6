import HTTP
import JSON
import Testing

@testable import GatewayCommand

/// The least that runs, with members of its parts.
private func document(
    top: String = "", listener: String = "", upstream: String = "", route: String = ""
) -> String {
    func and(_ members: String) -> String { members.isEmpty ? "" : ", " + members }
    return """
        {"listeners": [{"address": "unix:/run/o"\(and(listener))}],
         "upstreams": {"api": {"url": "http://127.0.0.1:9000"\(and(upstream))}},
         "routes": [{"path": "/carts/{id}/**", "upstream": "api"\(and(route))}]\(and(top))}
        """
}

private func messages(_ text: String) -> [String] {
    Configuration.read(Array(text.utf8), environment).mistakes.map { "\($0.path): \($0.message)" }
}

/// What `gateway.json` says of the edges: whom a proxy speaks for, fields, ids, listeners.
@Suite struct EdgeConfigurationTests {
    @Test func `everything about the edges is read, and printed as it was written`() throws {
        let rules = #"""
            {"remove": ["Server", "X-Powered-By"], "set": {"X-Client": "{client} {params.id}"},
             "add": {"Link": ["</a>", "</b>"], "X-Secret": "${TOKEN}", "X-Secrets": ["x${TOKEN}"], "X-Braces": "{{}}"}}
            """#
        let text = document(
            top: #"""
                "trusted_proxies": ["10.0.0.0/8", "unix"], "forwarded": "both", "trace": "make",
                "request_id": {"header": "X-Correlation-Id", "accept": "all"}
                """#,
            listener: #""mode": "0660", "proxy_protocol": true"#,
            upstream: #""forwarded": "rfc7239", "max_in_flight": 7"#,
            route: #"""
                "request_fields": \#(rules), "response_fields": \#(rules),
                "cors": {"origins": ["https://shop.example", "http://localhost:3000"],
                         "credentials": true}
                """#)
        let result = Configuration.read(Array(text.utf8), environment)
        #expect(result.mistakes == [])
        let configuration = try #require(result.configuration)
        #expect(configuration.routes[0].requestFields.add.last?.value == "{{}}")
        #expect(configuration.routes[0].responseFields.add.map(\.value).contains("s3cret"))
        #expect(configuration.listeners[0].mode?.bits == 0o660)
        #expect(configuration.upstreams[0].value.maxInFlight == 7)
        _ = try configuration.routingTable()
        let printed = String(decoding: try #require(result.effective), as: UTF8.self)
        #expect(!printed.contains("s3cret") && printed.contains(#""X-Secret": "***""#))
        for line in [
            #""Link": ["</a>", "</b>"]"#, #""mode": "0660""#, #""accept": "all""#,
            #""trusted_proxies": ["10.0.0.0/8", "unix"]"#, #""forwarded": "both""#,
            #""origins": ["https://shop.example", "http://localhost:3000"]"#,
        ] { #expect(printed.contains(line), "\(line)") }
        let again = Configuration.read(Array(printed.utf8), environment)
        #expect(again.mistakes == [])
    }

    @Test(arguments: [
        ("\"X Y\": \"a\"", "[\"X Y\"]: expected a field name such as \"Server\""),
        ("\"\": \"a\"", "[\"\"]: expected a field name such as \"Server\""),
        (
            "\"Host\": \"a\"",
            ".Host: expected no rule for Host: an upstream's \"host\" says which Host a request leaves with"
        ),
        (
            "\"connection\": \"close\"",
            ".connection: expected no rule for connection: it belongs to one connection and is never forwarded"
        ),
        (
            "\"Content-Length\": \"1\"",
            ".Content-Length: expected no rule for Content-Length: the gateway frames messages itself"
        ),
        (
            "\"Idempotency-Verdict\": \"keep\"",
            ".Idempotency-Verdict: expected no rule for Idempotency-Verdict: it is for the gateway alone"
        ),
        (
            "\"idempotency-key\": \"a\"",
            ".idempotency-key: expected no rule for idempotency-key: the gateway itself says what becomes of keys"
        ),
        (
            "\"Traceparent\": \"a\"",
            ".Traceparent: expected no rule for Traceparent: \"trace\" says what becomes of traces"
        ),
        (
            "\"X-Request-ID\": \"a\"",
            ".X-Request-ID: expected no rule for X-Request-Id: request_id says what becomes of it"
        ),
        ("\"X\": \"a\\r\\nY: b\"", ".X: expected a field's value without CR, LF, NUL and the like"),
        ("\"X\": \"a\\u0000\"", ".X: expected a field's value without CR, LF, NUL and the like"),
        ("\"X\": \"a \"", ".X: expected a field's value without spaces at its ends"),
        ("\"X\": 1", ".X: expected a field's value, found 1"),
        ("\"X\": \"a\", \"x\": \"b\"", ".x: x is there already, in other letters"),
        (
            "\"X\": \"{key}\"",
            ".X: {key} is none of {client}, {peer}, {host}, {scheme}, {request_id}, {trace_id}, "
                + "{params.NAME} and {field.NAME}"
        ),
        ("\"X\": \"{params.no}\"", ".X: the route's path captures no {no}"),
        (
            "\"X\": \"a}\"",
            ".X: each \"{\" is followed by a name and \"}\"; \"{{\" and \"}}\" stand for the braces themselves"
        ),
        ("\"X\": \"${NOPE}\"", ".X: the environment variable NOPE is not set"),
    ])
    func `a line that cannot be is refused, with its place`(_ line: String, _ mistake: String) {
        for list in ["set", "add"] {
            for side in ["request_fields", "response_fields"] {
                let text = document(route: "\"\(side)\": {\"\(list)\": {\(line)}}")
                #expect(messages(text) == ["routes[0].\(side).\(list)\(mistake)"])
            }
        }
    }

    @Test(arguments: [
        (
            #""request_fields": {"remove": ["X", "TE"]}"#,
            "request_fields.remove[1]: expected no rule for TE: it belongs to one connection and is never forwarded, found \"TE\""
        ),
        (
            #""request_fields": {"remove": ["x-request-id"]}"#,
            "request_fields.remove[0]: expected no rule for X-Request-Id: request_id says what becomes of it"
        ),
        (
            #""response_fields": {"add": {"X": []}}"#,
            "response_fields.add.X: expected 1 to 100 values"
        ),
        (
            #""response_fields": {"set": {"X": ["a"]}}"#,
            "response_fields.set.X: expected a field's value, found a list"
        ),
        (
            #""response_fields": {"add": {"X": ["a", "{no}"]}}"#,
            "response_fields.add.X[1]: {no} is none of {client}, {peer}, {host}, {scheme}, {request_id}, "
                + "{trace_id}, {params.NAME} and {field.NAME}"
        ),
        (
            #""idempotency": {"scope": "shared", "header": "X-Key"}, "request_fields": {"set": {"x-key": "a"}}"#,
            "request_fields.set.x-key: expected no rule for X-Key: the gateway itself says what becomes of keys"
        ),
        (
            #""idempotency": {"scope": "shared", "header": "X-Request-Id", "forward_key": true}"#,
            "idempotency.forward_key: expected another field: request_id has X-Request-Id"
        ),
        (
            #""idempotency": {"scope": "shared", "forward_key": "x-request-id"}"#,
            "idempotency.forward_key: expected another field: request_id has X-Request-Id"
        ),
        (
            #""cors": {"origins": ["https://shop.example/"]}"#,
            "cors.origins[0]: expected an origin such as \"https://shop.example\", in lower case, without a path, "
                + "found \"https://shop.example/\""
        ),
        (
            #""cors": {"origins": "*", "credentials": true}"#,
            "cors.credentials: expected false with \"*\", which browsers take without it alone"
        ),
        (
            #""cors": {}"#,
            "cors.origins: is missing; expected a list, each element an origin such as \"https://shop.example\", or \"*\""
        ),
    ])
    func `what makes no sense on a route is told`(_ route: String, _ mistake: String) {
        #expect(messages(document(route: route)) == ["routes[0].\(mistake)"])
    }

    @Test func `a secret's text is never told`() {
        let secret = Environment(variable: { _ in "hush {no}" }, file: { _ in [] })
        let text = document(route: #""request_fields": {"set": {"X": "${A}"}}"#)
        let result = Configuration.read(Array(text.utf8), secret)
        #expect(
            result.mistakes.map(\.message) == ["the secret holds a malformed word in braces"])
        let broken = Environment(variable: { _ in "hush\r\n" }, file: { _ in [] })
        #expect(
            Configuration.read(Array(text.utf8), broken).mistakes.map(\.message) == [
                "expected a field's value without CR, LF, NUL and the like"
            ])
    }

    @Test(arguments: [
        (document(top: #""forwarded": "x""#), "forwarded: expected"),
        (document(top: #""trace": "drop""#), "trace: expected"),
        (
            document(top: #""request_id": {"header": "Content-Type"}"#),
            "request_id.header: expected another field: Content-Type has a meaning of its own"
        ),
        (
            document(top: #""request_id": {"header": "Host"}"#),
            "request_id.header: expected another"
        ),
        (
            document(top: #""request_id": {"header": "Cookie"}"#),
            "request_id.header: expected a field without"
        ),
        (
            document(top: #""request_id": {"header": "a b"}"#),
            "request_id.header: expected a field name"
        ),
        (document(top: #""request_id": {"accept": "x"}"#), "request_id.accept: expected"),
        (
            document(top: #""trusted_proxies": ["::ffff:1.2.3.4"]"#),
            "trusted_proxies[0]: expected the address as IPv4"
        ),
        (document(listener: #""mode": "rw""#), "listeners[0].mode: expected permissions"),
        (
            document(listener: #""proxy_protocol": 1"#),
            "listeners[0].proxy_protocol: expected true or false"
        ),
        (
            document(upstream: #""max_in_flight": 0"#),
            "upstreams.api.max_in_flight: expected a whole number"
        ),
        (document(upstream: #""forwarded": "all""#), "upstreams.api.forwarded: expected"),
        (
            document(listener: #""mode": "0660""#).replacing("unix:/run/o", with: "[::1]:80"),
            "listeners[0].mode: has no effect unless"
        ),
    ])
    func `what is wrong about the whole is told`(_ text: String, _ start: String) {
        let told = messages(text)
        #expect(told.count == 1 && told[0].hasPrefix(start), "\(told)")
    }

    @Test func `a key may come in the field of ids`() {
        let keys = #""idempotency": {"scope": "shared", "header": "X-Request-Id"}"#
        #expect(messages(document(route: keys)) == [])
    }

    @Test func `without ids a rule may have their field`() {
        let text = document(
            top: #""request_id": null"#,
            route: #""response_fields": {"remove": ["X-Request-Id"]}"#)
        #expect(messages(text) == [])
    }
}
