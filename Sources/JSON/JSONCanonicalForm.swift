/// One spelling for all JSON texts that say the same: what a fingerprint is taken of.
///
/// Insignificant whitespace is dropped, members are sorted by the bytes of their written names, and
/// strings are escaped only where RFC 8259 demands it, as shortly as it allows. Numbers stay as
/// they are written, `1` and `1.0` apart. Half a surrogate pair stays `\uXXXX`, in lower case.
///
/// Bodies come from strangers: time and memory grow with the length (times its logarithm, for
/// sorting), and nesting is walked without recursion.
package struct JSONCanonicalForm {
    /// What came of a text.
    package enum Result: Sendable, Hashable {
        /// The text is its own canonical form.
        case same
        case rewritten([UInt8])
        /// No JSON, or JSON whose meaning is disputed: a name twice in one object, or containers
        /// deeper than ``depth``, or 4 GiB of text. Only the bytes themselves can be compared.
        case notJSON
    }

    /// How many containers may stand inside each other.
    package static let depth = 512
    /// How many pointers a call takes, both lists together.
    package static let maximumPointers = 64

    /// The canonical form of a text.
    ///
    /// - Parameters:
    ///   - ignoring: Values to leave out, members with their names. At most ``maximumPointers``
    ///     pointers in all.
    ///   - only: When given, the form has the named values alone, in the order of the pointers, each
    ///     ended with LF; an absent value is an empty line.
    package static func of(
        _ text: ArraySlice<UInt8>, ignoring: [JSONPointer] = [], only: [JSONPointer]? = nil
    ) -> Result {
        var scan = CanonicalScan(ignoring: ignoring, only: only)
        let text = text.span
        guard scan.run(text) else { return .notJSON }
        if only != nil { return .rewritten(scan.selected(text)) }
        if !scan.isChanged { return .same }
        return .rewritten(scan.arranged(text))
    }
}
