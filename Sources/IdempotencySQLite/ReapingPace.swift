/// How many records are taken at a time, so that it does not take longer than it may: half as many
/// after a turn that was too long, some more after one that was short.
struct ReapingPace {
    private let duration: Duration
    /// Records to be taken next time.
    private(set) var size = 64

    private static let sizes = 16...4096

    /// - Parameter duration: How long a turn may take.
    init(_ duration: Duration) { self.duration = duration }

    /// Notes how long it took.
    mutating func note(_ count: Int, in spent: Duration) {
        if spent > duration {
            size = max(Self.sizes.lowerBound, size / 2)
        } else if count >= size, spent < duration / 2 {
            size = min(Self.sizes.upperBound, size + size / 4)
        }
    }
}
