import HTTP
import Idempotency
import JSON

extension JSONWriter {
    /// Writes a record as an object with the contract's names. Its token stays secret, but for
    /// `token`: to be told to the caller that has just locked it.
    mutating func value(_ key: IdempotencyKey, token: LockToken? = nil) {
        typealias Field = IdempotencyKey.Field
        beginObject()
        member(Field.id.rawValue, key.id.description)
        member(Field.createdAt.rawValue, key.createdAt.description)
        member(Field.idempotencyKey.rawValue, key.identity.idempotencyKey)
        member(Field.requestMethod.rawValue, key.requestMethod)
        member(Field.requestPath.rawValue, key.requestPath)
        member(Field.requestParams.rawValue, json: Array(key.requestParams.utf8)[...])
        member(Field.route.rawValue, key.route)
        member(Field.recoveryPoint.rawValue, key.recoveryPoint.description)
        member(Field.resumable.rawValue, key.isResumable)
        member(Field.pendingStage.rawValue, key.pendingStage)
        list(Field.stages.rawValue, key.stages) { $0.stage($1) }
        moment(.lockedAt, key.lockedAt)
        reply(key.reply)
        member(Field.scope.rawValue, hexadecimal(key.identity.scope))
        member(Field.fingerprint.rawValue, hexadecimal(key.fingerprint.encoded))
        member(Field.owner.rawValue, key.owner)
        if let token { member(Field.lockToken.rawValue, token.hexadecimal) }
        moment(.leaseUntil, key.leaseUntil)
        member(Field.attempts.rawValue, key.attempts)
        moment(.updatedAt, key.updatedAt)
        moment(.expiresAt, key.expiresAt)
        endObject()
    }

    /// A stage that is done. The body of its answer is not shown: it is the work's own.
    private mutating func stage(_ stage: StageRecord) {
        beginObject()
        member(IdempotencyKey.Field.recoveryPoint.rawValue, stage.recoveryPoint)
        member(
            IdempotencyKey.Field.responseCode.rawValue, stage.reply.map { Int($0.responseCode) })
        member("reached_at", stage.reachedAt.description)
        endObject()
    }

    private mutating func moment(_ field: IdempotencyKey.Field, _ moment: Timestamp?) {
        name(field.rawValue)
        if let moment { value(moment.description) } else { null() }
    }

    private mutating func reply(_ reply: StoredReply?) {
        typealias Field = IdempotencyKey.Field
        guard let reply else {
            for field in [Field.responseCode, .responseHeaders, .responseBody] {
                name(field.rawValue)
                null()
            }
            return
        }
        let fields = Fields(fieldSection: reply.responseHeaders)
        member(Field.responseCode.rawValue, Int(reply.responseCode))
        name(Field.responseHeaders.rawValue)
        beginArray()
        for index in fields.indices {
            beginArray(onOneLine: true)
            value(bytes: fields.name(at: index))
            value(bytes: fields.value(at: index))
            endArray()
        }
        endArray()
        name(Field.responseBody.rawValue)
        body(reply.responseBody)
    }

    /// JSON as it is, other text as a string, anything else in base64; null when it was not kept.
    ///
    /// JSON that is nested deeper than most parsers go is shown as text, so that a record, and a
    /// list that it stands in, can be read.
    private mutating func body(_ body: [UInt8]?) {
        guard let body else { return null() }
        if JSON.isValid(body[...], depth: 64) {
            value(json: body[...])
        } else if String(validating: body, as: UTF8.self) != nil {
            value(bytes: body[...])
        } else {
            beginObject()
            member("base64", Base64.encode(body))
            endObject()
        }
    }
}

private func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text: [UInt8] = []
    for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    return String(decoding: text, as: UTF8.self)
}

/// Base64 with padding (RFC 4648 section 4).
package enum Base64 {
    private static let alphabet = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// What each byte stands for; 64 for those that stand for nothing.
    private static let values = (0...255).map { (byte: UInt8) -> UInt8 in
        UInt8(alphabet.firstIndex(of: byte) ?? 64)
    }

    /// The text of bytes.
    package static func encode(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let first = Int(group[start])
            let second = group.count > 1 ? Int(group[start + 1]) : 0
            let third = group.count > 2 ? Int(group[start + 2]) : 0
            text.append(alphabet[first >> 2])
            text.append(alphabet[(first & 3) << 4 | second >> 4])
            let pad = UInt8(ascii: "=")
            text.append(group.count > 1 ? alphabet[(second & 15) << 2 | third >> 6] : pad)
            text.append(group.count > 2 ? alphabet[third & 63] : pad)
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil for anything but whole groups of the alphabet, padded at the end alone.
    static func decode(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 4) else { return nil }
        let padding = digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3)
        var word = 0
        for (index, digit) in digits.enumerated() {
            let isPadding = index >= digits.count - padding
            let value = isPadding ? 0 : values[Int(digit)]
            guard value < 64 else { return nil }
            word = word << 6 | Int(value)
            guard index & 3 == 3 else { continue }
            for shift in [16, 8, 0] { bytes.append(UInt8(word >> shift & 255)) }
            word = 0
        }
        bytes.removeLast(padding)
        return bytes
    }
}
