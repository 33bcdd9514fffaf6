import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Gateway

/// Upstreams that advance their record themselves.
@Loop @Suite struct BackendStagesTests {
    private static let rules = KeyRules.with { $0.hasBackendStages = true }

    private func bench(_ upstream: ScriptedUpstream) throws -> Bench {
        try Bench(upstream, keys: Self.rules)
    }

    /// What a request to the upstream says of its record.
    private func told(_ upstream: ScriptedUpstream, _ index: Int) throws -> (
        id: KeyID, point: String, token: LockToken
    ) {
        let fields = upstream.received[index].request.fields
        return (
            try #require(KeyID(fields.text(.idempotencyRecordID) ?? "")),
            try #require(fields.text(.idempotencyRecoveryPoint)),
            try #require(LockToken(hexadecimal: fields.text(.idempotencyStageToken) ?? ""))
        )
    }

    private func reply(_ text: String) -> StoredReply {
        StoredReply(
            responseCode: 201, responseHeaders: Array("X-Kept: yes\r\n".utf8),
            responseBody: Array(text.utf8))
    }

    @Test func `the upstream is told its record, and nobody else the token`() async throws {
        var script = ScriptedUpstream.Script(201, ["A": "b"], body: "done")
        script.head.fields.append(.idempotencyStageToken, "leak")
        let upstream = ScriptedUpstream(script)
        let bench = try bench(upstream)
        let answer = try await bench.send(
            .order(fields: [
                "Idempotency-Record-Id": "forged", "Idempotency-Recovery-Point": "finished",
                "Idempotency-Stage-Token": "forged",
            ]))
        let told = try told(upstream, 0)
        #expect(told.point == "started")
        for name in [
            FieldName.idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken,
        ] {
            #expect(upstream.received[0].request.fields.count(of: name) == 1)
            #expect(answer.head?.fields.contains(name) == false)
        }
        #expect(answer.status == 201)
        #expect(answer.field("Idempotency-Status") == "executed")
        #expect(try await bench.keys.retrieve(told.id)?.isResumable == true)
        #expect(try await bench.keyStatus(of: .order()) == "replayed")
    }

    @Test func `other upstreams are told nothing`() async throws {
        let upstream = ScriptedUpstream(.init(200))
        let bench = try Bench(upstream, keys: .plain)
        try await bench.send(.order(fields: ["Idempotency-Stage-Token": "forged"]))
        #expect(!upstream.received[0].request.fields.contains(.idempotencyStageToken))
        #expect(!upstream.received[0].request.fields.contains(.idempotencyRecordID))
    }

    @Test(arguments: [UpstreamError.Reason.cutShort, .timeout, .malformed])
    func `an exchange that comes to nothing is gone on with, from where it was, under a new token`(
        _ reason: UpstreamError.Reason
    ) async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { index in
            guard index == 0 else { return .init(201, body: "whole") }
            var script = ScriptedUpstream.Script.silent(reason)
            script.gate = gate
            return script
        }
        let bench = try bench(upstream)
        let (writer, task) = bench.begin(.order())
        await bench.settle()
        let first = try told(upstream, 0)
        _ = try await bench.keys.update(
            first.id, token: first.token, recoveryPoint: .stage("paid"), reply: reply("paid"),
            policy: KeyPolicy())
        gate.open()
        try await task.value
        writer.expectProblem("in-flight", reason == .timeout ? 504 : 502, executed: "pending")
        #expect(writer.field("Idempotency-Status") == "in-flight")
        #expect(writer.field("Retry-After") == "1")
        #expect(try JSON.parse(writer.body[...])["recovery_point"]?.string == "paid")
        #expect(try await bench.state() == "paid")

        let retry = try await bench.send(.order())
        #expect(retry.status == 201)
        let second = try told(upstream, 1)
        #expect(second.id == first.id)
        #expect(second.point == "paid")
        #expect(second.token != first.token)
        await #expect(throws: ClaimError.finished) {
            _ = try await bench.keys.update(
                first.id, token: first.token, recoveryPoint: .stage("late"), policy: KeyPolicy())
        }
    }

    @Test func `while it is gone on with, the older token changes nothing`() async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { index in
            var script: ScriptedUpstream.Script = index == 0 ? .silent() : .init(201)
            if index > 0 { script.gate = gate }
            return script
        }
        let bench = try bench(upstream)
        try await bench.send(.order())
        let (_, task) = bench.begin(.order())
        await bench.settle()
        let old = try told(upstream, 0)
        await #expect(throws: ClaimError.lost) {
            _ = try await bench.keys.update(
                old.id, token: old.token, recoveryPoint: .stage("paid"), policy: KeyPolicy())
        }
        gate.open()
        try await task.value
        #expect(try await bench.keys.retrieve(old.id)?.stages.isEmpty == true)
    }

    @Test(arguments: [false, true])
    func `the answer with which it ended its record wins, whatever comes after`(_ isCut: Bool)
        async throws
    {
        let gate = Gate()
        var script: ScriptedUpstream.Script = isCut ? .silent() : .init(500, body: "late trouble")
        script.gate = gate
        let upstream = ScriptedUpstream(script)
        let bench = try bench(upstream)
        let (writer, task) = bench.begin(.order())
        let (other, joined) = bench.begin(.order())
        await bench.settle()
        let told = try told(upstream, 0)
        _ = try await bench.keys.update(
            told.id, token: told.token, recoveryPoint: .finished, reply: reply("kept"),
            policy: KeyPolicy())
        // Its exchange goes on, and so does the wait of others.
        let (third, alsoJoined) = bench.begin(.order())
        await bench.settle()
        #expect(!other.isComplete && !third.isComplete)
        gate.open()
        try await task.value
        try await joined.value
        try await alsoJoined.value
        for writer in [writer, other, third] {
            #expect(writer.status == 201)
            #expect(writer.text == "kept")
            #expect(writer.field("X-Kept") == "yes")
        }
        #expect(writer.field("Idempotency-Status") == "executed")
        #expect(writer.field("Idempotency-Expires") != nil)
        #expect(writer.field("Idempotent-Replayed") == nil)
        #expect(other.field("Idempotency-Status") == "replayed")
        #expect(try await bench.send(.order()).text == "kept")
        #expect(upstream.received.count == 1)
    }

    @Test func `duplicates wait for the exchange while the record advances, and get its answer`()
        async throws
    {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "done")
        script.gate = gate
        let upstream = ScriptedUpstream(script)
        let bench = try bench(upstream)
        let (_, task) = bench.begin(.order())
        await bench.settle()
        let told = try told(upstream, 0)
        for stage in ["a", "b"] {
            _ = try await bench.keys.update(
                told.id, token: told.token, recoveryPoint: .stage(stage), policy: KeyPolicy())
        }
        let (other, joined) = bench.begin(.order())
        await bench.settle()
        #expect(!other.isComplete)
        gate.open()
        try await task.value
        try await joined.value
        #expect(other.text == "done")
        let key = try #require(try await bench.keys.retrieve(told.id))
        #expect(key.recoveryPoint == .finished)
        #expect(key.stages.map(\.recoveryPoint) == ["a", "b"])
        #expect(upstream.received.count == 1)
    }

    @Test func `those who wait for work that stops are told to come back`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script.silent()
        script.gate = gate
        let bench = try bench(ScriptedUpstream(script))
        let (_, task) = bench.begin(.order())
        await bench.settle()
        let (other, joined) = bench.begin(.order())
        await bench.settle()
        gate.open()
        try await task.value
        try await joined.value
        other.expectProblem("in-flight", 409, executed: "pending")
        #expect(other.field("Retry-After") == "1")
    }

    @Test func `a failure of the backend goes through, and the work goes on with the retry`()
        async throws
    {
        let upstream = ScriptedUpstream { index in
            index == 0 ? .init(500, body: "a bug") : .init(201, body: "done")
        }
        let bench = try bench(upstream)
        let failed = try await bench.send(.order())
        #expect(failed.status == 500)
        #expect(failed.text == "a bug")
        #expect(failed.field("Idempotency-Status") == "in-flight")
        #expect(try await bench.state() == "started")
        #expect(try await bench.send(.order()).text == "done")
        #expect(try await bench.send(.order()).text == "done")
        #expect(upstream.received.count == 2)
    }

    @Test func `its own verdict is obeyed`() async throws {
        let upstream = ScriptedUpstream(
            .init(200, ["Idempotency-Verdict": "unknown"], body: "who knows"))
        let bench = try bench(upstream)
        for _ in 0..<2 {
            let answer = try await bench.send(.order())
            #expect(answer.field("Idempotency-Status") == "unknown")
        }
        #expect(upstream.received.count == 1)
    }

    @Test func `a backend that says that nobody knows is not asked to go on`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script.silent()
        script.gate = gate
        let upstream = ScriptedUpstream(script)
        let bench = try bench(upstream)
        let (writer, task) = bench.begin(.order())
        await bench.settle()
        let told = try told(upstream, 0)
        _ = try await bench.keys.update(
            told.id, token: told.token, recoveryPoint: .unknown, policy: KeyPolicy())
        gate.open()
        try await task.value
        writer.expectProblem("outcome-unknown", 502, executed: "unknown")
        try await bench.send(.order()).expectProblem(
            "outcome-unknown", 502, executed: "unknown")
        #expect(upstream.received.count == 1)
    }

    @Test func `what draining cuts is gone on with later`() async throws {
        var script = ScriptedUpstream.Script(201)
        script.gate = Gate()
        let bench = try bench(ScriptedUpstream(script))
        let (writer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        let draining = bench.drain(within: .seconds(30))
        await bench.settle()
        bench.timers.advance(by: .seconds(30))
        #expect(await draining.value == 1)
        try await task.value
        writer.expectProblem("in-flight", 502, executed: "pending")
        #expect(try await bench.state() == "started")
    }

    @Test func `a refusal by the backend forgets no stage`() async throws {
        let gate = Gate()
        let upstream = ScriptedUpstream { index in
            var script = ScriptedUpstream.Script(index == 0 ? 503 : 201)
            if index == 0 { script.gate = gate }
            return script
        }
        let bench = try bench(upstream)
        let (writer, task) = bench.begin(.order())
        await bench.settle()
        let told = try told(upstream, 0)
        _ = try await bench.keys.update(
            told.id, token: told.token, recoveryPoint: .stage("paid"), policy: KeyPolicy())
        gate.open()
        try await task.value
        #expect(writer.field("Idempotency-Status") == "released")
        try await bench.send(.order())
        #expect(try self.told(upstream, 1).point == "paid")
    }

    @Test func `where nothing was ever sent, the key is as free as it was`() async throws {
        let upstream = ScriptedUpstream { index in
            index == 0 ? .failing(.unreachable, effect: .none) : .silent()
        }
        let bench = try bench(upstream)
        try await bench.send(.order()).expectProblem(
            "upstream-unreachable", 502, executed: "no")
        try await bench.send(.order()).expectProblem("in-flight", 502, executed: "pending")
    }

    @Test func `where something was sent before, nobody is told that nothing was`() async throws {
        let upstream = ScriptedUpstream { index in
            index == 0 ? .silent() : .failing(.unreachable, effect: .none)
        }
        let bench = try bench(upstream)
        try await bench.send(.order()).expectProblem("in-flight", 502, executed: "pending")
        try await bench.send(.order()).expectProblem("in-flight", 502, executed: "pending")
        #expect(try await bench.state() == "started")
    }

    @Test func `a store that fails at the end keeps the answer as unsaved`() async throws {
        let gate = Gate()
        var script = ScriptedUpstream.Script(201, body: "done")
        script.gate = gate
        let bench = try bench(ScriptedUpstream(script))
        let (writer, task) = bench.begin(.order())
        await bench.settle()
        bench.store.breakDown()
        gate.open()
        try await task.value
        #expect(writer.text == "done")
        #expect(writer.field("Idempotency-Status") == "unsaved")
    }

    @Test func `a long answer that is not the record's is cut`() async throws {
        let long = String(repeating: "a", count: 300 << 10)
        for isSame in [true, false] {
            let gate = Gate()
            var script = ScriptedUpstream.Script(201, body: long)
            script.chunkGate = gate
            let upstream = ScriptedUpstream(script)
            let bench = try bench(upstream)
            let (writer, task) = bench.begin(.order())
            await writer.beginning()
            let told = try told(upstream, 0)
            _ = try await bench.keys.update(
                told.id, token: told.token, recoveryPoint: .finished,
                reply: reply(isSame ? long : "short"), policy: KeyPolicy())
            gate.open()
            try await task.value
            #expect(writer.isComplete == isSame)
            #expect(writer.wasAborted == !isSame)
        }
    }
}
