import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// What becomes of a claim: section 2 of the contract, item 6.
@Loop @Suite struct OutcomeTests {
    /// Where an exchange fails.
    enum Failure { case exchange, head, body }

    @Test(
        arguments: [
            (200, "executed"), (302, "executed"), (400, "executed"), (404, "executed"),
            (422, "executed"), (429, "released"), (409, "released"), (501, "released"),
            (503, "released"), (500, "unknown"), (502, "unknown"), (504, "unknown"),
            (599, "unknown"),
            (700, "unknown"),
        ] as [(UInt16, String)])
    func `the status says what becomes of the key`(_ code: UInt16, _ status: String)
        async throws
    {
        let bench = try Bench(.init(.init(code, body: "x")), keys: .plain)
        let first = try await bench.send(.order())
        #expect(first.status == code)
        #expect(first.text == "x")
        #expect(first.field("Idempotency-Status") == status)
        #expect((first.field("Idempotency-Expires") != nil) == (status == "executed"))
        let retry = try await bench.send(.order())
        #expect(retry.status == code)
        #expect(retry.text == "x")
        #expect(bench.upstream.received.count == (status == "released" ? 2 : 1))
        let again = ["executed": "replayed", "released": "released", "unknown": "unknown"]
        #expect(retry.field("Idempotency-Status") == again[status])
        #expect((retry.field("Idempotent-Replayed") == "true") == (status != "released"))
    }

    @Test func `a status that is neither kept nor released leaves the outcome unknown`()
        async throws
    {
        let rules = KeyRules.with {
            $0.keep = StatusSet([200...299])
            $0.release = StatusSet([404...404])
        }
        for (code, status) in [(200, "executed"), (404, "released"), (400, "unknown")]
            as [(UInt16, String)]
        {
            let bench = try Bench(.init(.init(code)), keys: rules)
            #expect(try await bench.keyStatus(of: .order()) == status)
        }
    }

    @Test(
        arguments: [
            (UpstreamError.Reason.unreachable, 502), (.overloaded, 503), (.connectTimeout, 504),
        ] as [(UpstreamError.Reason, UInt16)])
    func `when nothing was sent the key is free again`(
        _ reason: UpstreamError.Reason, _ status: UInt16
    ) async throws {
        let bench = try Bench(
            ScriptedUpstream { $0 == 0 ? .failing(reason, effect: .none) : .init(201) },
            keys: .plain)
        let first = try await bench.send(.order())
        first.expectProblem("upstream-unreachable", status, executed: "no")
        #expect(first.field("Idempotency-Status") == "released")
        #expect(first.field("Idempotency-Key") == "k-1")
        let retry = try await bench.send(.order())
        #expect(retry.status == 201)
        #expect(retry.field("Idempotency-Status") == "executed")
    }

    @Test(
        arguments: [
            (Failure.exchange, .cutShort, 502), (.exchange, .timeout, 504), (.head, .cutShort, 502),
            (.head, .timeout, 504), (.head, .malformed, 502), (.body, .cutShort, 502),
            (.body, .timeout, 504),
        ] as [(Failure, UpstreamError.Reason, UInt16)])
    func `when something was sent and no whole answer came nobody knows`(
        _ failure: Failure, _ reason: UpstreamError.Reason, _ status: UInt16
    ) async throws {
        let script: ScriptedUpstream.Script =
            switch failure {
            case .exchange: .failing(reason, effect: .possible)
            case .head: .silent(reason)
            case .body: .cutBody(reason)
            }
        let bench = try Bench(.init(script), keys: .plain)
        let first = try await bench.send(.order())
        first.expectProblem("outcome-unknown", status, executed: "unknown")
        #expect(first.field("Idempotency-Status") == "unknown")
        #expect(first.text.contains(#""recovery_point":"unknown""#))
        let retry = try await bench.send(.order())
        retry.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an upgrade that nobody asked for is no answer`() async throws {
        var script = ScriptedUpstream.Script()
        script.interim = [ResponseHead(status: 101)]
        let bench = try Bench(.init(script), keys: .plain)
        try await bench.send(.order()).expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received[0].wasCancelled)
    }

    @Test func `a route may try an unknown one again`() async throws {
        let bench = try Bench(
            ScriptedUpstream { $0 == 0 ? .silent() : .init(201) },
            keys: .with { $0.policy.unknown = .retry })
        #expect(try await bench.answer(to: .order()) { $0.status } == 502)
        #expect(try await bench.keyStatus(of: .order()) == "executed")
        #expect(bench.upstream.received.count == 2)
    }

    @Test(
        arguments: [
            (500, "keep", "executed", 1), (200, "release", "released", 2),
            (200, "unknown", "unknown", 1), (500, "keep; ttl=60", "executed", 1),
            (200, "nonsense", "executed", 1),
        ] as [(UInt16, String, String, Int)])
    func `the upstream's own verdict wins and is not passed on`(
        _ code: UInt16, _ verdict: String, _ status: String, _ executions: Int
    ) async throws {
        let bench = try Bench(
            .init(.init(code, ["Idempotency-Verdict": verdict], body: "x")), keys: .plain)
        let first = try await bench.send(.order())
        #expect(first.status == code)
        #expect(first.field("Idempotency-Status") == status)
        #expect(first.field("Idempotency-Verdict") == nil)
        let retry = try await bench.send(.order())
        #expect(retry.field("Idempotency-Verdict") == nil)
        #expect(bench.upstream.received.count == executions)
    }

    @Test func `what an upstream says of keys before and after its answer stays here`()
        async throws
    {
        let lines: Fields = ["Idempotency-Verdict": "release", "Idempotency-Status": "x", "A": "1"]
        var script = ScriptedUpstream.Script.chunked([Array("ab".utf8)], trailers: lines)
        script.interim = [ResponseHead(status: 103, fields: lines)]
        let bench = try Bench(.init(script), keys: .plain)
        let answer = try await bench.send(.order())
        #expect(answer.interims[0].fields.pairs.map(\.name) == ["A", "Via"])
        #expect(answer.trailers.pairs.map(\.name) == ["A"])
        #expect(answer.field("Idempotency-Status") == "executed")
    }

    @Test(arguments: ["keep; ttl=0", "keep; ttl=-1", "Keep", "keep, release", "keep; ttl=\"5\""])
    func `a verdict that makes no sense is none, and one of no time ends at once`(
        verdict: String
    ) async throws {
        let bench = try Bench(
            .init(.init(500, ["Idempotency-Verdict": verdict])), keys: .plain)
        let isVerdict = verdict == "keep; ttl=0"
        #expect(try await bench.keyStatus(of: .order()) == (isVerdict ? "executed" : "unknown"))
        let retry = try await bench.send(.order())
        #expect(retry.status == (isVerdict ? 410 : 500))
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `a verdict's ttl replaces the retention`() async throws {
        let fields: Fields = ["Idempotency-Verdict": "keep;ttl=60"]
        let bench = try Bench(.init(.init(200, fields)), keys: .plain)
        let first = try await bench.send(.order())
        #expect(first.field("Idempotency-Expires") == "Fri, 15 Jan 2027 08:01:00 GMT")
        bench.clock.advance(by: .seconds(60))
        try await bench.send(.order()).expectProblem("key-expired", 410, executed: "unknown")
    }

    @Test func `interim answers are passed on, but 100, and not to HTTP 1.0`() async throws {
        for version in [Version.http11, .http10] {
            var script = ScriptedUpstream.Script(200)
            script.interim = [
                ResponseHead(status: 100),
                ResponseHead(status: 103, fields: ["Link": "</a>", "Connection": "x"]),
            ]
            let bench = try Bench(.init(script), keys: .plain)
            let answer = try await bench.send(.order(version: version))
            #expect(answer.interims.map(\.status) == (version == .http11 ? [103] : []))
            #expect(answer.interims.allSatisfy { !$0.fields.contains(.connection) })
        }
    }

    @Test func `trailers of an answer reach the client that it was made for`() async throws {
        let script = ScriptedUpstream.Script.chunked(
            [Array("ab".utf8)], trailers: ["X-Sum": "1", "Idempotency-Status": "x"])
        let bench = try Bench(.init(script), keys: .plain)
        let first = try await bench.send(.order())
        #expect(first.text == "ab")
        #expect(first.trailers.pairs.map(\.name) == ["X-Sum"])
        #expect(try await bench.answer(to: .order()) { $0.text } == "ab")
    }
}

/// Long answers, and answers that are not kept.
@Loop @Suite struct LongAnswerTests {
    private static let chunk = [UInt8](repeating: 0x78, count: 100 << 10)

    private func long(
        _ count: Int, framing: BodyFraming, gate: Gate? = nil, cut: Bool = false
    ) -> ScriptedUpstream.Script {
        var script = ScriptedUpstream.Script.chunked(
            [[UInt8]](repeating: Self.chunk, count: count))
        script.head.framing = framing
        script.chunkGate = gate
        if cut { script.cut = UpstreamError(.cutShort, effect: .possible, detail: "scripted") }
        return script
    }

    @Test func `an answer up to 256 KiB is whole before the client sees a byte`() async throws {
        let bench = try Bench(.init(long(2, framing: .chunked)), keys: .plain)
        let answer = try await bench.send(.order())
        #expect(answer.wasWhole)
        #expect(answer.body.count == 200 << 10)
    }

    @Test(arguments: [BodyFraming.chunked, .length(400 << 10), .untilClose])
    func `a longer one streams, and its end waits until it is stored`(_ framing: BodyFraming)
        async throws
    {
        for version in [Version.http11, .http10] {
            let bench = try Bench(.init(long(4, framing: framing)), keys: .plain)
            var storedAtLastByte: Int?
            let writer = RecordingResponseWriter()
            writer.onWrite = { writer in
                if writer.body.count == 400 << 10 { storedAtLastByte = bench.rowsWritten }
            }
            try await bench.send(.order(version: version), to: writer)
            #expect(!writer.wasWhole)
            #expect(writer.isComplete)
            #expect(writer.body.count == 400 << 10)
            #expect(writer.field("Idempotency-Status") == "executed")
            // A chunked body's last byte says nothing yet: its end does.
            if framing == .length(400 << 10) || version == .http10 {
                #expect(storedAtLastByte == 2)
            }
            let retry = try await bench.send(.order())
            #expect(retry.body == writer.body)
            #expect(bench.upstream.received.count == 1)
        }
    }

    @Test func `a streamed answer that is not stored still goes out whole`() async throws {
        let bench = try Bench(.init(long(4, framing: .chunked)), keys: .plain)
        bench.store.breakDown([.replace])
        let answer = try await bench.send(.order())
        #expect(answer.isComplete)
        #expect(answer.body.count == 400 << 10)
    }

    @Test func `a streamed answer that is cut is cut for the client too, and unknown`()
        async throws
    {
        let bench = try Bench(.init(long(4, framing: .chunked, cut: true)), keys: .plain)
        let answer = try await bench.send(.order())
        #expect(answer.wasAborted)
        #expect(!answer.isComplete)
        try await bench.send(.order()).expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `a client that goes away in the middle of a long answer does not cut it short`()
        async throws
    {
        let bench = try Bench(.init(long(4, framing: .length(400 << 10))), keys: .plain)
        let writer = RecordingResponseWriter()
        writer.onWrite = { $0.hangUp() }
        try await bench.send(.order(), to: writer)
        #expect(!writer.isComplete)
        let retry = try await bench.send(.order())
        #expect(retry.body.count == 400 << 10)
        #expect(retry.field("Idempotency-Status") == "replayed")
    }

    @Test(arguments: [150 << 10, 350 << 10])
    func `an answer beyond the limit reaches its client whole and is not kept`(_ limit: Int)
        async throws
    {
        let bench = try Bench(
            .init(long(4, framing: .chunked)), keys: .with { $0.responseLimit = limit })
        let first = try await bench.send(.order())
        #expect(first.isComplete)
        #expect(first.body.count == 400 << 10)
        let retry = try await bench.send(.order())
        retry.expectProblem("response-not-kept", 410, executed: "yes")
        #expect(retry.text.contains(#""original_status":200"#))
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `a route that streams holds back only the end`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script.chunked([Array("a".utf8)])
        script.chunkGate = gate
        let bench = try Bench(.init(script), keys: .with { $0.streams = true })
        let (writer, task) = bench.begin(.order())
        await writer.beginning()
        #expect(writer.body.isEmpty)
        gate.open()
        try await task.value
        #expect(writer.text == "a")
        #expect(writer.isComplete)
    }
}

/// What happens when the store fails.
@Loop @Suite struct StoreFailureTests {
    @Test func `without a claim nothing is forwarded`() async throws {
        let bench = try Bench(.init(), keys: .plain)
        bench.store.breakDown()
        let answer = try await bench.send(.order())
        answer.expectProblem("store-unavailable", 503, executed: "unknown")
        #expect(answer.field("Retry-After") == "1")
        #expect(bench.upstream.received.isEmpty)
        bench.store.mend()
        #expect(try await bench.keyStatus(of: .order()) == "executed")
    }

    @Test func `a route may forward without protection`() async throws {
        let bench = try Bench(
            .init(.init(201, body: "x")), keys: .with { $0.storeDown = .pass })
        bench.store.breakDown()
        for _ in 0..<2 {
            let answer = try await bench.send(.order())
            #expect(answer.status == 201)
            #expect(answer.text == "x")
            #expect(answer.field("Idempotency-Status") == "unprotected")
            #expect(answer.field("Idempotency-Key") == "k-1")
        }
        #expect(bench.upstream.received.count == 2)
        #expect(bench.upstream.received[0].body == Array(#"{"n":1}"#.utf8))
        #expect(!bench.upstream.received[0].request.fields.contains(.idempotencyKey))
    }

    @Test func `a route that passes hides what the upstream says of keys there too`() async throws {
        let fields: Fields = ["Idempotency-Verdict": "keep", "Idempotency-Status": "forged"]
        let bench = try Bench(.init(.init(201, fields)), keys: .with { $0.storeDown = .pass })
        bench.store.breakDown()
        let answer = try await bench.send(.order())
        let lines = answer.head?.fields.pairs.filter { $0.name.hasPrefix("Idempotency-") } ?? []
        #expect(lines.map(\.name) == ["Idempotency-Key", "Idempotency-Status"])
        #expect(answer.field("Idempotency-Status") == "unprotected")
        #expect(
            bench.counts(
                #"oncegate_requests_total{route="orders",outcome="unprotected",status="2xx"} 1"#))
    }

    @Test func `where requests pass, those who waited are not told that nothing was done`()
        async throws
    {
        let bench = try Bench(.init(.init(201)), keys: .with { $0.storeDown = .pass })
        bench.store.breakDown([.insert])
        bench.store.hold()
        let (first, firstTask) = bench.begin(.order())
        await bench.store.untilHeld(1)
        let (second, secondTask) = bench.begin(.order())
        await bench.settle()
        bench.store.letGo()
        try await firstTask.value
        try await secondTask.value
        #expect(first.status == 201 && first.field("Idempotency-Status") == "unprotected")
        second.expectProblem("store-unavailable", 503, executed: "unknown")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an answer that cannot be stored is given as unsaved, and given again`()
        async throws
    {
        let bench = try Bench(.init(.init(201, body: "x")), keys: .plain)
        bench.store.breakDown([.replace])
        let first = try await bench.send(.order())
        #expect(first.status == 201)
        #expect(first.text == "x")
        #expect(first.field("Idempotency-Status") == "unsaved")
        let retry = try await bench.send(.order())
        #expect(retry.text == "x")
        #expect(retry.field("Idempotency-Status") == "unsaved")
        #expect(retry.field("Idempotent-Replayed") == "true")
        #expect(retry.field("Idempotency-Expires") == nil)
        bench.store.mend()
        #expect(await bench.keys.retryUnsaved() == 0)
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an unknown outcome that cannot be stored is never executed again`() async throws {
        let bench = try Bench(.init(.silent()), keys: .plain)
        bench.store.breakDown([.replace])
        let first = try await bench.send(.order())
        first.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(first.field("Idempotency-Status") == "unsaved")
        bench.store.mend()
        _ = await bench.keys.retryUnsaved()
        #expect(try await bench.keyStatus(of: .order()) == "unknown")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `after an unknown attempt, one that was not sent proves nothing`() async throws {
        let bench = try Bench(
            ScriptedUpstream { number in
                switch number {
                case 0: .silent()
                case 1: .failing(.unreachable, effect: .none)
                default: .init(201)
                }
            }, keys: .with { $0.policy.unknown = .retry })
        try await bench.send(.order()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await bench.send(.order()).expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(try await bench.keyStatus(of: .order()) == "executed")
    }

    @Test func `a release that cannot be stored frees the key all the same`() async throws {
        let bench = try Bench(
            ScriptedUpstream { $0 == 0 ? .failing(.unreachable, effect: .none) : .init(201) },
            keys: .plain)
        bench.store.breakDown([.replace])
        let first = try await bench.send(.order())
        first.expectProblem("upstream-unreachable", 502, executed: "no")
        bench.store.mend()
        #expect(try await bench.keyStatus(of: .order()) == "executed")
    }

    @Test func `those who wait for a claim that fails are refused, and nobody is forwarded`()
        async throws
    {
        let bench = try Bench(.init(), keys: .plain)
        bench.store.breakDown([.insert])
        bench.store.hold()
        let all = [bench.begin(.order()), bench.begin(.order())]
        await bench.store.untilHeld(1)
        await bench.settle()
        bench.store.letGo()
        for (writer, task) in all {
            try await task.value
            writer.expectProblem("store-unavailable", 503, executed: "unknown")
        }
        #expect(bench.upstream.received.isEmpty)
    }
}
