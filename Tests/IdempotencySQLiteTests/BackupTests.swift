import Glibc
import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct BackupTests {
    private func finish(_ name: String, _ service: IdempotencyKeyService) async throws {
        let key = try await service.create(.sample(name), policy: KeyPolicy())
        let body = [UInt8](repeating: 0x62, count: 2000)
        let reply = StoredReply(responseCode: 200, responseHeaders: [], responseBody: body)
        _ = try await service.update(
            key.id, token: key.lockToken!, reply: reply, policy: KeyPolicy())
    }

    @Test func `a copy made under load is whole, and has all that was there before`()
        async throws
    {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            let service = IdempotencyKeyService(store: store)
            for index in 0..<500 { try await finish("early \(index)", service) }
            let copy = path + ".copy"
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<500 {
                    group.addTask { try await self.finish("late \(index)", service) }
                }
                try await store.backup(to: copy)
                for index in 0..<500 {
                    group.addTask { try await self.finish("after \(index)", service) }
                }
                try await group.waitForAll()
            }
            #expect(access(copy + ".part", F_OK) != 0)
            try await check(copy)
            // The original goes on.
            #expect(try await store.find(KeyRequest.sample("after 499").identity).key != nil)
            #expect(store.isAvailable)
        }
    }

    private func check(_ copy: String) async throws {
        do {
            let connection = try Connection(path: copy)
            let check = try connection.prepare("PRAGMA integrity_check")
            #expect(try check.step() && check.text(0) == "ok")
            check.finalize()
        }
        let store = try SQLiteStore(path: copy)
        for index in 0..<500 {
            let key = try await store.find(KeyRequest.sample("early \(index)").identity).key
            #expect(key?.reply?.responseBody?.count == 2000, "early \(index)")
        }
        try await finish("new", IdempotencyKeyService(store: store))
    }

    @Test func `an existing file is not overwritten`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            for (name, taken) in [("a", "a"), ("b", "b.part")] {
                try write([1, 2, 3], path + taken)
                let error = await #expect(throws: StoreError.self) {
                    try await store.backup(to: path + name)
                }
                #expect(error?.detail.contains(path + taken) == true)
                #expect(try read(path + taken) == [1, 2, 3])
            }
            #expect(store.isAvailable)
        }
    }

    @Test func `a backup to nowhere fails and leaves the store as it is`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            await #expect(throws: StoreError.self) {
                try await store.backup(to: "/tmp/no-such-directory/copy.db")
            }
            try await finish("k", IdempotencyKeyService(store: store))
            #expect(store.isAvailable)
        }
    }

    @Test func `the copy is its owner's alone`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            try await store.backup(to: path + ".copy")
            var status = stat()
            #expect(stat(path + ".copy", &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func `a store that closes ends its backup, and nothing is left of it`() async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            store.close()
            await #expect(throws: StoreError.self) { try await store.backup(to: path + ".copy") }
            #expect(access(path + ".copy.part", F_OK) != 0)
        }
    }
}
