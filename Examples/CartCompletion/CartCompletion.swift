import Glibc
import Idempotency
import IdempotencySQLite

/// Completes a cart of a small shop, once for each key, whatever happens to the process meanwhile.
///
///     CartCompletion DIRECTORY KEY CART [--crash-at PLACE | --stop-at PLACE]
@main struct CartCompletion {
    static func main() async {
        guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
            complain("usage: CartCompletion DIRECTORY KEY CART [--crash-at PLACE]")
            exit(2)
        }
        do {
            let answer = try await complete(options)
            print(answer.story)
            let body = String(decoding: answer.reply.responseBody ?? [], as: UTF8.self)
            print(answer.reply.responseCode, body)
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    private static func complete(_ options: Options) async throws -> Checkout.Answer {
        // snippet: open
        let store = try SQLiteStore(path: options.directory + "/shop.db")
        let keys = IdempotencyKeyService(store: store)
        try await Shop(store: store).prepare()
        // What an earlier process left locked is free to be taken up again.
        try await keys.recover()
        // end
        let upkeep = Task { await lookAfter(keys) { complain("\($0)") } }
        let checkout = Checkout(
            keys: keys, store: store,
            provider: PaymentProvider(path: options.directory + "/payments"),
            interruption: options.interruption)
        let answer = try await checkout.complete(options.cart, idempotencyKey: options.key)
        options.interruption.reach("answered")
        upkeep.cancel()
        await upkeep.value
        store.close()
        return answer
    }

    private static func complain(_ text: String) {
        let line = Array((text + "\n").utf8)
        _ = write(2, line, line.count)
    }
}

/// What the command line says.
struct Options {
    let directory: String
    let key: String
    let cart: String
    let interruption: Interruption

    /// Nil for anything but what the usage says.
    init?(_ words: [String]) {
        guard words.count == 3 || words.count == 5 else { return nil }
        (directory, key, cart) = (words[0], words[1], words[2])
        switch words.dropFirst(3).first {
        case nil: interruption = Interruption(place: "", signal: 0)
        case "--crash-at": interruption = Interruption(place: words[4], signal: SIGKILL)
        case "--stop-at": interruption = Interruption(place: words[4], signal: SIGSTOP)
        default: return nil
        }
    }
}
