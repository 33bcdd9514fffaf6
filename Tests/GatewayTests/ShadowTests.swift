import HTTP
import Idempotency
import JSON
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// Routes on which keys are only watched.
@Loop @Suite(.timeLimit(.minutes(10))) struct ShadowTests {
    private static let watched = KeyRules.with { $0.isShadow = true }

    private func decisions(_ bench: Bench) -> [String: Int] {
        var decisions: [String: Int] = [:]
        for decision in ShadowDecision.allCases {
            let name = decision.rawValue
            let prefix = #"oncegate_shadow_total{route="orders",decision="\#(name)"} "#
            let text = String(decoding: bench.metrics.prometheusText(), as: UTF8.self)
            let line = text.split(separator: "\n").first { $0.hasPrefix(prefix) }
            let count = line.flatMap { Int($0.dropFirst(prefix.utf8.count)) } ?? -1
            if count != 0 { decisions[name] = count }
        }
        return decisions
    }

    @Test func `a request and its repetition are forwarded as if there were no gateway`()
        async throws
    {
        let fields: Fields = [
            "Idempotency-Status": "theirs", "Idempotency-Verdict": "keep", "X-A": "1",
        ]
        let bench = try Bench(.init(.init(201, fields, body: "made")), keys: Self.watched)
        for _ in 0..<2 {
            let answer = try await bench.send(.order())
            await bench.settle()
            #expect(answer.status == 201 && answer.text == "made")
            let names = answer.head?.fields.pairs.map(\.name) ?? []
            #expect(names == ["Idempotency-Status", "Idempotency-Verdict", "X-A", "Via"])
        }
        #expect(decisions(bench) == ["execute": 1, "replay": 1])
        for received in bench.upstream.received {
            #expect(received.body == Array(#"{"n":1}"#.utf8))
            #expect(received.request.fields.text(.idempotencyKey) == "k-1")
        }
        #expect(bench.upstream.received.count == 2)
        #expect(try await bench.state() == "finished")
        #expect(bench.counts(#"oncegate_executions_total{route="orders"} 0"#))
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="forwarded",status="2xx"} 2"#))
    }

    @Test(
        arguments: [
            (429, "execute"), (500, "unknown"), (404, "replay"),
        ] as [(UInt16, String)])
    func `the status says what the next one would get`(_ status: UInt16, _ next: String)
        async throws
    {
        let bench = try Bench(.init(.init(status)), keys: Self.watched)
        for _ in 0..<2 {
            #expect(try await bench.answer(to: .order()) { $0.status } == status)
            await bench.settle()
        }
        #expect(decisions(bench) == (next == "execute" ? ["execute": 2] : ["execute": 1, next: 1]))
    }

    @Test func `what enforcing would refuse is forwarded and counted`() async throws {
        let bench = try Bench(
            .init(),
            keys: .with {
                $0.isShadow = true
                $0.absentKey = .required
            }, bodyLimit: 10)
        let requests: [Request] = [
            .order(), .order(#"{"n":2}"#), .order(key: "a,b"), .order(key: nil),
            .order(key: "k-2", #"{"n":1234567}"#),
        ]
        for request in requests {
            #expect(try await bench.answer(to: request) { $0.status } == 200)
            await bench.settle()
        }
        bench.clock.advance(by: .seconds(24 * 3600))
        #expect(try await bench.answer(to: .order()) { $0.status } == 200)
        await bench.settle()
        #expect(bench.upstream.received.count == 6)
        #expect(bench.upstream.received[4].body == Array(#"{"n":1234567}"#.utf8))
        #expect(
            decisions(bench) == [
                "execute": 1, "key-reused": 1, "key-invalid": 1, "key-missing": 1,
                "body-too-large": 1, "key-expired": 1,
            ])
    }

    @Test func `a chunked body goes by whole, whatever its length`() async throws {
        let bench = try Bench(.init(), keys: Self.watched, bodyLimit: 10)
        for chunks in [["{\"n\"", ":1}"], ["0123456", "0123456"]] {
            var head = Request.order().head
            head.framing = .chunked
            let trailers: Fields = ["X-Sum": "1"]
            let body = ScriptedBody(chunks, trailers: trailers)
            let answer = try await bench.send(
                Request(head: head, body: body, downstream: Downstream(peer: "192.0.2.1")))
            await bench.settle()
            #expect(answer.status == 200)
            let received = try #require(bench.upstream.received.last)
            #expect(received.body == Array(chunks.joined().utf8) && received.isComplete)
            #expect(received.trailers.pairs.map(\.name) == ["X-Sum"])
        }
        #expect(decisions(bench) == ["execute": 1, "body-too-large": 1])
    }

    @Test func `a duplicate in flight does not wait`() async throws {
        let gate = Gate()
        let bench = try Bench(
            ScriptedUpstream { number in
                var script = ScriptedUpstream.Script(201)
                if number == 0 { script.gate = gate }
                return script
            }, keys: Self.watched)
        let (_, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        #expect(try await bench.answer(to: .order()) { $0.status } == 201)
        let impatient = Request.order(fields: ["Prefer": "wait=0"])
        #expect(try await bench.answer(to: impatient) { $0.status } == 201)
        gate.open()
        try await task.value
        await bench.settle()
        #expect(decisions(bench) == ["execute": 1, "wait": 1, "in-flight": 1])
    }

    @Test func `a store that hangs or fails holds nothing up`() async throws {
        let bench = try Bench(.init(.init(201)), keys: Self.watched)
        bench.store.hold()
        #expect(try await bench.answer(to: .order()) { $0.status } == 201)
        #expect(decisions(bench) == [:])
        bench.store.letGo()
        await bench.settle()
        #expect(decisions(bench) == ["execute": 1])
        bench.store.breakDown()
        #expect(try await bench.answer(to: .order(key: "k-2")) { $0.status } == 201)
        await bench.settle()
        #expect(decisions(bench) == ["execute": 1, "store-unavailable": 1])
    }

    @Test func `what nobody knows is unknown, and what was not sent is free`() async throws {
        let bench = try Bench(
            ScriptedUpstream {
                $0 == 0 ? .failing(.unreachable, effect: .none) : $0 == 1 ? .silent() : .init(201)
            }, keys: Self.watched)
        for status in [502, 502, 201] as [UInt16] {
            #expect(try await bench.answer(to: .order()) { $0.status } == status)
            await bench.settle()
        }
        #expect(decisions(bench) == ["execute": 2, "unknown": 1])
    }

    @Test func `a client that hangs up ends its exchange, as without a gateway`() async throws {
        var script = ScriptedUpstream.Script(201)
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: Self.watched)
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        _ = await task.result
        await bench.settle()
        #expect(bench.upstream.received[0].wasCancelled)
        #expect(try await bench.state() == "unknown")
    }

    @Test func `keys may come from elsewhere here too, and a made one has no record`()
        async throws
    {
        let bench = try Bench(
            .init(),
            keys: .with {
                $0.isShadow = true
                $0.source = .json(JSONPointer("/n")!)
            })
        for _ in 0..<2 {
            try await bench.send(.order(key: nil))
            await bench.settle()
        }
        #expect(decisions(bench) == ["execute": 1, "replay": 1])
        #expect(try await bench.state(of: "1") == "finished")
        let rows = bench.rowsWritten
        try await bench.send(.order(key: nil, "{}"))
        await bench.settle()
        #expect(decisions(bench) == ["execute": 2, "replay": 1])
        #expect(bench.rowsWritten == rows)
    }

    @Test func `once switched on, a key that was only watched is not executed again`()
        async throws
    {
        let bench = try Bench(.init(.init(201, body: "made")), keys: Self.watched)
        try await bench.send(.order())
        await bench.settle()
        let enforcing = try Bench(.init(), keys: .plain, keys: bench.keys)
        try await enforcing.send(.order()).expectProblem("response-not-kept", 410, executed: "yes")
        #expect(enforcing.upstream.received.isEmpty)
    }

    @Test func `draining concludes what is watched`() async throws {
        var script = ScriptedUpstream.Script(201)
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: Self.watched)
        let (_, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        let draining = bench.drain(within: .seconds(1))
        await bench.settle()
        bench.timers.advance(by: .seconds(1))
        #expect(await draining.value == 1)
        #expect(try await bench.state() == "unknown")
        script.gate?.open()
        _ = await task.result
    }
}
