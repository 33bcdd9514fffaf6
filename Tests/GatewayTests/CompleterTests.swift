import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Work that is gone on with after its owner is gone.
@Loop @Suite struct CompleterTests {
    /// Three stages, of which one tolerates repeats, so that its owner can vanish without a mark.
    private static func stages(tolerant: Int) throws -> [StageRules] {
        try Cart.stages { index, stage in
            if index == tolerant { stage.call.unknown = .retry }
        }
    }

    /// A process that stands still within the call of a stage, and another one on its store.
    private func survivors(
        at stage: Int, _ stages: [StageRules], count: Int = 1,
        _ script: @escaping (Int) -> ScriptedUpstream.Script = { _ in .json(200, "{}") }
    ) async throws -> Bench {
        let gate = Gate()
        let first = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number >= stage * count { script.gate = gate }
            return script
        }
        let dead = try Bench(first, stages: stages)
        for number in 0..<count { _ = dead.begin(.cart(key: "k-\(number)")) }
        await first.arrival(of: stage * count + count)
        let clock = dead.clock
        let keys = IdempotencyKeyService(store: dead.store, now: { clock.now })
        let alive = try Bench(ScriptedUpstream(script), stages: stages, keys: keys)
        alive.foreign = dead
        clock.advance(by: .seconds(31))
        try await keys.lapseOverdue()
        return alive
    }

    private func record(_ key: String, _ bench: Bench) async throws -> IdempotencyKey? {
        try await bench.foreign?.record(of: key)
    }

    @Test func `the work of a dead process goes on where its record stands`() async throws {
        let bench = try await survivors(at: 1, try Self.stages(tolerant: 1))
        #expect(try await record("k-0", bench)?.recoveryPoint == .stage("taxed"))
        try await bench.round()
        #expect(bench.sent == ["POST /payments", "POST /orders"])
        #expect(try await record("k-0", bench)?.recoveryPoint == .finished)
        let retry = try await bench.send(.cart(key: "k-0"))
        #expect(retry.status == 200 && retry.field("Idempotency-Status") == "replayed")
    }

    @Test func `the call of a stage that was under way is not made again`() async throws {
        let bench = try await survivors(at: 1, try Cart.stages())
        let record = try #require(try await record("k-0", bench))
        #expect(record.recoveryPoint == .unknown && record.pendingStage == "paid")
        try await bench.round()
        #expect(bench.upstream.received.isEmpty)
        try await bench.send(.cart(key: "k-0")).expectProblem(
            "outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received.isEmpty)
    }

    @Test func `a client that comes back goes on itself`() async throws {
        let bench = try await survivors(at: 0, try Self.stages(tolerant: 0))
        let answer = try await bench.send(.cart(key: "k-0"))
        #expect(answer.status == 200 && answer.field("Idempotency-Status") == "executed")
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments", "POST /orders"])
    }

    @Test func `the request is the one that was stored, not the one that comes back`()
        async throws
    {
        let stages = try Self.stages(tolerant: 0)
        let bench = try await survivors(at: 0, stages)
        try await bench.send(.cart(key: "k-0", fields: ["X-Later": "1"]))
        #expect(
            bench.upstream.received.allSatisfy { !$0.request.fields.contains(FieldName("X-Later")) }
        )
        #expect(bench.upstream.received.allSatisfy { $0.request.fields.text(.host) != nil })
    }

    @Test func `no more than so many at a time`() async throws {
        let gate = Gate()
        let stages = try Self.stages(tolerant: 0)
        let bench = try await survivors(at: 0, stages, count: 20) { _ in
            var script = ScriptedUpstream.Script.json(200, "{}")
            script.gate = gate
            return script
        }
        for _ in 0..<2 { try await bench.gateway.completer.round() }
        await bench.upstream.arrival(of: 16)
        for _ in 0..<10 { await bench.settle() }
        #expect(bench.upstream.received.count == 16)
        gate.open()
        for _ in 0..<3 { try await bench.round() }
        #expect(bench.upstream.received.count == 60)
    }

    @Test func `what does not succeed is tried again after longer and longer pauses`()
        async throws
    {
        let stages = try Self.stages(tolerant: 0)
        let bench = try await survivors(at: 0, stages) { _ in
            .failing(.unreachable, effect: .none)
        }
        var last = 0
        var pauses: [Int] = []
        for second in 0..<400 {
            try await bench.round()
            if bench.upstream.received.count > pauses.count {
                pauses.append(second - last)
                last = second
            }
            bench.timers.advance(by: .seconds(1))
        }
        #expect(pauses.count >= 9)
        for (index, pause) in pauses.dropFirst().enumerated() {
            let least = min(60, 1 << index)
            #expect(pause >= least && pause <= least + least / 4 + 2, "\(pauses)")
        }
        try await bench.send(.cart(key: "k-0")).expectProblem(
            "upstream-unreachable", 502, executed: "pending")
    }

    @Test func `a record whose stages are gone is left alone`() async throws {
        let old = try Self.stages(tolerant: 1)
        let bench = try await survivors(at: 1, old)
        let changed = try Cart.stages { index, stage in
            if index == 0 { stage.recoveryPoint = "priced" }
        }
        let other = try Bench(.init(.json(200, "{}")), stages: changed, keys: bench.keys)
        for _ in 0..<3 { try await other.round() }
        let answer = try await other.send(.cart(key: "k-0"))
        answer.expectProblem("stage-failed", 503, executed: "pending")
        #expect(answer.text.contains(#""recovery_point":"taxed""#))
        #expect(other.upstream.received.isEmpty)
        try await bench.round()
        #expect(bench.sent == ["POST /payments", "POST /orders"])
    }

    @Test func `a record is left alone by a route that has no stages any more`() async throws {
        let bench = try await survivors(at: 1, try Self.stages(tolerant: 1))
        let plain = try Bench(
            .init(.json(200, "{}")), keys: .plain, path: Cart.path, keys: bench.keys)
        let answer = try await plain.send(.cart(key: "k-0"))
        answer.expectProblem("stage-failed", 503, executed: "pending")
        #expect(plain.upstream.received.isEmpty)
        try await bench.round()
        #expect(bench.sent == ["POST /payments", "POST /orders"])
    }

    @Test func `a request of which no stage is done yet is not forwarded either`() async throws {
        let bench = try await survivors(at: 0, try Self.stages(tolerant: 0))
        let plain = try Bench(
            .init(.json(200, "{}")), keys: .plain, path: Cart.path, keys: bench.keys)
        try await plain.send(.cart(key: "k-0")).expectProblem(
            "stage-failed", 503, executed: "pending")
        #expect(plain.upstream.received.isEmpty)
    }

    @Test func `a refusal says nothing of what an earlier process may have sent`() async throws {
        let bench = try await survivors(at: 0, try Self.stages(tolerant: 0)) {
            .json($0 == 0 ? 503 : 200, "{}")
        }
        try await bench.round()
        #expect(try await record("k-0", bench)?.isSuspended == true)
        bench.timers.advance(by: .seconds(2))
        try await bench.round()
        #expect(try await record("k-0", bench)?.recoveryPoint == .finished)
    }

    @Test func `work that does not come on ends when its record's time is over`() async throws {
        let stages = try Self.stages(tolerant: 1)
        let bench = try await survivors(at: 1, stages) { _ in
            .failing(.unreachable, effect: .none)
        }
        let end = try await record("k-0", bench)?.expiresAt
        for _ in 0..<3 {
            bench.foreign?.clock.advance(by: .seconds(3600))
            bench.timers.advance(by: .seconds(3600))
            try await bench.round()
        }
        #expect(bench.upstream.received.count == 3)
        #expect(try await record("k-0", bench)?.expiresAt == end)
        bench.foreign?.clock.advance(by: .seconds(7 * 86400))
        bench.timers.advance(by: .seconds(3600))
        try await bench.round()
        #expect(bench.upstream.received.count == 3)
        let late = try await bench.send(.cart(key: "k-0"))
        late.expectProblem("key-expired", 410, executed: "unknown")
    }

    @Test func `nothing is begun when the process is about to end`() async throws {
        let gate = Gate()
        let bench = try await survivors(at: 0, try Self.stages(tolerant: 0)) { _ in
            var script = ScriptedUpstream.Script.json(200, "{}")
            script.gate = gate
            return script
        }
        let (last, task) = bench.begin(.cart(key: "k-9"))
        await bench.upstream.arrival(of: 1)
        let drain = bench.drain(within: .seconds(30))
        try await bench.until { bench.timers.pending >= 2 }
        try await bench.round()
        #expect(bench.upstream.received.count == 1)
        gate.open()
        try await task.value
        #expect(last.status == 200)
        #expect(await drain.value == 0)
        try await bench.round()
        #expect(bench.upstream.received.count == 3)
    }

    @Test func `a spooled body is stored with the request`() async throws {
        let stages = try Cart.stages { index, stage in
            if index == 0 {
                stage.call.unknown = .retry
                stage.call.body = .original
            }
        }
        let long = #"{"n":""# + String(repeating: "x", count: 100_000) + "\"}"
        let upstream = ScriptedUpstream { $0 == 0 ? .silent() : .json(200, "{}") }
        let bench = try Bench(upstream, stages: stages, spool: MemorySpool())
        try await bench.send(.cart(long)).expectProblem(
            "upstream-unreachable", 502, executed: "pending")
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(upstream.received[1].body == Array(long.utf8))
    }
}
