import Idempotency
import TestSupport
import Testing

struct RecordServiceTests {
    @Test func `a created record is locked by its token's owner`() async throws {
        let bench = ServiceBench()
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
        let bench = ServiceBench()
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
