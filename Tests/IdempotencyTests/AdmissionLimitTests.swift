import Idempotency
import TestSupport
import Testing

struct AdmissionLimitTests {
    @Test func `waiters are bounded per key and in all`() async throws {
        var bench = ServiceBench { $0.waiters = 3 }
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
        var bench = ServiceBench()
        bench.policy.waiters = 10
        _ = try await bench.claim()
        for _ in 0..<1000 { try await bench.ask().waiter.giveUp() }
        for _ in 0..<10 { _ = try await bench.ask().waiter }
        #expect(try await bench.ask().isInFlight)
    }

    @Test func `a wait ends once, by the answer or by giving up`() async throws {
        let bench = ServiceBench()
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
        let bench = ServiceBench()
        _ = try await bench.claim()
        let waiter = try await bench.ask().waiter
        let task = Task { await waiter.outcome() }
        task.cancel()
        #expect(await task.value == nil)
        #expect(bench.service.statistics.waiters == 0)
    }

    @Test func `claims are bounded`() async throws {
        let bench = ServiceBench { $0.claims = 2 }
        let first = try await bench.claim("a")
        _ = try await bench.claim("b")
        await #expect(throws: StoreError.self) { try await bench.ask("c") }
        _ = try await bench.finish(first)
        _ = try await bench.claim("c")
    }

    @Test func `a cancelled task gets its claim`() async throws {
        let bench = ServiceBench()
        bench.store.hold()
        let task = Task { try await bench.claim() }
        await bench.store.untilHeld(1)
        task.cancel()
        bench.store.letGo()
        _ = try await bench.finish(try await task.value)
        #expect(try await bench.ask().finished.reply == .sample)
    }

    @Test func `the cache stays within its bytes under a spray of keys`() async throws {
        let bench = ServiceBench { $0.replyCacheBytes = 100_000 }
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
        let bench = ServiceBench { $0.replyCacheBytes = 50_000 }
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
        var random = SplitMix(seed: seed)
        let bench = ServiceBench()
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
