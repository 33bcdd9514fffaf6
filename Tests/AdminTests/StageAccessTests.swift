import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Admin

/// Callers that show a record's own token and nothing else.
@Suite struct StageAccessTests {
    private var site = AdminSite()
    private let cart =
        #"{"request_method": "POST", "request_path": "/carts/7", "idempotency_key": "k"}"#

    /// A record, and the token of whoever works on it.
    private func record() async throws -> IdempotencyKey {
        let request = KeyRequest(
            identity: Identity(scope: [1], idempotencyKey: "k"), fingerprint: Fingerprint(),
            requestMethod: "POST", requestPath: "/", isResumable: true)
        return try await site.keys.create(request, policy: KeyPolicy())
    }

    @Test(arguments: [true, false])
    func `its token opens one record`(_ hasAdminToken: Bool) async throws {
        var site = site
        if !hasAdminToken { site.token = nil }
        let key = try await record()
        let token = try #require(key.lockToken?.hexadecimal)
        let target = "/v1/keys/\(key.id)"
        for method in [Method.get, .head] {
            let seen = try await site.send(method, target, authorization: nil, stage: token)
            #expect(seen.status == 200)
            #expect(!seen.answer.body.contains(token))
        }
        let alive = try await site.send(.patch, target, authorization: nil, stage: token)
        #expect(alive.status == 200)
        let step = try await site.send(
            .post, target + "/stages", #"{"recovery_point": "a"}"#, authorization: nil,
            stage: token)
        #expect(step["recovery_point"]?.string == "a")
        let end = try await site.send(
            .post, target + "/stages", #"{"response_code": 200}"#, authorization: nil, stage: token)
        #expect(end["recovery_point"]?.string == "finished")
        // The token is spent.
        let more = try await site.send(.get, target, authorization: nil, stage: token)
        #expect(more.status == 401)
    }

    @Test(
        arguments: [
            (Method.get, "/v1/keys"), (.post, "/v1/keys"), (.post, "/v1/keys/initialize"),
            (.post, "/v1/keys/ID/lock"), (.post, "/v1/keys/ID/release"),
            (.post, "/v1/keys/ID/complete"), (.post, "/v1/keys/ID/erase"),
            (.delete, "/v1/keys/ID"), (.get, "/v1/keys/ID/stages"), (.get, "/v1/keys/ID/x"),
            (.post, "/v1/backup"),
        ])
    func `it opens nothing else`(_ method: Method, _ target: String) async throws {
        let key = try await record()
        let path = target.replacing("ID", with: key.id.description)
        for hasAdminToken in [true, false] {
            var site = site
            if !hasAdminToken { site.token = nil }
            let refused = try await site.send(
                method, path, #"{"response_code": 200}"#, authorization: nil,
                stage: key.lockToken!.hexadecimal)
            #expect(refused.status == (hasAdminToken ? 401 : 403))
        }
        #expect(try await site.keys.retrieve(key.id)?.revision == key.revision)
    }

    @Test func `a wrong token gets one answer, whether or not there is the record`() async throws {
        let key = try await record()
        let other = LockToken.random().hexadecimal
        let ids = [
            key.id.description, KeyID(at: site.clock.now).description, "nonsense",
        ]
        var bodies: Set<String> = []
        for id in ids {
            for (method, path) in [(Method.get, ""), (.patch, ""), (.post, "/stages")] {
                for hasAdminToken in [true, false] {
                    var site = site
                    if !hasAdminToken { site.token = nil }
                    let refused = try await site.send(
                        method, "/v1/keys/\(id)\(path)", #"{"recovery_point": "a"}"#,
                        authorization: nil, stage: other)
                    #expect(refused.status == 401)
                    bodies.insert(refused.answer.body)
                }
            }
        }
        #expect(bodies.count == 1)
        #expect(try await site.keys.retrieve(key.id)?.revision == key.revision)
    }

    @Test func `the token of before a lapse opens nothing any more`() async throws {
        let key = try await record()
        let token = try #require(key.lockToken?.hexadecimal)
        site.clock.advance(by: .seconds(31))
        _ = try await site.keys.lapseOverdue()
        let late = try await site.send(
            .post, "/v1/keys/\(key.id)/stages", #"{"response_code": 200}"#, authorization: nil,
            stage: token)
        #expect(late.status == 401)
        #expect(try await site.keys.retrieve(key.id)?.recoveryPoint == .started)
    }

    @Test func `a wrong admin token does not take away what the record's token gives`()
        async throws
    {
        let key = try await record()
        let seen = try await site.send(
            .get, "/v1/keys/\(key.id)", authorization: "Bearer wrong",
            stage: key.lockToken!.hexadecimal)
        #expect(seen.status == 200)
    }
}
