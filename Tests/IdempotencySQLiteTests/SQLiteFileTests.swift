import Glibc
import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct SQLiteFileTests {
    @Test func `the file is its owner's alone`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            _ = try await IdempotencyKeyService(store: store).create(
                .sample(), policy: KeyPolicy())
            for file in [path, path + "-wal"] {
                var status = stat()
                #expect(stat(file, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o600)
            }
        }
    }

    @Test func `a file that is held is refused, and its holder goes on`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            for _ in 0..<2 { try expect(.locked, naming: path) { try SQLiteStore(path: path) } }
            _ = try await IdempotencyKeyService(store: store).create(
                .sample(), policy: KeyPolicy())
            store.close()
            _ = try SQLiteStore(path: path)
        }
    }

    @Test func `what is no database is refused and left as it is`() async throws {
        try await withFile { path in
            let bytes =
                Array("This is not a database at all.\n".utf8) + [UInt8](repeating: 7, count: 5000)
            try write(bytes, path)
            try expect(.corrupt, naming: path) { try SQLiteStore(path: path) }
            #expect(try read(path) == bytes)
        }
    }

    @Test func `another program's database is refused and left as it is`() async throws {
        try await withFile { path in
            try execute("CREATE TABLE cats (name)", path)
            let bytes = try read(path)
            try expect(.corrupt, naming: path) { try SQLiteStore(path: path) }
            #expect(try read(path) == bytes)
        }
    }

    @Test func `a newer schema is refused`() async throws {
        try await withFile { path in
            do { _ = try SQLiteStore(path: path) }
            try execute("PRAGMA user_version = 99", path)
            try expect(.newer, naming: path) { try SQLiteStore(path: path) }
        }
    }

    @Test func `an empty file, and one that was only marked, are brought up to date`()
        async throws
    {
        try await withFile { path in
            try write([], path)
            do { _ = try SQLiteStore(path: path) }
            let store = try SQLiteStore(path: path)
            _ = try await IdempotencyKeyService(store: store).create(
                .sample(), policy: KeyPolicy())
        }
        try await withFile { path in
            try execute("PRAGMA application_id = \(Schema.applicationID)", path)
            let store = try SQLiteStore(path: path)
            _ = try await IdempotencyKeyService(store: store).create(
                .sample(), policy: KeyPolicy())
        }
    }

    @Test func `a directory that is missing is named`() throws {
        try expect(.unavailable, naming: "/tmp/no-such-directory/keys.db") {
            try SQLiteStore(path: "/tmp/no-such-directory/keys.db")
        }
    }

    @Test func `a file that cannot be written is named`() throws {
        try expect(.readOnly, naming: "/sys/kernel/uevent_seqnum") {
            try SQLiteStore(path: "/sys/kernel/uevent_seqnum")
        }
    }

    @Test func `a damaged file is refused and left as it is`() async throws {
        try await withFile { path in
            do {
                let service = IdempotencyKeyService(store: try SQLiteStore(path: path))
                for index in 0..<100 {
                    _ = try await service.create(.sample("\(index)"), policy: KeyPolicy())
                }
            }
            var bytes = try read(path)
            for position in 100..<bytes.count { bytes[position] = 0xA5 }
            try write(bytes, path)
            try expect(.corrupt, naming: path) { try SQLiteStore(path: path) }
            #expect(try read(path) == bytes)
        }
    }
}

extension SQLiteFileTests {
    /// Nothing that is written to a file without a name survives.
    @Test(arguments: ["", "-wal"])
    func `a file that is moved away takes nothing until it is back`(_ suffix: String) async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            let service = IdempotencyKeyService(store: store)
            _ = try await service.create(.sample("a"), policy: KeyPolicy())
            #expect(rename(path + suffix, path + ".away") == 0)
            let error = await #expect(throws: StoreError.self) {
                try await service.create(.sample("b"), policy: KeyPolicy())
            }
            #expect(error?.reason == .unavailable)
            #expect(error?.detail.contains(path) == true)
            #expect(!store.isAvailable)
            #expect(rename(path + ".away", path + suffix) == 0)
            try await service.reap()
            #expect(store.isAvailable)
            _ = try await service.create(.sample("b"), policy: KeyPolicy())
        }
    }
}
