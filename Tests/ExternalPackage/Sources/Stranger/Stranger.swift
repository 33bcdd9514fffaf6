// snippet: charge
import Idempotency
import IdempotencySQLite

@main struct Stranger {
    static func main() async throws {
        let store = try SQLiteStore(path: CommandLine.arguments[1])
        let keys = IdempotencyKeyService(store: store)
        try await keys.recover()
        for _ in 1...2 {
            let reply = try await charge(500, of: "anna", idempotencyKey: "order-1", keys)
            print(reply.responseCode, String(decoding: reply.responseBody ?? [], as: UTF8.self))
        }
        store.close()
    }

    static func charge(
        _ amount: Int, of account: String, idempotencyKey: String, _ keys: IdempotencyKeyService
    ) async throws -> StoredReply {
        let request = KeyRequest(
            idempotencyKey: idempotencyKey, scope: account, requestMethod: "POST",
            requestPath: "/charges", body: Array("\(amount)".utf8))
        switch try await keys.initializeRequest(request, policy: KeyPolicy()) {
        case .proceed(let claim):
            let done = try await keys.workStage(claim) { key, sql in
                try sql.execute("CREATE TABLE IF NOT EXISTS charges (account, amount)")
                let made = try sql.execute(
                    "INSERT INTO charges VALUES (?1, ?2) RETURNING rowid",
                    .text(account), .integer(Int64(amount)))
                return .finished(201, json: #"{"charge":\#(made.rows[0][0].integer ?? 0)}"#)
            }
            return done.key.reply ?? StoredReply(500, json: "{}")
        case .replay(let finished): return finished.reply
        case .wait, .refuse: return StoredReply(409, json: #"{"message":"try again"}"#)
        }
    }
}
// end
