import HTTP
import JSON
import Testing

@testable import GatewayCommand

/// An environment with two variables and two files.
let environment = Environment(
    variable: { ["TOKEN": "s3cret", "PORT": "9000", "NONE": "none"][$0] },
    file: { path throws(Invalid) in
        switch path {
        case "/run/token": return Array("f1le\n".utf8)
        case "/tls/ca.pem", "/tls/cert.pem", "/tls/key.pem": return Array("PEM".utf8)
        case "/binary": return [0xFF]
        default: throw Invalid("No such file or directory")
        }
    })

/// A key that is never to be seen again.
private let zeros = String(repeating: "0", count: 64)

/// The least that runs, with some of it replaced.
private func document(
    top: String = "", upstream: String = "", route: String = "", keys: String = "",
    scope: String = "\"scope\": \"shared\""
) -> String {
    func joined(_ parts: String...) -> String {
        parts.filter { !$0.isEmpty }.joined(separator: ", ")
    }
    return "{"
        + joined(
            top,
            "\"upstreams\": {\"api\": {\(joined("\"url\": \"http://127.0.0.1:9000\"", upstream))}}",
            "\"routes\": [{"
                + joined(
                    "\"path\": \"/carts/{id}/**\"", "\"upstream\": \"api\"", route,
                    "\"idempotency\": {\(joined(scope, keys))}")
                + "}]")
        + "}"
}

private func read(_ text: String) -> Configuration.Result {
    Configuration.read(Array(text.utf8), environment)
}

private func messages(_ text: String) -> [String] {
    read(text).mistakes.map { $0.path.isEmpty ? $0.message : "\($0.path): \($0.message)" }
}

@Suite struct ConfigurationTests {
    @Test func `the least that runs is given every default`() throws {
        let text = """
            { "upstreams": { "api": { "url": "http://127.0.0.1:9000" } },
              "routes": [ { "path": "/**", "upstream": "api",
                            "idempotency": { "scope": ["header:Authorization"] } } ] }
            """
        let result = read(text)
        #expect(result.mistakes.isEmpty)
        let configuration = try #require(result.configuration)
        #expect(configuration.listeners.map(\.address.text) == ["127.0.0.1:8080"])
        #expect(configuration.admin?.address.text == "127.0.0.1:9901")
        #expect(configuration.threads == nil && configuration.limits.body == nil)
        #expect(configuration.store.cache == 64 << 20)
        let route = try #require(configuration.routes.first)
        #expect(route.name == "/**" && route.limits.body == 10 << 20)
        let keys = try #require(route.idempotency)
        #expect(keys.scope == .fields([.authorization]) && keys.retention == .seconds(86_400))
        #expect(keys.release.count == 23 && keys.replayWithout.count == 8)
    }

    @Test func `the effective configuration is the contract's, and reads back as itself`() throws {
        let whole = """
            {
              "listeners": [{"address": "127.0.0.1:8080", "tls": null, "proxy_protocol": false}],
              "admin": {"address": "127.0.0.1:9901", "token": null},
              "threads": "auto",
              "store": {"type": "sqlite", "path": "oncegate.db", "durability": "full", "encryption_key": null},
              "log": {"level": "info", "access": true},
              "limits": {"connections": 10000, "request_line": "16KiB", "fields": "64KiB", "field_count": 128, "body": "none"},
              "timeouts": {"request_head": "10s", "body_idle": "30s", "keep_alive": "75s", "write_idle": "30s", "drain": "30s"},
              "trusted_proxies": [],
              "upstreams": {
                "api": {
                  "url": "http://127.0.0.1:9000",
                  "host": "keep",
                  "timeouts": {"connect": "3s", "idle": "60s", "total": "none"},
                  "keep_alive": {"connections": 256, "idle": "30s"},
                  "tls": {"ca": null, "verify": true, "certificate": null, "private_key": null},
                  "max_in_flight": "none"
                }
              },
              "routes": [
                {
                  "name": "complete-cart",
                  "host": null,
                  "path": "/carts/{id}/complete",
                  "methods": null,
                  "upstream": "api",
                  "rewrite": null,
                  "limits": {"body": "10MiB"},
                  "idempotency": {
                    "mode": "enforce",
                    "key": "create",
                    "header": "Idempotency-Key",
                    "from": null,
                    "forward_key": false,
                    "methods": ["POST", "PUT", "PATCH", "DELETE"],
                    "scope": ["header:Authorization"],
                    "fingerprint": {"query": true, "headers": [], "body": "auto", "ignore": []},
                    "in_flight": "wait", "wait_limit": "30s", "waiters": 1000, "answer_within": "none",
                    "keep": ["200-499"],
                    "release": [401, 403, 405, 406, 407, 408, 409, 411, 412, 413, 414, 415, 417, 421, 423, 425, 426, 428, 429, 431, 501, 503, 505],
                    "unknown": "hold", "probe": null,
                    "lease": "30s", "retention": "24h", "unknown_retention": "7d", "tombstone": "7d",
                    "response_limit": "8MiB",
                    "replay_without": ["Set-Cookie", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Age", "Alt-Svc", "Retry-After", "Server-Timing"],
                    "stream": false,
                    "store_down": "refuse",
                    "stages": null
                  }
                }
              ]
            }
            """
        let effective = try #require(read(whole).effective)
        // Beside the contract's members there are our own, and where stages may be left to a backend.
        let ours = [
            "/spool", "/store/cache", "/store/journal", "/store/compress_above", "/limits/detached",
            "/routes/0/idempotency/backend_stages", "/upstreams/api/timeouts/tunnel_idle",
            "/listeners/0/mode", "/forwarded", "/request_id", "/trace", "/upstreams/api/forwarded",
            "/routes/0/cors", "/routes/0/request_fields", "/routes/0/response_fields",
            "/timeouts/drain_delay",
        ].map { JSONPointer($0)! }
        #expect(
            form(JSONCanonicalForm.of(effective[...], ignoring: ours))
                == form(JSONCanonicalForm.of(Array(whole.utf8)[...])))
        #expect(Configuration.read(effective, environment).effective == effective)
    }

    private func form(_ result: JSONCanonicalForm.Result) -> String {
        if case .rewritten(let bytes) = result {
            String(decoding: bytes, as: UTF8.self)
        } else {
            ""
        }
    }

    @Test func `what is given is kept`() throws {
        let text = """
            {
              "listeners": [{"address": "[::1]:0"}, {"address": "unix:/run/o.sock"}, {"address": "[::1]:0"}],
              "admin": null,
              "threads": 3,
              "store": {"path": "/var/x.db", "durability": "normal", "cache": "0B", "journal": "none"},
              "log": {"level": "warning", "access": false},
              "limits": {"body": "1GiB", "connections": 5, "detached": 0},
              "timeouts": {"drain": "250ms", "keep_alive": "2m"},
              "trusted_proxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"],
              "upstreams": {
                "b": {"url": "https://API.example.com/", "host": "upstream", "timeouts": {"total": "1h"},
                  "tls": {"ca": "/tls/ca.pem", "verify": false, "certificate": "/tls/cert.pem", "private_key": "/tls/key.pem"}},
                "a": {"url": "unix:/run/api.sock", "host": "api.internal:81"}
              },
              "routes": [
                {"path": "/a/{x}/**", "upstream": "b", "host": "*.example.com", "methods": ["BREW", "GET"], "rewrite": "/{x}/**",
                 "limits": {"body": "none"},
                 "idempotency": {
                   "key": "required", "header": "X-Key", "forward_key": "X-Upstream-Key", "scope": ["header:A", "header:b"],
                   "fingerprint": {"query": false, "headers": ["Accept"], "body": ["/a", ""], "ignore": ["/a/b~1c"]},
                   "in_flight": "reject", "answer_within": "5s", "stream": true, "keep": [404, "200-299", "410"], "release": [], "unknown": "retry",
                   "store_down": "pass", "tombstone": "0s", "replay_without": []}},
                {"path": "/**", "upstream": "a"},
                {"path": "/**", "upstream": "a"}
              ]
            }
            """
        let result = read(text)
        #expect(result.mistakes == [])
        let configuration = try #require(result.configuration)
        #expect(configuration.listeners[0].address == .tcp(host: "::1", port: 0))
        #expect(configuration.listeners[1].address == .unix(path: "/run/o.sock"))
        #expect(configuration.admin == nil && configuration.threads == 3)
        #expect(configuration.store.journal == nil)
        #expect(configuration.timeouts.drain == .milliseconds(250))
        #expect(configuration.upstreams.map(\.name) == ["b", "a"])
        #expect(
            configuration.upstreams[0].value.url
                == .tcp(isSecure: true, host: "API.example.com", port: 443))
        #expect(configuration.upstreams[1].value.host == .text("api.internal:81"))
        #expect(configuration.routes.map(\.name) == ["/a/{x}/**", "/**", "/**#2"])
        let keys = try #require(configuration.routes[0].idempotency)
        #expect(keys.keep == [404...404, 200...299, 410...410] && keys.release.isEmpty)
        #expect(keys.answerWithin == .seconds(5) && keys.stream)
        #expect(configuration.limits.detached == 0)
        #expect(keys.forwardKey == .renamed(FieldName("X-Upstream-Key")))
        #expect(
            keys.fingerprint.body == .pointers([JSONPointer("/a")!, JSONPointer("")!]))
        #expect(configuration.routes[1].idempotency == nil)
        let effective = try #require(result.effective)
        #expect(Configuration.read(effective, environment).effective == effective)
    }

    @Test(arguments: [
        ("\"limts\": {}", "limts: unknown name; did you mean \"limits\"?"),
        ("\"zzz\": 1", "zzz: unknown name"),
        ("\"a b\": 1", "[\"a b\"]: unknown name"),
        ("\"log\": {}, \"log\": {}", "log: the name is there already, at 1:2"),
        ("\"listeners\": []", "listeners: expected at least one element, found 0"),
        (
            "\"listeners\": {}",
            "listeners: expected a list, each element an object, found an object"
        ),
        ("\"listeners\": [7]", "listeners[0]: expected an object, found 7"),
        (
            "\"listeners\": [{\"address\": \"x:1\"}, {\"address\": \"x:1\"}]",
            "listeners[1].address: another listener has this address"
        ),
        (
            "\"listeners\": [{\"address\": \"[0::1]:1\"}, {\"address\": \"[::1]:1\"}]",
            "listeners[1].address: another listener has this address"
        ),
        (
            "\"admin\": {\"address\": \"localhost:8080\"}",
            "admin.address: a listener has the address \"localhost:8080\""
        ),
        (
            "\"admin\": {\"address\": \"127.0.0.1:8080\"}",
            "admin.address: a listener has the address \"127.0.0.1:8080\""
        ),
        (
            "\"admin\": {\"address\": \"[::]:9\"}",
            "admin.token: expected a token, such as \"${ADMIN_TOKEN}\": \"[::]:9\" is not a loopback address or a Unix socket"
        ),
        (
            "\"admin\": {\"address\": \"192.0.2.1:9\", \"token\": null}",
            "admin.token: expected a token, such as \"${ADMIN_TOKEN}\": \"192.0.2.1:9\" is not a loopback address or a Unix socket"
        ),
        (
            "\"admin\": {\"token\": \"\"}",
            "admin.token: expected a secret of visible ASCII, found an empty one"
        ),
        (
            "\"admin\": {\"token\": 12345}",
            "admin.token: expected a secret, such as \"${NAME}\" or \"${file:PATH}\", and no other value"
        ),
        ("\"threads\": 0", "threads: expected a whole number from 1 to 1024, found 0"),
        ("\"threads\": 1.5", "threads: expected a whole number from 1 to 1024, found 1.5"),
        ("\"threads\": null", "threads: expected a whole number from 1 to 1024, found null"),
        ("\"log\": {\"access\": \"yes\"}", "log.access: expected true or false, found \"yes\""),
        (
            "\"log\": {\"level\": \"warn\"}",
            "log.level: expected \"debug\", \"info\", \"warning\" or \"error\", found \"warn\"; did you mean \"warning\"?"
        ),
        (
            "\"limits\": {\"fields\": \"64KB\"}",
            "limits.fields: expected a size such as \"64KiB\", \"10MiB\" or \"1GiB\", found \"64KB\""
        ),
        (
            "\"limits\": {\"fields\": \"1B\"}",
            "limits.fields: expected a size from \"1KiB\" to \"16MiB\", found \"1B\""
        ),
        (
            "\"timeouts\": {\"drain\": \"2d\"}",
            "timeouts.drain: expected a duration from \"0s\" to \"24h\", found \"2d\""
        ),
        (
            "\"timeouts\": {\"drain\": 10}",
            "timeouts.drain: expected a duration such as \"250ms\", \"10s\", \"5m\", \"24h\" or \"7d\", found 10"
        ),
        (
            "\"trusted_proxies\": [\"10.0.0.1/8\"]",
            "trusted_proxies[0]: expected no bits set after the first 8, found \"10.0.0.1/8\""
        ),
        (
            "\"trusted_proxies\": [\"10.0.0.0/33\"]",
            "trusted_proxies[0]: expected a prefix length from 0 to 32 after \"/\", found \"10.0.0.0/33\""
        ),
        (
            "\"store\": {\"path\": \"\"}",
            "store.path: expected the path of a file, not empty, without control characters, found \"\""
        ),
        (
            "\"store\": {\"path\": \"${NOPE}\"}",
            "store.path: the environment variable NOPE is not set"
        ),
        (
            "\"store\": {\"path\": \"${file:/nope}\"}",
            "store.path: the file \"/nope\" cannot be read: No such file or directory"
        ),
        (
            "\"store\": {\"path\": \"${file:/binary}\"}",
            "store.path: the file \"/binary\" holds no text"
        ),
        (
            "\"store\": {\"path\": \"a${TOKEN\"}",
            "store.path: expected \"}\" after \"${\", as in \"${NAME}\" or \"${file:PATH}\""
        ),
        (
            "\"store\": {\"path\": \"${1X}\"}",
            "store.path: expected \"${NAME}\" or \"${file:PATH}\", found \"${1X}\""
        ),
    ])
    func `a mistake in the server's part is told`(top: String, message: String) {
        #expect(messages(document(top: top)) == [message])
    }

    @Test(arguments: [
        (
            "\"host\": \"a/b\"",
            "upstreams.api.host: expected \"keep\", \"upstream\" or a host such as \"api.internal\", found \"a/b\""
        ),
        (
            "\"tls\": {\"verify\": false}",
            "upstreams.api.tls: has no effect without \"https://\" in the url"
        ),
        (
            "\"timeouts\": {\"connect\": \"none\"}",
            "upstreams.api.timeouts.connect: expected a duration such as \"250ms\", \"10s\", \"5m\", \"24h\" or \"7d\", found \"none\""
        ),
        (
            "\"keep_alive\": {\"connections\": -1}",
            "upstreams.api.keep_alive.connections: expected a whole number from 0 to 100000, found -1"
        ),
    ])
    func `a mistake in an upstream is told`(upstream: String, message: String) {
        #expect(messages(document(upstream: upstream)) == [message])
    }

    @Test func `a certificate comes with its key, and files can be read`() {
        let text = document()
            .replacing("http://127.0.0.1:9000", with: "https://127.0.0.1")
            .replacing(
                "\"https://127.0.0.1\"",
                with:
                    "\"https://127.0.0.1\", \"tls\": {\"certificate\": \"/tls/cert.pem\", \"ca\": \"/no.pem\"}"
            )
        #expect(
            messages(text) == [
                "upstreams.api.tls.private_key: is missing; a certificate and its key are given together",
                "upstreams.api.tls.ca: the file \"/no.pem\" cannot be read: No such file or directory",
            ])
    }

    @Test(arguments: [
        (
            "\"name\": \"\"",
            "routes[0].name: expected a name, not empty, without control characters, found \"\""
        ),
        ("\"methods\": []", "routes[0].methods: expected at least one element, found 0"),
        (
            "\"methods\": [\"post\"]",
            "routes[0].methods[0]: expected \"POST\", found \"post\"; methods are case-sensitive"
        ),
        (
            "\"methods\": [\"A B\"]",
            "routes[0].methods[0]: expected a method such as \"POST\", found \"A B\""
        ),
        (
            "\"host\": \"http://x\"",
            "routes[0].host: expected a host without scheme, port and path, such as \"api.example.com\" or \"*.example.com\", found \"http://x\""
        ),
        (
            "\"rewrite\": \"/x/{di}\"",
            "routes[0].rewrite: expected captures of the route's path, which has no {di}, found \"/x/{di}\""
        ),
        (
            "\"rewrite\": \"x\"",
            "routes[0].rewrite: expected a path that begins with \"/\", found \"x\""
        ),
        (
            "\"limits\": {\"body\": 5}",
            "routes[0].limits.body: expected a size such as \"64KiB\", \"10MiB\" or \"1GiB\", found 5"
        ),
    ])
    func `a mistake in a route is told`(route: String, message: String) {
        #expect(messages(document(route: route)) == [message])
    }

    @Test(arguments: [
        ("/{id}/{id}", "expected {id} once"),
        ("/**/x", "expected \"**\" at the end of a path only"),
        ("/a*", "expected \"*\" as a whole segment"),
        ("/a{b}", "expected {name} as a whole segment"),
        ("/{}", "expected {name} in letters, digits and \"_\""),
        ("/a?b", "expected a path without spaces, \"?\" and \"#\""),
        ("/a/../b", "expected no \"..\", which paths lose before they are matched"),
        ("/%g0", "expected two hexadecimal digits after \"%\""),
        ("", "expected a path that begins with \"/\""),
    ])
    func `a path that never matches is told`(path: String, message: String) {
        let text = document().replacing("/carts/{id}/**", with: path)
        #expect(messages(text) == ["routes[0].path: \(message), found \"\(path)\""])
    }

    @Test(arguments: ["/", "/**", "/a/*/b", "/a/{b_1}/", "/%2F", "/ä"])
    func `a path that matches something is taken`(path: String) {
        #expect(messages(document().replacing("/carts/{id}/**", with: path)) == [])
    }

    @Test(arguments: [
        (
            "\"key\": \"requird\"",
            "key: expected \"required\", \"create\" or \"pass\", found \"requird\"; did you mean \"required\"?"
        ),
        (
            "\"header\": \"a b\"",
            "header: expected a field name such as \"Authorization\", found \"a b\""
        ),
        ("\"forward_key\": 1", "forward_key: expected true, false or the name of a field, found 1"),
        (
            "\"forward_key\": \"content-length\"",
            "forward_key: expected a field name such as \"Idempotency-Key\"; Host and fields of the connection carry no keys, found \"content-length\""
        ),
        (
            "\"from\": \"header:Cookie\"",
            "from: expected a field without credentials: keys are stored, shown and told as they are, found \"header:Cookie\""
        ),
        (
            "\"header\": \"authorization\"",
            "header: expected a field without credentials: keys are stored, shown and told as they are, found \"authorization\""
        ),
        (
            "\"header\": \"Transfer-Encoding\"",
            "header: expected a field name such as \"Idempotency-Key\"; Host and fields of the connection carry no keys, found \"Transfer-Encoding\""
        ),
        ("\"in_flight\": true", "in_flight: expected \"wait\" or \"reject\", found true"),
        ("\"waiters\": 0", "waiters: expected a whole number from 1 to 1000000, found 0"),
        (
            "\"keep\": [\"499-200\"]",
            "keep[0]: expected a status or a range from 200 to 599, such as 404 or \"200-499\", found \"499-200\""
        ),
        (
            "\"release\": [99]",
            "release[0]: expected a status or a range from 200 to 599, such as 404 or \"200-499\", found 99"
        ),
        (
            "\"release\": [true]",
            "release[0]: expected a status or a range from 200 to 599, such as 404 or \"200-499\", found true"
        ),
        ("\"lease\": \"0s\"", "lease: expected a duration from \"1s\" to \"24h\", found \"0s\""),
        (
            "\"fingerprint\": {\"body\": \"json\"}",
            "fingerprint.body: expected \"auto\", \"bytes\" or \"none\", or a list of JSON pointers, found \"json\""
        ),
        (
            "\"fingerprint\": {\"body\": [\"a\"]}",
            "fingerprint.body[0]: expected a JSON pointer such as \"/order/id\", found \"a\""
        ),
        (
            "\"fingerprint\": {\"body\": \"bytes\", \"ignore\": [\"/a\"]}",
            "fingerprint.ignore: has no effect unless body is \"auto\" or a list of pointers"
        ),
        (
            "\"replay_without\": \"Age\"",
            "replay_without: expected a list, each element a field name such as \"Authorization\", found \"Age\""
        ),
        (
            "\"mode\": \"shade\"",
            "mode: expected \"enforce\" or \"shadow\", found \"shade\""
        ),
        (
            "\"unknown\": \"probe\"",
            "probe: is missing; expected an object such as "
                + "{ \"path\": \"/orders?reference={key}\" }, because unknown is \"probe\""
        ),
        (
            "\"probe\": { \"path\": \"/o\" }",
            "probe: has no effect unless unknown is \"probe\""
        ),
        (
            "\"unknown\": \"probe\", \"probe\": { \"path\": \"/o?{params.no}\" }",
            "probe.path: the route's path captures no {no}"
        ),
        (
            "\"unknown\": \"probe\", \"probe\": { \"path\": \"/o\", \"headers\": { \"Host\": \"a\" } }",
            "probe.headers.Host: expected a field name such as \"Authorization\"; Host and fields of "
                + "the connection are the gateway's own"
        ),
        (
            "\"unknown\": \"probe\", \"probe\": { \"path\": \"/o\", \"spacing\": \"10ms\" }",
            "probe.spacing: expected a duration from \"1s\" to \"24h\", found \"10ms\""
        ),
        (
            "\"from\": \"body:/id\"",
            "from: expected \"header:NAME\", \"json:/POINTER\" or \"fingerprint\", found \"body:/id\""
        ),
        (
            "\"from\": \"json:id\"",
            "from: expected \"header:NAME\", \"json:/POINTER\" or \"fingerprint\", found \"json:id\""
        ),
        (
            "\"from\": \"header:\"",
            "from: expected \"header:NAME\", \"json:/POINTER\" or \"fingerprint\", found \"header:\""
        ),
        (
            "\"from\": \"header:idempotency-key\"",
            "from: is the field of header already; leave it out"
        ),
        (
            "\"answer_within\": \"0s\"",
            "answer_within: expected a duration from \"10ms\" to \"24h\", found \"0s\""
        ),
        ("\"stream\": 1", "stream: expected true or false, found 1"),
        ("\"stages\": []", "stages: expected at least one element, found 0"),
        (
            "\"backend_stages\": 1",
            "backend_stages: expected true or false, found 1"
        ),
        (
            "\"backend_stages\": true, \"mode\": \"shadow\"",
            "backend_stages: does not go with \"mode\": \"shadow\", where nothing is claimed"
        ),
        (
            "\"backend_stages\": true, \"store_down\": \"pass\"",
            "backend_stages: does not go with \"store_down\": \"pass\", where there is no record to advance"
        ),
    ])
    func `a mistake in a route's keys is told`(keys: String, message: String) {
        #expect(messages(document(keys: keys)) == ["routes[0].idempotency.\(message)"])
    }

    @Test func `backends with stages of their own need the admin listener`() throws {
        let keys = "\"backend_stages\": true"
        #expect(
            messages(document(top: "\"admin\": null", keys: keys))
                == [
                    "routes[0].idempotency.backend_stages: needs the admin listener, and admin is null"
                ])
        #expect(messages(document(top: "\"admin\": null")) == [])
        let route = try #require(read(document(keys: keys)).configuration?.routes.first)
        #expect(route.idempotency?.backendStages == true)
    }

    @Test(arguments: [
        (
            "",
            "scope: is missing; expected \"shared\", or a list such as [\"header:Authorization\"]"
        ),
        (
            "\"scope\": null",
            "scope: expected \"shared\", or a list such as [\"header:Authorization\"], found null"
        ),
        ("\"scope\": []", "scope: expected at least one element, found 0"),
        (
            "\"scope\": \"header:A\"",
            "scope: expected \"shared\" or a list such as [\"header:Authorization\"], found \"header:A\""
        ),
        (
            "\"scope\": [\"shared\"]",
            "scope[0]: expected \"shared\" alone, without a list, found \"shared\""
        ),
        (
            "\"scope\": [\"header:\"]",
            "scope[0]: expected \"header:NAME\", such as \"header:Authorization\", found \"header:\""
        ),
        (
            "\"scope\": [\"client_certificate\"]",
            "scope[0]: not supported by this version; expected \"header:NAME\", found \"client_certificate\""
        ),
        (
            "\"scope\": [\"jwt:sub\"]",
            "scope[0]: not supported by this version; expected \"header:NAME\", found \"jwt:sub\""
        ),
    ])
    func `whose answers who may see is said, or the file is refused`(
        scope: String, message: String
    ) {
        #expect(messages(document(scope: scope)) == ["routes[0].idempotency.\(message)"])
    }

    @Test(arguments: [
        (document(top: "\"listeners\": [{\"tls\": {}}]"), "listeners[0].tls", "null"),
        (document(top: "\"store\": {\"url\": \"postgresql://x\"}"), "store.url", "null"),
    ])
    func `what this version does not do is refused`(text: String, path: String, inert: String) {
        #expect(
            messages(text) == ["\(path): not supported by this version; leave it out, or \(inert)"])
    }

    @Test(arguments: ["header:X-GitHub-Delivery", "json:/event/id", "json:/a~1b", "fingerprint"])
    func `where a key may come from is read and printed`(from: String) throws {
        let result = read(document(keys: "\"from\": \"\(from)\", \"mode\": \"shadow\""))
        let effective = try #require(result.effective)
        let text = String(decoding: effective, as: UTF8.self)
        #expect(text.contains("\"from\": \"\(from)\"") && text.contains("\"mode\": \"shadow\""))
        #expect(Configuration.read(effective, environment).effective == effective)
    }

    @Test(arguments: ["postgres", "redis"])
    func `a store that this version does not have is refused`(kind: String) {
        #expect(
            messages(document(top: "\"store\": {\"type\": \"\(kind)\"}")) == [
                "store.type: not supported by this version; expected \"sqlite\", found \"\(kind)\""
            ])
    }

    @Test func `all mistakes are told at once, in the order of the file`() {
        let text = """
            {
              "listenrs": [],
              "upstreams": { "api": {}, "api": { "url": "ftp://x" } },
              "routes": [
                { "name": "a", "path": "/**", "upstream": "apii", "idempotency": {} },
                { "name": "a" }
              ]
            }
            """
        #expect(
            read(text).mistakes.map(\.description) == [
                "2:3: listenrs: unknown name; did you mean \"listeners\"?",
                "3:25: upstreams.api.url: is missing; expected a URL such as \"http://127.0.0.1:9000\"",
                "3:29: upstreams.api: the name is there already, at 3:18",
                "3:45: upstreams.api.url: expected \"http://host:port\", \"https://host:port\" or \"unix:PATH\", found \"ftp://x\"",
                "5:47: routes[0].upstream: there is no upstream \"apii\"; did you mean \"api\"?",
                "5:70: routes[0].idempotency.scope: is missing; expected \"shared\", or a list such as [\"header:Authorization\"]",
                "6:5: routes[1].path: is missing; expected a path such as \"/carts/{id}/complete\" or \"/**\"",
                "6:5: routes[1].upstream: is missing; expected the name of an upstream",
                "6:15: routes[1].name: another route has this name",
            ])
    }

    @Test(arguments: [
        ("", "1:1: expected a value, found the end"),
        ("[]", "1:1: expected an object, found a list"),
        ("{\n  \"routes\": [,]}", "2:14: expected an element, found \",\""),
        ("{}\n// done", "2:1: expected the end of the text, found \"/\""),
    ])
    func `what is no configuration at all is told`(text: String, message: String) {
        #expect(read(text).mistakes.first?.description == message)
    }

    @Test func `secrets are filled in, and never shown`() throws {
        let text = document(
            top:
                "\"admin\": {\"address\": \"0.0.0.0:1\", \"token\": \"x-${TOKEN}-${file:/run/token}\"},"
                + "\"trusted_proxies\": [\"10.0.0.0/8\", \"${TOKEN}\"], \"limits\": {\"body\": \"${NONE}\"}"
        )
        let flawed = read(text)
        #expect(
            flawed.mistakes.map(\.message) == [
                "expected an address, a block such as \"10.0.0.0/8\" or \"fd00::/8\", or \"unix\", found \"${TOKEN}\""
            ])
        let result = read(
            text.replacing("\"${TOKEN}\"]", with: "\"::1\"]").replacing(":9000", with: ":${PORT}"))
        let configuration = try #require(result.configuration)
        let token = try #require(configuration.admin?.token)
        #expect(token.value == "x-s3cret-f1le" && configuration.limits.body == nil)
        #expect(configuration.upstreams[0].value.url.authority == "127.0.0.1:9000")
        let shown = String(decoding: try #require(result.effective), as: UTF8.self)
        #expect(shown.contains("\"token\": \"***\"") && shown.contains("\"url\": \"***\""))
        var dumped = ""
        dump(configuration.admin, to: &dumped)
        for text in [shown, dumped, "\(token)", String(reflecting: token)] {
            #expect(!text.contains("s3cret") && !text.contains("f1le"))
        }
    }

    @Test func `a literal token is masked, too`() throws {
        let result = read(document(top: "\"admin\": {\"token\": \"plain-text\"}"))
        let shown = String(decoding: try #require(result.effective), as: UTF8.self)
        #expect(shown.contains("\"token\": \"***\"") && !shown.contains("plain-text"))
    }

    @Test(arguments: [
        "\"\(zeros)\"", "[\"\(zeros)\"]", "[\"\(zeros)\", \"${KEY}\"]", "null",
    ])
    func `encryption keys are taken alone or in a list, and masked`(_ keys: String) throws {
        let environment = Environment(
            variable: { _ in String(repeating: "5A", count: 32) },
            file: { _ throws(Invalid) in [] })
        let text = document(top: "\"store\": {\"encryption_key\": \(keys)}")
        let result = Configuration.read(Array(text.utf8), environment)
        #expect(result.mistakes.isEmpty)
        let configuration = try #require(result.configuration)
        let count = keys.split(separator: ",").count
        #expect(configuration.store.encryptionKeys.count == (keys == "null" ? 0 : count))
        let shown = String(decoding: try #require(result.effective), as: UTF8.self)
        #expect(!shown.contains(zeros.prefix(16)) && !shown.contains("5A5A"))
        #expect(shown.contains("***") == (keys != "null"))
    }

    @Test(arguments: [
        ("\"\(zeros)0\"", "", "64 hexadecimal digits, found 65 characters"),
        ("\"deadbeef\"", "", "64 hexadecimal digits, found 8 characters"),
        ("\"x\(zeros.dropFirst())\"", "", "64 hexadecimal digits, found 64 characters"),
        ("[\"\(zeros)\", \"beef\"]", "[1]", "64 hexadecimal digits, found 4 characters"),
        ("[\"\(zeros)\", \"\(zeros)\"]", "[1]", "the key is there already"),
        ("[]", "", "or a list of them"), ("7", "", "or a list of them"), ("[7]", "[0]", "64"),
    ])
    func `an encryption key that is none is refused, and never shown`(
        keys: String, place: String, message: String
    ) {
        let told = messages(document(top: "\"store\": {\"encryption_key\": \(keys)}"))
        #expect(told.count == 1)
        #expect(told.first?.hasPrefix("store.encryption_key\(place): ") == true)
        #expect(told.first?.contains(message) == true)
        #expect(told.first?.contains("beef") == false && told.first?.contains("000") == false)
    }

    @Test func `the spool and the compression of answers can be set`() throws {
        let plain = try #require(read(document()).configuration)
        #expect(plain.spool.directory == nil && plain.spool.limit == 1 << 30)
        #expect(plain.store.compressAbove == nil && plain.store.encryptionKeys.isEmpty)
        let text = document(
            top: "\"spool\": {\"directory\": \"/spool\", \"limit\": \"64KiB\"}, "
                + "\"store\": {\"compress_above\": \"4KiB\"}")
        let set = try #require(read(text).configuration)
        #expect(set.spool.directory == "/spool" && set.spool.limit == 64 << 10)
        #expect(set.store.compressAbove == 4096)
        #expect(
            messages(document(top: "\"spool\": {\"limit\": \"1KiB\"}")).first?
                .hasPrefix("spool.limit: expected a size from \"64KiB\"") == true)
    }

    @Test func `a file that cannot be read is told`() {
        let report = Report.check(CheckOptions(config: "/gone.json"), environment)
        #expect(report.status == 1 && report.output.isEmpty)
        #expect(
            report.errors
                == "/gone.json: the file cannot be read: No such file or directory\n1 mistake in /gone.json\n"
        )
    }

    @Test func `check prints mistakes as compilers do, or the whole configuration`() {
        let texts = [
            "bad.json": document(top: "\"log\": {\"acces\": true}, \"threads\": 0"),
            "good.json": document(),
        ]
        let files = Environment(
            variable: { _ in nil },
            file: { path throws(Invalid) in Array(texts[path, default: ""].utf8) })
        let bad = Report.check(CheckOptions(config: "bad.json"), files)
        #expect(bad.status == 1 && bad.output.isEmpty)
        #expect(
            bad.errors == """
                bad.json:1:10: log.acces: unknown name; did you mean "access"?
                bad.json:1:37: threads: expected a whole number from 1 to 1024, found 0
                2 mistakes in bad.json

                """)
        let good = Report.check(CheckOptions(config: "good.json"), files)
        #expect(good.status == 0 && good.errors.isEmpty)
        #expect(
            good.output.hasPrefix("{\n  \"listeners\": [\n    {\n")
                && good.output.hasSuffix("\n}\n"))
    }
}
