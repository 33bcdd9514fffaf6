import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Gateway

/// Work of several upstream calls, one after the other.
@Loop @Suite struct StagedExecutionTests {
    @Test func `each stage is called once, and the last one's answer is the client's`()
        async throws
    {
        let upstream = ScriptedUpstream { number in
            .json(201, ["{\"total\": 12.50}", "{\"id\": \"p-1\"}", "{\"order\": 7}"][number])
        }
        let stages = try Cart.stages { index, stage in
            if index == 1 {
                stage.call.body = try Cart.json(
                    #"{"cart":"{params.id}","amount":"{stages.taxed.body/total}","n":"{body/n}"}"#,
                    1)
                stage.call.fields = [(FieldName("X-A"), try Cart.text("{query.q} {key}", 1))]
            }
            if index == 2 { stage.call.body = .original }
        }
        let bench = try Bench(upstream, stages: stages)
        let first = try await bench.send(.cart(query: "?q=x%20y", fields: ["X-A": "mine"]))
        #expect(first.status == 201 && first.text == "{\"order\": 7}")
        #expect(first.field("Idempotency-Status") == "executed")
        #expect(first.field("Idempotency-Expires") != nil)
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments", "POST /orders"])
        let payment = upstream.received[1]
        #expect(
            String(decoding: payment.body, as: UTF8.self)
                == #"{"cart":"c1","amount":12.50,"n":1}"#)
        #expect(payment.request.fields.text(FieldName("X-A")) == "x y k-1")
        #expect(payment.request.fields.count(of: FieldName("X-A")) == 1)
        #expect(String(decoding: upstream.received[2].body, as: UTF8.self) == #"{"n":1}"#)
        let retry = try await bench.send(.cart(query: "?q=x%20y", fields: ["X-A": "mine"]))
        #expect(retry.status == 201 && retry.text == "{\"order\": 7}")
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(upstream.received.count == 3)
        let record = try #require(try await bench.record())
        #expect(record.recoveryPoint == .finished)
        #expect(record.stages.map(\.recoveryPoint) == ["taxed", "paid"])
        #expect(record.content == nil && record.pendingStage == nil)
        #expect(bench.counts(#"oncegate_stages_total{route="orders"} 3"#))
        #expect(bench.counts(#"oncegate_resumptions_total{route="orders"} 0"#))
    }

    @Test func `a stage bears the client's fields, and those of its content with the content only`()
        async throws
    {
        let stages = try Cart.stages { index, stage in
            if index == 0 { stage.call.body = try Cart.json(#"{"a":1}"#, 0) }
            if index == 2 { stage.call.body = .original }
        }
        let bench = try Bench(.init(.json(200, "{}")), stages: stages) {
            $0.forwardedName = .idempotencyKey
        }
        try await bench.send(
            .cart(fields: [
                "Authorization": "Bearer x", "Accept-Encoding": "gzip", "Content-Language": "de",
                "Repr-Digest": "d", "If-Match": "*", "Range": "bytes=0-1", "Connection": "X-Hop",
                "X-Hop": "1", "X-Keep": "1",
            ]))
        let fields = bench.upstream.received.map(\.request.fields)
        #expect(fields.count == 3)
        for each in fields {
            #expect(
                each.text(.authorization) == "Bearer x" && each.text(FieldName("X-Keep")) == "1")
            #expect(each.text(.host) == "shop.example" && !each.contains(FieldName("X-Hop")))
            #expect(each.text(.xForwardedFor) == "192.0.2.1")
        }
        #expect(fields[0].text(.contentType) == "application/json")
        #expect(!fields[1].contains(.contentType))
        for each in fields[..<2] {
            for name in [
                "Content-Language", "Repr-Digest", "If-Match", "Range", "Accept-Encoding",
            ] { #expect(!each.contains(FieldName(name)), "\(name)") }
        }
        #expect(
            fields[2].text(FieldName("Content-Language")) == "de"
                && fields[2].text(FieldName("If-Match")) == "*")
        #expect(fields[2].text(FieldName("Accept-Encoding")) == "gzip")
        #expect(fields.map { $0.text(.idempotencyKey) } == Cart.names.map { "k-1:" + $0 })
        if case .whole(let body) = bench.upstream.received[1].request.body {
            #expect(body.isEmpty)
        } else {
            Issue.record("a POST without content says so")
        }
    }

    @Test func `an answer that is no success ends the run and is stored`() async throws {
        let upstream = ScriptedUpstream { number in
            number == 1 ? .json(422, "{\"declined\":true}") : .json(200, "{}")
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let first = try await bench.send(.cart())
        #expect(first.status == 422 && first.text == "{\"declined\":true}")
        #expect(first.field("Idempotency-Status") == "executed")
        let retry = try await bench.send(.cart())
        #expect(retry.status == 422 && retry.field("Idempotency-Status") == "replayed")
        #expect(upstream.received.count == 2)
    }

    @Test func `a status that counts as success goes on, whatever the route says of it`()
        async throws
    {
        let upstream = ScriptedUpstream { $0 == 0 ? .init(409) : .json(200, "{}") }
        let stages = try Cart.stages { index, stage in
            if index == 0 { stage.call.success = StatusSet([200...299, 409...409]) }
        }
        let bench = try Bench(upstream, stages: stages)
        #expect(try await bench.send(.cart()).status == 200)
        #expect(upstream.received.count == 3)
    }

    @Test(
        arguments: [
            (200, "keep", "finished", 3), (422, "keep", "finished", 1),
            (503, "keep", "finished", 1),
            (200, "release", "started", 1), (200, "unknown", "unknown", 1),
        ] as [(UInt16, String, String, Int)])
    func `an upstream's verdict counts`(
        _ status: UInt16, _ verdict: String, _ state: String, _ count: Int
    ) async throws {
        let upstream = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number == 0 {
                script.head.status = status
                script.head.fields.append(UpstreamVerdict.fieldName, verdict)
            }
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let answer = try await bench.send(.cart())
        #expect(answer.field("Idempotency-Verdict") == nil)
        #expect(try await bench.state() == state)
        #expect(upstream.received.count == count)
    }

    @Test func `nothing sent at the first stage frees the key`() async throws {
        let upstream = ScriptedUpstream { number in
            number == 0 ? .failing(.unreachable, effect: .none) : .json(200, "{}")
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let first = try await bench.send(.cart())
        first.expectProblem("upstream-unreachable", 502, executed: "no")
        #expect(first.field("Idempotency-Status") == "released")
        #expect(try await bench.record()?.content == nil)
        try await bench.round()
        #expect(upstream.received.count == 1)
        #expect(try await bench.send(.cart()).status == 200)
        #expect(upstream.received.count == 4)
    }

    @Test func `nothing sent at a later stage is tried again, then left for later`() async throws {
        let upstream = ScriptedUpstream { number in
            1...2 ~= number ? .failing(.connectTimeout, effect: .none) : .json(200, "{}")
        }
        let stages = try Cart.stages { index, stage in
            if index == 1 { stage.call.retry = .init(attempts: 2, backoff: .seconds(1)) }
        }
        let bench = try Bench(upstream, stages: stages)
        let (writer, task) = bench.begin(.cart())
        let (joining, joined) = bench.begin(.cart())
        await upstream.arrival(of: 2)
        try await bench.until { bench.counts(#"oncegate_waits_total{route="orders"} 1"#) }
        #expect(!writer.hasBegun && upstream.received.count == 2)
        try await bench.answered(writer)
        try await task.value
        writer.expectProblem("upstream-unreachable", 504, executed: "pending")
        #expect(writer.field("Idempotency-Status") == "in-flight")
        #expect(writer.field("Retry-After") == "1")
        #expect(writer.text.contains(#""recovery_point":"taxed""#))
        try await joined.value
        joining.expectProblem("in-flight", 409, executed: "pending")
        #expect(joining.field("Retry-After") == "1")
        #expect(joining.text.contains(#""recovery_point":"taxed""#))
        #expect(try await bench.state() == "taxed")
        #expect(try await bench.record()?.pendingStage == nil)
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(
            bench.sent.suffix(2) == ["POST /payments", "POST /orders"]
                && upstream.received.count == 5)
        #expect(bench.counts(#"oncegate_resumptions_total{route="orders"} 1"#))
        #expect(try await bench.send(.cart()).field("Idempotency-Status") == "replayed")
    }

    @Test func `pauses double, up to a minute, with jitter`() {
        var backoff = StageBackoff(.init(attempts: 12, backoff: .seconds(1)))
        var expected = 1.0
        for _ in 0..<11 {
            let pause = backoff.next() ?? .zero
            #expect(pause >= .seconds(expected) && pause <= .seconds(expected * 1.25))
            expected = min(60, expected * 2)
        }
        #expect(backoff.next() == nil)
        var once = StageBackoff(.init())
        #expect(once.next() == nil)
    }

    @Test func `a refusal is tried again; the first stage's frees the key`() async throws {
        let stages = try Cart.stages { _, stage in
            stage.call.retry = .init(attempts: 2, backoff: .milliseconds(10))
        }
        let bench = try Bench(.init(.init(503, body: "busy")), stages: stages)
        let (writer, task) = bench.begin(.cart())
        await bench.upstream.arrival(of: 1)
        try await bench.answered(writer)
        try await task.value
        #expect(writer.status == 503 && writer.text == "busy")
        #expect(writer.field("Idempotency-Status") == "released")
        #expect(bench.upstream.received.count == 2)
        #expect(try await bench.state() == "started")
    }

    @Test func `a refusal of a later stage is its answer for good`() async throws {
        let upstream = ScriptedUpstream { $0 == 1 ? .init(403, body: "no") : .json(200, "{}") }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let answer = try await bench.send(.cart())
        #expect(answer.status == 403 && answer.field("Idempotency-Status") == "executed")
        #expect(try await bench.send(.cart()).field("Idempotency-Status") == "replayed")
        #expect(upstream.received.count == 2)
    }

    @Test(arguments: [0, 1, 2])
    func `a lost answer leaves the stage unknown, and nothing is called again`(_ lost: Int)
        async throws
    {
        let upstream = ScriptedUpstream { $0 == lost ? .silent() : .json(200, "{}") }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let first = try await bench.send(.cart())
        first.expectProblem("outcome-unknown", 502, executed: "unknown")
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await bench.round()
        #expect(upstream.received.count == lost + 1)
        let record = try #require(try await bench.record())
        #expect(record.recoveryPoint == .unknown)
        #expect(record.pendingStage == Cart.names[lost])
        #expect(record.stages.map(\.recoveryPoint) == Array(Cart.names[..<lost]))
        // An operator found out that it did not happen.
        _ = try await bench.keys.release(record.id, force: false, policy: KeyPolicy())
        let retry = try await bench.send(.cart())
        #expect(retry.status == 200)
        #expect(upstream.received.count == 4)
    }

    @Test func `a server error of a stage is given and held`() async throws {
        let upstream = ScriptedUpstream { $0 == 1 ? .init(500, body: "broke") : .json(200, "{}") }
        let bench = try Bench(upstream, stages: try Cart.stages())
        for _ in 0..<2 {
            let answer = try await bench.send(.cart())
            #expect(answer.status == 500 && answer.text == "broke")
            #expect(answer.field("Idempotency-Status") == "unknown")
        }
        #expect(upstream.received.count == 2)
    }

    @Test func `a stage that tolerates repeats is called again, and leaves no mark`() async throws {
        let upstream = ScriptedUpstream { number in
            switch number {
            case 1: .silent()
            case 2: .init(500)
            case 3: .silent(.timeout)
            default: .json(200, "{}")
            }
        }
        let stages = try Cart.stages { index, stage in
            guard index == 1 else { return }
            stage.call.unknown = .retry
            stage.call.retry = .init(attempts: 3, backoff: .milliseconds(10))
        }
        let bench = try Bench(upstream, stages: stages)
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 2)
        await bench.settle()
        #expect(try await bench.record()?.pendingStage == nil)
        try await bench.answered(writer)
        try await task.value
        writer.expectProblem("upstream-unreachable", 504, executed: "pending")
        #expect(try await bench.state() == "taxed")
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(bench.sent.count { $0 == "POST /payments" } == 4)
    }

    @Test func `what may have been repeated is not called refused`() async throws {
        let upstream = ScriptedUpstream { number in
            switch number {
            case 0: .silent()
            case 1: .init(429)
            default: .json(200, "{}")
            }
        }
        let stages = try Cart.stages { _, stage in
            stage.call.unknown = .retry
            stage.call.retry = .init(attempts: 2, backoff: .milliseconds(10))
        }
        let bench = try Bench(upstream, stages: stages)
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 1)
        try await bench.answered(writer)
        try await task.value
        writer.expectProblem("upstream-unreachable", 503, executed: "pending")
        #expect(try await bench.state() == "started")
        try await bench.round()
        #expect(try await bench.state() == "finished")
    }

    @Test func `the mark is durable before a byte is sent`() async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { _ in
            var script = ScriptedUpstream.Script.json(200, "{}")
            script.gate = gate
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 1)
        #expect(try await bench.record()?.pendingStage == "taxed")
        gate.open()
        try await task.value
        #expect(writer.status == 200)
    }

    @Test func `without the mark nothing is sent`() async throws {
        let bench = try Bench(.init(.json(200, "{}")), stages: try Cart.stages())
        bench.store.breakDown([.replace])
        let (writer, task) = bench.begin(.cart())
        try await bench.answered(writer)
        try await task.value
        writer.expectProblem("store-unavailable", 503, executed: "pending")
        #expect(bench.upstream.received.isEmpty)
        bench.store.mend()
        await bench.pass(.seconds(5))
        _ = await bench.keys.retryUnsaved()
        try await bench.round()
        #expect(try await bench.state() == "finished")
    }

    @Test(arguments: [FaultyStore.Fault.before, .after], 0..<5)
    func `a moment without the store loses no stage`(
        _ fault: FaultyStore.Fault, _ position: Int
    ) async throws {
        let bench = try Bench(.init(.json(200, "{}")), stages: try Cart.stages())
        for _ in 0..<position { bench.store.fail(.replace, nil) }
        bench.store.fail(.replace, fault)
        let (writer, task) = bench.begin(.cart())
        try await bench.answered(writer)
        try await task.value
        #expect(writer.status == 200)
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments", "POST /orders"])
        #expect(try await bench.stages() == ["taxed", "paid"])
    }

    @Test func `a stage that the store does not take down is kept and not called again`()
        async throws
    {
        let gate = Gate()
        let upstream = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number == 0 { script.gate = gate }
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 1)
        bench.store.breakDown([.replace])
        gate.open()
        try await bench.answered(writer)
        try await task.value
        writer.expectProblem("store-unavailable", 503, executed: "pending")
        bench.store.mend()
        await bench.pass(.seconds(10))
        _ = await bench.keys.retryUnsaved()
        try await bench.round()
        #expect(try await bench.state() == "finished")
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments", "POST /orders"])
    }

    @Test func `a template that cannot be filled in fails for good and tells no value`()
        async throws
    {
        let stages = try Cart.stages { index, stage in
            if index == 1 { stage.call.body = try Cart.json(#"["{stages.taxed.body/no}"]"#, 1) }
        }
        let bench = try Bench(.init(.json(200, #"{"secret":1}"#)), stages: stages)
        let answer = try await bench.send(.cart())
        answer.expectProblem("stage-failed", 502, executed: "yes")
        let detail = try JSON.parse(answer.body[...])["detail"]?.string ?? ""
        #expect(detail.contains("\"paid\"") && detail.contains("{stages.taxed.body/no}"))
        #expect(!answer.text.contains("secret"))
        #expect(answer.text.contains(#""recovery_point":"taxed""#))
        let retry = try await bench.send(.cart())
        #expect(retry.status == 502 && retry.text == answer.text)
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 1)
        #expect(try await bench.record()?.pendingStage == nil)
    }

    @Test func `an answer that was not kept fails what needs it, and nothing else`() async throws {
        let stages = try Cart.stages { index, stage in
            if index == 2 { stage.call.body = try Cart.json(#"["{stages.taxed.body/a}"]"#, 2) }
        }
        let long = #"{"a":""# + String(repeating: "x", count: 100) + "\"}"
        let bench = try Bench(.init(.json(200, long)), stages: stages) { $0.responseLimit = 64 }
        try await bench.send(.cart()).expectProblem("stage-failed", 502, executed: "yes")
        #expect(bench.sent == ["POST /carts/c1/taxes", "POST /payments"])
        let other = try Bench(.init(.json(200, long)), stages: try Cart.stages()) {
            $0.responseLimit = 64
        }
        // The client gets all of it, once.
        #expect(try await other.send(.cart()).text == long)
        try await other.send(.cart()).expectProblem("response-not-kept", 410, executed: "yes")
    }

    @Test func `a long last answer streams, and one that is cut is not begun anew`() async throws {
        let chunk = [UInt8](repeating: 0x78, count: 200 << 10)
        let upstream = ScriptedUpstream { number in
            guard number >= 2 else { return .json(200, "{}") }
            var script = ScriptedUpstream.Script.chunked([chunk, chunk])
            if number == 2 {
                script.cut = UpstreamError(.cutShort, effect: .possible, detail: "scripted")
            }
            return script
        }
        let stages = try Cart.stages { index, stage in
            guard index == 2 else { return }
            stage.call.unknown = .retry
            stage.call.retry = .init(attempts: 3, backoff: .milliseconds(10))
        }
        let bench = try Bench(upstream, stages: stages)
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 3)
        try await bench.answered(writer)
        try await task.value
        #expect(writer.status == 200 && writer.wasAborted)
        #expect(upstream.received.count == 3)
        try await bench.round()
        let retry = try await bench.send(.cart())
        #expect(retry.status == 200 && retry.body.count == 2 * chunk.count)
        #expect(upstream.received.count == 4)
    }

    @Test func `encoded bodies are looked into`() async throws {
        let upstream = ScriptedUpstream { number in
            guard number == 0 else { return .json(200, "{}") }
            var script = ScriptedUpstream.Script(200, ["Content-Encoding": "gzip"])
            // {"total":3}
            let body = bytes(
                hexadecimal: "1f8b0800000000000203ab562ac92f49cc51b232ae0500b14afd270b000000")
            script.head.framing = .length(UInt64(body.count))
            script.chunks = [body]
            return script
        }
        let stages = try Cart.stages { index, stage in
            if index == 1 { stage.call.body = try Cart.json(#"["{stages.taxed.body/total}"]"#, 1) }
        }
        let bench = try Bench(upstream, stages: stages)
        #expect(try await bench.send(.cart()).status == 200)
        #expect(String(decoding: upstream.received[1].body, as: UTF8.self) == "[3]")
    }

    @Test func `a client that hangs up has its work done`() async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number == 1 { script.gate = gate }
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages()) {
            $0.answerWithin = .seconds(5)
        }
        let (late, task) = bench.begin(.cart())
        await upstream.arrival(of: 2)
        await bench.pass(.seconds(5))
        try await task.value
        late.expectProblem("in-flight", 504, executed: "pending")
        #expect(late.text.contains(#""recovery_point":"taxed""#))
        gate.open()
        try await bench.until { try await bench.state() == "finished" }
        #expect(try await bench.send(.cart()).status == 200)
        #expect(upstream.received.count == 3)
    }

    @Test func `the end of the process cuts a stage and leaves it unknown`() async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { number in
            var script = ScriptedUpstream.Script.json(200, "{}")
            if number == 1 { script.gate = gate }
            return script
        }
        let bench = try Bench(upstream, stages: try Cart.stages())
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 2)
        let drain = bench.drain(within: .seconds(1))
        try await bench.until { bench.timers.pending >= 2 }
        await bench.pass(.seconds(1))
        #expect(await drain.value == 1)
        try await task.value
        writer.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(try await bench.record()?.pendingStage == "paid")
    }

    @Test func `the end of the process does not wait for a pause`() async throws {
        let upstream = ScriptedUpstream { number in
            number == 1 ? .failing(.unreachable, effect: .none) : .json(200, "{}")
        }
        let stages = try Cart.stages { _, stage in
            stage.call.retry = .init(attempts: 9, backoff: .seconds(60))
        }
        let bench = try Bench(upstream, stages: stages)
        let (writer, task) = bench.begin(.cart())
        await upstream.arrival(of: 2)
        let drain = bench.drain(within: .seconds(1))
        try await bench.until { bench.timers.pending >= 3 }
        await bench.pass(.seconds(1))
        #expect(await drain.value == 1)
        try await task.value
        writer.expectProblem("upstream-unreachable", 502, executed: "pending")
        #expect(try await bench.state() == "taxed")
        #expect(upstream.received.count == 2)
    }
}
