import Synchronization
import TestSupport
import Testing

@testable import Idempotency

/// Conclusions that the store does not take, with a journal.
struct JournalServiceTests {
    private let bench = ServiceBench()

    /// Has a claim concluded while the store fails.
    private func fail(
        _ service: IdempotencyKeyService, _ name: String = "k", _ outcome: Outcome? = nil,
        _ fault: FaultyStore.Fault = .before
    ) async throws -> Claim {
        let claim = try await bench.claim(name, service)
        bench.store.breakDown([.replace], fault)
        await #expect(throws: StoreError.self) {
            try await service.workStage(
                claim, outcome ?? .finished(.sample, retention: .seconds(600)),
                policy: bench.policy)
        }
        return claim
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `a conclusion that the store fails is delivered after a restart`(
        _ fault: FaultyStore.Fault
    ) async throws {
        let claim = try await fail(bench.journaled(), "k", nil, fault)
        #expect(bench.journal.count == 1)
        bench.store.mend()
        let next = bench.journaled()
        try await next.recover()
        #expect(bench.journal.count == 0)
        #expect(bench.events.delivered == [claim.id])
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `without a journal it is unknown after a restart`() async throws {
        _ = try await fail(bench.service)
        bench.store.mend()
        let next = bench.other()
        try await next.recover()
        #expect(try await bench.ask("k", next).isUnknown)
    }

    @Test func `it is in the journal before anybody who waits has the answer`() async throws {
        let service = bench.journaled()
        let claim = try await bench.claim("k", service)
        let waiter = try await bench.ask("k", service).waiter
        bench.store.breakDown([.replace])
        let journal = bench.journal
        let count = Task {
            let reply = await waiter.outcome().reply
            return (reply, journal.count)
        }
        await #expect(throws: StoreError.self) { try await bench.finish(claim, .sample, service) }
        let (reply, entries) = await count.value
        #expect(reply == .sample)
        #expect(entries == 1)
    }

    @Test func `what is delivered while the process lives leaves the journal`() async throws {
        let service = bench.journaled()
        for index in 0..<200 { _ = try await fail(service, "k\(index)"); bench.store.mend() }
        #expect(service.statistics.unsaved == 200)
        #expect(service.statistics.journalBytes > 0)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.journal.count == 0)
        #expect(service.statistics.journalBytes == 0)
        #expect(bench.events.delivered.count == 200)
        for index in 0..<200 {
            #expect(try await bench.ask("k\(index)", bench.other()).finished.reply == .sample)
        }
    }

    @Test func `while the store stays down after a restart, duplicates get the answer`()
        async throws
    {
        _ = try await fail(bench.journaled())
        let next = bench.journaled()
        bench.store.breakDown()
        await #expect(throws: StoreError.self) { try await next.recover() }
        #expect(next.statistics.unsaved == 1)
        #expect(bench.journal.count == 1)
        #expect(try await bench.ask("k", next).finished.reply == .sample)
        #expect(try await bench.ask("k", body: 2, next).refusal.isReused)
        bench.store.mend()
        bench.clock.advance(by: .seconds(60))
        #expect(await next.retryUnsaved() == 0)
        #expect(bench.journal.count == 0)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `an unknown outcome and a release are delivered too`() async throws {
        let service = bench.journaled()
        _ = try await fail(service, "u", .unknown(.sample))
        bench.store.mend()
        _ = try await fail(service, "r", .released(nil))
        bench.store.mend()
        let next = bench.journaled()
        try await next.recover()
        guard case .unknown(_, let recorded, _) = try await bench.ask("u", next).refusal else {
            throw Unexpected("not unknown")
        }
        #expect(recorded == .sample)
        #expect(try await bench.claim("r", next).attempts == 2)
    }

    @Test func `a stale token changes nothing and is reported`() async throws {
        let claim = try await fail(bench.journaled())
        bench.store.mend()
        let other = bench.other()
        bench.clock.advance(by: bench.policy.lease)
        #expect(try await bench.ask("k", other).isUnknown)
        let lock = try await other.lock(claim.id, policy: bench.policy)
        let next = bench.journaled()
        try await next.readJournal()
        #expect(await next.retryUnsaved() == 0)
        #expect(bench.events.dropped == [.lost])
        #expect(bench.journal.count == 0)
        #expect(try await next.retrieve(claim.id)?.lockToken == lock.lockToken)
    }

    @Test func `an entry whose record is concluded already is dropped`() async throws {
        let service = bench.journaled()
        let claim = try await fail(service)
        bench.store.mend()
        bench.journal.failToDiscard(true)
        await service.retryUnsaved()
        #expect(bench.journal.count == 1)
        bench.journal.failToDiscard(false)
        let next = bench.journaled()
        let key = try await next.retrieve(claim.id)
        try await next.recover()
        #expect(bench.journal.count == 0)
        #expect(try await next.retrieve(claim.id)?.revision == key?.revision)
    }

    @Test func `what could not be discarded is discarded later`() async throws {
        let service = bench.journaled()
        _ = try await fail(service)
        bench.store.mend()
        bench.journal.failToDiscard(true)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.journal.count == 1)
        bench.journal.failToDiscard(false)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.journal.count == 0)
    }

    @Test func `an undelivered entry stays until it is delivered`() async throws {
        let service = bench.journaled()
        let first = try await bench.claim("a", service)
        let second = try await bench.claim("b", service)
        bench.store.breakDown([.replace])
        await #expect(throws: StoreError.self) { try await bench.finish(first, .sample, service) }
        await #expect(throws: StoreError.self) { try await bench.finish(second, .sample, service) }
        bench.store.mend()
        bench.store.fail(.replace, .before, nil)
        #expect(await service.retryUnsaved() == 1)
        #expect(bench.journal.count == 1)
        bench.clock.advance(by: .seconds(60))
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.journal.count == 0)
    }

    @Test func `if the journal fails too, the answer is in memory and the error says so`()
        async throws
    {
        let service = bench.journaled()
        let claim = try await bench.claim("k", service)
        bench.store.fail(.replace, .before)
        bench.journal.fail(StoreError(.full, "no room in the journal"))
        let error = await #expect(throws: StoreError.self) {
            try await bench.finish(claim, .sample, service)
        }
        #expect(error?.detail.contains("no room in the journal") == true)
        #expect(bench.events.journalFailures.count == 1)
        #expect(service.statistics.journalFailures == 1)
        #expect(!service.isReady)
        #expect(try await bench.ask("k", service).finished.reply == .sample)
        #expect(await service.retryUnsaved() == 0)
        #expect(service.isReady)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `an entry that nobody can read is reported and does not stop the start`()
        async throws
    {
        _ = try await fail(bench.journaled())
        bench.store.mend()
        bench.journal.change { entries in
            entries.insert([0, 1, 2], at: 0)
            entries.append([9, 9, 9])
        }
        let next = bench.journaled()
        try await next.recover()
        #expect(bench.events.unreadable == [false, true])
        #expect(bench.events.delivered.count == 1)
        #expect(bench.journal.count == 1)
    }

    @Test func `replies are written as the coding says, and kept where it cannot read them`()
        async throws
    {
        let claim = try await fail(bench.journaled(coding: Flipping(mask: 0xFF)))
        bench.store.mend()
        bench.journal.change { entries in
            let text = Array(#"{"id":"ch_1"}"#.utf8)
            let isPlain = entries[0].indices.contains { entries[0][$0...].starts(with: text) }
            #expect(!isPlain)
        }
        let wrong = bench.journaled(coding: Flipping(mask: nil))
        try await wrong.recover()
        #expect(bench.events.unreadable == [true])
        #expect(bench.journal.count == 1)
        #expect(try await bench.ask("k", wrong).isUnknown)
        let right = bench.journaled(coding: Flipping(mask: 0xFF))
        try await right.recover()
        #expect(bench.events.delivered == [claim.id])
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `a record that the store has lost is made again by its conclusion`() async throws {
        let claim = try await fail(bench.journaled())
        let clock = bench.clock
        let store = FaultyStore(InMemoryStore(now: { clock.now }))
        let next = IdempotencyKeyService(store: store, journal: bench.journal, now: { clock.now })
        try await next.recover()
        #expect(try await bench.ask("k", next).finished.id == claim.id)
        #expect(bench.journal.count == 0)
    }

    @Test func `one that the reaper can have taken is not made again`() async throws {
        _ = try await fail(bench.journaled())
        let clock = bench.clock
        clock.advance(by: bench.policy.retention)
        let store = FaultyStore(InMemoryStore(now: { clock.now }))
        let next = IdempotencyKeyService(
            store: store, journal: bench.journal, options: bench.service.options,
            now: { clock.now })
        try await next.recover()
        #expect(bench.events.dropped == [.lost])
        _ = try await bench.claim("k", next)
    }

    @Test func `a record that cannot be read does not hold up the others`() async throws {
        let service = bench.journaled()
        var claims: [Claim] = []
        for index in 0..<70 { claims.append(try await bench.claim("k\(index)", service)) }
        bench.store.breakDown([.replace])
        for claim in claims {
            await #expect(throws: StoreError.self) {
                try await bench.finish(claim, .sample, service)
            }
        }
        bench.store.mend()
        bench.store.damage(claims[0].id)
        #expect(await service.retryUnsaved() == 1)
        #expect(bench.events.delivered.count == 69)
        #expect(try await bench.ask("k0", service).finished.reply == .sample)
        #expect(bench.journal.count == 1)
    }

    @Test func `an entry that is kept does not keep those that come later`() async throws {
        bench.journal.change { $0 = [[9, 9, 9]] }
        let service = bench.journaled()
        try await service.recover()
        #expect(bench.events.unreadable == [true])
        for index in 0..<20 {
            _ = try await fail(service, "k\(index)")
            bench.store.mend()
            #expect(await service.retryUnsaved() == 0)
        }
        #expect(bench.events.delivered.count == 20)
        #expect(bench.journal.count == 1)
    }

    @Test func `what memory has no room for is delivered from the journal, and at once`()
        async throws
    {
        let bench = ServiceBench { $0.unsavedConclusions = 2 }
        let service = bench.journaled()
        var claims: [Claim] = []
        for index in 0..<9 { claims.append(try await bench.claim("k\(index)", service)) }
        bench.store.breakDown([.replace])
        for claim in claims {
            await #expect(throws: StoreError.self) {
                try await bench.finish(claim, .sample, service)
            }
        }
        #expect(service.statistics.unsaved == 9)
        #expect(bench.journal.count == 9)
        bench.store.mend()
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.events.delivered == claims.map(\.id))
        #expect(bench.journal.count == 0)
        for index in 0..<9 {
            #expect(try await bench.ask("k\(index)", service).finished.reply == .sample)
        }
    }

    @Test func `a conclusion larger than all that memory may hold is delivered too`() async throws {
        let bench = ServiceBench { $0.unsavedBytes = 100 }
        let service = bench.journaled()
        let claim = try await bench.claim("k", service)
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) { try await bench.finish(claim, .sample, service) }
        #expect(service.statistics.unsaved == 1)
        #expect(await service.retryUnsaved() == 0)
        #expect(bench.events.delivered == [claim.id])
        #expect(try await bench.ask("k", service).finished.reply == .sample)
    }

    @Test func `a start takes up no more than memory has room for, and delivers all`()
        async throws
    {
        let bench = ServiceBench { $0.unsavedBytes = 2000 }
        let service = bench.journaled()
        var claims: [Claim] = []
        for index in 0..<9 { claims.append(try await bench.claim("k\(index)", service)) }
        bench.store.breakDown([.replace])
        for claim in claims {
            await #expect(throws: StoreError.self) {
                try await bench.finish(claim, .sample, service)
            }
        }
        let next = bench.journaled()
        try? await next.recover()
        #expect(next.statistics.unsaved == 9)
        #expect(next.unsaved.withLock { $0.count } < 9)
        bench.store.mend()
        bench.clock.advance(by: .seconds(10))
        try await next.recover()
        #expect(Set(bench.events.delivered) == Set(claims.map(\.id)))
        #expect(bench.journal.count == 0)
        for index in 0..<9 {
            #expect(try await bench.ask("k\(index)", next).finished.reply == .sample)
        }
    }

    @Test func `an answer too large for the store is kept without its body`() async throws {
        bench.store.refuseBodies(above: 5)
        let claim = try await bench.claim()
        guard case .finished(let finished) = try await bench.finish(claim) else {
            throw Unexpected("not finished")
        }
        #expect(finished.reply == .sample)
        let kept = try await bench.ask("k", bench.other()).finished.reply
        #expect(kept.responseCode == 201)
        #expect(kept.responseBody == nil)
    }

    @Test func `a real file brings conclusions over a restart`() async throws {
        try await TemporaryDirectory.with { directory in
            let path = directory + "/keys.db.conclusions"
            let clock = bench.clock
            var journal = try FileJournal(path: path)
            let service = IdempotencyKeyService(
                store: bench.store, journal: journal, now: { clock.now })
            _ = try await fail(service)
            bench.store.mend()
            journal.close()
            journal = try FileJournal(path: path)
            let next = IdempotencyKeyService(
                store: bench.store, journal: journal, now: { clock.now })
            try await next.recover()
            #expect(journal.size == 0)
            #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
            journal.close()
        }
    }
}

/// Flips the bits of bodies; without a mask it can read nothing.
private struct Flipping: ReplyCoding {
    let mask: UInt8?

    func encode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
        try decode(reply, of: id)
    }

    func decode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
        guard let mask else { throw StoreError(.corrupt, "the key is not there") }
        return StoredReply(
            responseCode: reply.responseCode, responseHeaders: reply.responseHeaders,
            responseBody: reply.responseBody?.map { $0 ^ mask })
    }
}
