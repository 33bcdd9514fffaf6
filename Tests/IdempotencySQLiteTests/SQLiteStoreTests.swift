import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct SQLiteStoreTests {
    @Test(arguments: StoreConformance.behaviours)
    func `is a store`(_ behaviour: StoreConformance.Behaviour) async throws {
        try await TemporaryDirectory.with { directory in
            let clock = ManualClock()
            let store = try SQLiteStore(path: directory + "/keys.db", options: .at(clock))
            try await StoreConformance.check(behaviour, of: store, clock: clock)
        }
    }

    @Test func `records survive closing and opening`() async throws {
        try await withFile { path in
            let key: IdempotencyKey
            do {
                let store = try SQLiteStore(path: path)
                let service = IdempotencyKeyService(store: store)
                let made = try await service.create(.sample(), policy: KeyPolicy())
                key = try await service.update(
                    made.id, token: made.lockToken!, reply: .sample, policy: KeyPolicy())
                store.close()
                await #expect(throws: StoreError.self) { try await store.find(key.id) }
            }
            let store = try SQLiteStore(path: path)
            #expect(try await store.find(key.identity).key?.isEqual(to: key) == true)
        }
    }

    @Test func `what a dead process left locked is found again, and becomes unknown`()
        async throws
    {
        try await withFile { path in
            var ids: [KeyID] = []
            for round in 0..<5 {
                let store = try SQLiteStore(path: path)
                let service = IdempotencyKeyService(store: store)
                let locked = try await store.unfinished(after: nil, limit: 1000)
                #expect(locked.map(\.id) == ids)
                try await service.recover()
                for id in ids {
                    #expect(try await service.retrieve(id)?.recoveryPoint == .unknown)
                }
                ids = []
                for index in 0..<50 {
                    let request = KeyRequest.sample("\(round)-\(index)")
                    let key = try await service.create(request, policy: KeyPolicy())
                    if index % 5 == 0 { ids.append(key.id) } else { try await service.end(key) }
                    if index % 10 == 0 { try await service.reap() }
                }
                store.close()
            }
        }
    }

    @Test func `an old record that is claimed again is found again`() async throws {
        try await withFile { path in
            let id: KeyID
            do {
                let store = try SQLiteStore(path: path)
                let service = IdempotencyKeyService(store: store)
                let old = try await service.create(.sample("old"), policy: KeyPolicy())
                id = old.id
                _ = try await service.update(
                    id, token: old.lockToken!, recoveryPoint: .unknown, policy: KeyPolicy())
                for index in 0..<10 {
                    try await service.end(
                        try await service.create(.sample("\(index)"), policy: KeyPolicy()))
                }
                try await service.reap()
                _ = try await service.lock(id, policy: KeyPolicy())
            }
            let store = try SQLiteStore(path: path)
            #expect(try await store.unfinished(after: nil, limit: 9).map(\.id) == [id])
        }
    }

    @Test func `many calls share few commits`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            let service = IdempotencyKeyService(store: store)
            let count = 2000
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<count {
                    group.addTask {
                        try await service.end(
                            try await service.create(.sample("\(index)"), policy: KeyPolicy()))
                    }
                }
                try await group.waitForAll()
            }
            let statistics = store.statistics
            #expect(statistics.rows == 2 * count)
            #expect(statistics.commits < statistics.rows / 4)
            #expect(statistics.queued == 0)
            #expect(statistics.failures == 0)
        }
    }

    @Test func `a full queue refuses at once, and what was queued is done`() async throws {
        try await withFile { path in
            var options = SQLiteStore.Options()
            options.queueLimit = 10
            let store = try SQLiteStore(path: path, options: options)
            let service = IdempotencyKeyService(store: store)
            let stored = await withTaskGroup(of: KeyID?.self) { group in
                for index in 0..<500 {
                    group.addTask {
                        try? await service.create(.sample("\(index)"), policy: KeyPolicy()).id
                    }
                }
                return await group.reduce(into: [KeyID]()) { if let id = $1 { $0.append(id) } }
            }
            for id in stored { #expect(try await store.find(id).key != nil) }
            #expect(store.statistics.rows == stored.count)
        }
    }

    @Test func `answers are delivered in batches`() async throws {
        try await withFile { path in
            let counter = ManualClock()
            var options = SQLiteStore.Options()
            options.deliver = { resumeAll in
                counter.advance(by: .microseconds(1))
                resumeAll()
            }
            let start = counter.now
            let store = try SQLiteStore(path: path, options: options)
            _ = try await store.find(KeyID(at: .now()))
            _ = try await store.find(KeyID(at: .now()))
            #expect(counter.now - start == .microseconds(2))
        }
    }

    @Test func `a damaged record fails its own calls and not its neighbours`() async throws {
        try await withFile { path in
            do {
                let service = IdempotencyKeyService(store: try SQLiteStore(path: path))
                _ = try await service.create(.sample("bad"), policy: KeyPolicy())
                _ = try await service.create(.sample("good"), policy: KeyPolicy())
            }
            try execute(
                "UPDATE idempotency_records SET fingerprint = x'ff' WHERE idempotency_key = 'bad'",
                path)
            let store = try SQLiteStore(path: path)
            async let bad = store.find(KeyRequest.sample("bad").identity)
            async let good = store.find(KeyRequest.sample("good").identity)
            #expect(try await good.key != nil)
            let error = await #expect(throws: StoreError.self) {
                try await store.find(KeyRequest.sample("bad").identity)
            }
            #expect(error?.reason == .corrupt)
            _ = try? await bad
            #expect(store.isAvailable)
        }
    }

    @Test func `the table has the contract's names`() async throws {
        try await withFile { path in
            do { _ = try SQLiteStore(path: path) }
            for field in IdempotencyKey.Field.allCases {
                try execute("SELECT \(field.rawValue) FROM idempotency_keys", path)
            }
        }
    }
}

extension SQLiteStore.Options {
    fileprivate static func at(_ clock: ManualClock) -> Self {
        var options = Self()
        options.now = { clock.now }
        return options
    }
}

extension IdempotencyKeyService {
    fileprivate func end(_ key: IdempotencyKey) async throws {
        _ = try await update(key.id, token: key.lockToken!, reply: .sample, policy: KeyPolicy())
    }
}
