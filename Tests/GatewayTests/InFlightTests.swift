import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// What duplicates get while the first request is at work.
@Loop @Suite struct InFlightTests {
    /// A bench whose upstream answers when the gate is opened.
    private func bench(
        _ rules: KeyRules = .plain, _ script: ScriptedUpstream.Script = .init(201, body: "made")
    ) throws -> (Bench, Gate) {
        let gate = Gate()
        var gated = script
        gated.gate = gate
        return (try Bench(.init(gated), keys: rules), gate)
    }

    @Test func `fifty requests with one key make one exchange and get the same bytes`()
        async throws
    {
        let (bench, gate) = try bench()
        let requests = (0..<50).map { _ in bench.begin(.order()) }
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        gate.open()
        for (_, task) in requests { try await task.value }
        #expect(bench.upstream.received.count == 1)
        #expect(requests.allSatisfy { $0.0.status == 201 && $0.0.text == "made" })
        let statuses = requests.map { $0.0.field("Idempotency-Status") }
        #expect(statuses.filter { $0 == "executed" }.count == 1)
        #expect(statuses.filter { $0 == "replayed" }.count == 49)
        #expect(requests.filter { $0.0.field("Idempotent-Replayed") == "true" }.count == 49)
        #expect(bench.timers.pending == 0)
    }

    @Test func `a waiting request is refused when its time is over`() async throws {
        let (bench, gate) = try bench()
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let second = bench.begin(.order())
        await bench.settle()
        bench.timers.advance(by: .seconds(29))
        await bench.settle()
        #expect(!second.0.hasBegun)
        bench.timers.advance(by: .seconds(1))
        try await second.1.value
        second.0.expectProblem("in-flight", 409, executed: "pending")
        #expect(second.0.field("Retry-After") == "1")
        #expect(second.0.field("Idempotency-Status") == "in-flight")
        gate.open()
        try await first.1.value
        #expect(first.0.status == 201)
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
    }

    @Test(arguments: [("wait=5", 5), ("wait=100", 30)])
    func `the client may shorten the wait, never lengthen it`(_ prefer: String, _ seconds: Int)
        async throws
    {
        let (bench, gate) = try bench()
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let second = bench.begin(.order(fields: ["Prefer": prefer]))
        await bench.settle()
        bench.timers.advance(by: .seconds(seconds) - .milliseconds(1))
        await bench.settle()
        #expect(!second.0.hasBegun)
        bench.timers.advance(by: .milliseconds(1))
        try await second.1.value
        #expect(second.0.status == 409)
        gate.open()
        try await first.1.value
    }

    @Test func `no patience and a rejecting route get their 409 at once`() async throws {
        for (rules, fields) in [
            (KeyRules.plain, Fields(dictionaryLiteral: ("Prefer", "wait=0"))),
            (KeyRules.with { $0.inFlight = .reject }, Fields()),
        ] {
            let (bench, gate) = try bench(rules)
            let first = bench.begin(.order())
            await bench.upstream.arrival(of: 1)
            let second = try await bench.send(.order(fields: fields))
            second.expectProblem("in-flight", 409, executed: "pending")
            #expect(second.field("Retry-After") != nil)
            #expect(second.text.contains(#""recovery_point":"started""#))
            gate.open()
            try await first.1.value
        }
    }

    @Test func `more than may wait are refused`() async throws {
        let (bench, gate) = try bench(.with { $0.policy.waiters = 2 })
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let waiting = [bench.begin(.order()), bench.begin(.order())]
        await bench.settle()
        try await bench.send(.order()).expectProblem("in-flight", 409, executed: "pending")
        gate.open()
        for (writer, task) in waiting + [first] {
            try await task.value
            #expect(writer.status == 201)
        }
    }

    @Test func `another request under a key in flight is refused at once`() async throws {
        let (bench, gate) = try bench()
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let other = try await bench.send(.order(#"{"n":2}"#))
        other.expectProblem("key-reused", 422, executed: "no")
        #expect(other.field("Idempotency-Status") == "in-flight")
        gate.open()
        try await first.1.value
    }

    @Test func `those who waited learn that nothing was done`() async throws {
        let (bench, gate) = try bench(.plain, .init(429, body: "later"))
        let all = [bench.begin(.order()), bench.begin(.order())]
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        gate.open()
        for (writer, task) in all {
            try await task.value
            #expect(writer.status == 429)
            #expect(writer.text == "later")
            #expect(writer.field("Idempotency-Status") == "released")
        }
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `those who waited learn that nobody knows`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script.silent(.timeout)
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let second = bench.begin(.order())
        await bench.settle()
        gate.open()
        try await first.1.value
        try await second.1.value
        first.0.expectProblem("outcome-unknown", 504, executed: "unknown")
        second.0.expectProblem("outcome-unknown", 502, executed: "unknown")
    }

    @Test func `a client that stops waiting leaves at once`() async throws {
        let (bench, gate) = try bench()
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let second = bench.begin(.order())
        await bench.settle()
        second.0.hangUp()
        await #expect(throws: DownstreamError.closed) { try await second.1.value }
        gate.open()
        try await first.1.value
        #expect(first.0.status == 201)
    }

    @Test func `a client that goes away mid-work leaves its answer to the retry`() async throws {
        let (bench, gate) = try bench()
        let first = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        first.0.hangUp()
        first.1.cancel()
        await bench.settle()
        gate.open()
        _ = await first.1.result
        #expect(!first.0.hasBegun)
        let retry = try await bench.send(.order())
        #expect(retry.text == "made")
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 1)
        #expect(!bench.upstream.received[0].wasCancelled)
    }
}
