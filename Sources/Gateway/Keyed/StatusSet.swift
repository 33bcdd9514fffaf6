/// A set of status codes, 100 to 599.
package struct StatusSet: Sendable, Hashable {
    private var words: [UInt64] = [UInt64](repeating: 0, count: 10)

    /// No status.
    package init() {}

    /// The statuses of ranges; what lies beyond 599 is left out.
    package init(_ ranges: [ClosedRange<UInt16>]) {
        for range in ranges {
            for status in range where status < 600 { insert(status) }
        }
    }

    /// Adds a status. One beyond 599 is left out.
    package mutating func insert(_ status: UInt16) {
        guard status < 600 else { return }
        words[Int(status) >> 6] |= 1 << UInt64(status & 63)
    }

    /// Whether a status is in the set.
    package func contains(_ status: UInt16) -> Bool {
        status < 600 && words[Int(status) >> 6] & 1 << UInt64(status & 63) != 0
    }
}
