import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Admin

/// The description and the resources, held against each other.
@Suite struct OpenAPITests {
    /// A call of the description.
    struct Operation: CustomStringConvertible {
        let method: HTTP.Method
        let path: String
        let value: JSONValue
        var description: String { "\(method.token) \(path)" }
    }

    private static let document: JSONValue =
        (try? JSON.parse(Array(openAPIDocument.utf8)[...])) ?? JSONValue(.null)
    private static let checker = SchemaChecker(document: document)

    private static var operations: [Operation] {
        (document["paths"]?.members ?? []).flatMap { path in
            (path.value.members ?? []).filter { $0.name != "parameters" }.map {
                Operation(
                    method: HTTP.Method($0.name.uppercased()), path: path.name, value: $0.value)
            }
        }
    }

    /// What a call meets.
    enum Given {
        case nothing, locked, lapsed, finished, unknown, expired, otherRequest, brokenStore
        /// For reloads.
        case badFile, draining
    }

    /// A call that is answered with a status.
    struct Scenario {
        let call: String
        let status: UInt16
        var given = Given.locked
        var body = ""
    }

    private static let newKey =
        #"{"request_method": "POST", "request_path": "/", "request_params": {"a": 1}, "idempotency_key": "k", "scope": "s", "lease": "30s"}"#
    private static let answer =
        #"{"response_code": 201, "response_headers": [["Location", "/1"]], "response_body": {"n": 1}, "retention": "1h"}"#

    /// What the statuses take that are peculiar to a call.
    private static let scenarios: [Scenario] = [
        Scenario(call: "GET /healthz", status: 200),
        Scenario(call: "GET /readyz", status: 200),
        Scenario(call: "GET /metrics", status: 200),
        Scenario(call: "GET /openapi.json", status: 200),
        Scenario(call: "GET /v1/keys", status: 200, given: .finished),
        Scenario(call: "POST /v1/keys", status: 201, given: .nothing, body: newKey),
        Scenario(call: "POST /v1/keys", status: 409, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 201, given: .nothing, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 200, given: .finished, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 200, given: .lapsed, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 409, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 409, given: .unknown, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 410, given: .expired, body: newKey),
        Scenario(call: "POST /v1/keys/initialize", status: 422, given: .otherRequest, body: newKey),
        Scenario(call: "GET /v1/keys/{id}", status: 200, given: .finished),
        Scenario(call: "GET /v1/keys/{id}", status: 200, given: .expired),
        Scenario(
            call: "PATCH /v1/keys/{id}", status: 200,
            body: #"{"recovery_point": "a", "response_code": 200, "lease": "1m"}"#),
        Scenario(call: "PATCH /v1/keys/{id}", status: 409, given: .lapsed),
        Scenario(call: "PATCH /v1/keys/{id}", status: 409, given: .finished),
        Scenario(call: "POST /v1/keys/{id}/lock", status: 200, given: .lapsed, body: "{}"),
        Scenario(call: "POST /v1/keys/{id}/lock", status: 409),
        Scenario(call: "POST /v1/keys/{id}/stages", status: 200, body: answer),
        Scenario(call: "POST /v1/keys/{id}/stages", status: 409, given: .lapsed, body: answer),
        Scenario(call: "POST /v1/keys/{id}/release", status: 200, body: #"{"force": true}"#),
        Scenario(call: "POST /v1/keys/{id}/release", status: 409),
        Scenario(call: "POST /v1/keys/{id}/complete", status: 200, given: .unknown, body: answer),
        Scenario(call: "POST /v1/keys/{id}/complete", status: 409, body: answer),
        Scenario(call: "POST /v1/keys/{id}/erase", status: 200, given: .finished, body: "{}"),
        Scenario(call: "POST /v1/keys/{id}/erase", status: 409),
        Scenario(call: "POST /v1/backup", status: 201, body: #"{"path": "/new"}"#),
        Scenario(call: "POST /v1/backup", status: 503, body: #"{"path": "/full"}"#),
        Scenario(call: "POST /v1/reload", status: 200),
        Scenario(call: "POST /v1/reload", status: 409, given: .draining),
        Scenario(call: "POST /v1/reload", status: 422, given: .badFile),
    ]

    /// A record in a state, and the token under which it was worked on.
    private func prepare(_ site: AdminSite, _ given: Given) async throws -> (
        id: String, token: String
    ) {
        let none = (KeyID(at: site.clock.now).description, LockToken.random().hexadecimal)
        if case .nothing = given { return none }
        let body =
            given == .otherRequest
            ? Self.newKey.replacing("\"POST\"", with: "\"PUT\"") : Self.newKey
        let made = try await site.send(.post, "/v1/keys", body)
        let (id, token) = (made["id"]?.string ?? "", made["lock_token"]?.string ?? "")
        _ = try await site.send(
            .post, "/v1/keys/\(id)/stages", #"{"recovery_point": "first", "response_code": 200}"#,
            stage: token)
        switch given {
        case .lapsed:
            site.clock.advance(by: .seconds(31))
            _ = try await site.keys.lapseOverdue()
        case .finished:
            _ = try await site.send(.post, "/v1/keys/\(id)/stages", Self.answer, stage: token)
        case .unknown, .expired:
            _ = try await site.send(
                .patch, "/v1/keys/\(id)", #"{"recovery_point": "unknown"}"#, stage: token)
            if given == .expired { site.clock.advance(by: .seconds(8 * 86_400)) }
        case .brokenStore: site.store.breakDown()
        case .nothing, .locked, .otherRequest, .badFile, .draining: break
        }
        return (id, token)
    }

    private func find(_ call: String) throws -> Operation {
        try #require(Self.operations.first { $0.description == call }, "\(call) is not described")
    }

    /// Makes a call and holds its answer against the description.
    private func check(
        _ operation: Operation, _ status: UInt16, given: Given = .locked, _ body: String = "",
        hasAdminToken: Bool = true, authorization: String? = "Bearer secret", fields: Fields = [:],
        query: String = "", id: String? = nil
    ) async throws {
        var site = AdminSite()
        let record = try await prepare(site, given)
        if !hasAdminToken { site.token = nil }
        if given == .draining { site.reloadOutcome = .draining }
        if given == .badFile {
            site.reloadOutcome = .refused(
                file: "gateway.json",
                [.init("routes", "is missing", line: 1, column: 2), .init("", "not read")])
        }
        let security = operation.value["security"]?.elements ?? []
        let takesToken = security.contains { $0["stageToken"] != nil && $0["adminToken"] != nil }
        let reply = try await site.send(
            operation.method, operation.path.replacing("{id}", with: id ?? record.id) + query, body,
            authorization: authorization,
            stage: takesToken && authorization != nil && hasAdminToken ? record.token : nil,
            fields: fields)
        #expect(reply.status == status, "\(operation): \(reply.answer.body)")
        let responses = operation.value["responses"]
        let described = try #require(
            responses?[String(reply.status)], "\(operation) has no \(reply.status)")
        let content = Self.checker.resolved(described)["content"]
        let type = reply.answer[.contentType]?.prefix { $0 != ";" } ?? ""
        let schema = try #require(content?[String(type)]?["schema"], "\(operation) has no \(type)")
        guard type.hasSuffix("json") else { return }
        #expect(Self.checker.mistakes(reply.json, schema) == [], "\(operation) \(reply.status)")
    }

    @Test func `the document is OpenAPI 3.1, and every reference leads somewhere`() throws {
        #expect(Self.document["openapi"]?.string == "3.1.0")
        let references = openAPIDocument.matches(of: /"\$ref": "([^"]+)"/).map {
            String($0.output.1)
        }
        #expect(references.count > 50)
        for reference in references {
            let value = try JSON.parse(Array(#"{"$ref": "\#(reference)"}"#.utf8)[...])
            #expect(Self.checker.resolved(value).members != nil, "\(reference)")
        }
        let names = Self.operations.compactMap { $0.value["operationId"]?.string }
        #expect(Set(names).count == Self.operations.count)
    }

    @Test func `it is served to everybody, as it is`() async throws {
        let reply = try await AdminSite().send(.get, "/openapi.json", authorization: nil)
        #expect(reply.answer.body == openAPIDocument)
    }

    @Test func `every scenario is answered as described`() async throws {
        for scenario in Self.scenarios {
            let operation = try find(scenario.call)
            if !scenario.body.isEmpty, scenario.status < 300 {
                let schema = operation.value["requestBody"]?["content"]?["application/json"]?[
                    "schema"]
                let body = try JSON.parse(Array(scenario.body.utf8)[...])
                #expect(Self.checker.mistakes(body, try #require(schema)) == [])
            }
            try await check(operation, scenario.status, given: scenario.given, scenario.body)
        }
    }

    /// What makes any call fail.
    @Test func `every status that is described is brought about`() async throws {
        for operation in Self.operations {
            for code in operation.value["responses"]?.members?.compactMap({ UInt16($0.name) }) ?? []
            {
                let own = Self.scenarios.contains {
                    $0.call == operation.description && $0.status == code
                }
                guard !own, operation.description != "GET /readyz" else { continue }
                try await bringAbout(code, operation)
            }
        }
    }

    private func bringAbout(_ code: UInt16, _ operation: Operation) async throws {
        let hasBody = operation.value["requestBody"] != nil
        let valid = Self.scenarios.first { $0.call == operation.description && $0.status < 300 }
        let body = valid?.body ?? ""
        switch code {
        case 400 where hasBody: try await check(operation, 400, #"{"nonsense": 1}"#)
        case 400 where operation.path == "/v1/keys":
            try await check(operation, 400, query: "?limit=0")
        case 400:
            try await check(
                operation, 400, authorization: nil, fields: ["Idempotency-Stage-Token": "x"])
        case 401: try await check(operation, 401, body, authorization: nil)
        case 403: try await check(operation, 403, body, hasAdminToken: false)
        case 404:
            try await check(operation, 404, body, id: "ikey_00000000000000000000000000")
        case 413:
            let long = "{\"x\": \"" + String(repeating: "a", count: RequestDocument.limit) + "\"}"
            try await check(operation, 413, long)
        case 415: try await check(operation, 415, body, fields: ["Content-Type": "text/plain"])
        case 503: try await check(operation, 503, given: .brokenStore, body)
        default: Issue.record("\(operation): nobody tries \(code)")
        }
    }

    @Test func `every resource is described with its methods, and no other`() throws {
        var calls: Set<String> = []
        for resource in AdminSite().resources {
            switch resource.place {
            case .path(let path):
                for method in resource.methods where method != .head {
                    calls.insert("\(method.token) \(path)")
                }
            case .tree:
                let paths =
                    ["/v1/keys", "/v1/keys/initialize", "/v1/keys/{id}"]
                    + KeyAction.allCases.map { "/v1/keys/{id}/\($0.rawValue)" }
                for path in paths {
                    let place = try #require(KeyPlace(Array(path.utf8)[...]))
                    for method in place.methods where method != .head {
                        calls.insert("\(method.token) \(path)")
                    }
                }
            }
        }
        #expect(calls == Set(Self.operations.map(\.description)))
    }

    @Test func `readiness is described when it is lacking too`() async throws {
        let writer = RecordingWriter()
        let resource = AdminResource.readiness([ReadinessCheck("store") { false }])
        let request = Request(
            head: RequestHead(method: .get, target: Array("/readyz".utf8)[...]),
            body: ScriptedBody(), downstream: Downstream(peer: "127.0.0.1"))
        try await resource.answer(request, writer)
        #expect(writer.answer?.status == 503)
        let json = try JSON.parse(Array((writer.answer?.body ?? "").utf8)[...])
        let operation = try find("GET /readyz")
        let schema = operation.value["responses"]?["503"]?["content"]?["application/json"]?[
            "schema"]
        #expect(Self.checker.mistakes(json, try #require(schema)) == [])
    }
}
