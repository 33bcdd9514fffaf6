// A shop's backend that completes carts in three steps, each of them once.
//
// The gateway in front of it holds the cart's idempotency key, whose record says how far the work
// has come. After a crash, of this process or of the gateway, the next request with the key comes
// with the recovery point that was reached, and the work goes on there.
//
//     oncegate serve --config Examples/swift-backend/gateway.json &
//     swift run SwiftBackend
//     curl -i http://127.0.0.1:8080/carts/7/complete -H 'Idempotency-Key: cart-7' -d '{}'
//
// Try a crash, then start it again without CRASH_AT and repeat the request:
//
//     CRASH_AT='payment done' swift run SwiftBackend
//
// CRASH_WITH=SIGSTOP freezes it there instead: when it is woken (kill -CONT) after the gateway has
// been started anew, it finds that the work is no longer its own.

import Glibc

let ledger = try Ledger(path: setting("LEDGER", "shop.ledger"))
let admin = UInt16(setting("ADMIN_PORT", "9901")) ?? 9901
var crash = (
    moment: setting("CRASH_AT", ""),
    signal: setting("CRASH_WITH", "SIGKILL") == "SIGSTOP" ? SIGSTOP : SIGKILL
)

let (listener, port) = try Connection.listen(on: UInt16(setting("PORT", "9000")) ?? 9000)
print("listening on 127.0.0.1:\(port)")
fflush(nil)
// One request after the other: two that work on one cart never meet.
while true {
    let connection = Connection(accept(listener, nil, nil))
    guard let request = connection.read() else { continue }
    // Without an answer the connection closes: the gateway suspends the work.
    if let answer = answer(to: request) { connection.write(answer) }
}

/// The answer to a request; nil when the work could not go on.
func answer(to request: Message) -> Message? {
    let words = request.start.split(separator: " ")
    guard words.count == 3 else { return Message(status: 400) }
    let names = words[1].split(separator: "/")
    if words[0] == "GET" { return Message(status: 200, json: ledger.json) }
    guard words[0] == "POST", names.count == 3, names[0] == "carts", names[2] == "complete",
        names[1].allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
    else { return Message(status: 404) }
    guard var work = CartWork(cart: String(names[1]), request.fields) else {
        return Message(status: 400, json: #"{"error": "carts are completed through the gateway"}"#)
    }
    do {
        return Message(status: 201, json: try work.complete())
    } catch {
        moment("stopped: \(error)")
        return nil
    }
}

/// The completion of one cart, as far as its record says that it has come.
struct CartWork {
    let cart: String
    let record: String
    let token: String
    var point: String

    /// Nil for a request that did not come through the gateway.
    init?(cart: String, _ fields: [String: String]) {
        guard let record = fields["idempotency-record-id"],
            let point = fields["idempotency-recovery-point"],
            let token = fields["idempotency-stage-token"]
        else { return nil }
        self.cart = cart
        self.record = record
        self.point = point
        self.token = token
    }

    /// Goes on with the work to its end; the answer.
    mutating func complete() throws -> String {
        if point == "started" {
            try step("taxes")
            try advance(to: "tax_lines_created", #""response_code": 200"#, after: "taxes")
        }
        if point == "tax_lines_created" {
            // A provider elsewhere takes a key of its own: the record's id and the step's name.
            try step("payment")
            try advance(to: "payment_authorized", #""response_code": 200"#, after: "payment")
        }
        guard point == "payment_authorized" else { throw Failure("nothing is known of \(point)") }
        let answer = #"{"cart": "\#(cart)", "order": \#(try step("order"))}"#
        try advance(
            to: "finished", #""response_code": 201, "response_body": \#(answer)"#, after: "order")
        return answer
    }

    /// Does a step, unless it was done. The recovery point alone would not do: a crash can come
    /// between the effect and the report of it.
    @discardableResult
    private func step(_ name: String) throws -> Int {
        moment("\(name) begin")
        let number = try ledger.once(name, cart)
        moment("\(name) done")
        return number
    }

    /// Tells the gateway what is done.
    private mutating func advance(to next: String, _ members: String, after step: String) throws {
        let body = #"{"recovery_point": "\#(next)", \#(members)}"#
        let answer = try Connection.exchange(
            Message(
                start: "POST /v1/keys/\(record)/stages HTTP/1.1",
                fields: [
                    "host": "localhost", "content-type": "application/json",
                    "idempotency-stage-token": token,
                ], body: Array(body.utf8)), port: admin)
        // 401 and 409: somebody else has the work. This process was too slow, or taken for dead.
        guard answer.start.hasPrefix("HTTP/1.1 200") else { throw Failure(answer.start) }
        point = next
        moment("\(step) told")
    }
}

/// Says where the work is. A crash is tried by naming one of these moments.
func moment(_ name: String) {
    print(name)
    fflush(nil)
    guard name == crash.moment else { return }
    crash.moment = ""
    kill(getpid(), crash.signal)
}

/// What the shop has done: a file of lines `step cart number`. The effect and the mark that it is
/// done are the same line, so that neither is ever there without the other.
final class Ledger {
    private let descriptor: Int32
    private var lines: [(step: String, cart: String)] = []

    init(path: String) throws {
        descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("\(path) does not open") }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 {
            text += buffer[..<count]
        }
        // A crash within a write leaves a line without its end: it was not done.
        let whole = text.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        guard ftruncate(descriptor, off_t(whole)) == 0 else { throw Failure("\(path) is torn") }
        for line in String(decoding: text[..<whole], as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 3 { lines.append((String(words[0]), String(words[1]))) }
        }
    }

    /// Does a step for a cart, unless it was done; its number either way. It is durable on return.
    func once(_ step: String, _ cart: String) throws -> Int {
        if let index = lines.firstIndex(where: { $0 == (step, cart) }) { return index + 1 }
        let line = Array("\(step) \(cart) \(lines.count + 1)\n".utf8)
        guard write(descriptor, line, line.count) == line.count, fdatasync(descriptor) == 0 else {
            throw Failure("the ledger cannot be written")
        }
        lines.append((step, cart))
        return lines.count
    }

    /// What was done so far, for you to look at.
    var json: String {
        let members = ["taxes", "payment", "order"].map { step in
            let carts = lines.filter { $0.step == step }.map { "\"\($0.cart)\"" }
            return "\"\(step)\": [\(carts.joined(separator: ", "))]"
        }
        return "{\(members.joined(separator: ", "))}"
    }
}

/// Why the work does not go on.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func setting(_ name: String, _ standard: String) -> String {
    getenv(name).map { String(cString: $0) } ?? standard
}
