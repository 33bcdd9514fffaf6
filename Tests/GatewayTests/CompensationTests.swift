import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Stages that are taken back because a later one failed.
@Loop @Suite struct CompensationTests {
    private static let forward = ["POST /carts/c1/taxes", "POST /payments", "POST /orders"]
    private static let back = ["POST /refunds", "POST /carts/c1/untax"]

    /// The last stage is declined; then `script` says what comes of the calls that take back.
    private func bench(
        _ stages: [StageRules]? = nil, _ script: @escaping (Int) -> ScriptedUpstream.Script
    ) throws -> Bench {
        let upstream = ScriptedUpstream { number in
            switch number {
            case 0, 1: .json(200, "{\"id\": \(number)}")
            case 2: .json(422, "{\"declined\":true}")
            default: script(number - 3)
            }
        }
        return try Bench(upstream, stages: try stages ?? Cart.compensated())
    }

    @Test func `a failure takes back what was done, from the last to the first`() async throws {
        let stages = try Cart.compensated { index, stage in
            if index == 1 {
                stage.compensation?.body = try Cart.json(#"{"payment":"{stages.paid.body/id}"}"#, 2)
            }
        }
        let bench = try bench(stages) { _ in .init(204) }
        let first = try await bench.send(.cart())
        #expect(first.status == 422 && first.text == "{\"declined\":true}")
        #expect(first.field("Idempotency-Status") == "executed")
        #expect(bench.sent == Self.forward + Self.back)
        #expect(
            String(decoding: bench.upstream.received[3].body, as: UTF8.self) == #"{"payment":1}"#)
        #expect(
            try await bench.stages() == [
                "taxed", "paid", "finished.failed", "paid.compensated", "taxed.compensated",
            ])
        let retry = try await bench.send(.cart())
        #expect(retry.status == 422 && retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 5)
        #expect(bench.counts(#"oncegate_compensations_total{route="orders"} 2"#))
    }

    @Test func `a stage that failed is not taken back, nor are those after it`() async throws {
        let upstream = ScriptedUpstream { $0 == 1 ? .init(404) : .json(200, "{}") }
        let bench = try Bench(upstream, stages: try Cart.compensated())
        #expect(try await bench.send(.cart()).status == 404)
        #expect(bench.sent == Self.forward.prefix(2) + ["POST /carts/c1/untax"])
    }

    @Test func `what cannot be sent takes back too`() async throws {
        let stages = try Cart.compensated { index, stage in
            if index == 2 { stage.call.path = try Cart.text("/orders/{field.No}") }
        }
        let bench = try Bench(.init(.json(200, "{}")), stages: stages)
        let answer = try await bench.send(.cart())
        answer.expectProblem("stage-failed", 502, executed: "yes")
        #expect(bench.sent == Self.forward.prefix(2) + Self.back)
    }

    @Test func `an unknown outcome takes nothing back`() async throws {
        let upstream = ScriptedUpstream { $0 == 2 ? .silent() : .json(200, "{}") }
        let bench = try Bench(upstream, stages: try Cart.compensated())
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.sent == Self.forward)
    }

    @Test func `a compensation that was not sent is gone on with later`() async throws {
        let bench = try bench { $0 == 1 ? .failing(.unreachable, effect: .none) : .init(204) }
        try await bench.send(.cart()).expectProblem(
            "upstream-unreachable", 502, executed: "pending")
        #expect(try await bench.state() == "paid.compensated")
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(bench.sent == Self.forward + Self.back + ["POST /carts/c1/untax"])
        let retry = try await bench.send(.cart())
        #expect(retry.status == 422 && retry.text == "{\"declined\":true}")
    }

    @Test func `a compensation whose answer is lost is held`() async throws {
        let bench = try bench { _ in .silent() }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await bench.round()
        let record = try #require(try await bench.record())
        #expect(record.recoveryPoint == .unknown && record.pendingStage == "paid.compensated")
        #expect(bench.upstream.received.count == 4)
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
    }

    @Test(arguments: [422, 503] as [UInt16])
    func `a compensation that fails for good is left to an operator`(_ status: UInt16)
        async throws
    {
        let bench = try bench { $0 == 0 ? .init(status) : .init(204) }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        let record = try #require(try await bench.record())
        #expect(record.recoveryPoint == .unknown && record.pendingStage == "paid.compensated")
        try await bench.round()
        #expect(bench.upstream.received.count == 4)
        // The operator has seen to the cause: it is tried again.
        _ = try await bench.keys.release(record.id, force: false, policy: KeyPolicy())
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(bench.sent == Self.forward + ["POST /refunds"] + Self.back)
    }

    @Test func `one that tolerates repeats is marked too when it fails for good`() async throws {
        let stages = try Cart.compensated { _, stage in stage.compensation?.unknown = .retry }
        let bench = try bench(stages) { _ in .init(422) }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(try await bench.record()?.pendingStage == "paid.compensated")
    }
}
