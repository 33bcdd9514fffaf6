import TestSupport
import Testing

@testable import Idempotency

/// Three recorded stages while the store fails, or the process ends, at every single call.
@Suite struct StageFaultTests {
    private static let names = ["taxes", "payment", "finished"]

    /// What ends or fails, and at which call of the store's.
    struct Trouble: Sendable, CustomStringConvertible {
        let call: FaultyStore.Call
        let number: Int
        let fault: FaultyStore.Fault
        /// Whether the process ends with the call.
        let isCrash: Bool

        var description: String {
            "\(isCrash ? "crash" : "failure") \(fault) \(call) number \(number)"
        }

        static let all: [Trouble] = [FaultyStore.Call.insert, .find, .replace].flatMap { call in
            (0..<9).flatMap { number in
                FaultyStore.Fault.allCases.flatMap { fault in
                    [false, true].map {
                        Trouble(call: call, number: number, fault: fault, isCrash: $0)
                    }
                }
            }
        }
    }

    /// The end of a process, wherever it was.
    private struct Crash: Error {}

    /// What the upstream has done, by stage.
    private final class Upstream {
        var effects: [String: Int] = [:]
    }

    /// What a gateway does: marks a stage, sends it, records it; the last one concludes.
    private func work(
        _ claim: Claim, _ service: IdempotencyKeyService, _ bench: ServiceBench,
        _ upstream: Upstream, isCrashing: Bool
    ) async throws {
        var claim = claim
        let done = claim.key.stages.count
        for name in Self.names.dropFirst(done) {
            do {
                claim = try await service.begin(name, of: claim, policy: bench.policy)
            } catch let error as StoreError {
                if isCrashing { throw Crash() }
                // Nothing was sent for this stage.
                _ = try await service.workStage(
                    claim, .suspended(reached: nil), policy: bench.policy)
                throw error
            }
            upstream.effects[name, default: 0] += 1
            guard name != "finished" else { break }
            do {
                claim = try await service.advance(
                    claim, to: name, reply: .sample, policy: bench.policy)
            } catch let error as StoreError {
                if isCrashing { throw Crash() }
                let record = StageRecord(
                    recoveryPoint: name, reply: .sample, reachedAt: bench.clock.now)
                _ = try await service.workStage(
                    claim, .suspended(reached: record), policy: bench.policy)
                throw error
            }
        }
        do {
            try await bench.finish(claim, .sample, service)
        } catch let error as StoreError {
            if isCrashing { throw Crash() }
            throw error
        }
    }

    @Test(arguments: Trouble.all)
    func `no stage is sent twice, and what is unknown is called so`(
        _ trouble: Trouble
    ) async throws {
        let bench = ServiceBench()
        let upstream = Upstream()
        var service = bench.journaled()
        let faults = Array(repeating: nil as FaultyStore.Fault?, count: trouble.number)
        for fault in faults + [trouble.fault] { bench.store.fail(trouble.call, fault) }
        var request = KeyRequest.sample()
        request.isResumable = true
        request.content = [1]
        for _ in 0..<12 {
            do {
                let admission = try await service.initializeRequest(request, policy: bench.policy)
                if case .proceed(let claim) = admission {
                    try await work(
                        claim, service, bench, upstream, isCrashing: trouble.isCrash)
                }
            } catch {
                if error is Crash || trouble.isCrash {
                    service = bench.journaled()
                    try? await service.recover(policy: bench.policy)
                }
            }
            bench.clock.advance(by: .seconds(10))
            await service.retryUnsaved()
            _ = try? await service.lapseOverdue(policy: bench.policy)
        }
        bench.store.mend()
        #expect(upstream.effects.values.allSatisfy { $0 == 1 }, "sent twice: \(upstream.effects)")
        let key = try #require(try await service.retrieve(request.identity))
        switch key.recoveryPoint {
        case .finished: #expect(upstream.effects.count == 3)
        case .unknown: #expect(key.pendingStage != nil)
        default: Issue.record("it rests at \(key.recoveryPoint), \(upstream.effects)")
        }
        // Without a crash nothing is unknown: what was not sent is known not to have been.
        if !trouble.isCrash { #expect(key.recoveryPoint == .finished) }
    }
}
