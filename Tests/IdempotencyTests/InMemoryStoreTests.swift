import Idempotency
import TestSupport
import Testing

struct InMemoryStoreTests {
    @Test(arguments: StoreConformance.behaviours)
    func `is a store`(_ behaviour: StoreConformance.Behaviour) async throws {
        let clock = ManualClock()
        let store = InMemoryStore(now: { clock.now })
        try await StoreConformance.check(behaviour, of: store, clock: clock)
    }

    @Test func `a full store says so and keeps what it has`() async throws {
        let service = IdempotencyKeyService(store: InMemoryStore(limit: 1))
        let key = try await service.create(.sample("a"), policy: KeyPolicy())
        await #expect(throws: StoreError.self) {
            try await service.create(.sample("b"), policy: KeyPolicy())
        }
        #expect(try await service.retrieve(key.id) != nil)
    }
}
