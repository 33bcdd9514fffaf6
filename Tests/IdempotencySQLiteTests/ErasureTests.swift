import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct ErasureTests {
    private static let secret = Array("4929-1234-5678-9012".utf8)

    /// Whether the secret is in the database's file or its log.
    private func isThere(_ path: String) throws -> Bool {
        for file in [path, path + "-wal"] {
            let bytes = try read(file)
            for start in bytes.indices.dropLast(Self.secret.count)
            where bytes[start] == Self.secret[0]
                && bytes[start..<(start + Self.secret.count)].elementsEqual(Self.secret)
            {
                return true
            }
        }
        return false
    }

    /// An answer that bears the secret, short, or over many pages.
    private func reply(_ length: Int) -> StoredReply {
        var body: [UInt8] = []
        while body.count < length { body += Self.secret + [0x20] }
        return StoredReply(responseCode: 200, responseHeaders: Self.secret, responseBody: body)
    }

    @Test(arguments: [10, 2000, 100_000])
    func `an answer that is taken out of its record is in neither file after a scrub`(
        _ length: Int
    ) async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            let service = IdempotencyKeyService(store: store)
            for index in 0..<20 {
                let key = try await service.create(.sample("\(index)"), policy: KeyPolicy())
                guard index == 10 else { continue }
                let unknown = try await service.update(
                    key.id, token: key.lockToken!, recoveryPoint: .unknown, reply: reply(length),
                    policy: KeyPolicy())
                #expect(try isThere(path))
                let bare = StoredReply(
                    responseCode: 200, responseHeaders: [], responseBody: nil)
                _ = try await service.update(
                    key.id, token: unknown.lockToken!, reply: bare, policy: KeyPolicy())
            }
            try await store.scrub()
            #expect(try !isThere(path))
        }
    }

    @Test(arguments: [10, 2000, 100_000])
    func `an answer that an operator erases is in neither file`(_ length: Int) async throws {
        try await withFile { path in
            let service = IdempotencyKeyService(store: try SQLiteStore(path: path))
            let key = try await service.create(.sample(), policy: KeyPolicy())
            _ = try await service.update(
                key.id, token: key.lockToken!, reply: reply(length), policy: KeyPolicy())
            #expect(try isThere(path))
            _ = try await service.erase(key.id)
            #expect(try !isThere(path))
        }
    }

    @Test func `what expired is in neither file once the reaper has come by a few times`()
        async throws
    {
        try await withFile { path in
            let clock = ManualClock()
            var options = SQLiteStore.Options()
            options.now = { clock.now }
            let store = try SQLiteStore(path: path, options: options)
            let service = IdempotencyKeyService(store: store, now: { clock.now })
            let key = try await service.create(.sample(), policy: KeyPolicy())
            _ = try await service.update(
                key.id, token: key.lockToken!, reply: reply(100_000), policy: KeyPolicy())
            clock.advance(by: KeyPolicy().retention)
            for _ in 0..<4 { try await service.reap() }
            #expect(try await service.retrieve(key.id)?.reply == nil)
            #expect(try !isThere(path))
        }
    }
}
