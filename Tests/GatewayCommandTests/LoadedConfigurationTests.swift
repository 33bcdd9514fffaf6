import Admin
import Crypto
import Glibc
import Testing

@testable import GatewayCommand

/// The least that runs, with more upstreams, routes and members.
private func document(
    _ top: [String] = [], upstreams: [String] = [], routes: [String] = []
) -> String {
    let upstreams = [#""api": {"url": "http://127.0.0.1:9000"}"#] + upstreams
    let members =
        top + [
            #""upstreams": {\#(upstreams.joined(separator: ", "))}"#,
            #""routes": [\#((routes + [#"{"path": "/**", "upstream": "api"}"#]).joined(separator: ", "))]"#,
        ]
    return "{\(members.joined(separator: ", "))}"
}

private func load(_ text: String, _ environment: Environment = environment) throws
    -> LoadedConfiguration
{
    let result = Configuration.read(Array(text.utf8), environment)
    return try #require(LoadedConfiguration(result), "\(result.mistakes)")
}

private func changes(_ old: String, _ new: String) throws -> [String] {
    try load(new).changes(since: try load(old)).map { change in
        "\(change.kind.rawValue) \(change.path)" + (change.needsRestart ? " (restart)" : "")
    }
}

@Suite struct LoadedConfigurationTests {
    private static let orders = #"{"name": "orders", "path": "/orders", "upstream": "api"}"#
    private static let carts = #"{"name": "carts", "path": "/carts", "upstream": "api"}"#

    @Test func `equal configurations have no differences, however they are written`() throws {
        #expect(try changes(document(), document([#""threads": "auto""#])) == [])
        #expect(
            try changes(document(), document([#""timeouts": {"keep_alive": "75s"}"#])) == [])
    }

    @Test func `upstreams and routes go by their names`() throws {
        let old = document(
            upstreams: [#""old": {"url": "http://127.0.0.1:1"}"#], routes: [Self.orders])
        let new = document(
            upstreams: [#""new": {"url": "http://127.0.0.1:1"}"#],
            routes: [Self.carts, #"{"name": "orders", "path": "/o", "upstream": "api"}"#])
        #expect(
            try changes(old, new) == [
                "removed upstreams.old", "added upstreams.new", "added routes.carts",
                "changed routes.orders.path",
            ])
    }

    @Test func `the order of routes counts`() throws {
        #expect(
            try changes(
                document(routes: [Self.orders, Self.carts]),
                document(routes: [Self.carts, Self.orders])) == ["changed routes"])
    }

    @Test func `a list of another length is one difference`() throws {
        #expect(
            try changes(
                document([#""trusted_proxies": ["10.0.0.1"]"#]),
                document([#""trusted_proxies": ["10.0.0.1", "10.0.0.2"]"#]))
                == ["changed trusted_proxies"])
        #expect(
            try changes(
                document([#""trusted_proxies": ["10.0.0.1"]"#]),
                document([#""trusted_proxies": ["10.0.0.2"]"#])) == ["changed trusted_proxies[0]"])
    }

    @Test(arguments: [
        (#""listeners": [{"address": "127.0.0.1:1"}]"#, "listeners[0].address"),
        (#""listeners": [{"address": "127.0.0.1:1"}, {"address": "127.0.0.1:2"}]"#, "listeners"),
        (#""admin": null"#, "admin"),
        (#""admin": {"address": "127.0.0.1:1"}"#, "admin.address"),
        (#""threads": 3"#, "threads"), (#""store": {"cache": "1MiB"}"#, "store.cache"),
        (#""store": {"encryption_key": "\#(String(repeating: "a", count: 64))"}"#, ""),
        (#""spool": {"limit": "1MiB"}"#, "spool.limit"),
    ]) func `what is opened at start needs a restart`(member: String, path: String) throws {
        let found = try changes(document(), document([member]))
        let path = path.isEmpty ? "store.encryption_key" : path
        #expect(found == ["changed \(path) (restart)"])
    }

    @Test(arguments: [
        #""log": {"level": "debug"}"#, #""limits": {"connections": 1}"#,
        #""timeouts": {"drain": "1s"}"#, #""trusted_proxies": ["10.0.0.1"]"#,
    ]) func `all else does not`(member: String) throws {
        let found = try load(document([member])).changes(since: load(document()))
        #expect(found.count == 1 && !found[0].needsRestart, "\(found)")
    }

    @Test func `a secret's change is noticed, and neither value is told`() throws {
        func with(_ token: String) -> Environment {
            Environment(
                variable: { _ in token },
                file: { _ throws(Invalid) in throw Invalid("there is none") })
        }
        let text = document([#""admin": {"token": "${TOKEN}"}"#])
        let (old, new) = (try load(text, with("old")), try load(text, with("new")))
        #expect(new.changes(since: old).map(\.path) == ["admin.token"])
        #expect(new.changes(since: old).map(\.needsRestart) == [false])
        #expect(old.hash == new.hash)
        let url = document(upstreams: [#""b": {"url": "${URL}"}"#])
        #expect(
            try load(url, with("http://127.0.0.1:2")).changes(
                since: load(url, with("http://127.0.0.1:1"))
            ).map(\.path) == ["upstreams.b.url"])
    }

    @Test func `a secret's change in a rule of fields is noticed, and neither value is told`()
        throws
    {
        func with(_ secret: String) -> Environment {
            Environment(
                variable: { _ in secret },
                file: { _ throws(Invalid) in throw Invalid("there is none") })
        }
        let text = document(routes: [
            #"""
            {"name": "r", "path": "/r", "upstream": "api",
             "request_fields": {"set": {"X-Key": "key ${KEY}"}, "add": {"X-All": ["a", "${KEY}"]}}}
            """#
        ])
        let (old, new) = (try load(text, with("secret-1")), try load(text, with("secret-2")))
        #expect(
            new.changes(since: old).map(\.path) == [
                "routes.r.request_fields.set.X-Key", "routes.r.request_fields.add.X-All[1]",
            ])
        #expect(old.hash == new.hash)
        #expect(try load(text, with("secret-2")).changes(since: new) == [])
    }

    @Test func `another content of a file that is named is a difference`() throws {
        var template = Array("/tmp/oncegate-test.XXXXXX".utf8CString)
        let descriptor = mkstemp(&template)
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(path)
        }
        let text = document(
            upstreams: [#""tls": {"url": "https://127.0.0.1", "tls": {"ca": "\#(path)"}}"#])
        let environment = Environment(
            variable: { _ in nil }, file: { _ throws(Invalid) in Array("PEM".utf8) })
        let old = try load(text, environment)
        #expect(try load(text, environment).changes(since: old) == [])
        #expect(write(descriptor, "other", 5) == 5)
        let new = try load(text, environment)
        #expect(new.changes(since: old).map(\.path) == ["upstreams.tls.tls.ca"])
        #expect(new.files(ofUpstream: "tls") != old.files(ofUpstream: "tls"))
        #expect(new.files(ofUpstream: "api") == old.files(ofUpstream: "api"))
        unlink(path)
        #expect(
            try load(text, environment).changes(since: new).map(\.path) == ["upstreams.tls.tls.ca"])
    }

    @Test func `a pipe is read, and one that nobody writes to is not waited for without end`()
        throws
    {
        var template = Array("/tmp/oncegate-test.XXXXXX".utf8CString)
        let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
        let path = directory + "/pipe"
        defer {
            unlink(path)
            rmdir(directory)
        }
        #expect(mkfifo(path, 0o600) == 0)
        #expect(throws: Invalid.self) {
            try Environment.contents(of: path, limit: 1 << 20, patience: 20)
        }
        // Held open for reading, so that writing does not wait for a reader.
        let pipe = open(path, O_RDWR | O_CLOEXEC)
        #expect(write(pipe, "ab", 2) == 2)
        let other = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        defer { close(other) }
        close(pipe)
        #expect(try Environment.contents(of: path, limit: 1 << 20) == Array("ab".utf8))
    }

    @Test func `the hash is that of what check prints`() throws {
        let result = Configuration.read(Array(document().utf8), environment)
        let printed = try #require(result.effective)
        let digest = SHA256Hasher().digest(printed[...]).bytes.prefix(8)
        let text = digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
        #expect(try load(document()).hash == text)
        #expect(try load(document([#""threads": 2"#])).hash != text)
    }
}

@Suite struct SystemdTests {
    private func environment(_ variables: [String: String]) -> Environment {
        Environment(
            variable: { variables[$0] },
            file: { _ throws(Invalid) in throw Invalid("there is none") })
    }

    @Test(arguments: [
        ["LISTEN_FDS": "1"], ["LISTEN_FDS": "1", "LISTEN_PID": "8"], ["LISTEN_PID": "7"],
        ["LISTEN_FDS": "0", "LISTEN_PID": "7"],
    ]) func `sockets of nobody, or of another process, are none`(variables: [String: String])
        throws
    {
        let result = Configuration.read(Array(document().utf8), GatewayCommandTests.environment)
        let sockets = try InheritedSockets(environment(variables), process: 7)
        try sockets.expectNone(of: try #require(result.configuration))
    }

    @Test(arguments: ["x", "-1", "66", "99999999999"])
    func `a number of sockets that cannot be is refused`(count: String) {
        let error = #expect(throws: StartError.self) {
            _ = try InheritedSockets(
                environment(["LISTEN_FDS": count, "LISTEN_PID": "7"]), process: 7)
        }
        #expect(error?.description.contains("LISTEN_FDS: expected a number") == true)
    }

    @Test(
        arguments: [
            (["NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000"], 3),
            (["NOTIFY_SOCKET": "@n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "7"], 3),
            (["NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "8"], nil),
            (["WATCHDOG_USEC": "3000000"], nil), (["NOTIFY_SOCKET": "/n"], nil),
            (["NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "0"], nil),
            (["NOTIFY_SOCKET": "/n", "WATCHDOG_USEC": "soon"], nil),
            (["NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "3000000"], nil),
            (["NOTIFY_SOCKET": "vsock:2:1", "WATCHDOG_USEC": "3000000"], nil),
        ] as [([String: String], Int?)])
    func `a sign of life is due where somebody waits for ours`(
        variables: [String: String], seconds: Int?
    ) {
        let manager = Supervisor(environment(variables), process: 7)
        #expect(manager.watchdog == seconds.map { .seconds($0) })
    }

    @Test func `a socket's path that is too long, or a manager that is gone, does no harm`() {
        for path in ["/" + String(repeating: "x", count: 200), "/nowhere/at/all", "@", "@gone"] {
            Supervisor(environment(["NOTIFY_SOCKET": path])).ready("serving")
        }
    }
}
