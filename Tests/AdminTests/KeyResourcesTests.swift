import HTTP
import Idempotency
import JSON
import Telemetry
import Testing

@testable import Admin

@Suite struct KeyResourcesTests {
    private let keys = IdempotencyKeyService(store: InMemoryStore())

    private func send(
        _ method: Method = .post, _ target: String, _ body: String = "",
        token: String? = "Bearer secret", hasToken: Bool = true
    ) async throws -> (answer: RecordedAnswer, json: JSONValue) {
        let access = AdminAccess(isToken: hasToken ? { $0 == Array("secret".utf8) } : nil)
        let log = Log(level: .error, access: false, to: -1, accessTo: -1)
        let operations = KeyOperations(keys, access: access, log: log, making: .forTests) { _ in
            KeyPolicy()
        }
        var fields = Fields()
        if let token { fields.append(.authorization, token) }
        let head = RequestHead(method: method, target: Array(target.utf8)[...], fields: fields)
        let request = Request(
            head: head, body: TextBody(body), downstream: Downstream(peer: "127.0.0.1"))
        let writer = RecordingWriter()
        try await AdminHandler([operations.resource]).respond(to: request, through: writer)
        let answer = try #require(writer.answer)
        return (answer, try JSON.parse(Array(answer.body.utf8)[...]))
    }

    private func unknown(_ name: String = "k") async throws -> IdempotencyKey {
        let claim = try await keys.create(.order(name), policy: KeyPolicy())
        return try await keys.update(
            claim.id, token: try #require(claim.lockToken), recoveryPoint: .unknown,
            policy: KeyPolicy())
    }

    @Test(arguments: [nil, "Bearer", "Bearer ", "Bearer wrong", "Basic secret", "secret"])
    func `who does not show the token gets 401`(_ token: String?) async throws {
        let (answer, problem) = try await send(.get, "/v1/keys", token: token)
        #expect(answer.status == 401)
        #expect(problem["type"]?.string == "urn:oncegate:unauthorized")
        #expect(answer[FieldName("WWW-Authenticate")] == "Bearer realm=\"oncegate\"")
    }

    @Test(arguments: ["Bearer secret", "bearer secret", "BEARER secret"])
    func `the scheme is case-insensitive`(_ token: String) async throws {
        #expect(try await send(.get, "/v1/keys", token: token).answer.status == 200)
    }

    @Test func `without a configured token nobody is let in`() async throws {
        let (answer, problem) = try await send(.get, "/v1/keys", hasToken: false)
        #expect(answer.status == 403)
        #expect(problem["detail"]?.string?.contains("admin.token") == true)
    }

    @Test func `a record is shown by the contract's names, without its token`() async throws {
        let claim = try await keys.create(.order(), policy: KeyPolicy())
        let token = try #require(claim.lockToken)
        let reply = StoredReply(
            responseCode: 201, responseHeaders: Array("Content-Type: text/plain\r\nA: b\r\n".utf8),
            responseBody: Array("done".utf8))
        _ = try await keys.update(claim.id, token: token, reply: reply, policy: KeyPolicy())
        let (answer, record) = try await send(.get, "/v1/keys/\(claim.id)")
        #expect(answer.status == 200)
        #expect(record["id"]?.string == claim.id.description)
        #expect(record["idempotency_key"]?.string == "k")
        #expect(record["request_method"]?.string == "POST")
        #expect(record["request_path"]?.string == "/orders")
        #expect(record["request_params"]?["id"]?.string == "7")
        #expect(record["recovery_point"]?.string == "finished")
        #expect(record["response_code"]?.integer == 201)
        #expect(record["response_body"]?.string == "done")
        #expect(
            record["response_headers"]?.elements?.map { $0.elements?.map(\.string) }
                == [["Content-Type", "text/plain"], ["A", "b"]])
        #expect(record["locked_at"]?.isNull == true)
        #expect(record["attempts"]?.integer == 1)
        #expect(!answer.body.contains(token.hexadecimal))
        #expect(!answer.body.contains("lock_token"))
    }

    @Test(
        arguments: [
            ("{\"a\": [1]}", "{\"a\": [1]}"), ("7", "7"), ("text", "\"text\""),
            ("", "\"\""),
        ])
    func `a body is shown as what it is`(_ body: String, _ shown: String) async throws {
        let claim = try await keys.create(.order(), policy: KeyPolicy())
        let reply = StoredReply(
            responseCode: 200, responseHeaders: [], responseBody: Array(body.utf8))
        _ = try await keys.update(
            claim.id, token: claim.lockToken!, reply: reply, policy: KeyPolicy())
        let answer = try await send(.get, "/v1/keys/\(claim.id)").answer
        #expect(answer.body.contains("\"response_body\":\(shown)"))
    }

    @Test func `bytes that are no text are shown in base64, and taken so`() async throws {
        let key = try await unknown()
        let (answer, record) = try await send(
            .post, "/v1/keys/\(key.id)/complete",
            #"{"response_code": 200, "response_body": {"base64": "/wD+"}}"#)
        #expect(answer.status == 200)
        #expect(record["response_body"]?["base64"]?.string == "/wD+")
        #expect(try await keys.retrieve(key.id)?.reply?.responseBody == [0xFF, 0, 0xFE])
    }

    @Test func `from after a record on they are listed in pages, the oldest first`() async throws {
        var ids: [String] = []
        for index in 0..<5 { ids.append(try await unknown("k\(index)").id.description) }
        _ = try await keys.create(.order("locked"), policy: KeyPolicy())
        let start = "ikey_00000000000000000000000000"
        let first = try await send(.get, "/v1/keys?state=unknown&limit=3&after=\(start)").json
        #expect(first["keys"]?.elements?.map { $0["id"]?.string } == Array(ids.prefix(3)))
        let next = try #require(first["next"]?.string)
        let rest = try await send(.get, "/v1/keys?state=unknown&limit=3&after=\(next)").json
        #expect(rest["keys"]?.elements?.map { $0["id"]?.string } == Array(ids.suffix(2)))
        #expect(rest["next"]?.isNull == true)
    }

    @Test(arguments: [
        "state=lost", "limit=0", "limit=x", "after=x", "before=x", "colour=red", "key=%2",
        "limit=1&limit=2",
        "before=ikey_00000000000000000000000000&after=ikey_00000000000000000000000000",
    ])
    func `a list of something else is refused`(_ query: String) async throws {
        #expect(try await send(.get, "/v1/keys?\(query)").answer.status == 400)
    }

    @Test func `an unknown record is completed with an answer`() async throws {
        let key = try await unknown()
        let (answer, record) = try await send(
            .post, "/v1/keys/\(key.id)/complete",
            """
            {"response_code": 201, "response_headers": [["Location", "/orders/1"]],
             "response_body": {"id": 1.50}}
            """)
        #expect(answer.status == 200)
        #expect(record["recovery_point"]?.string == "finished")
        guard case .replay(let finished)? = try await keys.admit(.order()) else {
            Issue.record("no replay")
            return
        }
        #expect(finished.reply.responseCode == 201)
        #expect(finished.reply.responseBody == Array("{\"id\":1.50}".utf8))
        #expect(
            String(decoding: finished.reply.responseHeaders, as: UTF8.self)
                == "Location: /orders/1\r\nContent-Type: application/json\r\n")
        let again = try await send(
            .post, "/v1/keys/\(key.id)/complete", #"{"response_code": 500}"#)
        #expect(again.answer.status == 409)
    }

    @Test func `an unknown record is released, and the next request executes`() async throws {
        let key = try await unknown()
        #expect(try await send(.post, "/v1/keys/\(key.id)/release").answer.status == 200)
        guard case .proceed? = try await keys.admit(.order()) else {
            Issue.record("no claim")
            return
        }
    }

    @Test func `a live lock is broken by force alone`() async throws {
        let key = try await keys.create(.order(), policy: KeyPolicy())
        let target = "/v1/keys/\(key.id)/release"
        #expect(try await send(.post, target).answer.status == 409)
        #expect(try await send(.post, target, #"{"force": false}"#).answer.status == 409)
        #expect(try await send(.post, target, #"{"force": 1}"#).answer.status == 400)
        #expect(try await send(.post, target, #"{"force": true}"#).answer.status == 200)
        await #expect(throws: ClaimError.lost) {
            _ = try await keys.update(
                key.id, token: key.lockToken!, reply: .nothing, policy: KeyPolicy())
        }
    }

    @Test func `an erased record keeps its verdict alone`() async throws {
        let claim = try await keys.create(.order(), policy: KeyPolicy())
        let reply = StoredReply(
            responseCode: 201, responseHeaders: Array("A: b\r\n".utf8), responseBody: [1])
        _ = try await keys.update(
            claim.id, token: claim.lockToken!, reply: reply, policy: KeyPolicy())
        let (answer, record) = try await send(.post, "/v1/keys/\(claim.id)/erase")
        #expect(answer.status == 200)
        #expect(record["response_code"]?.integer == 201)
        #expect(record["response_headers"]?.elements?.isEmpty == true)
        #expect(record["response_body"]?.isNull == true)
        guard case .replay(let finished)? = try await keys.admit(.order()) else {
            Issue.record("no replay")
            return
        }
        #expect(finished.reply.responseBody == nil)
    }

    @Test(
        arguments: [
            "{", "[]", "{}", #"{"response_code": 99}"#, #"{"response_code": "200"}"#,
            #"{"response_code": 200, "response_headers": {"A": "b"}}"#,
            #"{"response_code": 200, "response_headers": [["A b", "c"]]}"#,
            #"{"response_code": 200, "response_headers": [["A", "c\r\nB: d"]]}"#,
            #"{"response_code": 200, "response_headers": [["content-length", "30"]]}"#,
            #"{"response_code": 200, "response_headers": [["Transfer-Encoding", "chunked"]]}"#,
            #"{"response_code": 200, "response_body": {"base64": "!"}}"#,
        ])
    func `what does not settle a record is refused, and nothing changes`(_ body: String)
        async throws
    {
        let key = try await unknown()
        #expect(try await send(.post, "/v1/keys/\(key.id)/complete", body).answer.status == 400)
        #expect(try await keys.retrieve(key.id)?.revision == key.revision)
    }

    @Test(
        arguments: [
            (Method.get, "/v1/keys/ikey_00000000000000000000000000", 404),
            (.get, "/v1/keys/nonsense", 404), (.post, "/v1/keys/nonsense/release", 404),
            (.post, "/v1/keys/x/explode", 404), (.get, "/v1/keys/x/release", 405),
            (.put, "/v1/keys", 405), (.delete, "/v1/keys/x", 405),
            (.get, "/v1/keys/initialize", 405),
            (.get, "/v1/keys/x/release/y", 404),
        ] as [(Method, String, UInt16)])
    func `what is not there is told`(_ method: Method, _ target: String, _ status: UInt16)
        async throws
    {
        #expect(try await send(method, target).answer.status == status)
    }

    @Test(arguments: 0...70)
    func `base64 gives back what went in`(_ count: Int) {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) }
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }

    @Test(arguments: ["A", "AA", "AAA", "A===", "AA=A", "=AAA", "AAAA=", "A AA"])
    func `base64 that is none is refused`(_ text: String) {
        #expect(Base64.decode(text) == nil)
    }
}

extension KeyRequest {
    fileprivate static func order(_ name: String = "k") -> KeyRequest {
        KeyRequest(
            identity: Identity(scope: [1], idempotencyKey: name), fingerprint: Fingerprint(),
            requestMethod: "POST", requestPath: "/orders", requestParams: #"{"id":"7"}"#,
            route: "orders")
    }
}

extension StoredReply {
    fileprivate static var nothing: StoredReply {
        StoredReply(responseCode: 200, responseHeaders: [], responseBody: [])
    }
}

extension IdempotencyKeyService {
    fileprivate func admit(_ request: KeyRequest) async throws -> Admission? {
        try await initializeRequest(request, policy: KeyPolicy())
    }
}

/// A body of a text.
private final class TextBody: RequestBody {
    private var text: String?

    init(_ text: String) { self.text = text.isEmpty ? nil : text }

    func read() async throws(DownstreamError) -> ArraySlice<UInt8>? {
        defer { text = nil }
        return text.map { Array($0.utf8)[...] }
    }

    var trailers: Fields { Fields() }
}
