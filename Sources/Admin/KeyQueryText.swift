import HTTP
import Idempotency

extension KeyQuery {
    /// What the query of a list asks for: `state`, `route`, `key`, `before` or `after`, `limit`.
    ///
    /// Names and values are percent-encoded (RFC 3986); a plus sign is a plus sign.
    init(text: ArraySlice<UInt8>) throws(AdminProblem) {
        self.init()
        var names: Set<String> = []
        for pair in text.split(separator: UInt8(ascii: "&")) {
            let sides = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = percentDecoded(sides[0]),
                let value = percentDecoded(sides.count > 1 ? sides[1] : [])
            else { throw AdminProblem.badRequest("The query has a malformed percent sequence.") }
            guard names.insert(name).inserted else {
                throw AdminProblem.badRequest("\(name) is there more than once.")
            }
            try set(name, to: value)
        }
        guard before == nil || after == nil else {
            throw AdminProblem.badRequest("A list goes on from before or from after, not both.")
        }
    }

    private mutating func set(_ name: String, to value: String) throws(AdminProblem) {
        switch name {
        case "state":
            guard let state = State(rawValue: value) else {
                throw AdminProblem.badRequest(
                    "state is locked, free, unknown, finished or expired.")
            }
            self.state = state
        case "route": route = value
        case "key": idempotencyKey = value
        case "before": before = try id(value, name)
        case "after": after = try id(value, name)
        case "limit":
            guard let count = Int(value), 1...1000 ~= count else {
                throw AdminProblem.badRequest("limit is a number from 1 to 1000.")
            }
            limit = count
        default:
            throw AdminProblem.badRequest(
                "A list takes state, route, key, before, after and limit; \"\(name)\" is none of "
                    + "them.")
        }
    }

    private func id(_ value: String, _ name: String) throws(AdminProblem) -> KeyID {
        guard let id = KeyID(value) else {
            throw AdminProblem.badRequest("\(name) is the id of a record.")
        }
        return id
    }
}

/// The text that percent-encoded bytes stand for; nil for malformed ones, and for no UTF-8.
private func percentDecoded(_ bytes: ArraySlice<UInt8>) -> String? {
    var text: [UInt8] = []
    var rest = bytes
    while let byte = rest.popFirst() {
        guard byte == UInt8(ascii: "%") else {
            text.append(byte)
            continue
        }
        let digits = rest.prefix(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 2 else { return nil }
        rest = rest.dropFirst(2)
        text.append(UInt8(digits[0] << 4 | digits[1]))
    }
    return String(validating: text, as: UTF8.self)
}
