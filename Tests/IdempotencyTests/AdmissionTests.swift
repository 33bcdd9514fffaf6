import Idempotency
import TestSupport
import Testing

struct AdmissionTests {
    @Test func `the first request proceeds, a repeated one is replayed`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        #expect(claim.attempts == 1)
        _ = try await bench.finish(claim)
        let finished = try await bench.ask().finished
        #expect(finished.reply == .sample)
        #expect(finished.id == claim.id)
        #expect(finished.expiresAt == bench.clock.now + bench.policy.retention)
        #expect(bench.store.count(.insert) == 1)
        #expect(bench.service.statistics.hits == 1)
    }

    @Test func `another process replays it from the store`() async throws {
        let bench = ServiceBench()
        _ = try await bench.finish(try await bench.claim())
        let other = bench.other()
        #expect(try await bench.ask("k", other).finished.reply == .sample)
        #expect(try await bench.ask("k", other).finished.reply == .sample)
        #expect(bench.store.count(.insert) == 2)
    }

    @Test func `another request under the key is refused in any state`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        for state in ["in flight", "finished", "finished elsewhere"] {
            if state == "finished" { _ = try await bench.finish(claim) }
            let service = state == "finished elsewhere" ? bench.other() : bench.service
            guard
                case .reused(let differs, let id, _) =
                    try await bench.ask(body: 2, service).refusal
            else { throw Unexpected(state) }
            #expect(differs == ["body"])
            #expect(id == claim.id)
        }
    }

    @Test func `duplicates of a slow claim wait in memory and execute nothing`() async throws {
        let bench = ServiceBench()
        bench.store.hold()
        async let first = bench.ask()
        await bench.store.untilHeld(1)
        let waiter = try await bench.ask().waiter
        #expect(waiter.id == nil)
        #expect(try await bench.ask(body: 2).isInFlight, "whose key it is, is not known yet")
        bench.store.letGo()
        let claim = try await first.claim
        #expect(try await bench.ask(body: 2).refusal.isReused)
        let late = try await bench.ask().waiter
        #expect(late.id == claim.id)
        _ = try await bench.finish(claim)
        #expect(await waiter.outcome().reply == .sample)
        #expect(await late.outcome().reply == .sample)
        #expect(bench.store.count(.insert) == 1)
    }

    @Test func `a released key is free, and those who waited get the answer`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        let waiter = try await bench.ask().waiter
        let reply = StoredReply(responseCode: 429, responseHeaders: [], responseBody: [])
        _ = try await bench.service.workStage(claim, .released(reply), policy: bench.policy)
        #expect(await waiter.outcome().reply?.responseCode == 429)
        let again = try await bench.claim()
        #expect(again.attempts == 2)
        #expect(again.lockToken != claim.lockToken)
        #expect(again.id == claim.id)
    }

    @Test func `an unknown outcome is held`() async throws {
        let bench = ServiceBench()
        let reply = StoredReply(responseCode: 500, responseHeaders: [], responseBody: [1])
        let claim = try await bench.claim()
        _ = try await bench.service.workStage(claim, .unknown(reply), policy: bench.policy)
        guard case .unknown(_, let recorded, 1) = try await bench.ask().refusal else {
            throw Unexpected("not held")
        }
        #expect(recorded == reply)
    }

    @Test func `an unknown outcome is tried again where the policy says so`() async throws {
        var bench = ServiceBench()
        bench.policy.unknown = .retry
        let claim = try await bench.claim()
        _ = try await bench.service.workStage(claim, .unknown(nil), policy: bench.policy)
        let again = try await bench.claim()
        #expect(again.attempts == 2)
        #expect(again.lockToken != claim.lockToken)
        await #expect(throws: ClaimError.lost) { try await bench.finish(claim) }
        _ = try await bench.finish(again)
    }

    @Test func `a live lease elsewhere is in flight, a lapsed one is unknown`() async throws {
        let bench = ServiceBench()
        let other = bench.other()
        let claim = try await bench.claim("k", other)
        guard case .inFlight(let id, _, let rest) = try await bench.ask().refusal else {
            throw Unexpected("not in flight")
        }
        #expect(id == claim.id)
        #expect(rest == .seconds(30))
        bench.clock.advance(by: .seconds(30))
        #expect(try await bench.ask().isUnknown)
        #expect(try await bench.service.retrieve(claim.id)?.recoveryPoint == .unknown)
        _ = try await other.workStage(
            claim, .finished(.sample, retention: .seconds(60)), policy: bench.policy)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `work of this process is in flight however long it takes`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(1_000_000))
        let waiter = try await bench.ask().waiter
        _ = try await bench.finish(claim)
        #expect(await waiter.outcome().reply == .sample)
    }

    @Test func `an expired key is refused, then absent`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        _ = try await bench.finish(claim)
        bench.clock.advance(by: bench.policy.retention)
        #expect(try await bench.ask().isExpired)
        #expect(try await bench.service.reap() == 1)
        #expect(try await bench.ask().isExpired)
        bench.clock.advance(by: bench.policy.tombstone)
        let next = try await bench.claim()
        #expect(next.attempts == 1)
        #expect(next.id != claim.id)
    }

    @Test func `after the tombstone one of many proceeds`() async throws {
        let bench = ServiceBench()
        _ = try await bench.finish(try await bench.claim())
        bench.clock.advance(by: bench.policy.retention + bench.policy.tombstone)
        let services = (0..<20).map { _ in bench.other() }
        let proceeded = try await withThrowingTaskGroup(of: Bool.self) { group in
            for service in services {
                group.addTask { (try? await bench.ask("k", service).claim) != nil }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(proceeded == 1)
    }

    @Test func `what a dead process left locked becomes unknown`() async throws {
        let bench = ServiceBench()
        var claims: [Claim] = []
        for index in 0..<150 { claims.append(try await bench.claim("k\(index)")) }
        _ = try await bench.finish(claims[0])
        let next = bench.other()
        try await next.recover()
        #expect(try await bench.ask("k0", next).finished.reply == .sample)
        for index in 1..<150 { #expect(try await bench.ask("k\(index)", next).isUnknown) }
    }
}
