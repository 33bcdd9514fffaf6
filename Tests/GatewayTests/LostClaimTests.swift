import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Work whose claim somebody else broke meanwhile.
@Loop @Suite struct LostClaimTests {
    /// Has a request's claim broken while its upstream is at work, and its key claimed anew.
    private func lose(_ bench: Bench) async throws -> Claim {
        let key = try #require(try await bench.store.unfinished(after: nil, limit: 1).first)
        let clock = bench.clock
        let other = IdempotencyKeyService(store: bench.store, now: { clock.now })
        _ = try await other.release(key.id, force: true, policy: KeyPolicy())
        return try await other.lock(key.id, policy: KeyPolicy())
    }

    @Test func `the upstream's answer goes out, is called unknown, and changes nothing`()
        async throws
    {
        var script = ScriptedUpstream.Script(201, body: "made")
        let gate = Gate()
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let (answer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        let claim = try await lose(bench)
        gate.open()
        try await task.value
        #expect(answer.status == 201)
        #expect(answer.text == "made")
        #expect(answer.field("Idempotency-Status") == "unknown")
        let key = try await bench.keys.retrieve(claim.id)
        #expect(key?.lockToken == claim.lockToken)
        #expect(key?.reply == nil)
    }

    @Test func `a request that was not sent does not say that nothing was executed`()
        async throws
    {
        var script = ScriptedUpstream.Script.silent()
        script.cut = UpstreamError(.unreachable, effect: .none, detail: "scripted")
        let gate = Gate()
        script.gate = gate
        let bench = try Bench(.init(script), keys: .plain)
        let (answer, task) = bench.begin(.order())
        await bench.upstream.arrival(of: 1)
        _ = try await lose(bench)
        gate.open()
        try await task.value
        answer.expectProblem("in-flight", 409, executed: "pending")
    }

    @Test func `a process that slept through its lease sends nothing`() async throws {
        let clock = ManualClock()
        let store = FaultyStore(InMemoryStore(now: { clock.now }), isExclusive: false)
        let keys = IdempotencyKeyService(store: store, now: { clock.now })
        let bench = try Bench(.init(), keys: .plain, keys: keys)
        try await bench.send(.order(key: "warm"))
        store.hold()
        let (answer, task) = bench.begin(.order())
        await store.untilHeld(1)
        clock.advance(by: KeyPolicy().lease)
        store.letGo()
        try await task.value
        answer.expectProblem("upstream-unreachable", 503, executed: "no")
        #expect(answer.field("Retry-After") == "1")
        #expect(bench.upstream.received.count == 1)
        #expect(try await bench.keyStatus(of: .order()) == "executed")
    }

    @Test func `a streamed answer's last byte waits for the journal`() async throws {
        let bytes = [UInt8](repeating: 1, count: 300 << 10)
        let journal = HoldingJournal()
        let bench = try Bench(.init(.chunked([bytes])), keys: .plain, journal: journal)
        bench.store.breakDown([.replace])
        let (answer, task) = bench.begin(.order())
        await journal.untilHeld()
        await bench.settle()
        #expect(answer.hasBegun)
        #expect(!answer.isComplete)
        journal.letGo()
        try await task.value
        #expect(answer.isComplete)
        #expect(bench.keys.statistics.unsaved == 1)
    }
}

/// A journal that takes an entry when it is told to.
private final class HoldingJournal: ConclusionJournal {
    private let arrivals = AsyncStream<Void>.makeStream()
    private let gate = AsyncStream<Void>.makeStream()

    func untilHeld() async { for await _ in arrivals.stream { break } }
    func letGo() { gate.continuation.yield() }

    func append(_ entry: [UInt8]) async throws(StoreError) -> UInt64 {
        arrivals.continuation.yield()
        for await _ in gate.stream { break }
        return 1
    }

    func entries() async throws(StoreError) -> [(position: UInt64, bytes: [UInt8])] { [] }
    func discard(_ positions: Set<UInt64>, isErasing: Bool) async throws(StoreError) {}
    var size: Int { 0 }
}
