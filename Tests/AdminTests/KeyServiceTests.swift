import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Admin

/// The HTTP service: keys of callers that are not behind the gateway.
@Suite struct KeyServiceTests {
    private let site = AdminSite()
    private let cart =
        #"{"request_method": "POST", "request_path": "/carts/7", "idempotency_key": "k"}"#

    /// A record that its caller works on; its id and its token.
    private func create(_ body: String? = nil) async throws -> (id: String, token: String) {
        let made = try await site.send(.post, "/v1/keys", body ?? cart)
        #expect(made.status == 201, "\(made.answer.body)")
        return (try #require(made["id"]?.string), try #require(made["lock_token"]?.string))
    }

    @Test func `create makes a record that is locked by the caller`() async throws {
        let made = try await site.send(
            .post, "/v1/keys",
            """
            {"request_method": "POST", "request_path": "/carts/7", "idempotency_key": "k",
             "request_params": {"id": 7, "list": [1.50, null]}, "scope": "alice", "lease": "2m"}
            """)
        #expect(made.status == 201)
        #expect(made["idempotency_key"]?.string == "k")
        #expect(made["request_method"]?.string == "POST")
        #expect(made["request_path"]?.string == "/carts/7")
        #expect(made.answer.body.contains(#""request_params":{"id":7,"list":[1.50,null]}"#))
        #expect(made["recovery_point"]?.string == "started")
        #expect(made["resumable"]?.bool == true)
        #expect(made["stages"]?.elements?.isEmpty == true)
        #expect(made["pending_stage"]?.isNull == true)
        let id = try #require(KeyID(made["id"]?.string ?? ""))
        let key = try #require(try await site.keys.retrieve(id))
        #expect(key.lockToken?.hexadecimal == made["lock_token"]?.string)
        #expect(key.leaseUntil == site.clock.now + .seconds(120))
        #expect(key.content == nil)
    }

    @Test func `a deeply nested body does not make its record or a list unreadable`() async throws {
        let made = try await create()
        let body = String(repeating: "[", count: 120) + String(repeating: "]", count: 120)
        let done = try await site.send(
            .post, "/v1/keys/\(made.id)/stages",
            "{\"response_code\": 200, \"response_body\": \(body)}", stage: made.token)
        #expect(done["response_body"]?.string == body)
        let list = try await site.send(.get, "/v1/keys")
        #expect(list["keys"]?.elements?.first?["response_body"]?.string == body)
    }

    @Test func `parameters that are nested too deep and fields that are too long are refused`()
        async throws
    {
        let deep = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        let refused = try await site.send(
            .post, "/v1/keys",
            "{\"request_method\": \"POST\", \"request_path\": \"/\", "
                + "\"request_params\": {\"a\": \(deep)}}")
        #expect(refused.status == 400)
        #expect(refused["mistakes"]?.elements?.first?["path"]?.string == "request_params")
        let made = try await create()
        let field = "[\"X\", \"\(String(repeating: "v", count: 65_536))\"]"
        let long = try await site.send(
            .post, "/v1/keys/\(made.id)/stages",
            "{\"response_code\": 200, \"response_headers\": [\(field)]}", stage: made.token)
        #expect(long.status == 400)
        #expect(long["mistakes"]?.elements?.first?["path"]?.string == "response_headers")
    }

    @Test func `a long body stays what it is`() async throws {
        let made = try await create()
        let text = "[" + String(repeating: "1, {\"a\": [2.50]}, ", count: 4000) + "null]"
        let done = try await site.send(
            .post, "/v1/keys/\(made.id)/stages",
            "{\"response_code\": 200, \"response_body\": \(text)}", stage: made.token)
        #expect(done.status == 200)
        let id = try #require(KeyID(made.id))
        let reply = try #require(try await site.keys.retrieve(id)?.reply)
        #expect(reply.responseBody == Array(text.utf8.filter { $0 != 0x20 }))
        #expect(String(decoding: reply.responseHeaders, as: UTF8.self).contains("json"))
    }

    @Test func `a key is generated where none is given`() async throws {
        let body = #"{"request_method": "POST", "request_path": "/", "idempotency_key": null}"#
        let made = try await site.send(.post, "/v1/keys", body)
        #expect(made["idempotency_key"]?.string == "generated-1")
    }

    @Test func `a key that is there is not made again`() async throws {
        let (id, _) = try await create()
        let again = try await site.send(.post, "/v1/keys", cart)
        #expect(again.status == 409)
        #expect(again.problem == "key-exists")
        #expect(again["id"]?.string == id)
    }

    @Test func `scopes tell keys apart, among each other and from the gateway's`() async throws {
        let request = KeyRequest(
            identity: Identity(scope: [], idempotencyKey: "k"), fingerprint: Fingerprint(),
            requestMethod: "POST", requestPath: "/")
        _ = try await site.keys.create(request, policy: KeyPolicy())
        var scopes: Set<String?> = [""]
        for scope in ["", #", "scope": "a""#, #", "scope": "b""#, #", "scope": """#] {
            let body =
                #"{"request_method": "POST", "request_path": "/", "idempotency_key": "k"\#(scope)}"#
            let made = try await site.send(.post, "/v1/keys", body)
            #expect(made.status == 201)
            scopes.insert(made["scope"]?.string)
        }
        #expect(scopes.count == 5)
    }

    @Test func `initialize makes, refuses, takes up and gives the answer`() async throws {
        let made = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(made.status == 201)
        let first = try #require(made["lock_token"]?.string)
        let id = try #require(made["id"]?.string)

        let busy = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(busy.status == 409)
        #expect(busy.problem == "in-flight")
        #expect(busy["id"]?.string == id)
        #expect(busy.answer[.retryAfter] == "30")

        let step = try await site.send(
            .post, "/v1/keys/\(id)/stages", #"{"recovery_point": "taxed"}"#, stage: first)
        #expect(step.status == 200)
        site.clock.advance(by: .seconds(31))
        let resumed = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(resumed.status == 200)
        #expect(resumed["recovery_point"]?.string == "taxed")
        #expect(resumed["attempts"]?.integer == 2)
        let second = try #require(resumed["lock_token"]?.string)
        #expect(second != first)

        let stale = try await site.send(.post, "/v1/keys/\(id)/stages", "{}", stage: first)
        #expect(stale.status == 400)
        let end = #"{"response_code": 201, "response_body": {"order": 1}}"#
        let late = try await site.send(.post, "/v1/keys/\(id)/stages", end, stage: first)
        #expect(late.status == 409)
        #expect(late.problem == "token-stale")
        let done = try await site.send(.post, "/v1/keys/\(id)/stages", end, stage: second)
        #expect(done.status == 200)
        #expect(done["recovery_point"]?.string == "finished")

        let answer = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(answer.status == 200)
        #expect(answer["lock_token"] == nil)
        #expect(answer["response_code"]?.integer == 201)
        #expect(answer["response_body"]?["order"]?.integer == 1)
        #expect(
            answer["stages"]?.elements?.map { $0["recovery_point"]?.string } == ["taxed"])
    }

    @Test(
        arguments: [
            (#""request_params": {"b": 2, "a": 1}"#, "POST", "/carts/7", []),
            (#""request_params": {"a": 1, "b": 3}"#, "POST", "/carts/7", ["request_params"]),
            (#""request_params": {}"#, "POST", "/carts/7", ["request_params"]),
            (#""request_params": {"a": 1, "b": 2}"#, "PUT", "/carts/7", ["request_method"]),
            (#""request_params": {"a":1,"b":2}"#, "POST", "/carts/8", ["request_path"]),
        ])
    func `a key belongs to one request`(
        _ params: String, _ method: String, _ path: String, _ differs: [String]
    ) async throws {
        let rest = #""request_path": "\#(path)", "idempotency_key": "k""#
        let first = #"{"request_method": "POST", "request_params": {"a": 1, "b": 2}, "#
        _ = try await site.send(
            .post, "/v1/keys/initialize",
            first + #""request_path": "/carts/7", "idempotency_key": "k"}"#)
        let second = try await site.send(
            .post, "/v1/keys/initialize",
            #"{"request_method": "\#(method)", \#(params), \#(rest)}"#)
        #expect(second.status == (differs.isEmpty ? 409 : 422))
        #expect(second.problem == (differs.isEmpty ? "in-flight" : "key-reused"))
        #expect(second["differs"]?.elements?.map(\.string) == (differs.isEmpty ? nil : differs))
        #expect(!second.answer.body.contains("PUT"))
    }

    @Test func `an unknown outcome is told, and an expired answer too`() async throws {
        let (id, token) = try await create()
        let unknown = try await site.send(
            .patch, "/v1/keys/\(id)", #"{"recovery_point": "unknown"}"#, stage: token)
        #expect(unknown["recovery_point"]?.string == "unknown")
        let held = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(held.status == 409)
        #expect(held.problem == "outcome-unknown")
        site.clock.advance(by: .seconds(8 * 86_400))
        let expired = try await site.send(.post, "/v1/keys/initialize", cart)
        #expect(expired.status == 410)
        #expect(expired.problem == "key-expired")
        #expect(expired["id"]?.string == id)
    }

    @Test func `lock takes up what nobody works on, under a new token`() async throws {
        let (id, token) = try await create()
        let busy = try await site.send(.post, "/v1/keys/\(id)/lock")
        #expect(busy.status == 409)
        #expect(busy.problem == "in-flight")
        _ = try await site.send(
            .post, "/v1/keys/\(id)/stages", #"{"recovery_point": "taxed"}"#, stage: token)
        site.clock.advance(by: .seconds(31))
        let locked = try await site.send(.post, "/v1/keys/\(id)/lock", #"{"lease": "5s"}"#)
        #expect(locked.status == 200)
        #expect(locked["recovery_point"]?.string == "taxed")
        let next = try #require(locked["lock_token"]?.string)
        #expect(next != token)
        let key = try await site.keys.retrieve(KeyID(id)!)
        #expect(key?.leaseUntil == site.clock.now + .seconds(5))
        let end = #"{"response_code": 204}"#
        _ = try await site.send(.post, "/v1/keys/\(id)/stages", end, stage: next)
        let finished = try await site.send(.post, "/v1/keys/\(id)/lock")
        #expect(finished.status == 409)
        #expect(finished.problem == "key-finished")
    }

    @Test func `update notes a point, an answer, or a sign of life`() async throws {
        let (id, token) = try await create()
        site.clock.advance(by: .seconds(20))
        let alive = try await site.send(.patch, "/v1/keys/\(id)", stage: token)
        #expect(alive.status == 200)
        #expect(alive["lock_token"] == nil)
        #expect(
            try await site.keys.retrieve(KeyID(id)!)?.leaseUntil == site.clock.now + .seconds(30))
        let point = try await site.send(
            .patch, "/v1/keys/\(id)",
            #"{"recovery_point": "taxed", "response_code": 202, "response_body": "x"}"#,
            stage: token)
        #expect(point["recovery_point"]?.string == "taxed")
        #expect(point["response_code"]?.isNull == true)
        #expect(point["stages"]?.elements?.first?["response_code"]?.integer == 202)
        let end = try await site.send(
            .patch, "/v1/keys/\(id)",
            #"{"recovery_point": "finished", "response_code": 201, "retention": "1h"}"#,
            stage: token)
        #expect(end["recovery_point"]?.string == "finished")
        #expect(
            try await site.keys.retrieve(KeyID(id)!)?.expiresAt == site.clock.now + .seconds(3600))
        let more = try await site.send(.patch, "/v1/keys/\(id)", stage: token)
        #expect(more.status == 409)
        #expect(more.problem == "key-finished")
    }

    @Test func `a stage that was told twice is recorded once`() async throws {
        let (id, token) = try await create()
        for _ in 0..<2 {
            let step = try await site.send(
                .post, "/v1/keys/\(id)/stages",
                #"{"recovery_point": "taxed", "response_code": 200}"#, stage: token)
            #expect(step.status == 200)
            #expect(step["stages"]?.elements?.count == 1)
        }
    }

    @Test(
        arguments: [
            ("[]", nil), ("7", nil), ("{", nil), (#"{"a": 1, "a": 2}"#, nil),
            ("{}", ["request_method", "request_path"]),
            (#"{"request_method": 7, "request_path": "x"}"#, ["request_method", "request_path"]),
            (
                #"{"request_method": "P ST", "request_path": "/a?b"}"#,
                ["request_method", "request_path"]
            ),
            (
                #"{"request_methd": "POST", "request_path": "/ä"}"#,
                ["request_method", "request_path", "request_methd"]
            ),
            (
                #"{"request_method": "POST", "request_path": "/", "request_params": [], "lease": 30}"#,
                ["request_params", "lease"]
            ),
            (
                #"{"request_method": "POST", "request_path": "/", "lease": "25h", "scope": 1}"#,
                ["scope", "lease"]
            ),
            (
                #"{"request_method": "POST", "request_path": "/", "idempotency_key": "a b"}"#,
                ["idempotency_key"]
            ),
            (
                #"{"request_method": "POST", "request_path": "/", "retention": "1h"}"#,
                ["retention"]
            ),
        ] as [(String, [String]?)])
    func `every mistake is named with its place`(_ body: String, _ places: [String]?) async throws {
        for target in ["/v1/keys", "/v1/keys/initialize"] {
            let refused = try await site.send(.post, target, body)
            #expect(refused.status == 400)
            #expect(refused.problem == "bad-request")
            let mistakes = refused["mistakes"]?.elements
            #expect(mistakes?.map { $0["path"]?.string ?? "" } == places)
            for place in places ?? [] {
                #expect(refused["detail"]?.string?.contains("\(place): ") == true)
            }
        }
        #expect(try await site.keys.list(KeyQuery()).keys.isEmpty)
    }

    @Test(
        arguments: [
            (#"{"recovery_point": "started"}"#, ["recovery_point"]),
            (#"{"recovery_point": 7}"#, ["recovery_point"]),
            (#"{"recovery_point": "a b"}"#, ["recovery_point"]),
            (#"{"recovery_point": "finished"}"#, ["response_code"]),
            (#"{"recovery_point": "x", "response_body": 1}"#, ["response_code"]),
            (#"{"recovery_point": "x", "response_code": 100}"#, ["response_code"]),
            (
                #"{"recovery_point": "x", "response_code": 200, "response_headers": [["A"], ["TE", "b"]]}"#,
                ["response_headers[0]", "response_headers[1][0]"]
            ),
            (
                #"{"recovery_point": "x", "response_code": 200, "response_headers": [["Idempotency-Stage-Token", "b"]]}"#,
                ["response_headers[0][0]"]
            ),
            (
                #"{"recovery_point": "x", "response_code": 200, "response_body": {"base64": "?"}}"#,
                ["response_body.base64"]
            ),
            (#"{"recovery_point": "x", "force": true}"#, ["force"]),
        ])
    func `a step that makes no sense changes nothing`(_ body: String, _ places: [String])
        async throws
    {
        let (id, token) = try await create()
        let revision = try await site.keys.retrieve(KeyID(id)!)?.revision
        for (method, target) in [(Method.patch, ""), (.post, "/stages")] {
            let refused = try await site.send(method, "/v1/keys/\(id)" + target, body, stage: token)
            #expect(refused.status == 400)
            #expect(refused["mistakes"]?.elements?.map { $0["path"]?.string ?? "" } == places)
        }
        #expect(try await site.keys.retrieve(KeyID(id)!)?.revision == revision)
    }

    @Test func `an answer without a point ends a stage and not an update`() async throws {
        let (id, token) = try await create()
        let body = #"{"response_code": 200}"#
        let update = try await site.send(.patch, "/v1/keys/\(id)", body, stage: token)
        #expect(update.status == 400)
        #expect(update["mistakes"]?.elements?.first?["path"]?.string == "recovery_point")
        let unknown = try await site.send(
            .post, "/v1/keys/\(id)/stages", #"{"recovery_point": "unknown"}"#, stage: token)
        #expect(unknown.status == 400)
        let stage = try await site.send(.post, "/v1/keys/\(id)/stages", body, stage: token)
        #expect(stage["recovery_point"]?.string == "finished")
    }

    @Test(
        arguments: [
            (nil, "Send Idempotency-Stage-Token"), ("", "32 hexadecimal digits"),
            ("0123", "32 hexadecimal digits"), ("g0000000000000000000000000000000", "32 hex"),
        ])
    func `without a token that is one, no step is made`(_ token: String?, _ detail: String)
        async throws
    {
        let (id, _) = try await create()
        for (method, target) in [(Method.patch, ""), (.post, "/stages")] {
            let refused = try await site.send(method, "/v1/keys/\(id)" + target, stage: token)
            #expect(refused.status == 400)
            #expect(refused["detail"]?.string?.contains(detail) == true)
        }
    }

    @Test(
        arguments: [
            "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "",
        ])
    func `a body of another media type is refused`(_ type: String) async throws {
        let refused = try await site.send(.post, "/v1/keys", cart, fields: ["Content-Type": type])
        #expect(refused.status == 415)
        #expect(refused.problem == "unsupported-media-type")
    }

    @Test(arguments: ["application/json", "Application/JSON; charset=utf-8", "application/a+json"])
    func `a body of JSON is taken`(_ type: String) async throws {
        let made = try await site.send(.post, "/v1/keys", cart, fields: ["Content-Type": type])
        #expect(made.status == 201)
    }

    @Test func `records are listed by what is asked for, the newest first`() async throws {
        var ids: [String] = []
        for index in 0..<4 {
            let body =
                #"{"request_method": "POST", "request_path": "/", "idempotency_key": "k +\#(index % 2)"}"#
                .replacing("k +", with: "k+")
            let made = try await site.send(
                .post, "/v1/keys", body.dropLast() + #", "scope": "\#(index)"}"#)
            ids.append(try #require(made["id"]?.string))
        }
        func listed(_ query: String) async throws -> [String?] {
            let page = try await site.send(.get, "/v1/keys" + query)
            #expect(!page.answer.body.contains("lock_token"))
            return page["keys"]?.elements?.map { $0["id"]?.string } ?? []
        }
        #expect(try await listed("") == ids.reversed())
        #expect(try await listed("?limit=2") == Array(ids.reversed().prefix(2)))
        #expect(try await listed("?before=\(ids[2])") == [ids[1], ids[0]])
        #expect(try await listed("?after=\(ids[1])") == [ids[2], ids[3]])
        #expect(try await listed("?key=k%2B1") == [ids[3], ids[1]])
        #expect(try await listed("?key=k+0&state=locked") == [ids[2], ids[0]])
        #expect(try await listed("?state=finished") == [])
        #expect(try await listed("?route=") == ids.reversed())
        #expect(try await listed("?route=orders") == [])
    }

    @Test func `a store that fails is told`() async throws {
        site.store.breakDown()
        for target in ["/v1/keys", "/v1/keys/initialize"] {
            let failed = try await site.send(.post, target, cart)
            #expect(failed.status == 503)
            #expect(failed.problem == "store-unavailable")
        }
    }
}
