import HTTP
import Idempotency
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// A handler takes another one's place, as at a reload.
@Loop @Suite struct SuccessionTests {
    /// A handler for the bench's loop, with other rules.
    private func successor(
        of old: GatewayHandler, on bench: Bench, _ upstream: ScriptedUpstream, path: String = "/**",
        keys rules: KeyRules? = .plain
    ) throws -> GatewayHandler {
        let table = RoutingTable(
            routes: [
                Route(name: "orders", path: try PathPattern(path), bodyLimit: nil, keys: rules)
            ], upstreams: [Upstream(name: "api", authority: "api:10")])
        return GatewayHandler(
            table: table, clients: [upstream], keys: bench.keys, timers: bench.timers,
            log: bench.log, metrics: GatewayMetrics(bench.metrics, table: table),
            detached: DetachedTransfers(limit: 10, bench.metrics), succeeding: old)
    }

    private let tables = "oncegate_routing_tables"

    @Test func `what is under way ends at its own upstream, is drained, and then the old one goes`()
        async throws
    {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let other = ScriptedUpstream(ScriptedUpstream.Script(201, body: "elsewhere"))
        let (first, second) = (RecordingResponseWriter(), RecordingResponseWriter())
        // Old until its last request is over.
        weak var old: GatewayHandler?
        weak var oldProber: Prober?
        let next: GatewayHandler
        let task: Task<Void, any Error>
        do {
            let table = RoutingTable(
                routes: [Route(name: "orders", path: try PathPattern("/**"), keys: .plain)],
                upstreams: [Upstream(name: "api", authority: "api:9")])
            let handler = GatewayHandler(
                table: table, clients: [bench.upstream], keys: bench.keys, timers: bench.timers,
                log: bench.log, metrics: GatewayMetrics(bench.metrics, table: table),
                detached: DetachedTransfers(limit: 10, bench.metrics), succeeding: bench.gateway)
            (old, oldProber) = (handler, handler.prober)
            next = try successor(of: handler, on: bench, other)
            task = Task { try await handler.respond(to: .order(), through: first) }
        }
        await bench.upstream.arrival(of: 1)
        // The bench's own, that of the request, and the one in use.
        #expect(bench.counts("\(tables) 3"))
        #expect(old != nil)
        try await next.respond(to: .order(key: "k-2"), through: second)
        #expect(second.status == 201 && other.received.count == 1)
        let draining = Task {
            await next.drain(within: .seconds(30), grace: .seconds(5), cutting: {})
        }
        await bench.settle()
        #expect(first.status == nil)
        gate.open()
        #expect(await draining.value == 0)
        try await task.value
        await bench.settle()
        #expect(first.status == 201)
        #expect(try await bench.state() == "finished")
        #expect(old == nil && oldProber == nil)
        #expect(bench.counts("\(tables) 2"))
    }

    @Test func `what outlasts draining is cut by the successor, and unknown in the store`()
        async throws
    {
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: .plain)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let next = try successor(of: bench.gateway, on: bench, ScriptedUpstream())
        let draining = Task {
            await next.drain(within: .seconds(1), grace: .seconds(5), cutting: {})
        }
        await bench.settle()
        bench.timers.advance(by: .seconds(1))
        #expect(await draining.value == 1)
        try await task.value
        writer.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(try await bench.state() == "unknown")
    }

    @Test func `a duplicate meets what is under way across the change, and is executed nowhere`()
        async throws
    {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let (_, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let other = ScriptedUpstream()
        let next = try successor(of: bench.gateway, on: bench, other)
        let writer = RecordingResponseWriter()
        let duplicate = Task { try await next.respond(to: .order(), through: writer) }
        await bench.settle()
        gate.open()
        try await task.value
        try await duplicate.value
        #expect(writer.status == 201 && writer.field("Idempotency-Status") == "replayed")
        #expect(other.received.isEmpty)
    }

    @Test func `a removed route's requests end as they began`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "made")
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let next = try successor(
            of: bench.gateway, on: bench, ScriptedUpstream(), path: "/elsewhere")
        let refused = RecordingResponseWriter()
        try await next.respond(to: .order(), through: refused)
        refused.expectProblem("no-route", 404, executed: "no")
        gate.open()
        try await task.value
        #expect(writer.status == 201)
        #expect(try await bench.state() == "finished")
    }

    @Test func `series of the same names go on, over as many tables as there are`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        try await bench.send(.order(key: "a"))
        var handler = bench.gateway
        for round in 0..<50 {
            handler = try successor(
                of: handler, on: bench, .init(), path: round % 2 == 0 ? "/orders" : "/**")
        }
        try await handler.respond(to: .order(key: "b"), through: RecordingResponseWriter())
        #expect(bench.counts(#"oncegate_executions_total{route="orders"} 2"#))
        // The bench keeps the first one.
        #expect(bench.counts("\(tables) 2"))
    }
}
