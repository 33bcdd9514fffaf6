import Idempotency
import TestSupport
import Testing

struct StoreFailureTests {
    @Test(arguments: FaultyStore.Fault.allCases)
    func `a claim that the store fails executes nothing and frees the key`(
        _ fault: FaultyStore.Fault
    ) async throws {
        let bench = ServiceBench()
        bench.store.fail(.insert, fault)
        await #expect(throws: StoreError.self) { try await bench.ask() }
        #expect(bench.service.statistics.claims == 0)
        let claim = try await bench.claim()
        _ = try await bench.finish(claim)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `those who wait for a claim that fails learn of it`() async throws {
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
        let bench = ServiceBench()
        let claim = try await bench.claim()
        bench.store.breakDown()
        await #expect(throws: StoreError.self) { try await bench.finish(claim) }
        for _ in 0..<20 { #expect(await bench.service.retryUnsaved() == 1) }
        #expect(bench.store.count(.replace) == 2)
        for _ in 0..<1200 {
            bench.clock.advance(by: .milliseconds(100))
            #expect(await bench.service.retryUnsaved() == 1)
        }
        // Two minutes: seven tries in the first six seconds, then one every five.
        #expect(bench.store.count(.replace) < 40)
        bench.store.mend()
        bench.clock.advance(by: .seconds(30))
        #expect(await bench.service.retryUnsaved() == 0)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `the last try before the end does not wait for the store's pause`() async throws {
        let bench = ServiceBench()
        let claim = try await bench.claim()
        bench.store.breakDown([.replace])
        await #expect(throws: StoreError.self) { try await bench.finish(claim) }
        for _ in 0..<2 { #expect(await bench.service.retryUnsaved() == 1) }
        bench.store.mend()
        #expect(await bench.service.retryUnsaved() == 1)
        #expect(await bench.service.retryUnsaved(isLast: true) == 0)
        #expect(try await bench.ask("k", bench.other()).finished.reply == .sample)
    }

    @Test func `an unsaved unknown outcome is held here and stored later`() async throws {
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
        let bench = ServiceBench { $0.unsavedConclusions = 1 }
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
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
