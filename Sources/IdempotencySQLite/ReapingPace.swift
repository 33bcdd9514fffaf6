/// How many records are taken at a time, so that it does not take longer than it may: half as many
/// after a turn that was far too long, somewhat fewer after one that was too long, some more after
/// one that was short. A thread that had to wait for a busy machine is not slowed down for long.
struct ReapingPace {
    private let duration: Duration
    /// Records to be taken next time.
    private(set) var size = 64

    private static let sizes = 16...4096

    /// - Parameter duration: How long a turn may take.
    init(_ duration: Duration) { self.duration = duration }

    /// Notes how long it took.
    mutating func note(_ count: Int, in spent: Duration) {
        if spent > duration * 4 {
            size = max(Self.sizes.lowerBound, size / 2)
        } else if spent > duration {
            size = max(Self.sizes.lowerBound, size - size / 8)
        } else if count >= size, spent < duration / 2 {
            size = min(Self.sizes.upperBound, size + size / 4)
        }
    }
}
