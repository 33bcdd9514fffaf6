import Idempotency
import JSON

/// A record as the gateway tells it.
struct KeyRecord {
    /// The record, without what nobody is to see.
    let value: JSONValue

    /// A record from the gateway's answer; nil for something else.
    init?(_ value: JSONValue) {
        typealias Field = IdempotencyKey.Field
        guard let members = value.members, value[Field.id.rawValue]?.string != nil else {
            return nil
        }
        let secret = Field.lockToken.rawValue
        self.value = JSONValue(.object(members.filter { $0.name != secret }))
    }

    /// A member by the contract's name; nil where it is null.
    subscript(_ field: IdempotencyKey.Field) -> JSONValue? {
        guard let value = value[field.rawValue], !value.isNull else { return nil }
        return value
    }

    /// A member's text; empty where it is null.
    func text(_ field: IdempotencyKey.Field) -> String { self[field]?.string ?? "" }

    /// A member that is a moment.
    func moment(_ field: IdempotencyKey.Field) -> Timestamp? {
        self[field]?.string.flatMap { Timestamp(rfc3339: $0) }
    }

    var id: String { text(.id) }

    /// In which of the states that lists are filtered by it is, by this machine's clock.
    func state(at now: Timestamp) -> String {
        if self[.lockedAt] != nil { return "locked" }
        if let end = moment(.expiresAt), end <= now { return "expired" }
        switch text(.recoveryPoint) {
        case "finished": return "finished"
        case "unknown": return "unknown"
        default: return "free"
        }
    }

    /// The state, and how far the work has come where the state does not say it.
    func progress(at now: Timestamp) -> String {
        let state = state(at: now)
        let point = text(.recoveryPoint)
        return [state, "started"].contains(point) ? state : "\(state): \(point)"
    }

    /// The record on one line.
    var line: String {
        var json = JSONWriter()
        json.value(value)
        return TerminalText.json(json.bytes)
    }
}

extension Timestamp {
    /// The moment that a text as `2025-07-01T09:30:00.000250Z` names, in UTC; nil for another form.
    init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == UInt8(ascii: "Z") else { return nil }
        func number(_ range: Range<Int>) -> Int64? {
            bytes[range].reduce(0 as Int64?) { sum, byte in
                guard let sum, byte &- 0x30 < 10 else { return nil }
                return sum * 10 + Int64(byte - 0x30)
            }
        }
        let marks: [(Int, Unicode.Scalar)] = [(4, "-"), (7, "-"), (10, "T"), (13, ":"), (16, ":")]
        guard marks.allSatisfy({ bytes[$0.0] == UInt8(ascii: $0.1) }),
            let year = number(0..<4), let month = number(5..<7), let day = number(8..<10),
            let hour = number(11..<13), let minute = number(14..<16), let second = number(17..<19),
            1...12 ~= month, 1...31 ~= day, hour < 24, minute < 60, second <= 60
        else { return nil }
        var fraction: Int64 = 0
        if bytes.count > 20 {
            guard bytes[19] == UInt8(ascii: "."), 22...27 ~= bytes.count,
                let digits = number(20..<(bytes.count - 1))
            else { return nil }
            fraction = (bytes.count - 1..<26).reduce(digits) { value, _ in value * 10 }
        }
        let days = Self.days(year, month, day)
        self.init(
            microseconds: (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000 + fraction)
    }

    /// Days since 1970, by years that begin in March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
}

extension Duration {
    /// In the largest unit of which there are at least two: `119s`, `90m`, `47h`, `12d`.
    var brief: String {
        let seconds = max(0, components.seconds)
        switch seconds {
        case ..<120: return "\(seconds)s"
        case ..<7200: return "\(seconds / 60)m"
        case ..<172_800: return "\(seconds / 3600)h"
        default: return "\(seconds / 86_400)d"
        }
    }
}
