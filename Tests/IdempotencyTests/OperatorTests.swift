import TestSupport
import Testing

@testable import Idempotency

/// What others than a claim's owner do to a record.
struct OperatorTests {
    private let bench = ServiceBench(isExclusive: false)
    private static let other = StoredReply(
        responseCode: 202, responseHeaders: [], responseBody: [1, 2, 3])

    private func lost(_ name: String = "k") async throws -> IdempotencyKey {
        let claim = try await bench.claim(name)
        _ = try await bench.service.workStage(claim, .unknown(.sample), policy: bench.policy)
        return try #require(try await bench.service.retrieve(claim.id))
    }

    @Test func `an unknown record is settled under the token that was read in it`() async throws {
        let key = try await lost()
        let settled = try await bench.service.settle(
            key, .finished(Self.other, retention: .seconds(60)), policy: bench.policy)
        #expect(settled.recoveryPoint == .finished)
        #expect(try await bench.ask().finished.reply == Self.other)
        await #expect(throws: ClaimError.finished) {
            try await bench.service.settle(key, .released(nil), policy: bench.policy)
        }
    }

    @Test func `a record that was claimed since is not settled`() async throws {
        var policy = bench.policy
        policy.unknown = .retry
        let key = try await lost()
        let again = try await bench.ask("k", nil, policy).claim
        await #expect(throws: ClaimError.lost) {
            try await bench.service.settle(key, .released(nil), policy: bench.policy)
        }
        _ = try await bench.finish(again)
    }

    @Test func `unknown records are listed in order`() async throws {
        let keys = [try await lost("a"), try await lost("b"), try await lost("c")]
        let first = try await bench.service.unknown(limit: 2)
        #expect(first.map(\.id) == keys.prefix(2).map(\.id))
        #expect(try await bench.service.unknown(after: first[1].id, limit: 9).count == 1)
    }

    @Test func `a freed record executes again, and the old token settles nothing`() async throws {
        let claim = try await bench.claim()
        _ = try await bench.service.workStage(claim, .unknown(nil), policy: bench.policy)
        let freed = try await bench.service.release(claim.id, policy: bench.policy)
        #expect(freed.recoveryPoint == .started)
        let again = try await bench.claim()
        #expect(again.attempts == 2)
        await #expect(throws: ClaimError.lost) { try await bench.finish(claim) }
        _ = try await bench.finish(again)
        await #expect(throws: ClaimError.finished) {
            try await bench.service.release(claim.id, force: true, policy: bench.policy)
        }
    }

    @Test func `a live lock is broken by force alone, and its owner is fenced off`() async throws {
        let other = bench.other()
        let claim = try await bench.claim()
        let waiter = try await bench.ask().waiter
        for service in [bench.service, other] {
            await #expect(throws: ClaimError.locked) {
                try await service.release(claim.id, policy: bench.policy)
            }
            await #expect(throws: ClaimError.locked) {
                try await service.complete(claim.id, with: .sample, policy: bench.policy)
            }
        }
        _ = try await bench.service.release(claim.id, force: true, policy: bench.policy)
        let again = try await bench.claim("k", other)
        #expect(await bench.service.renewLeases() == 0)
        await #expect(throws: ClaimError.lost) { try await bench.finish(claim) }
        guard case .refused = await waiter.outcome() else { throw Unexpected("not refused") }
        #expect(try await other.retrieve(claim.id)?.lockToken == again.lockToken)
    }

    @Test func `a lapsed lock needs no force`() async throws {
        let made = try await bench.service.create(.sample(), policy: bench.policy)
        bench.clock.advance(by: .seconds(30))
        _ = try await bench.service.release(made.id, policy: bench.policy)
        await #expect(throws: ClaimError.lost) {
            try await bench.service.update(
                made.id, token: made.lockToken!, reply: .sample, policy: bench.policy)
        }
    }

    @Test func `an operator's answer is replayed`() async throws {
        let key = try await lost()
        let done = try await bench.service.complete(
            key.id, with: Self.other, policy: bench.policy)
        #expect(done.recoveryPoint == .finished)
        #expect(try await bench.ask().finished.reply == Self.other)
        await #expect(throws: ClaimError.finished) {
            try await bench.service.complete(key.id, with: .sample, policy: bench.policy)
        }
        await #expect(throws: ClaimError.absent) {
            try await bench.service.complete(
                KeyID(at: bench.clock.now), with: .sample, policy: bench.policy)
        }
    }

    @Test func `an erased answer is gone from memory and store, its status stays`() async throws {
        let claim = try await bench.claim()
        _ = try await bench.finish(claim)
        #expect(try await bench.ask().finished.reply == .sample)
        _ = try await bench.service.erase(claim.id)
        for service in [bench.service, bench.other()] {
            let reply = try await bench.ask("k", service).finished.reply
            #expect(reply.responseCode == 201)
            #expect(reply.responseBody == nil)
            #expect(reply.responseHeaders.isEmpty)
        }
        let key = try await lost("u")
        _ = try await bench.service.erase(key.id)
        guard case .unknown(_, let recorded?, _) = try await bench.ask("u").refusal else {
            throw Unexpected("not unknown")
        }
        #expect(recorded.responseBody == nil)
        let live = try await bench.claim("live")
        await #expect(throws: ClaimError.locked) { try await bench.service.erase(live.id) }
    }

    @Test func `an erased answer is in the journal no more, whatever else is kept there`()
        async throws
    {
        let service = bench.journaled()
        let stuck = try await bench.claim("stuck", service)
        let claim = try await bench.claim("k", service)
        bench.store.breakDown([.replace])
        for claim in [stuck, claim] {
            await #expect(throws: StoreError.self) {
                try await bench.finish(claim, .sample, service)
            }
        }
        bench.store.mend()
        bench.store.damage(stuck.id)
        _ = try await service.erase(claim.id)
        #expect(bench.journal.count == 1)
        #expect(bench.store.count(.scrub) == 1)
        #expect(service.statistics.unsaved == 1)
        let next = bench.journaled()
        try await next.recover()
        #expect(try await bench.ask("k", next).finished.reply.responseBody == nil)
    }

    @Test(arguments: [true, false])
    func `traces that could not be removed are an error, and are removed next time`(
        inStore: Bool
    ) async throws {
        let service = bench.journaled()
        let claim = try await bench.claim("k", service)
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) { try await bench.finish(claim, .sample, service) }
        if inStore { bench.store.fail(.scrub, .before) } else { bench.journal.failToDiscard(true) }
        await #expect(throws: StoreError.self) { try await service.erase(claim.id) }
        bench.journal.failToDiscard(false)
        _ = try await service.erase(claim.id)
        #expect(bench.journal.count == 0)
        #expect(try await bench.ask("k", service).finished.reply.responseBody == nil)
    }

    @Test func `all that is not stored yet of a record is stored before it is freed`()
        async throws
    {
        let service = bench.journaled()
        let first = try await bench.claim("k", service)
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) {
            try await service.workStage(first, .released(nil), policy: bench.policy)
        }
        let second = try await bench.claim("k", service)
        #expect(second.id == first.id)
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) { try await bench.finish(second, .sample, service) }
        await #expect(throws: ClaimError.finished) {
            try await service.release(second.id, force: true, policy: bench.policy)
        }
        #expect(try await bench.ask("k", service).finished.reply == .sample)
        #expect(service.statistics.unsaved == 0)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.events.delivered == [second.id])
        #expect(bench.journal.count == 0)
    }

    @Test func `an answer that is erased while it is being stored is not cached`() async throws {
        let claim = try await bench.claim()
        let store = bench.store
        store.holdAnswers()
        async let settlement = bench.finish(claim)
        await store.untilHeld(1)
        let other = bench.other()
        store.letNewCallsThrough()
        _ = try await bench.service.erase(claim.id)
        _ = try await other.erase(claim.id)
        store.letGo()
        _ = try await settlement
        #expect(try await bench.ask().finished.reply.responseBody == nil)
    }

    @Test func `what is not stored yet is stored before anybody changes the record`() async throws {
        let service = bench.journaled()
        let claim = try await bench.claim("k", service)
        bench.store.breakDown([.replace])
        await #expect(throws: StoreError.self) { try await bench.finish(claim, .sample, service) }
        bench.clock.advance(by: .seconds(60))
        await #expect(throws: StoreError.self) {
            try await service.release(claim.id, force: true, policy: bench.policy)
        }
        #expect(try await bench.ask("k", service).finished.reply == .sample)
        bench.store.mend()
        await #expect(throws: ClaimError.finished) {
            try await service.release(claim.id, force: true, policy: bench.policy)
        }
        await #expect(throws: ClaimError.finished) {
            try await service.lock(claim.id, policy: bench.policy)
        }
        #expect(try await bench.ask("k", service).finished.reply == .sample)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.journal.count == 0)
    }

    @Test func `an unsaved unknown outcome gives way to an operator's answer`() async throws {
        let claim = try await bench.claim()
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) {
            try await bench.service.workStage(claim, .unknown(nil), policy: bench.policy)
        }
        #expect(try await bench.ask().isUnknown)
        _ = try await bench.service.complete(claim.id, with: Self.other, policy: bench.policy)
        #expect(try await bench.ask().finished.reply == Self.other)
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(try await bench.ask().finished.reply == Self.other)
    }
}
