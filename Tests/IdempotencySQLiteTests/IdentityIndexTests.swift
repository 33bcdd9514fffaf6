import Idempotency
import IdempotencySQLite
import TestSupport
import Testing

struct IdentityIndexTests {
    /// Keys are made, finished, reaped and made again, while the store is closed, or its files are
    /// taken away as a crash would leave them, and opened again. A key that is there is always
    /// found, and never proceeds.
    @Test(arguments: [1, 20, 1000])
    func `no key is lost, whatever is in memory when the store ends`(_ unindexed: Int) async throws
    {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        try await TemporaryDirectory.with { directory in
            var life = try Life(directory, unindexed: unindexed, seed: seed)
            for step in 1...2500 {
                try await life.step(step)
                if step.isMultiple(of: 50) { try await life.check() }
            }
            life.store.close()
        }
    }
}

/// A store's life, by chance, and what ought to be in it.
private struct Life {
    let clock = ManualClock()
    let directory: String
    var options = SQLiteStore.Options()
    var path: String
    var store: SQLiteStore
    var service: IdempotencyKeyService
    var random: SplitMix
    let seed: UInt64
    var keys: [String: (id: KeyID, until: Timestamp)] = [:]

    init(_ directory: String, unindexed: Int, seed: UInt64) throws {
        let clock = clock
        self.directory = directory
        self.seed = seed
        random = SplitMix(seed: seed)
        options.now = { clock.now }
        options.unindexed = unindexed
        path = directory + "/0.db"
        store = try SQLiteStore(path: path, options: options)
        service = IdempotencyKeyService(store: store, now: { clock.now })
    }

    mutating func step(_ number: Int) async throws {
        clock.advance(by: .milliseconds(Int64(random.next() % 20)))
        switch random.next() % 100 {
        case 0:
            store.close()
            try open()
        case 1:
            let copy = directory + "/\(number).db"
            for suffix in ["", "-wal"] { try write(try read(path + suffix), copy + suffix) }
            store.close()
            path = copy
            try open()
        case 2...9: try await service.reap()
        default: try await use("k\(random.next() % 400)")
        }
    }

    func check() async throws {
        for (name, key) in keys where clock.now < key.until {
            let found = try await store.find(KeyRequest.sample(name).identity).key
            #expect(found?.id == key.id, "\(name) is lost, seed \(seed)")
        }
    }

    private mutating func open() throws {
        let clock = clock
        store = try SQLiteStore(path: path, options: options)
        service = IdempotencyKeyService(store: store, now: { clock.now })
    }

    /// Has a key proceed and finishes it; it lives for half a second, then leaves a tombstone.
    private mutating func use(_ name: String) async throws {
        var policy = KeyPolicy()
        policy.tombstone = .milliseconds(500)
        let admission = try await service.initializeRequest(.sample(name), policy: policy)
        guard case .proceed(let claim) = admission else { return }
        #expect(keys[name].map { $0.until <= clock.now } ?? true, "\(name) again, seed \(seed)")
        keys[name] = (claim.id, clock.now + .seconds(1))
        _ = try await service.workStage(
            claim, .finished(.sample, retention: .milliseconds(500)), policy: policy)
    }
}
