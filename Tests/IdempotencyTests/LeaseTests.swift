import TestSupport
import Testing

@testable import Idempotency

/// Leases and tokens, with several processes on one store.
struct LeaseTests {
    private let bench = ServiceBench(isExclusive: false)

    @Test func `a lease is renewed while the work goes on, and not before a third of it`()
        async throws
    {
        let claim = try await bench.claim()
        #expect(await bench.service.renewLeases() == 0)
        bench.clock.advance(by: .seconds(9))
        #expect(await bench.service.renewLeases() == 0)
        #expect(bench.store.count(.replace) == 0)
        let other = bench.other()
        for _ in 0..<20 {
            bench.clock.advance(by: .seconds(10))
            #expect(await bench.service.renewLeases() == 1)
            #expect(try await bench.ask("k", other).isInFlight)
            #expect(try await other.lapseOverdue() == 0)
        }
        _ = try await bench.finish(claim)
        #expect(await bench.service.renewLeases() == 0)
        #expect(try await bench.ask("k", other).finished.reply == .sample)
    }

    @Test func `many leases are renewed together`() async throws {
        for index in 0..<600 { _ = try await bench.claim("k\(index)") }
        bench.clock.advance(by: .seconds(10))
        #expect(await bench.service.renewLeases() == 600)
        #expect(await bench.service.renewLeases() == 0)
    }

    @Test func `a renewal that the store fails is tried again`() async throws {
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(10))
        bench.store.breakDown([.replace])
        #expect(await bench.service.renewLeases() == 0)
        bench.store.mend()
        bench.clock.advance(by: .seconds(3))
        #expect(await bench.service.renewLeases() == 1)
        _ = try await bench.finish(claim)
    }

    @Test func `who wakes up after its lease finds it unknown, and settles it late`() async throws {
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(30))
        let other = bench.other()
        #expect(try await other.lapseOverdue() == 1)
        #expect(bench.events.lapsed == [claim.id])
        #expect(await bench.service.renewLeases() == 0)
        #expect(try await bench.service.retrieve(claim.id)?.recoveryPoint == .unknown)
        #expect(try await bench.ask("k", other).isUnknown)
        _ = try await bench.finish(claim)
        #expect(try await bench.ask("k", other).finished.reply == .sample)
    }

    @Test func `a claim that somebody else made again is neither renewed nor concluded`()
        async throws
    {
        var policy = bench.policy
        policy.unknown = .retry
        let claim = try await bench.claim()
        let waiter = try await bench.ask().waiter
        bench.clock.advance(by: .seconds(30))
        let other = bench.other()
        let again = try await bench.ask("k", other, policy).claim
        #expect(again.lockToken != claim.lockToken)
        #expect(await bench.service.renewLeases() == 0)
        let lease = try await bench.service.retrieve(claim.id)?.leaseUntil
        #expect(lease == bench.clock.now + .seconds(30))
        await #expect(throws: ClaimError.lost) { try await bench.finish(claim) }
        guard case .refused = await waiter.outcome() else { throw Unexpected("not refused") }
        _ = try await bench.finish(again, .sample, other)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `those who waited for a lost claim get the answer that another one gave`()
        async throws
    {
        var policy = bench.policy
        policy.unknown = .retry
        let claim = try await bench.claim()
        let waiter = try await bench.ask().waiter
        bench.clock.advance(by: .seconds(30))
        let other = bench.other()
        let again = try await bench.ask("k", other, policy).claim
        _ = try await bench.finish(again, .sample, other)
        let late = StoredReply(responseCode: 200, responseHeaders: [], responseBody: [1])
        await #expect(throws: ClaimError.finished) { try await bench.finish(claim, late) }
        #expect(await waiter.outcome().reply == .sample)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `a record made by hand lapses when its lease is over, and no sooner`() async throws {
        let made = try await bench.service.create(.sample("made"), policy: bench.policy)
        let freed = try await bench.claim("locked")
        _ = try await bench.service.workStage(freed, .released(nil), policy: bench.policy)
        let locked = try await bench.service.lock(freed.id, policy: bench.policy)
        bench.clock.advance(by: .seconds(29))
        #expect(try await bench.service.lapseOverdue() == 0)
        bench.clock.advance(by: .seconds(1))
        #expect(try await bench.service.lapseOverdue() == 2)
        #expect(Set(bench.events.lapsed) == [made.id, locked.id])
        #expect(try await bench.ask("made").isUnknown)
    }

    @Test func `what lapses unasked is kept as its route says`() async throws {
        let bench = ServiceBench(isExclusive: false) { options in
            var policy = KeyPolicy()
            policy.unknownRetention = .seconds(100)
            options.routePolicies["charges"] = policy
        }
        let made = try await bench.service.create(.sample(), policy: bench.policy)
        bench.clock.advance(by: .seconds(30))
        _ = try await bench.service.lapseOverdue()
        let expiry = try await bench.service.retrieve(made.id)?.expiresAt
        #expect(expiry == bench.clock.now + .seconds(100))
    }

    @Test func `what lapses after the policies were replaced goes by the new ones`() async throws {
        let bench = ServiceBench(isExclusive: false) { $0.routePolicies["charges"] = KeyPolicy() }
        let made = try await bench.service.create(.sample(), policy: bench.policy)
        var policy = KeyPolicy()
        policy.unknownRetention = .seconds(50)
        bench.service.replaceRoutePolicies(["charges": policy])
        bench.clock.advance(by: .seconds(30))
        _ = try await bench.service.lapseOverdue()
        let expiry = try await bench.service.retrieve(made.id)?.expiresAt
        #expect(expiry == bench.clock.now + .seconds(50))
    }

    @Test func `work of this process does not lapse, however late its renewal is`() async throws {
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(100))
        #expect(try await bench.service.lapseOverdue() == 0)
        #expect(await bench.service.renewLeases() == 1)
        _ = try await bench.finish(claim)
    }

    @Test func `a start among others lapses what is over, and nothing else`() async throws {
        let live = try await bench.claim("live")
        let next = bench.other()
        try await next.recover()
        #expect(try await bench.ask("live", next).isInFlight)
        bench.clock.advance(by: .seconds(30))
        try await bench.other().recover()
        #expect(try await bench.ask("live", next).isUnknown)
        _ = try await bench.finish(live)
    }

    @Test(arguments: [-86_400, -3600, -20, 20, 3600, 86_400])
    func `leases are written by the store's clock, whatever a gateway's own one says`(
        skew: Int
    ) async throws {
        let skewed = bench.other(skew: .seconds(skew))
        let claim = try await bench.claim("k", skewed)
        #expect(claim.key.leaseUntil == bench.clock.now + .seconds(30))
        bench.clock.advance(by: .seconds(29))
        #expect(try await bench.ask().isInFlight)
        #expect(try await bench.service.lapseOverdue() == 0)
        #expect(try await skewed.lapseOverdue() == 0)
        #expect(await skewed.renewLeases() == 1)
        bench.clock.advance(by: .seconds(29))
        #expect(try await bench.ask().isInFlight)
        _ = try await bench.finish(claim, .sample, skewed)
        let finished = try await bench.ask().finished
        #expect(finished.expiresAt == bench.clock.now + bench.policy.retention)
        #expect(try await bench.ask("k", skewed).finished.reply == .sample)
    }

    @Test(arguments: [-86_400, 86_400])
    func `a gateway with another clock lapses nobody early or late`(skew: Int) async throws {
        let skewed = bench.other(skew: .seconds(skew))
        try await skewed.recover()
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(29))
        #expect(try await bench.ask("k", skewed).isInFlight)
        #expect(try await skewed.lapseOverdue() == 0)
        bench.clock.advance(by: .seconds(1))
        #expect(try await skewed.lapseOverdue() == 1)
        #expect(try await skewed.retrieve(claim.id)?.recoveryPoint == .unknown)
    }

    @Test(arguments: [-600, 600])
    func `a claim made just after the clock was set is renewed at once`(
        _ seconds: Int
    ) async throws {
        let local = ManualClock()
        let service = IdempotencyKeyService(store: bench.store, now: { local.now })
        _ = try await bench.claim("first", service)
        local.advance(by: .seconds(seconds))
        let claim = try await bench.claim("k", service)
        #expect(await service.renewLeases() >= 1)
        let lease = try await service.retrieve(claim.id)?.leaseUntil
        #expect(lease == bench.clock.now + .seconds(30))
    }

    @Test func `the age of the oldest unknown record is known after a look`() async throws {
        let claim = try await bench.claim()
        _ = try await bench.service.workStage(claim, .unknown(nil), policy: bench.policy)
        bench.clock.advance(by: .seconds(70))
        #expect(bench.service.statistics.oldestUnknown == .zero)
        try await bench.service.noteOldestUnknown()
        #expect(bench.service.statistics.oldestUnknown == .seconds(70))
        let key = try #require(try await bench.service.unknown(limit: 1).first)
        _ = try await bench.service.settle(key, .released(nil), policy: bench.policy)
        try await bench.service.noteOldestUnknown()
        #expect(bench.service.statistics.oldestUnknown == .zero)
    }
}
