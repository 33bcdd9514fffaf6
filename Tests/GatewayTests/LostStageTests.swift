import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Work in stages whose claim somebody else broke, or took for over, while a stage was called.
@Loop @Suite struct LostStageTests {
    private func other(_ bench: Bench) -> IdempotencyKeyService {
        let clock = bench.clock
        return IdempotencyKeyService(store: bench.store, now: { clock.now })
    }

    /// A request within the call of a stage, until the gate opens.
    private func stopped(
        at stage: Int, _ gate: Gate
    ) async throws -> (Bench, RecordingResponseWriter, Task<Void, any Error>) {
        let upstream = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number == stage { script.gate = gate }
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let (answer, task) = bench.begin(.cart())
        await upstream.arrival(of: stage + 1)
        return (bench, answer, task)
    }

    @Test(arguments: [0, 1])
    func `a claim that was broken is over in memory too`(stage: Int) async throws {
        let gate = Gate()
        let (bench, answer, task) = try await stopped(at: stage, gate)
        let record = try #require(try await bench.record())
        _ = try await other(bench).release(record.id, force: true, policy: KeyPolicy())
        gate.open()
        try await task.value
        answer.expectProblem("in-flight", 409, executed: "pending")
        #expect(bench.keys.statistics.claims == 0)
        let retry = try await bench.send(.cart())
        #expect(retry.status == 200)
    }

    @Test(arguments: [0, 1])
    func `a stage that ends after its lease is recorded, and gone on with`(
        stage: Int
    ) async throws {
        let gate = Gate()
        let (bench, answer, task) = try await stopped(at: stage, gate)
        bench.clock.advance(by: .seconds(31))
        try await other(bench).lapseOverdue()
        #expect(try await bench.record()?.recoveryPoint == .unknown)
        gate.open()
        try await task.value
        answer.expectProblem("upstream-unreachable", 503, executed: "pending")
        #expect(try await bench.stages() == Array(Cart.names[...stage]))
        try await bench.round()
        #expect(try await bench.record()?.recoveryPoint == .finished)
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments", "POST /orders"])
    }
}
