import Idempotency
import IdempotencySQLite

/// Completes a cart: tax lines, payment, order. Each is a stage, and each is done once.
struct Checkout: Sendable {
    let keys: IdempotencyKeyService
    let store: SQLiteStore
    let provider: PaymentProvider
    let interruption: Interruption

    /// An answer, and how it came about.
    struct Answer: Sendable {
        let reply: StoredReply
        let story: String
    }

    // snippet: complete
    /// Completes a cart under the caller's key.
    func complete(_ cart: String, idempotencyKey: String) async throws -> Answer {
        let request = KeyRequest(
            idempotencyKey: idempotencyKey, requestMethod: "POST", requestPath: "/carts/complete",
            body: Array(cart.utf8), isResumable: true)
        switch try await keys.initializeRequest(request, policy: KeyPolicy()) {
        case .proceed(let claim):
            let story = claim.attempts == 1 ? "executed" : "resumed at \(claim.recoveryPoint)"
            interruption.reach("claimed")
            let stages = Stages(interruption.within(stages(for: cart)))
            return Answer(reply: try await keys.work(claim, through: stages), story: story)
        case .replay(let finished):
            return Answer(reply: finished.reply, story: "replayed")
        case .wait(let waiter):
            guard case .finished(let finished)? = await waiter.outcome() else { return .later }
            return Answer(reply: finished.reply, story: "waited")
        case .refuse(.reused): return .otherRequest
        case .refuse: return .later
        }
    }
    // end

    // snippet: stages
    private func stages(for cart: String) -> [Stage] {
        [
            // Rows and recovery point are committed together.
            Stage("tax_lines_created") { _, sql in
                guard try !Shop.isCompleted(cart, sql) else {
                    return .finished(409, json: #"{"message":"the cart is completed"}"#)
                }
                try sql.execute(
                    """
                    INSERT INTO tax_lines
                    SELECT cart, title, quantity * price * 19 / 100 FROM items WHERE cart = ?1
                    """, .text(cart))
                return .reached("tax_lines_created")
            },
            // Somebody else is called first, outside of every transaction, with a key of its own:
            // if the process ends before the commit, the next run finds the same payment.
            Stage("payment_authorized") { key in
                let total = try await store.transaction { try Shop.total(of: cart, $0) }
                let payment = try provider.authorize(amount: total, idempotencyKey: "\(key.id)")
                return { _, sql in
                    try sql.execute(
                        "INSERT INTO payments VALUES (?1, ?2, ?3)",
                        .text(cart), .text(payment.id), .integer(payment.amount))
                    return .reached("payment_authorized")
                }
            },
            // The last stage's answer is what every retry gets.
            Stage("finished") { _, sql in
                let order = try sql.execute(
                    """
                    INSERT INTO orders (cart, payment, total)
                    SELECT cart, payment, amount FROM payments WHERE cart = ?1
                    RETURNING id, total
                    """, .text(cart)
                ).rows.first
                try sql.execute("UPDATE carts SET completed = 1 WHERE id = ?1", .text(cart))
                guard let id = order?[0].integer, let total = order?[1].integer else {
                    throw Shop.Failure.noCart(cart)
                }
                return .finished(201, json: #"{"order":\#(id),"total":\#(total)}"#)
            },
        ]
    }
    // end
}

extension Checkout.Answer {
    static let later = Self(
        reply: StoredReply(409, json: #"{"message":"try again"}"#), story: "refused")
    static let otherRequest = Self(
        reply: StoredReply(422, json: #"{"message":"this key was used"}"#), story: "refused")
}
