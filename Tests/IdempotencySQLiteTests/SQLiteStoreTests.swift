import Idempotency
import IdempotencySQLite
import TestSupport
import Testing

struct SQLiteStoreTests {
    @Test(arguments: StoreConformance.behaviours)
    func `is a store`(_ behaviour: StoreConformance.Behaviour) async throws {
        try await TemporaryDirectory.with { directory in
            let clock = ManualClock()
            var options = SQLiteStore.Options()
            options.now = { clock.now }
            let store = try SQLiteStore(path: directory + "/keys.db", options: options)
            try await StoreConformance.check(behaviour, of: store, clock: clock)
        }
    }
}
