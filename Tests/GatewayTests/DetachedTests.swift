import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Transfers that go on without their client.
@Loop @Suite(.timeLimit(.minutes(10))) struct DetachedTests {
    private static let patience = KeyRules.with { $0.answerWithin = .seconds(5) }

    /// A bench whose upstream answers when the gate is opened.
    private func bench(
        _ rules: KeyRules = patience, _ script: ScriptedUpstream.Script = .init(201, body: "made"),
        detached: Int = 100
    ) throws -> (Bench, Gate) {
        let gate = Gate()
        var gated = script
        gated.gate = gate
        return (try Bench(.init(gated), keys: rules, detached: detached), gate)
    }

    @Test func `a client is told to come back in time, and a retry collects the answer`()
        async throws
    {
        let (bench, gate) = try bench()
        let (first, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        bench.timers.advance(by: .milliseconds(4999))
        await bench.settle()
        #expect(!first.hasBegun)
        bench.timers.advance(by: .milliseconds(1))
        try await task.value
        first.expectProblem("in-flight", 504, executed: "pending")
        #expect(first.field("Retry-After") == "1")
        #expect(first.field("Idempotency-Status") == "in-flight")
        #expect(first.field("Idempotency-Key") == "k-1")
        #expect(first.text.contains(#""recovery_point":"started""#))
        #expect(bench.counts("oncegate_detached 1") && bench.counts("oncegate_detached_total 1"))
        let (joining, joined) = bench.begin(.order())
        await bench.settle()
        #expect(!joining.hasBegun)
        gate.open()
        try await joined.value
        for answer in [joining, try await bench.send(.order())] {
            #expect(answer.status == 201 && answer.text == "made")
            #expect(answer.field("Idempotency-Status") == "replayed")
        }
        #expect(bench.upstream.received.count == 1)
        #expect(!bench.upstream.received[0].wasCancelled)
        #expect(bench.counts("oncegate_detached 0"))
        #expect(bench.timers.pending == 0)
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="detached",status="5xx"} 1"#))
    }

    @Test func `what a transfer does later does not rewrite what its client was told`()
        async throws
    {
        let (bench, gate) = try bench(
            .with {
                $0.answerWithin = .seconds(5)
                $0.streams = true
            })
        let writer = RecordingResponseWriter()
        let leaving = Gate()
        writer.answerGate = leaving
        let (_, task) = bench.begin(.order(), to: writer)
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        bench.timers.advance(by: .seconds(5))
        await writer.beginning()
        gate.open()
        await bench.settle()
        #expect(try await bench.state() == "finished")
        leaving.open()
        try await task.value
        writer.expectProblem("in-flight", 504, executed: "pending")
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="detached",status="5xx"} 1"#))
    }

    @Test func `those who wait keep their own limit`() async throws {
        let (bench, gate) = try bench()
        let (_, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let (second, waiting) = bench.begin(.order())
        await bench.settle()
        bench.timers.advance(by: .seconds(5))
        try await task.value
        bench.timers.advance(by: .milliseconds(24_999))
        await bench.settle()
        #expect(!second.hasBegun)
        bench.timers.advance(by: .milliseconds(1))
        try await waiting.value
        second.expectProblem("in-flight", 409, executed: "pending")
        gate.open()
    }

    @Test func `an answer that has begun is not cut`() async throws {
        let rules = KeyRules.with {
            $0.answerWithin = .seconds(5)
            $0.streams = true
        }
        let chunkGate = Gate()
        var script = ScriptedUpstream.Script.chunked([Array("live".utf8)])
        script.chunkGate = chunkGate
        let bench = try Bench(.init(script), keys: rules)
        let (writer, task) = bench.begin(.order())
        await writer.beginning()
        bench.timers.advance(by: .seconds(60))
        await bench.settle()
        chunkGate.open()
        try await task.value
        #expect(writer.status == 200 && writer.text == "live" && writer.isComplete)
        #expect(bench.counts("oncegate_detached_total 0"))
    }

    @Test func `an interim answer that is under way ends before the client is told`() async throws {
        var script = ScriptedUpstream.Script(201, body: "made")
        script.interim = [ResponseHead(status: 103)]
        let working = Gate()
        script.chunkGate = working
        let bench = try Bench(.init(script), keys: Self.patience)
        let writer = RecordingResponseWriter()
        let sending = Gate()
        writer.interimGate = sending
        let (_, task) = bench.begin(.order(), to: writer)
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        bench.timers.advance(by: .seconds(5))
        await bench.settle()
        #expect(!writer.hasBegun)
        sending.open()
        try await task.value
        #expect(writer.interims.map(\.status) == [103])
        #expect(writer.status == 504)
        working.open()
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
    }

    @Test func `a client that hangs up ends its request at once, and not the transfer`()
        async throws
    {
        let (bench, gate) = try bench(.plain)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        await #expect(throws: DownstreamError.closed) { try await task.value }
        #expect(bench.counts("oncegate_detached 1"))
        gate.open()
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
        #expect(bench.counts("oncegate_detached 0"))
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="detached",status="none"} 1"#))
        #expect(!bench.upstream.received[0].wasCancelled)
    }

    @Test func `a client that hangs up or is late while it is given its answer is not detached`()
        async throws
    {
        let bench = try Bench(.init(.init(201, body: "made")), keys: Self.patience)
        let writer = RecordingResponseWriter()
        let leaving = Gate()
        writer.answerGate = leaving
        let (_, task) = bench.begin(.order(), to: writer)
        await writer.beginning()
        bench.timers.advance(by: .seconds(5))
        writer.hangUp()
        leaving.open()
        try await task.value
        #expect(writer.status == 201)
        #expect(bench.counts("oncegate_detached_total 0"))
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="executed",status="2xx"} 1"#))
    }

    @Test func `without a place a client waits on, and one that hangs up keeps its own`()
        async throws
    {
        let (bench, gate) = try bench(detached: 0)
        let (writer, task) = bench.begin(.order())
        let (gone, goneTask) = bench.begin(.order(key: "k-2"))
        await bench.upstream.arrival(of: 2)
        await bench.settle()
        bench.timers.advance(by: .seconds(60))
        gone.hangUp()
        await bench.settle()
        #expect(!writer.hasBegun)
        #expect(bench.counts("oncegate_detached 0"))
        #expect(bench.counts("oncegate_detached_refused_total 3"))
        gate.open()
        try await task.value
        #expect(writer.status == 201)
        _ = await goneTask.result
        #expect(!gone.hasBegun)
        #expect(try await bench.keyStatus(of: .order(key: "k-2")) == "replayed")
    }

    @Test func `a place is free again when its transfer ends`() async throws {
        let (bench, gate) = try bench(detached: 1)
        for key in ["k-1", "k-2"] {
            let (writer, task) = bench.begin(.order(key: key))
            await bench.upstream.arrival(of: key == "k-1" ? 1 : 2)
            await bench.settle()
            bench.timers.advance(by: .seconds(5))
            await bench.settle()
            if key == "k-2" { gate.open() }
            try await task.value
            #expect(writer.status == (key == "k-1" ? 504 : 201))
        }
        await bench.settle()
        #expect(bench.counts("oncegate_detached 0"))
    }

    @Test func `a detached transfer holds no more of its answer than is kept`() async throws {
        let rules = KeyRules.with { $0.responseLimit = 3 }
        var script = ScriptedUpstream.Script.chunked([Array("ab".utf8), Array("cd".utf8)])
        let gate = Gate()
        script.gate = gate
        let bench = try Bench(.init(script), keys: rules)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        _ = await task.result
        gate.open()
        await bench.settle()
        try await bench.send(.order()).expectProblem("response-not-kept", 410, executed: "yes")
    }
}

/// The end of the process.
@Loop @Suite(.timeLimit(.minutes(10))) struct DrainTests {
    @Test func `draining waits for a transfer without a client`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        _ = await task.result
        let draining = bench.drain(within: .seconds(30))
        await bench.settle()
        bench.timers.advance(by: .seconds(29))
        gate.open()
        #expect(await draining.value == 0)
        #expect(try await bench.state() == "finished")
        #expect(bench.timers.pending == 0)
    }

    @Test func `what outlasts draining is cut, and unknown in the store`() async throws {
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: .plain)
        let (gone, goneTask) = bench.begin(.order())
        let (attached, attachedTask) = bench.begin(.order(key: "k-2"))
        await bench.upstream.arrival(of: 2)
        await bench.settle()
        gone.hangUp()
        _ = await goneTask.result
        let draining = bench.drain(within: .seconds(30))
        await bench.settle()
        bench.timers.advance(by: .seconds(30))
        #expect(await draining.value == 2)
        for key in ["k-1", "k-2"] {
            #expect(try await bench.state(of: key) == "unknown")
        }
        try await attachedTask.value
        attached.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received.map(\.wasCancelled) == [true, true])
    }

    @Test func `a claim that is on its way is waited for, and its work too`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        bench.store.hold()
        let (writer, task) = bench.begin(.order())
        await bench.store.untilHeld(1)
        let draining = bench.drain(within: .seconds(30))
        await bench.settle()
        bench.store.letGo()
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        gate.open()
        #expect(await draining.value == 0)
        try await task.value
        #expect(writer.status == 201)
        #expect(try await bench.state() == "finished")
    }

    @Test func `what is claimed when all is over is not forwarded, and free again`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        bench.store.hold()
        let (_, task) = bench.begin(.order())
        await bench.store.untilHeld(1)
        let draining = bench.drain(within: .zero)
        await bench.settle()
        bench.timers.advance(by: .zero)
        bench.store.letGo()
        #expect(await draining.value == 0)
        _ = await task.result
        #expect(bench.upstream.received.isEmpty)
        #expect(try await bench.state() == "started")
        // Nothing is claimed any more either.
        let (_, late) = bench.begin(.order(key: "k-2"))
        await #expect(throws: DownstreamError.closed) { try await late.value }
        #expect(try await bench.state(of: "k-2") == nil)
    }

    @Test func `a store that hangs does not keep the process from ending`() async throws {
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: .plain)
        let (_, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        bench.store.hold()
        let draining = bench.drain(within: .seconds(1), grace: .seconds(5))
        await bench.settle()
        bench.timers.advance(by: .seconds(1))
        await bench.store.untilHeld(1)
        bench.timers.advance(by: .seconds(5))
        #expect(await draining.value == 1)
        bench.store.letGo()
        try await task.value
    }
}
