import HTTP

/// How far a TRACE or OPTIONS request may still go (RFC 9110 section 7.6.2). Other methods may go
/// as far as they like.
enum MaxForwards {
    /// As it came.
    case unlimited
    /// With these fields, in which the number is lower by one.
    case remaining(Fields)
    /// No further: this gateway answers it.
    case exhausted
    /// The field is there twice, or is no number.
    case malformed

    private static let name = FieldName("Max-Forwards")
    /// The largest number that is passed on.
    private static let largest: UInt64 = 255

    /// What the head of a request says.
    init(_ head: borrowing RequestHead) {
        guard head.method == .options || head.method == .trace,
            let value = head.fields[Self.name]
        else {
            self = .unlimited
            return
        }
        guard head.fields.count(of: Self.name) == 1, let number = Self.number(value) else {
            self = .malformed
            return
        }
        guard number > 0 else {
            self = .exhausted
            return
        }
        var fields = head.fields
        fields.removeAll(Self.name)
        fields.append(Self.name, String(number - 1))
        self = .remaining(fields)
    }

    /// The value of some digits, at most one more than ``largest``; nil for anything else.
    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for byte in digits {
            let digit = byte &- 0x30
            guard digit < 10 else { return nil }
            value = min(value * 10 + UInt64(digit), largest + 1)
        }
        return value
    }

    /// The answer of the last recipient. TRACE gets back the request line and the fields that tell
    /// of its way; all others may hold what is nobody's business (RFC 9110 section 9.3.8).
    static func answer(to head: borrowing RequestHead) -> (head: ResponseHead, body: [UInt8]) {
        guard head.method == .trace else { return (ResponseHead(status: 200), []) }
        var kept = head.fields
        let all = head.fields
        kept.removeAll { index in
            !all.isLine(at: index, named: .host) && !all.isLine(at: index, named: .via)
                && !all.isLine(at: index, named: name)
        }
        var body = Array("TRACE ".utf8) + head.target
        body += Array((head.version == .http10 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n").utf8)
        kept.appendFieldSection(to: &body)
        body += Array("\r\n".utf8)
        return (ResponseHead(status: 200, fields: ["Content-Type": "message/http"]), body)
    }
}

extension Problem {
    /// `Max-Forwards` cannot be read in one way only.
    static var malformedMaxForwards: Problem {
        Problem(
            .badRequest, 400, "The Max-Forwards field is not one number. Correct it.",
            executed: .no)
    }

    /// RFC 9110 section 9.3.8: no client sends content with TRACE.
    static var contentInTrace: Problem {
        Problem(
            .badRequest, 400, "A TRACE request has no content. Send it without.", executed: .no)
    }
}
