import Idempotency
import IdempotencySQLite
import TestSupport
import Testing

/// What the article on tables of one's own says that a program may do.
struct OwnTablesTests {
    @Test func `a program makes and drops tables, indices, triggers and views of its own`()
        async throws
    {
        try await TemporaryDirectory.with { directory in
            let store = try SQLiteStore(path: directory + "/keys.db")
            defer { store.close() }
            let count = try await store.transaction { sql in
                for statement in [
                    "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)",
                    "CREATE TABLE log (entry TEXT)",
                    "CREATE INDEX items ON orders (item)",
                    "CREATE TRIGGER noted AFTER INSERT ON orders "
                        + "BEGIN INSERT INTO log VALUES (new.item); END",
                    "CREATE VIEW teas AS SELECT * FROM orders WHERE item = 'tea'",
                    "INSERT INTO orders (item) VALUES ('tea'), ('pot')",
                ] { try sql.execute(statement) }
                let found = try sql.execute(
                    "SELECT (SELECT COUNT(*) FROM log) + (SELECT COUNT(*) FROM teas)")
                for statement in [
                    "DROP VIEW teas", "DROP TRIGGER noted", "DROP INDEX items", "DROP TABLE log",
                ] { try sql.execute(statement) }
                return found.rows[0][0].integer
            }
            #expect(count == 3)
            try await #expect(store.numberOfOrders == 2)
        }
    }

    @Test func `the store's tables can be read beside one's own`() async throws {
        try await TemporaryDirectory.with { directory in
            let store = try SQLiteStore(path: directory + "/keys.db")
            defer { store.close() }
            let keys = IdempotencyKeyService(store: store)
            let request = KeyRequest(
                idempotencyKey: "k", requestMethod: "POST", requestPath: "/orders")
            _ = try await keys.create(request, policy: KeyPolicy())
            let found = try await store.transaction {
                try $0.execute("SELECT idempotency_key FROM idempotency_keys")
            }
            #expect(found.rows == [["k"]])
        }
    }

    @Test func `a backup has the program's own tables`() async throws {
        try await TemporaryDirectory.with { directory in
            let store = try SQLiteStore(path: directory + "/keys.db")
            defer { store.close() }
            try await store.transaction { sql in
                try sql.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)")
                try sql.execute("INSERT INTO orders (item) VALUES ('tea'), ('pot')")
            }
            try await store.backup(to: directory + "/copy.db")
            let copy = try SQLiteStore(path: directory + "/copy.db")
            defer { copy.close() }
            try await #expect(copy.numberOfOrders == 2)
        }
    }
}

extension SQLiteStore {
    fileprivate var numberOfOrders: Int64? {
        get async throws {
            try await transaction {
                try $0.execute("SELECT COUNT(*) FROM orders").rows[0][0].integer
            }
        }
    }
}
