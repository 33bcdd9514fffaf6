private import Glibc
private import Synchronization

/// A wall clock for leases and lifetimes: it follows the machine's, but neither goes backwards nor
/// leaps when that one is set.
///
/// The rule, with the clock that no one can set as the reference: while the wall clock is where
/// this one expects it, both agree. A clock that was set forward is caught up with at twice the
/// usual speed, one that was set back is waited for at half of it. So no lease ends in less than
/// half of its time, however the clock is set, and a difference of an hour is gone after one
/// (forward) or two (back). Time for which the machine slept counts in both, so that it is no
/// difference.
struct SteadyClock {
    /// Nanoseconds since 1970, as last read.
    private var last: Int128
    private var reference: Int128

    /// A clock that shows the wall clock's time.
    ///
    /// - Parameters:
    ///   - wall: Nanoseconds since 1970.
    ///   - reference: Nanoseconds of a clock that only goes forward.
    init(wall: Int128, reference: Int128) {
        last = wall
        self.reference = reference
    }

    /// The time, from readings of both clocks taken together.
    mutating func read(wall: Int128, reference: Int128) -> Timestamp {
        let elapsed = max(0, reference - self.reference)
        self.reference = max(self.reference, reference)
        let expected = last + elapsed
        last = expected + min(max(wall - expected, -elapsed / 2), elapsed)
        return Timestamp(microseconds: Int64(clamping: last / 1000))
    }

    /// The process's clock, read.
    static func read() -> Timestamp {
        shared.withLock { $0.read(wall: nanoseconds(CLOCK_REALTIME), reference: sinceBoot) }
    }

    private static let shared = Mutex(
        SteadyClock(wall: nanoseconds(CLOCK_REALTIME), reference: sinceBoot))

    /// It counts the time for which the machine slept.
    private static var sinceBoot: Int128 { nanoseconds(CLOCK_BOOTTIME) }

    private static func nanoseconds(_ clock: clockid_t) -> Int128 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Int128(time.tv_sec) * 1_000_000_000 + Int128(time.tv_nsec)
    }
}
