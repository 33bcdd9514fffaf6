import Glibc

/// Stands for a payment provider elsewhere: durable, slow, and idempotent by a key of its own.
///
/// Its payments are lines of a file, which it alone writes. It knows nothing of the shop's
/// database, and no transaction there can undo what it did.
struct PaymentProvider: Sendable {
    let path: String

    struct Payment: Sendable {
        let id: String
        let amount: Int64
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Takes the money, or finds the payment that was made under this key before.
    func authorize(amount: Int64, idempotencyKey: String) throws -> Payment {
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0, flock(file, LOCK_EX) == 0 else {
            throw Failure(description: "the provider is down: \(path), error \(errno)")
        }
        defer { close(file) }
        let payments = try self.payments(in: file)
        if let earlier = payments.first(where: { $0.key == idempotencyKey }) {
            return Payment(id: earlier.id, amount: earlier.amount)
        }
        let payment = Payment(id: "pay_\(payments.count + 1)", amount: amount)
        let line = Array("\(idempotencyKey) \(payment.id) \(amount)\n".utf8)
        guard write(file, line, line.count) == line.count, fsync(file) == 0 else {
            throw Failure(description: "the provider's disk: error \(errno)")
        }
        return payment
    }

    private func payments(in file: Int32) throws -> [(key: String, id: String, amount: Int64)] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &chunk, chunk.count)
            guard count >= 0 else { throw Failure(description: "\(path): error \(errno)") }
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 3, let amount = Int64(words[2]) else { return nil }
            return (words[0], words[1], amount)
        }
    }
}
