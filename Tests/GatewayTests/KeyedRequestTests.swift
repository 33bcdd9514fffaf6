import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// What a keyed request gets, state by state: section 2 of the contract, items 2 to 5 and 7.
@Loop @Suite struct KeyedRequestTests {
    @Test func `a first request is forwarded once and says that it was executed`() async throws {
        let bench = try Bench(.init(.init(201, ["X-Order": "7"], body: "made")), keys: .plain)
        let answer = try await bench.send(.order())
        #expect(answer.status == 201)
        #expect(answer.text == "made")
        #expect(answer.wasWhole)
        #expect(answer.field("X-Order") == "7")
        #expect(answer.field("Idempotency-Key") == "k-1")
        #expect(answer.field("Idempotency-Status") == "executed")
        #expect(answer.field("Idempotency-Expires") == "Sat, 16 Jan 2027 08:00:00 GMT")
        #expect(answer.field("Idempotent-Replayed") == nil)
        #expect(bench.upstream.received.count == 1)
        #expect(bench.upstream.received[0].body == Array(#"{"n":1}"#.utf8))
        #expect(!bench.upstream.received[0].request.fields.contains(.idempotencyKey))
        #expect(!bench.upstream.received[0].wasCancelled)
    }

    @Test func `a retry gets the same answer and executes nothing`() async throws {
        let fields: Fields = [
            "X-B": "2", "X-A": "1", "X-B": "3", "Date": "Mon, 01 Jan 2024 00:00:00 GMT",
            "Set-Cookie": "s=1", "Age": "3", "Retry-After": "9", "Server-Timing": "x",
            "Connection": "x-hop", "X-Hop": "1",
        ]
        let bench = try Bench(.init(.init(201, fields, body: "made")), keys: .plain)
        let first = try await bench.send(.order())
        let retry = try await bench.send(.order(#" { "n" : 1 } "#))
        #expect(bench.upstream.received.count == 1)
        #expect(retry.status == 201)
        #expect(retry.text == "made")
        #expect(first.field("Set-Cookie") == "s=1")
        #expect(
            retry.head?.fields.pairs.map { "\($0.name): \($0.value)" } == [
                "X-B: 2", "X-A: 1", "X-B: 3", "Date: Mon, 01 Jan 2024 00:00:00 GMT",
                "Via: 1.1 oncegate", "Idempotency-Key: k-1", "Idempotency-Status: replayed",
                "Idempotency-Expires: Sat, 16 Jan 2027 08:00:00 GMT", "Idempotent-Replayed: true",
            ])
    }

    @Test func `raw and quoted keys are the same, and case counts`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        try await bench.send(.order(key: "abc"))
        #expect(
            try await bench.keyStatus(of: .order(key: #""abc""#)) == "replayed")
        #expect(
            try await bench.keyStatus(of: .order(key: "ABC")) == "executed")
    }

    @Test(arguments: [
        ("", "empty"), ("a b", "visible"), (#""a"#, "closing"), (#""a";p"#, "follows"),
    ])
    func `an invalid key is refused before anything else`(_ key: String, _ reason: String)
        async throws
    {
        let bench = try Bench(.init(), keys: .plain)
        let answer = try await bench.send(.order(key: key))
        answer.expectProblem("key-invalid", 400, executed: "no")
        #expect(answer.text.contains(reason))
        #expect(answer.field("Cache-Control") == "no-store")
        #expect(bench.upstream.received.isEmpty)
    }

    @Test func `without a key one is made and told`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        let answer = try await bench.send(.order(key: nil))
        let key = try #require(answer.field("Idempotency-Key"))
        #expect(key.utf8.count == 36)
        #expect(answer.field("Idempotency-Status") == "executed")
        let retry = try await bench.send(.order(key: key))
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `without a key that is required nothing is forwarded`() async throws {
        let bench = try Bench(.init(), keys: .with { $0.absentKey = .required })
        try await bench.send(.order(key: nil)).expectProblem("key-missing", 400, executed: "no")
        #expect(bench.upstream.received.isEmpty)
    }

    @Test func `without a key a route may just forward`() async throws {
        let bench = try Bench(.init(), keys: .with { $0.absentKey = .pass })
        for _ in 0..<2 {
            let answer = try await bench.send(.order(key: nil))
            #expect(answer.status == 200)
            #expect(answer.field("Idempotency-Status") == nil)
        }
        #expect(bench.upstream.received.count == 2)
    }

    @Test func `methods that are not guarded pass, and the key stays here`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        for _ in 0..<2 {
            let answer = try await bench.send(.order("", method: .get))
            #expect(answer.field("Idempotency-Status") == nil)
        }
        #expect(bench.upstream.received.count == 2)
        #expect(!bench.upstream.received[0].request.fields.contains(.idempotencyKey))
    }

    @Test func `another field may carry the key, and another name may take it on`() async throws {
        let bench = try Bench(
            .init(),
            keys: .with {
                $0.header = FieldName("X-Request-Key")
                $0.forwardedName = FieldName("X-Upstream-Key")
            })
        let fields: Fields = ["X-Request-Key": #""q""#, "X-Upstream-Key": "forged"]
        let answer = try await bench.send(.order(key: nil, fields: fields))
        #expect(answer.field("Idempotency-Key") == "q")
        let forwarded = bench.upstream.received[0].request.fields
        #expect(forwarded.text(FieldName("X-Upstream-Key")) == "q")
        #expect(forwarded.count(of: FieldName("X-Upstream-Key")) == 1)
        #expect(!forwarded.contains(FieldName("X-Request-Key")))
    }

    @Test func `callers do not meet in one key, unless they share their keys`() async throws {
        let alice = Request.order(fields: ["Authorization": "alice"])
        let bob = Request.order(fields: ["Authorization": "bob"])
        let apart = try Bench(.init(), keys: .plain)
        try await apart.send(alice)
        #expect(try await apart.keyStatus(of: bob) == "executed")
        let together = try Bench(.init(), keys: KeyRules(scope: .shared))
        try await together.send(.order(fields: ["Authorization": "alice"]))
        let answer = try await together.send(.order(fields: ["Authorization": "bob"]))
        #expect(answer.field("Idempotency-Status") == "replayed")
    }

    @Test(
        arguments: [
            (#"{"n":2}"#, .post, "/orders", #"["body"]"#),
            (#"{"n":1}"#, .put, "/orders", #"["method"]"#),
            (#"{"n":1}"#, .post, "/orders?x", #"["query"]"#),
            (#"{"n":2}"#, .post, "/other", #"["path","body"]"#),
        ] as [(String, HTTP.Method, String, String)])
    func `a key for another request is refused, and says where they differ`(
        _ body: String, _ method: HTTP.Method, _ target: String, _ differs: String
    ) async throws {
        let bench = try Bench(.init(), keys: .plain)
        try await bench.send(.order())
        let answer = try await bench.send(.order(body, method: method, target: target))
        answer.expectProblem("key-reused", 422, executed: "no")
        #expect(answer.text.contains("\"differs\":\(differs)"))
        #expect(answer.text.contains(#""recovery_point":"finished""#))
        #expect(answer.text.contains(#""idempotency_key":"k-1""#))
        #expect(answer.field("Idempotency-Key") == "k-1")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an expired answer is gone, and so is the key until its tombstone is`() async throws
    {
        let bench = try Bench(.init(), keys: .plain)
        try await bench.send(.order())
        bench.clock.advance(by: .seconds(24 * 3600))
        try await bench.send(.order()).expectProblem("key-expired", 410, executed: "unknown")
        bench.clock.advance(by: .seconds(7 * 24 * 3600))
        #expect(try await bench.keyStatus(of: .order()) == "executed")
        #expect(bench.upstream.received.count == 2)
    }

    @Test func `an HTTP 1.0 client is served too`() async throws {
        let bench = try Bench(.init(.init(200, body: "x")), keys: .plain)
        let answer = try await bench.send(.order(version: .http10))
        #expect(answer.text == "x")
        #expect(bench.upstream.received[0].request.fields.text(.via) == "1.0 oncegate")
    }

    @Test func `scripts of other origins may read the lines about the key`() async throws {
        let fields: Fields = [
            "Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-A",
        ]
        let bench = try Bench(.init(.init(200, fields, body: "x")), keys: .plain)
        for _ in 0..<2 {
            let answer = try await bench.send(.order())
            let exposed = answer.head?.fields.pairs.filter {
                $0.name == "Access-Control-Expose-Headers"
            }.map(\.value)
            #expect(
                exposed == [
                    "X-A",
                    "Idempotency-Key, Idempotency-Status, Idempotency-Expires, Idempotent-Replayed",
                ])
        }
    }

    @Test func `an upstream cannot forge the lines about the key`() async throws {
        let fields: Fields = [
            "Idempotency-Key": "x", "Idempotency-Status": "released", "Idempotent-Replayed": "true",
            "Idempotency-Expires": "never",
        ]
        let bench = try Bench(.init(.init(200, fields)), keys: .plain)
        let answer = try await bench.send(.order())
        #expect(answer.head?.fields.count(of: .idempotencyKey) == 1)
        #expect(answer.field("Idempotency-Status") == "executed")
        #expect(answer.field("Idempotent-Replayed") == nil)
    }

    @Test(arguments: [204, 304] as [UInt16])
    func `an answer without a body is replayed without one`(_ status: UInt16) async throws {
        var script = ScriptedUpstream.Script(status)
        script.head.framing = .none
        let bench = try Bench(.init(script), keys: .plain)
        for _ in 0..<2 {
            let answer = try await bench.send(.order())
            #expect(answer.status == status)
            #expect(answer.isComplete)
            #expect(answer.head?.framing == BodyFraming.none)
        }
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an answer to HEAD keeps its length when it is replayed`() async throws {
        var script = ScriptedUpstream.Script(200, ["Content-Length": "42"])
        script.head.framing = .none
        let bench = try Bench(.init(script), keys: .with { $0.methods = MethodSet([.head]) })
        for _ in 0..<2 {
            let answer = try await bench.send(.order("", method: .head))
            #expect(answer.field("Content-Length") == "42")
            #expect(answer.head?.framing == BodyFraming.none)
        }
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `a length that was recorded promises no bytes that are not there`() async throws {
        let bench = try Bench(.init(.init(500)), keys: .plain)
        try await bench.send(.order())
        let scope = IdentityReader().scope(.fields([.authorization]), of: Fields())
        let identity = Identity(scope: scope, idempotencyKey: "k-1")
        let id = try #require(try await bench.store.find(identity).key?.id)
        let reply = StoredReply(
            responseCode: 200, responseHeaders: Array("Content-Length: 30\r\n".utf8),
            responseBody: [])
        _ = try await bench.keys.complete(id, with: reply, policy: KeyPolicy())
        #expect(try await bench.send(.order()).head?.framing == .length(0))
    }

    @Test func `a body is taken whole, however it comes`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        var head = Request.order().head
        head.framing = .chunked
        let request = Request(
            head: head, body: ScriptedBody([#"{"#, #""n""#, ":1}"]),
            downstream: Downstream(peer: "unix"))
        try await bench.send(request)
        #expect(bench.upstream.received[0].body == Array(#"{"n":1}"#.utf8))
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
    }

    @Test func `a request without a body is forwarded without one`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        try await bench.send(.order(""))
        guard case .none = bench.upstream.received[0].request.body else {
            Issue.record("there is a body")
            return
        }
    }

    @Test func `a body beyond the limit is refused, by its length or when it outgrows it`()
        async throws
    {
        let bench = try Bench(.init(), keys: .plain, bodyLimit: 4)
        let known = ScriptedBody(["12345"])
        var head = Request.order("12345").head
        let downstream = Downstream(peer: "unix")
        try await bench.send(Request(head: head, body: known, downstream: downstream))
            .expectProblem("body-too-large", 413, executed: "no")
        #expect(known.reads == 0)
        head.framing = .chunked
        let endless = ScriptedBody(["123", "45", "never"])
        try await bench.send(Request(head: head, body: endless, downstream: downstream))
            .expectProblem("body-too-large", 413, executed: "no")
        #expect(endless.reads == 2)
        #expect(bench.upstream.received.isEmpty)
    }

    @Test(
        arguments: [
            (DownstreamError.bodyTimeout, 408), (.malformed("chunk size"), 400),
        ] as [(DownstreamError, UInt16)])
    func `a body that breaks claims nothing`(_ error: DownstreamError, _ status: UInt16)
        async throws
    {
        let bench = try Bench(.init(), keys: .plain)
        let broken = Request(
            head: Request.order().head, body: ScriptedBody(["{"], failure: error),
            downstream: Downstream(peer: "unix"))
        try await bench.send(broken).expectProblem("bad-request", status, executed: "no")
        #expect(bench.upstream.received.isEmpty)
        #expect(try await bench.keyStatus(of: .order()) == "executed")
    }

    @Test func `a client that goes away while it sends claims nothing`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        let broken = Request(
            head: Request.order().head, body: ScriptedBody(["{"], failure: .closed),
            downstream: Downstream(peer: "unix"))
        await #expect(throws: DownstreamError.closed) { _ = try await bench.send(broken) }
        #expect(bench.upstream.received.isEmpty)
    }

    @Test func `other paths have no route`() async throws {
        let bench = try Bench(.init(), keys: .plain, path: "/orders")
        try await bench.send(.order(target: "/x")).expectProblem("no-route", 404, executed: "no")
        try await bench.send(.order(target: "/%")).expectProblem("bad-request", 400, executed: "no")
    }
}
