package import HTTP

/// What an upstream says itself of its answer: `Idempotency-Verdict: keep; ttl=3600`.
///
/// An Item of RFC 9651: a token with parameters, of which `ttl`, whole seconds, counts. Anything
/// else is no verdict, and the status decides.
package struct UpstreamVerdict: Equatable {
    /// What becomes of the record.
    package enum Ruling: String {
        case keep, release, unknown
    }

    package let ruling: Ruling
    /// Seconds for which the answer is kept, at most ten years; nil for the route's retention.
    package let ttl: Int64?

    /// The field that carries it. It never reaches the client.
    package static let fieldName = FieldName("Idempotency-Verdict")

    init(_ ruling: Ruling, ttl: Int64? = nil) {
        self.ruling = ruling
        self.ttl = ttl
    }

    /// Reads the verdict of an answer; nil without a well-formed one.
    package init?(_ fields: borrowing Fields) {
        guard let index = fields.firstIndex(of: Self.fieldName),
            fields.firstIndex(of: Self.fieldName, from: index + 1) == nil
        else { return nil }
        let parts = fields.value(at: index).split(
            separator: UInt8(ascii: ";"), omittingEmptySubsequences: false)
        guard let item = parts.first,
            let ruling = Ruling(rawValue: String(decoding: trimmed(item), as: UTF8.self))
        else { return nil }
        var ttl: Int64?
        for parameter in parts.dropFirst() {
            let text = String(decoding: trimmed(parameter), as: UTF8.self)
            guard text.hasPrefix("ttl=") else { continue }
            let digits = text.dropFirst(4)
            guard digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }), digits.utf8.count <= 15,
                let seconds = Int64(digits)
            else { return nil }
            ttl = min(seconds, Self.longest)
        }
        self.init(ruling, ttl: ttl)
    }

    private static let longest: Int64 = 10 * 365 * 86400
}
