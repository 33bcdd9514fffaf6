import Idempotency
import TestSupport
import Testing

/// A service around a store that can be made to fail, by a clock that stands.
private struct Bench: Sendable {
    let clock = ManualClock()
    let store: FaultyStore
    let service: IdempotencyKeyService
    var policy = KeyPolicy()

    init(_ change: (inout IdempotencyKeyService.Options) -> Void = { _ in }) {
        let clock = clock
        store = FaultyStore(InMemoryStore(now: { clock.now }))
        var options = IdempotencyKeyService.Options()
        change(&options)
        service = IdempotencyKeyService(store: store, options: options, now: { clock.now })
    }

    /// A service of another process on the same store.
    func other() -> IdempotencyKeyService {
        let clock = clock
        return IdempotencyKeyService(store: store, now: { clock.now })
    }

    func ask(
        _ name: String = "k", body: UInt64 = 1, _ service: IdempotencyKeyService? = nil,
        _ policy: KeyPolicy? = nil
    ) async throws(StoreError) -> Admission {
        try await (service ?? self.service).initializeRequest(
            .sample(name, body: body), policy: policy ?? self.policy)
    }

    func claim(_ name: String = "k", _ service: IdempotencyKeyService? = nil) async throws -> Claim
    {
        try await ask(name, service).claim
    }

    func finish(_ claim: Claim, _ reply: StoredReply = .sample) async throws -> Settlement {
        try await service.workStage(
            claim, .finished(reply, retention: policy.retention), policy: policy)
    }
}

private struct Unexpected: Error {
    let what: String
    init(_ what: Any) { self.what = "\(what)" }
}

extension Admission {
    fileprivate var claim: Claim {
        get throws { if case .proceed(let claim) = self { claim } else { throw Unexpected(self) } }
    }
    fileprivate var waiter: Waiter {
        get throws { if case .wait(let waiter) = self { waiter } else { throw Unexpected(self) } }
    }
    fileprivate var finished: Finished {
        get throws { if case .replay(let found) = self { found } else { throw Unexpected(self) } }
    }
    fileprivate var refusal: Refusal {
        get throws { if case .refuse(let why) = self { why } else { throw Unexpected(self) } }
    }
    fileprivate var isInFlight: Bool {
        if case .refuse(.inFlight) = self { true } else { false }
    }
    fileprivate var isUnknown: Bool { if case .refuse(.unknown) = self { true } else { false } }
    fileprivate var isExpired: Bool { if case .refuse(.expired) = self { true } else { false } }
}

extension Settlement? {
    fileprivate var reply: StoredReply? {
        switch self {
        case .finished(let finished): finished.reply
        case .released(let reply, _), .unknown(let reply, _): reply
        default: nil
        }
    }
}

struct AdmissionTests {
    @Test func `the first request proceeds, a repeated one is replayed`() async throws {
        let bench = Bench()
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
        let bench = Bench()
        _ = try await bench.finish(try await bench.claim())
        let other = bench.other()
        #expect(try await bench.ask("k", other).finished.reply == .sample)
        #expect(try await bench.ask("k", other).finished.reply == .sample)
        #expect(bench.store.count(.insert) == 2)
    }

    @Test func `another request under the key is refused in any state`() async throws {
        let bench = Bench()
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
        let bench = Bench()
        bench.store.hold()
        async let first = bench.ask()
        await bench.store.untilHeld(1)
        let waiter = try await bench.ask().waiter
        #expect(waiter.id == nil)
        #expect(try await bench.ask(body: 2).refusal.isReused)
        bench.store.letGo()
        let claim = try await first.claim
        let late = try await bench.ask().waiter
        #expect(late.id == claim.id)
        _ = try await bench.finish(claim)
        #expect(await waiter.outcome().reply == .sample)
        #expect(await late.outcome().reply == .sample)
        #expect(bench.store.count(.insert) == 1)
    }

    @Test func `a released key is free, and those who waited get the answer`() async throws {
        let bench = Bench()
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
        let bench = Bench()
        let reply = StoredReply(responseCode: 500, responseHeaders: [], responseBody: [1])
        let claim = try await bench.claim()
        _ = try await bench.service.workStage(claim, .unknown(reply), policy: bench.policy)
        guard case .unknown(_, let recorded, 1) = try await bench.ask().refusal else {
            throw Unexpected("not held")
        }
        #expect(recorded == reply)
    }

    @Test func `an unknown outcome is tried again where the policy says so`() async throws {
        var bench = Bench()
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
        let bench = Bench()
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
        let bench = Bench()
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(1_000_000))
        let waiter = try await bench.ask().waiter
        _ = try await bench.finish(claim)
        #expect(await waiter.outcome().reply == .sample)
    }

    @Test func `an expired key is refused, then absent`() async throws {
        let bench = Bench()
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
        let bench = Bench()
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
        let bench = Bench()
        var claims: [Claim] = []
        for index in 0..<150 { claims.append(try await bench.claim("k\(index)")) }
        _ = try await bench.finish(claims[0])
        let next = bench.other()
        try await next.recover()
        #expect(try await bench.ask("k0", next).finished.reply == .sample)
        for index in 1..<150 { #expect(try await bench.ask("k\(index)", next).isUnknown) }
    }

    @Test func `waiters are bounded per key and in all`() async throws {
        var bench = Bench { $0.waiters = 3 }
        bench.policy.waiters = 2
        let claim = try await bench.claim("a")
        _ = try await bench.claim("b")
        let first = try await bench.ask("a").waiter
        _ = try await bench.ask("a").waiter
        #expect(try await bench.ask("a").isInFlight)
        _ = try await bench.ask("b").waiter
        #expect(try await bench.ask("b").isInFlight)
        first.giveUp()
        first.giveUp()
        #expect(await first.outcome() == nil)
        #expect(bench.service.statistics.waiters == 2)
        _ = try await bench.ask("a").waiter
        #expect(bench.service.statistics.waiters == 3)
        _ = try await bench.finish(claim)
        #expect(bench.service.statistics.waiters == 1)
        var reject = bench.policy
        reject.waiters = 0
        #expect(try await bench.ask("b", nil, reject).isInFlight)
    }

    @Test func `places of those who gave up are used again`() async throws {
        var bench = Bench()
        bench.policy.waiters = 10
        _ = try await bench.claim()
        for _ in 0..<1000 { try await bench.ask().waiter.giveUp() }
        for _ in 0..<10 { _ = try await bench.ask().waiter }
        #expect(try await bench.ask().isInFlight)
    }

    @Test func `a wait ends once, by the answer or by giving up`() async throws {
        let bench = Bench()
        for index in 0..<200 {
            let claim = try await bench.claim("k\(index)")
            let waiter = try await bench.ask("k\(index)").waiter
            async let outcome = waiter.outcome()
            async let settlement = bench.finish(claim)
            waiter.giveUp()
            let reply = await outcome.reply
            _ = try await settlement
            #expect(reply == nil || reply == .sample)
        }
        #expect(bench.service.statistics.waiters == 0)
    }

    @Test func `a cancelled wait ends`() async throws {
        let bench = Bench()
        _ = try await bench.claim()
        let waiter = try await bench.ask().waiter
        let task = Task { await waiter.outcome() }
        task.cancel()
        #expect(await task.value == nil)
        #expect(bench.service.statistics.waiters == 0)
    }

    @Test func `claims are bounded`() async throws {
        let bench = Bench { $0.claims = 2 }
        let first = try await bench.claim("a")
        _ = try await bench.claim("b")
        await #expect(throws: StoreError.self) { try await bench.ask("c") }
        _ = try await bench.finish(first)
        _ = try await bench.claim("c")
    }

    @Test func `a cancelled task gets its claim`() async throws {
        let bench = Bench()
        bench.store.hold()
        let task = Task { try await bench.claim() }
        await bench.store.untilHeld(1)
        task.cancel()
        bench.store.letGo()
        _ = try await bench.finish(try await task.value)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `the cache stays within its bytes under a spray of keys`() async throws {
        let bench = Bench { $0.replyCacheBytes = 100_000 }
        let reply = StoredReply(
            responseCode: 200, responseHeaders: [],
            responseBody: [UInt8](repeating: 1, count: 1000))
        for index in 0..<1000 {
            _ = try await bench.finish(try await bench.claim("k\(index)"), reply)
            #expect(bench.service.statistics.cachedBytes <= 100_000)
        }
        #expect(bench.service.statistics.cachedReplies > 50)
        #expect(try await bench.ask("k0").finished.reply == reply)
        let huge = StoredReply(
            responseCode: 200, responseHeaders: [],
            responseBody: [UInt8](repeating: 1, count: 90_000))
        _ = try await bench.finish(try await bench.claim("huge"), huge)
        #expect(bench.service.statistics.cachedReplies > 50)
        #expect(try await bench.ask("huge").finished.reply == huge)
    }

    @Test func `what is replayed often outlives a spray of keys`() async throws {
        let bench = Bench { $0.replyCacheBytes = 50_000 }
        _ = try await bench.finish(try await bench.claim("often"))
        for index in 0..<2000 {
            _ = try await bench.finish(try await bench.claim("k\(index)"))
            #expect(try await bench.ask("often").finished.reply == .sample)
        }
        #expect(bench.store.count(.insert) < 2010)
    }

    @Test func `of thousands of requests for few keys one each proceeds`() async throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix(state: seed)
        let bench = Bench()
        let names = (0..<4000).map { _ in "k\(random.next() % 16)" }
        let proceeded = try await withThrowingTaskGroup(of: (String, Bool).self) { group in
            for name in names {
                group.addTask {
                    switch try await bench.ask(name) {
                    case .proceed(let claim):
                        await Task.yield()
                        _ = try await bench.finish(claim)
                        return (name, true)
                    case .wait(let waiter):
                        guard await waiter.outcome().reply == .sample else {
                            throw Unexpected("another answer")
                        }
                    case .replay(let finished): #expect(finished.reply == .sample)
                    case .refuse(let refusal): throw Unexpected(refusal)
                    }
                    return (name, false)
                }
            }
            return try await group.reduce(into: [String: Int]()) {
                $0[$1.0, default: 0] += $1.1 ? 1 : 0
            }
        }
        #expect(proceeded.values.allSatisfy { $0 == 1 }, "seed \(seed)")
    }
}

extension Refusal {
    fileprivate var isReused: Bool { if case .reused = self { true } else { false } }
}

private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ word >> 30) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ word >> 27) &* 0x94d0_49bb_1331_11eb
        return word ^ word >> 31
    }
}

struct StoreFailureTests {
    @Test(arguments: FaultyStore.Fault.allCases)
    func `a claim that the store fails executes nothing and frees the key`(
        _ fault: FaultyStore.Fault
    ) async throws {
        let bench = Bench()
        bench.store.fail(.insert, fault)
        await #expect(throws: StoreError.self) { try await bench.ask() }
        #expect(bench.service.statistics.claims == 0)
        let claim = try await bench.claim()
        _ = try await bench.finish(claim)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `those who wait for a claim that fails learn of it`() async throws {
        let bench = Bench()
        bench.store.fail(.insert, .before)
        bench.store.hold()
        let first = Task { try await bench.ask() }
        await bench.store.untilHeld(1)
        let waiter = try await bench.ask().waiter
        bench.store.letGo()
        await #expect(throws: StoreError.self) { try await first.value }
        guard case .failed = await waiter.outcome() else { throw Unexpected("not failed") }
    }

    @Test func `those who wait for a claim that the store refuses learn why`() async throws {
        let bench = Bench()
        _ = try await bench.claim("k", bench.other())
        bench.store.hold()
        async let first = bench.ask()
        await bench.store.untilHeld(1)
        let waiter = try await bench.ask().waiter
        bench.store.letGo()
        #expect(try await first.isInFlight)
        guard case .refused(.inFlight) = await waiter.outcome() else {
            throw Unexpected("not refused")
        }
    }

    @Test func `after a crash a claim of unknown fate is not executed`() async throws {
        let bench = Bench()
        bench.store.fail(.insert, .after)
        await #expect(throws: StoreError.self) { try await bench.ask() }
        let next = bench.other()
        try await next.recover()
        #expect(try await bench.ask("k", next).isUnknown)
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `a conclusion that the store fails is replayed here and stored later`(
        _ fault: FaultyStore.Fault
    ) async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        let waiter = try await bench.ask().waiter
        bench.store.fail(.replace, fault)
        await #expect(throws: StoreError.self) { try await bench.finish(claim) }
        #expect(await waiter.outcome().reply == .sample)
        #expect(try await bench.ask().finished.reply == .sample)
        #expect(bench.service.statistics.unsaved == 1)
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(bench.service.statistics.unsaved == 0)
        #expect(try await bench.ask().finished.reply == .sample)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `an unsaved conclusion is tried again at growing distances`() async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        bench.store.breakDown()
        await #expect(throws: StoreError.self) { try await bench.finish(claim) }
        for _ in 0..<20 { #expect(await bench.service.retryUnsaved() == 1) }
        #expect(bench.store.count(.replace) == 2)
        for _ in 0..<1200 {
            bench.clock.advance(by: .milliseconds(100))
            #expect(await bench.service.retryUnsaved() == 1)
        }
        #expect(bench.store.count(.replace) < 20)
        bench.store.mend()
        bench.clock.advance(by: .seconds(30))
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `an unsaved unknown outcome is held here and stored later`() async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        bench.store.fail(.replace, .before)
        await #expect(throws: StoreError.self) {
            try await bench.service.workStage(claim, .unknown(nil), policy: bench.policy)
        }
        #expect(try await bench.ask().isUnknown)
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(try await bench.service.retrieve(claim.id)?.recoveryPoint == .unknown)
        #expect(try await bench.ask().isUnknown)
    }

    @Test(arguments: FaultyStore.Fault.allCases)
    func `a release that the store fails still frees the key here`(
        _ fault: FaultyStore.Fault
    ) async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        bench.store.fail(.replace, fault)
        await #expect(throws: StoreError.self) {
            try await bench.service.workStage(claim, .released(nil), policy: bench.policy)
        }
        let again = try await bench.claim()
        #expect(again.attempts == 2)
        #expect(await bench.service.retryUnsaved() == 0)
        _ = try await bench.finish(again)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `unsaved conclusions are bounded, what is dropped becomes unknown`() async throws {
        let bench = Bench { $0.unsavedConclusions = 1 }
        let first = try await bench.claim("a")
        let second = try await bench.claim("b")
        bench.store.breakDown([.replace])
        await #expect(throws: StoreError.self) { try await bench.finish(first) }
        #expect(!bench.service.isReady)
        await #expect(throws: StoreError.self) { try await bench.finish(second) }
        #expect(bench.service.statistics.unsaved == 1)
        bench.store.mend()
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(try await bench.ask("a").finished.reply == .sample)
        #expect(try await bench.ask("b").isInFlight)
        bench.clock.advance(by: bench.policy.lease)
        #expect(try await bench.ask("b").isUnknown)
    }

    @Test func `a lost claim changes nothing`() async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(30))
        let other = bench.other()
        #expect(try await bench.ask("k", other).isUnknown)
        let lock = try await other.lock(claim.id, policy: bench.policy)
        await #expect(throws: ClaimError.lost) { try await bench.finish(claim) }
        #expect(bench.service.statistics.claims == 0)
        let key = try await bench.service.retrieve(claim.id)
        #expect(key?.lockToken == lock.lockToken)
        #expect(key?.reply == nil)
    }

    @Test(arguments: FaultyStore.Call.allCases, FaultyStore.Fault.allCases)
    func `whatever fails, a key is executed once or refused`(
        _ call: FaultyStore.Call, _ fault: FaultyStore.Fault
    ) async throws {
        let bench = Bench()
        bench.store.fail(call, fault, nil, fault)
        var executions = 0
        for _ in 0..<6 {
            guard case .proceed(let claim)? = try? await bench.ask() else { continue }
            executions += 1
            _ = try? await bench.finish(claim)
        }
        #expect(executions == 1)
    }
}

struct RecordServiceTests {
    @Test func `a created record is locked by its token's owner`() async throws {
        let bench = Bench()
        let key = try await bench.service.create(.sample(), policy: bench.policy)
        #expect(try await bench.ask().isInFlight)
        await #expect(throws: ClaimError.exists(key.id)) {
            try await bench.service.create(.sample(), policy: bench.policy)
        }
        await #expect(throws: ClaimError.locked) {
            try await bench.service.lock(key.id, policy: bench.policy)
        }
        await #expect(throws: ClaimError.lost) {
            try await bench.service.update(
                key.id, token: .random(), reply: .sample, policy: bench.policy)
        }
        let staged = try await bench.service.update(
            key.id, token: key.lockToken!, recoveryPoint: .stage("paid"), policy: bench.policy)
        #expect(staged.recoveryPoint == .stage("paid"))
        _ = try await bench.service.update(
            key.id, token: key.lockToken!, reply: .sample, policy: bench.policy)
        #expect(try await bench.ask().finished.reply == .sample)
        await #expect(throws: ClaimError.finished) {
            try await bench.service.lock(key.id, policy: bench.policy)
        }
    }

    @Test func `work in flight here is not locked by others`() async throws {
        let bench = Bench()
        let claim = try await bench.claim()
        bench.clock.advance(by: .seconds(100))
        await #expect(throws: ClaimError.locked) {
            try await bench.service.lock(claim.id, policy: bench.policy)
        }
        await #expect(throws: ClaimError.absent) {
            try await bench.service.lock(KeyID(at: .now()), policy: bench.policy)
        }
    }
}
