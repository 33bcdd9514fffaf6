import Synchronization
import TestSupport
import Testing

@testable import Idempotency

/// Work in stages: by claims, by the driver, after crashes and failures.
@Suite struct StageTests {
    private let bench = ServiceBench()
    private var service: IdempotencyKeyService { bench.service }
    private var policy: KeyPolicy { bench.policy }

    private func request(_ name: String = "k", content: [UInt8]? = [7]) -> KeyRequest {
        var request = KeyRequest.sample(name)
        request.isResumable = true
        request.content = content
        return request
    }

    private func claim(
        _ name: String = "k", content: [UInt8]? = [7], _ service: IdempotencyKeyService? = nil
    ) async throws -> Claim {
        try await (service ?? self.service).initializeRequest(
            request(name, content: content), policy: policy
        ).claim
    }

    private func stored(_ name: String = "k") async throws -> IdempotencyKey {
        try #require(try await service.retrieve(request(name).identity))
    }

    @Test func `a stage's effect and its recovery point come back with the claim`() async throws {
        var claim = try await claim()
        claim = try await service.workStage(claim) { key, _ in
            #expect(key.recoveryPoint == .started)
            return .reached("taxes", reply: StoredReply(200, json: "1"))
        }
        #expect(claim.recoveryPoint == .stage("taxes"))
        claim = try await service.workStage(claim) { key, _ in
            .finished(201, json: "{\"taxes\": \(key.stages.count)}")
        }
        #expect(claim.recoveryPoint == .finished)
        #expect(claim.key.reply == StoredReply(201, json: "{\"taxes\": 1}"))
        let replay = try await service.initializeRequest(request(), policy: policy).finished
        #expect(replay.reply == claim.key.reply)
        #expect(service.statistics.claims == 0)
    }

    @Test func `a throwing stage changes nothing and the claim goes on`() async throws {
        struct Failure: Error {}
        let claim = try await claim()
        let before = try await stored()
        await #expect(throws: Failure.self) {
            _ = try await service.workStage(claim) { _, _ in throw Failure() }
        }
        #expect(try await stored().isEqual(to: before))
        let advanced = try await service.workStage(claim) { _, _ in .reached("taxes") }
        #expect(advanced.recoveryPoint == .stage("taxes"))
    }

    @Test func `a stage that could not be put in order is run anew`() async throws {
        let claim = try await claim()
        bench.store.contend(3)
        let box = Runs()
        let advanced = try await service.workStage(claim) { key, _ in
            box.count.withLock { $0 += 1 }
            return .reached("after\(key.stages.count)")
        }
        #expect(advanced.recoveryPoint == .stage("after0"))
        #expect(box.count.withLock { $0 } == 4)
    }

    @Test func `a stage is not run anew for ever`() async throws {
        let claim = try await claim()
        bench.store.contend(100)
        let error = await #expect(throws: StoreError.self) {
            _ = try await service.workStage(claim) { _, _ in .reached("taxes") }
        }
        #expect(error?.reason == .contended)
        bench.store.contend(0)
        #expect(try await stored().stages.isEmpty)
    }

    @Test func `a stage that was committed though the store failed counts`() async throws {
        let claim = try await claim()
        bench.store.fail(.transact, .after)
        let advanced = try await service.workStage(claim) { _, _ in .reached("taxes") }
        #expect(advanced.recoveryPoint == .stage("taxes"))
        bench.store.fail(.transact, .before)
        await #expect(throws: StoreError.self) {
            _ = try await service.workStage(advanced) { _, _ in .reached("paid") }
        }
        #expect(try await stored().recoveryPoint == .stage("taxes"))
    }

    @Test(arguments: [
        "started", "finished", "unknown", "", "a b", String(repeating: "a", count: 65),
    ])
    func `a recovery point that no stage can have is refused`(_ name: String) async throws {
        let claim = try await claim()
        await #expect(throws: StageError.invalidRecoveryPoint(name)) {
            _ = try await service.workStage(claim) { _, _ in .reached(name) }
        }
        #expect(try await stored().recoveryPoint == .started)
    }

    @Test func `a finished key and a lost lock are told apart`() async throws {
        let first = try await claim()
        _ = try await service.workStage(first) { _, _ in .finished(200, json: "1") }
        await #expect(throws: ClaimError.finished) {
            _ = try await service.workStage(first) { _, _ in .finished(200, json: "2") }
        }
        let second = try await claim("other")
        _ = try await service.release(second.id, force: true, policy: policy)
        await #expect(throws: ClaimError.lost) {
            _ = try await service.workStage(second) { _, _ in .finished(200, json: "2") }
        }
    }

    @Test func `a key has a limited number of stages`() async throws {
        var claim = try await claim()
        for index in 0..<128 {
            claim = try await service.advance(claim, to: "s\(index)", reply: nil, policy: policy)
        }
        await #expect(throws: ClaimError.tooManyStages) {
            _ = try await service.advance(claim, to: "more", reply: nil, policy: policy)
        }
        #expect(try await stored().stages.count == 128)
    }

    @Test func `what is noted twice is one stage`() async throws {
        let first = try await claim()
        _ = try await service.advance(first, to: "taxes", reply: .sample, policy: policy)
        let again = try await service.advance(first, to: "taxes", reply: .sample, policy: policy)
        #expect(again.key.stages.count == 1)
    }
}

extension StageTests {
    private static func stages(_ log: Runs) -> Stages {
        Stages([
            Stage("taxes") { _, _ in
                log.add("taxes")
                return .reached("taxes")
            },
            Stage("paid") { key in
                log.add("call")
                return { _, _ in
                    log.add("paid")
                    return .reached("paid", reply: StoredReply(200, json: "7"))
                }
            },
            Stage("finished") { key, _ in
                log.add("order")
                return .finished(StoredReply(201, json: "{\"stages\": \(key.stages.count)}"))
            },
        ])
    }

    @Test func `the driver works all stages and gives the answer`() async throws {
        let log = Runs()
        let reply = try await service.work(try await claim(), through: Self.stages(log))
        #expect(reply == StoredReply(201, json: "{\"stages\": 2}"))
        #expect(log.names == ["taxes", "call", "paid", "order"])
    }

    @Test func `after a failing stage the next request goes on there`() async throws {
        struct Failure: Error {}
        let log = Runs()
        let failing = Stages([
            Stages(Self.stages(log).stages).stages[0],
            Stage("paid") { _ in throw Failure() },
            Self.stages(log).stages[2],
        ])
        let first = try await claim()
        await #expect(throws: Failure.self) {
            _ = try await service.work(first, through: failing)
        }
        #expect(try await stored().isSuspended)
        let second = try await claim()
        #expect(second.recoveryPoint == .stage("taxes"))
        _ = try await service.work(second, through: Self.stages(log))
        #expect(log.names == ["taxes", "call", "paid", "order"])
    }

    @Test func `a point that no stage leads on from is told`() async throws {
        var claim = try await claim()
        claim = try await service.workStage(claim) { _, _ in .reached("elsewhere") }
        await #expect(throws: StageError.unknownRecoveryPoint(.stage("elsewhere"))) {
            _ = try await service.work(claim, through: Self.stages(Runs()))
        }
    }

    @Test func `stages of one key do not nest`() async throws {
        let claim = try await claim()
        let service = service
        let nested = Stages([
            Stage("finished") { key in
                await #expect(throws: StageError.nested(key.id)) {
                    _ = try await service.workStage(claim) { _, _ in .reached("inner") }
                }
                return { _, _ in .finished(200, json: "1") }
            }
        ])
        _ = try await service.work(claim, through: nested)
    }

    @Test func `there is no SQL in memory`() async throws {
        let claim = try await claim()
        await #expect(throws: StageError.sqlUnsupported) {
            _ = try await service.workStage(claim) { _, sql in
                try sql.execute("SELECT 1")
                return .reached("taxes")
            }
        }
    }
}

extension StageTests {
    @Test func `work that lapses between stages is taken up where it was`() async throws {
        var claim = try await claim()
        claim = try await service.begin("taxes", of: claim, policy: policy)
        claim = try await service.advance(claim, to: "taxes", reply: .sample, policy: policy)
        let other = bench.other()
        try await other.recover()
        let suspended = try await stored()
        #expect(suspended.isSuspended)
        #expect(suspended.lockToken == nil)
        #expect(try await other.suspended(limit: 9).map(\.id) == [claim.id])
        let resumed = try #require(try await other.resume(claim.id, policy: policy))
        #expect(resumed.recoveryPoint == .stage("taxes"))
        #expect(resumed.key.content == [7])
        await #expect(throws: ClaimError.lost) {
            _ = try await service.advance(claim, to: "paid", reply: nil, policy: policy)
        }
    }

    @Test func `work that lapses while a stage is pending is unknown`() async throws {
        var claim = try await claim()
        claim = try await service.advance(claim, to: "taxes", reply: nil, policy: policy)
        claim = try await service.begin("paid", of: claim, policy: policy)
        let other = bench.other()
        try await other.recover()
        let unknown = try await stored()
        #expect(unknown.recoveryPoint == .unknown)
        #expect(unknown.pendingStage == "paid")
        #expect(unknown.resumptionPoint == .stage("taxes"))
        #expect(try await other.resume(claim.id, policy: policy) == nil)
        #expect(try await bench.ask("k", other).isUnknown == true)
        let settled = try await other.settle(
            unknown,
            .suspended(
                reached: StageRecord(
                    recoveryPoint: "paid", reply: .sample, reachedAt: bench.clock.now)),
            policy: policy)
        #expect(settled.recoveryPoint == .stage("paid"))
        #expect(settled.isSuspended)
    }

    @Test func `a stage that was announced is not repeated by another policy`() async throws {
        let claim = try await claim()
        _ = try await service.begin("taxes", of: claim, policy: policy)
        let other = bench.other()
        try await other.recover()
        var later = policy
        later.unknown = .retry
        let admission = try await other.initializeRequest(request(), policy: later)
        #expect(admission.isUnknown)
        #expect(try await stored().pendingStage == "taxes")
    }

    @Test func `an operator's release of an unknown stage goes on before it`() async throws {
        var claim = try await claim()
        claim = try await service.advance(claim, to: "taxes", reply: nil, policy: policy)
        _ = try await service.begin("paid", of: claim, policy: policy)
        let other = bench.other()
        try await other.recover()
        let released = try await other.release(claim.id, policy: policy)
        #expect(released.recoveryPoint == .stage("taxes"))
        #expect(released.pendingStage == nil)
        #expect(released.content == [7])
        let resumed = try await other.resume(claim.id, policy: policy)
        #expect(resumed?.recoveryPoint == .stage("taxes"))
    }

    @Test func `what is released with nothing done keeps nothing to go on with`() async throws {
        let first = try await claim()
        _ = try await service.workStage(first, .released(nil), policy: policy)
        #expect(try await stored().content == nil)
        #expect(try await service.suspended(limit: 9).isEmpty)
        let second = try await claim(content: [8])
        #expect(second.key.content == [8])
        #expect(second.attempts == 2)
        #expect(try await stored().content == [8])
    }

    @Test func `a suspended record with something done does not run again after a day`()
        async throws
    {
        var claim = try await claim()
        claim = try await service.advance(claim, to: "taxes", reply: nil, policy: policy)
        _ = try await service.workStage(claim, .suspended(reached: nil), policy: policy)
        bench.clock.advance(by: policy.retention)
        while try await service.reap() > 0 {}
        #expect(try await self.claim().recoveryPoint == .stage("taxes"))
        _ = try await service.release(claim.id, force: true, policy: policy)
        bench.clock.advance(by: policy.unknownRetention)
        while try await service.reap() > 0 {}
        #expect(
            try await bench.other().initializeRequest(request(), policy: policy).isExpired == true)
    }

    @Test func `duplicates of work that is suspended are told so`() async throws {
        let claim = try await claim()
        let waiter = try await service.initializeRequest(request(), policy: policy).waiter
        _ = try await service.advance(claim, to: "taxes", reply: nil, policy: policy)
        _ = try await service.workStage(claim, .suspended(reached: nil), policy: policy)
        guard case .suspended(claim.id, .stage("taxes"))? = await waiter.outcome() else {
            Issue.record("another settlement")
            return
        }
    }

    @Test(arguments: [false, true])
    func `a stage that the store does not take is kept in the journal`(
        _ isAfterRestart: Bool
    ) async throws {
        let first = bench.journaled()
        var claim = try await claim("k", first)
        claim = try await first.advance(claim, to: "taxes", reply: .sample, policy: policy)
        bench.store.breakDown([.replace, .find])
        await #expect(throws: StoreError.self) {
            _ = try await first.advance(claim, to: "paid", reply: .sample, policy: policy)
        }
        let record = StageRecord(
            recoveryPoint: "paid", reply: .sample, reachedAt: bench.clock.now)
        await #expect(throws: StoreError.self) {
            _ = try await first.workStage(claim, .suspended(reached: record), policy: policy)
        }
        bench.store.mend()
        let second = isAfterRestart ? bench.journaled() : first
        if isAfterRestart { try await second.recover() }
        bench.clock.advance(by: .seconds(10))
        #expect(await second.retryUnsaved() == 0)
        let stored = try await stored()
        #expect(stored.isSuspended)
        #expect(stored.stages.map(\.recoveryPoint) == ["taxes", "paid"])
        #expect(stored.stages.map(\.reply) == [.sample, .sample])
        #expect(stored.content == [7])
    }
}

extension StageTests {
    @Test func `a conclusion that was stored all the same is not reported as dropped`()
        async throws
    {
        let service = bench.journaled()
        let claim = try await claim("k", service)
        bench.store.fail(.replace, .after)
        await #expect(throws: StoreError.self) {
            _ = try await service.workStage(
                claim, .finished(.sample, retention: .seconds(60)), policy: policy)
        }
        bench.clock.advance(by: .seconds(10))
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.events.dropped.isEmpty)
        #expect(try await stored().recoveryPoint == .finished)
    }

    @Test func `a conclusion that waits for the store is not overtaken by its lease's end`()
        async throws
    {
        let service = bench.journaled()
        let claim = try await claim("k", service)
        bench.store.breakDown([.replace])
        await #expect(throws: StoreError.self) {
            _ = try await service.workStage(
                claim, .finished(.sample, retention: .seconds(600)), policy: policy)
        }
        bench.store.mend()
        bench.clock.advance(by: policy.lease + .seconds(1))
        #expect(try await service.lapseOverdue(policy: policy) == 0)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.events.dropped.isEmpty)
        #expect(try await stored().recoveryPoint == .finished)
    }

    @Test func `the answer of the last stage is replayed from memory`() async throws {
        let claim = try await claim()
        _ = try await service.workStage(claim) { _, _ in .reached("taxes") }
        _ = try await service.workStage(claim) { _, _ in .finished(.sample) }
        #expect(service.statistics.cachedReplies == 1)
        let reads = bench.store.count(.find)
        #expect(try await service.initializeRequest(request(), policy: policy).finished.isSaved)
        #expect(bench.store.count(.find) == reads)
    }

    @Test func `who works elsewhere gets a token, and one who comes back the work`() async throws {
        let policy = policy
        guard case .created(let made) = try await service.initialize(request(), policy: policy)
        else { throw Unexpected("not made") }
        let token = try #require(made.lockToken)
        guard case .refused(.inFlight) = try await service.initialize(request(), policy: policy)
        else { throw Unexpected("not in flight") }
        _ = try await service.update(
            made.id, token: token, recoveryPoint: .stage("taxes"), reply: .sample, policy: policy)
        bench.clock.advance(by: policy.lease)
        guard case .resumed(let again) = try await service.initialize(request(), policy: policy)
        else { throw Unexpected("not resumed") }
        #expect(again.recoveryPoint == .stage("taxes"))
        #expect(again.stages.map(\.reply) == [.sample])
        await #expect(throws: ClaimError.lost) {
            _ = try await service.update(made.id, token: token, reply: .sample, policy: policy)
        }
        let fresh = try #require(again.lockToken)
        _ = try await service.update(made.id, token: fresh, reply: .sample, policy: policy)
        guard case .finished(let end) = try await service.initialize(request(), policy: policy)
        else { throw Unexpected("not finished") }
        #expect(end.reply == .sample)
    }

    @Test func `another request under the same key is told apart`() async throws {
        _ = try await service.initialize(request(), policy: policy)
        guard
            case .refused(.reused(let differs, _, _)) = try await service.initialize(
                .sample("k", body: 2), policy: policy)
        else { throw Unexpected("not told apart") }
        #expect(differs == ["body"])
    }
}

/// What was run, in order.
private final class Runs: Sendable {
    let count = Mutex(0)
    private let log = Mutex<[String]>([])
    func add(_ name: String) { log.withLock { $0.append(name) } }
    var names: [String] { log.withLock { $0 } }
}
