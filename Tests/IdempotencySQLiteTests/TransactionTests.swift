import Idempotency
import Synchronization
import TestSupport
import Testing

@testable import IdempotencySQLite

/// The caller's own statements in the store's transactions.
@Suite struct TransactionTests {
    private func withStore(
        _ body: (SQLiteStore, IdempotencyKeyService, Claim) async throws -> Void
    ) async throws {
        try await withFile { path in
            let store = try SQLiteStore(path: path)
            defer { store.close() }
            let service = IdempotencyKeyService(store: store)
            _ = try await store.transaction { sql in
                try sql.execute("CREATE TABLE charges (id INTEGER PRIMARY KEY, amount REAL, note)")
            }
            var request = KeyRequest.sample()
            request.isResumable = true
            guard
                case .proceed(let claim) = try await service.initializeRequest(
                    request, policy: KeyPolicy())
            else { return }
            try await body(store, service, claim)
        }
    }

    private func count(_ store: SQLiteStore) async throws -> Int64? {
        try await store.transaction { sql in
            try sql.execute("SELECT count(*) FROM charges").rows[0][0].integer
        }
    }

    @Test func `an effect and its recovery point are committed together`() async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            let next = try await service.workStage(claim) { key, sql in
                try sql.execute("INSERT INTO charges VALUES (1, 2.5, ?)", .text(key.id.description))
                return .reached("charged")
            }
            #expect(next.recoveryPoint == .stage("charged"))
            #expect(try await count(store) == 1)
            #expect(try await service.retrieve(claim.id)?.recoveryPoint == .stage("charged"))
        }
    }

    @Test func `what a stage throws undoes its effect`() async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            await #expect(throws: Failure.self) {
                _ = try await service.workStage(claim) { _, sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    throw Failure()
                }
            }
            #expect(try await count(store) == 0)
            #expect(try await service.retrieve(claim.id)?.recoveryPoint == .started)
        }
    }

    @Test func `a stage whose point is refused undoes its effect`() async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            await #expect(throws: StageError.invalidRecoveryPoint("started")) {
                _ = try await service.workStage(claim) { _, sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    return .reached("started")
                }
            }
            #expect(try await count(store) == 0)
        }
    }

    @Test func `a stage without a claim has no effect`() async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            _ = try await service.release(claim.id, force: true, policy: KeyPolicy())
            await #expect(throws: ClaimError.lost) {
                _ = try await service.workStage(claim) { _, sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    return .reached("charged")
                }
            }
            #expect(try await count(store) == 0)
        }
    }

    @Test(arguments: [
        "UPDATE idempotency_records SET recovery_point = 'finished'",
        "DELETE FROM Idempotency_Records", "DROP TABLE idempotency_replies",
        "INSERT INTO idempotency_store VALUES ('a', 1)", "COMMIT", "ROLLBACK", "BEGIN",
        "SAVEPOINT a", "ATTACH ':memory:' AS other", "PRAGMA synchronous = OFF",
        "CREATE TRIGGER t AFTER INSERT ON idempotency_records BEGIN SELECT 1; END",
        "CREATE TABLE idempotency_mine (a)", "ALTER TABLE idempotency_records ADD COLUMN a",
        "CREATE INDEX mine ON idempotency_records (owner)",
    ])
    func `what is the store's own is not to be touched`(_ statement: String) async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            let error = await #expect(throws: SQLError.self) {
                try await store.transaction { sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    try sql.execute(statement)
                }
            }
            #expect(error?.message.contains("not authorized") == true)
            #expect(try await count(store) == 0)
            #expect(try await service.retrieve(claim.id)?.isLocked == true)
        }
    }

    @Test func `a statement that rolls everything back fails its own transaction alone`()
        async throws
    {
        try await withStore { (store, service, claim) async throws -> Void in
            await #expect(throws: SQLError.self) {
                _ = try await service.workStage(claim) { _, sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    _ = try? sql.execute("INSERT OR ROLLBACK INTO charges VALUES (1, 2, 'x')")
                    return .reached("charged")
                }
            }
            #expect(try await count(store) == 0)
            #expect(store.isAvailable)
            _ = try await service.workStage(claim) { _, sql in
                try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                return .reached("charged")
            }
            #expect(try await count(store) == 1)
        }
    }

    @Test func `after a statement that rolls everything back no other one is run`() async throws {
        try await withStore { (store, service, claim) async throws -> Void in
            await #expect(throws: SQLError.self) {
                _ = try await service.workStage(claim) { _, sql in
                    try sql.execute("INSERT INTO charges VALUES (1, 2, 'x')")
                    _ = try? sql.execute("INSERT OR ROLLBACK INTO charges VALUES (1, 2, 'x')")
                    _ = try? sql.execute("INSERT INTO charges VALUES (2, 2, 'x')")
                    return .reached("charged")
                }
            }
            #expect(try await count(store) == 0)
            #expect(try await service.retrieve(claim.id)?.recoveryPoint == .started)
        }
    }

    @Test func `values come back as they went in`() async throws {
        try await withStore { (store, _, _) async throws -> Void in
            let values: [SQLValue] = [
                .null, .integer(.min), .integer(.max), .real(0.1), .text(""), .text("ä\u{0}b"),
                .blob([]), .blob([0, 255]),
            ]
            let result = try await store.transaction { sql in
                for (index, value) in values.enumerated() {
                    let insertion = try sql.execute(
                        "INSERT INTO charges VALUES (?, NULL, ?)", .integer(Int64(index)), value)
                    #expect(insertion.changes == 1)
                }
                return try sql.execute("SELECT id, note FROM charges ORDER BY id")
            }
            #expect(result.columns == ["id", "note"])
            #expect(result.changes == 0)
            #expect(result.rows.map { $0[1] } == values)
        }
    }

    @Test(arguments: [
        ("SELECT ?", 1), ("SELECT 1; SELECT 2", 0), ("", 0), ("-- nothing", 0), ("SELEC", 0),
    ])
    func `a statement that cannot be run is told`(_ statement: String, _ missing: Int) async throws
    {
        try await withStore { (store, _, _) async throws -> Void in
            await #expect(throws: SQLError.self) {
                try await store.transaction { sql in try sql.execute(statement, []) }
            }
        }
    }

    @Test func `a transaction is over with its callback`() async throws {
        try await withStore { (store, _, _) async throws -> Void in
            let kept = Kept()
            try await store.transaction { sql in kept.transaction.withLock { $0 = Escaped(sql) } }
            #expect(throws: StageError.transactionOver) {
                try kept.transaction.withLock { _ = try $0?.sql.execute("SELECT 1") }
            }
        }
    }

    @Test func `stages of many keys are each committed once`() async throws {
        try await withStore { (store, service, _) async throws -> Void in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<40 {
                    group.addTask {
                        guard
                            case .proceed(let claim) = try await service.initializeRequest(
                                .sample("n\(index)"), policy: KeyPolicy())
                        else { return }
                        _ = try await service.workStage(claim) { _, sql in
                            try sql.execute("INSERT INTO charges (note) VALUES ('x')")
                            return .finished(200, json: "1")
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await count(store) == 40)
        }
    }
}

private struct Escaped: @unchecked Sendable {
    let sql: any SQLTransaction
    init(_ sql: any SQLTransaction) { self.sql = sql }
}

private final class Kept: Sendable {
    let transaction = Mutex<Escaped?>(nil)
}

private struct Failure: Error {}
