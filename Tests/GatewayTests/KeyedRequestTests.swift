import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

@Loop @Suite struct KeyedRequestTests {
    private func rules(_ change: (inout KeyRules) -> Void = { _ in }) -> KeyRules {
        var rules = KeyRules(scope: .fields([.authorization]))
        change(&rules)
        return rules
    }

    @Test func `a first request is forwarded once and says that it was executed`() async throws {
        let bench = try Bench(
            ScriptedUpstream(.init(201, ["X-Order": "7"], body: "made")), keys: rules())
        let answer = try await bench.send(.order())
        #expect(answer.status == 201)
        #expect(answer.text == "made")
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
}
