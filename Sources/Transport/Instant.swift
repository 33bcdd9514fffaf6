private import Glibc

/// A moment of the monotonic clock (`CLOCK_MONOTONIC`), for waiting. It has no date.
package struct Instant: Sendable, Hashable, Comparable {
    /// Nanoseconds since some moment before the process began.
    package var nanoseconds: UInt64

    /// A moment from its count of nanoseconds.
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// The clock, asked now. On a loop ``Reactor/now`` is cheaper and as good.
    package static func now() -> Instant {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Instant(nanoseconds: UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec))
    }

    package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// The moment that much later; a negative duration counts as none.
    package static func + (a: Instant, b: Duration) -> Instant {
        let (sum, overflow) = a.nanoseconds.addingReportingOverflow(b.nanosecondsClamped)
        return Instant(nanoseconds: overflow ? .max : sum)
    }

    /// How long after `b` this is; never negative.
    package static func - (a: Instant, b: Instant) -> Duration {
        .nanoseconds(a > b ? Int64(clamping: a.nanoseconds - b.nanoseconds) : 0)
    }
}

extension Duration {
    /// Whole nanoseconds, from 0 to what an `Int64` holds (292 years).
    var nanosecondsClamped: UInt64 {
        let attoseconds = attoseconds
        guard attoseconds > 0 else { return 0 }
        // Most fit into a word, whose division is a single instruction.
        guard let word = UInt64(exactly: attoseconds) else {
            return UInt64(Int64(clamping: attoseconds / 1_000_000_000))
        }
        return word / 1_000_000_000
    }
}
