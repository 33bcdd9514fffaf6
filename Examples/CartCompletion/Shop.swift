import Idempotency
import IdempotencySQLite

/// The shop's own tables, in the file that the keys are in.
struct Shop: Sendable {
    let store: SQLiteStore

    enum Failure: Error { case noCart(String) }

    // snippet: tables
    /// Makes the tables, once, and puts two carts in them.
    func prepare() async throws {
        try await store.transaction { sql in
            for table in Self.tables { try sql.execute("CREATE TABLE IF NOT EXISTS \(table)") }
            guard try sql.execute("SELECT 1 FROM carts").rows.isEmpty else { return }
            try sql.execute("INSERT INTO carts (id) VALUES ('cart_1'), ('cart_2')")
            try sql.execute(
                """
                INSERT INTO items VALUES
                ('cart_1', 'tea', 2, 450), ('cart_1', 'pot', 1, 3900), ('cart_2', 'tea', 1, 450)
                """)
        }
    }

    private static let tables = [
        "carts (id TEXT PRIMARY KEY, completed INTEGER NOT NULL DEFAULT 0)",
        "items (cart TEXT, title TEXT, quantity INTEGER, price INTEGER)",
        "tax_lines (cart TEXT, title TEXT, amount INTEGER)",
        "payments (cart TEXT, payment TEXT, amount INTEGER)",
        "orders (id INTEGER PRIMARY KEY, cart TEXT, payment TEXT, total INTEGER)",
    ]
    // end

    /// What is to be paid: the items and their taxes, in cents.
    static func total(of cart: String, _ sql: any SQLTransaction) throws -> Int64 {
        let items = "SELECT SUM(quantity * price) FROM items WHERE cart = ?1"
        let taxes = "SELECT SUM(amount) FROM tax_lines WHERE cart = ?1"
        let found = try sql.execute("SELECT (\(items)) + (\(taxes))", .text(cart))
        guard let total = found.rows.first?[0].integer else { throw Failure.noCart(cart) }
        return total
    }

    /// Whether the cart became an order already; an error if there is no such cart.
    static func isCompleted(_ cart: String, _ sql: any SQLTransaction) throws -> Bool {
        let found = try sql.execute("SELECT completed FROM carts WHERE id = ?1", .text(cart))
        guard let row = found.rows.first else { throw Failure.noCart(cart) }
        return row.first != .integer(0)
    }
}
