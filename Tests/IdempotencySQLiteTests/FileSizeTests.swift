import Glibc
import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct FileSizeTests {
    private let clock = ManualClock()
    private var policy = KeyPolicy()

    init() {
        policy.retention = .seconds(10)
        policy.tombstone = .seconds(10)
    }

    private func open(_ path: String) throws -> (SQLiteStore, IdempotencyKeyService) {
        var options = SQLiteStore.Options()
        options.now = { [clock] in clock.now }
        let store = try SQLiteStore(path: path, options: options)
        return (store, IdempotencyKeyService(store: store, now: { [clock] in clock.now }))
    }

    /// Executes keys at the same time, each with an answer of 4 KiB.
    private func execute(
        _ range: Range<Int>, _ service: IdempotencyKeyService
    ) async throws {
        let body = [UInt8](repeating: 0x61, count: 4096)
        let reply = StoredReply(responseCode: 200, responseHeaders: [], responseBody: body)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in range {
                group.addTask { [policy] in
                    let key = try await service.create(.sample("\(index)"), policy: policy)
                    _ = try await service.update(
                        key.id, token: key.lockToken!, reply: reply, policy: policy)
                }
            }
            try await group.waitForAll()
        }
    }

    private func reapAll(_ service: IdempotencyKeyService) async throws {
        while try await service.reap() > 0 {}
    }

    private func size(_ path: String) throws -> Int {
        var status = stat()
        guard stat(path, &status) == 0 else { throw FileFailure(code: errno) }
        return Int(status.st_size)
    }

    @Test func `the file stops growing when as many keys expire as come`() async throws {
        try await withFile { path in
            let (store, service) = try open(path)
            var sizes: [Int] = []
            for round in 0..<24 {
                try await execute(round * 200..<(round + 1) * 200, service)
                clock.advance(by: .seconds(5))
                try await reapAll(service)
                try await store.scrub()
                sizes.append(try size(path))
            }
            // Two rounds of answers and two more of tombstones are alive at any time.
            #expect(sizes[23] < 8 << 20, "\(sizes)")
            #expect(sizes[23] <= sizes[12] + sizes[12] / 8, "\(sizes)")
        }
    }

    @Test func `the file shrinks after a peak`() async throws {
        try await withFile { path in
            let (store, service) = try open(path)
            try await execute(0..<5000, service)
            try await store.scrub()
            let peak = try size(path)
            #expect(peak > 20 << 20)
            clock.advance(by: .seconds(20))
            try await reapAll(service)
            try await store.scrub()
            #expect(try size(path) < peak / 3)
            // What comes then is kept as ever.
            try await execute(0..<100, service)
            #expect(try await service.retrieve(KeyRequest.sample("7").identity)?.reply != nil)
            store.close()
            #expect(try Connection(path: path).number("PRAGMA freelist_count") < 2048)
        }
    }

    @Test func `the log is bounded, and gone when nothing is written`() async throws {
        try await withFile { path in
            let (_, service) = try open(path)
            try await execute(0..<5000, service)
            #expect(try size(path + "-wal") < 24 << 20)
            for _ in 0..<3 { try await service.reap() }
            #expect(try size(path + "-wal") == 0)
        }
    }

    @Test func `a file that an older version made works on without shrinking`() async throws {
        try await withFile { path in
            do {
                let connection = try Connection(path: path)
                try connection.run("PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = WAL; VACUUM")
                try connection.run("CREATE TABLE t (x); DROP TABLE t")
            }
            let (store, service) = try open(path)
            #expect(!store.canShrink)
            try await execute(0..<2000, service)
            clock.advance(by: .seconds(20))
            try await reapAll(service)
            try await execute(0..<10, service)
            store.close()
            // The remedy.
            try Connection(path: path).run("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")
            #expect(try open(path).0.canShrink)
        }
    }
}
