import Idempotency
import TestSupport
import Testing

@testable import IdempotencySQLite

struct MigrationTests {
    /// The columns of the first schema.
    private static let columns = """
        sequence, id, idempotency_key, scope, fingerprint, created_at, request_method, request_path,
        request_params, owner, attempts, revision, recovery_point, updated_at, locked_at,
        lock_token, lease_until, expires_at, tombstone_until, reap_at, reply
        """

    /// Makes a file as the first version would have made it, out of one of this version's.
    private func makeFirst(_ path: String, from newer: String) throws {
        let connection = try Connection(path: path)
        try connection.run(
            """
            PRAGMA journal_mode = WAL;
            \(Schema.migrations[0])
            PRAGMA application_id = \(Schema.applicationID);
            PRAGMA user_version = 1;
            ATTACH '\(newer)' AS newer;
            INSERT INTO idempotency_records SELECT \(Self.columns) FROM newer.idempotency_records;
            INSERT INTO idempotency_replies SELECT * FROM newer.idempotency_replies;
            INSERT INTO idempotency_identities SELECT * FROM newer.idempotency_identities;
            INSERT OR REPLACE INTO idempotency_store SELECT * FROM newer.idempotency_store;
            DETACH newer;
            """)
    }

    private func record(_ name: String) -> KeyRequest {
        let sample = KeyRequest.sample(name)
        return KeyRequest(
            identity: sample.identity, fingerprint: sample.fingerprint,
            requestMethod: sample.requestMethod, requestPath: sample.requestPath,
            requestParams: sample.requestParams)
    }

    @Test func `a file of the first schema keeps its records as they were`() async throws {
        try await withFile { path in
            let newer = path + ".newer"
            var kept: [IdempotencyKey] = []
            do {
                let service = IdempotencyKeyService(store: try SQLiteStore(path: newer))
                let policy = KeyPolicy()
                let locked = try await service.create(record("locked"), policy: policy)
                var unknown = try await service.create(record("unknown"), policy: policy)
                unknown = try await service.update(
                    unknown.id, token: unknown.lockToken!, recoveryPoint: .unknown, reply: .sample,
                    policy: policy)
                var finished = try await service.create(record("finished"), policy: policy)
                finished = try await service.update(
                    finished.id, token: finished.lockToken!, reply: .sample, policy: policy)
                kept = [locked, unknown, finished]
            }
            try makeFirst(path, from: newer)
            for _ in 0..<2 {
                let store = try SQLiteStore(path: path)
                for key in kept {
                    #expect(try await store.find(key.identity).key?.isEqual(to: key) == true)
                    #expect(try await store.find(key.id).key?.isEqual(to: key) == true)
                }
                #expect(try await store.unfinished(after: nil, limit: 9).map(\.id) == [kept[0].id])
                #expect(try await store.unknown(after: nil, limit: 9).map(\.id) == [kept[1].id])
            }
            #expect(try Connection(path: path).number("PRAGMA user_version") == 3)
        }
    }

    @Test func `a migrated file takes records with all that is new`() async throws {
        try await withFile { path in
            do { _ = try SQLiteStore(path: path + ".newer") }
            try makeFirst(path, from: path + ".newer")
            let store = try SQLiteStore(path: path)
            let key = try await IdempotencyKeyService(store: store).create(
                .sample(), policy: KeyPolicy())
            #expect(key.route == "charges" && key.probeTarget != nil)
            #expect(try await store.find(key.identity).key?.isEqual(to: key) == true)
        }
    }
}
