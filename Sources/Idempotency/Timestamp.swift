/// A moment of the wall clock, for records: microseconds since 1970-01-01T00:00:00Z.
///
/// Wall clocks step. Waiting is measured by a monotonic clock, never by this one.
public struct Timestamp: Sendable, Hashable {
    /// Microseconds since 1970, negative before.
    public var microseconds: Int64

    /// A moment that many microseconds after 1970 began.
    public init(microseconds: Int64) {
        self.microseconds = microseconds
    }

    /// The machine's wall clock, which neither goes backwards nor leaps: where it was set anew
    /// since the process began, it is followed at no more than twice its speed.
    public static func now() -> Timestamp { SteadyClock.read() }
}

extension Timestamp: Comparable {
    /// Whether `a` comes before `b`.
    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.microseconds < b.microseconds }

    /// The moment a duration later. Parts of a microsecond are cut off, and what would not fit
    /// becomes the last or the first moment there is.
    public static func + (moment: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (scaled, isTooLong) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let edge: Int64 = seconds < 0 ? .min : .max
        guard !isTooLong else { return Timestamp(microseconds: edge) }
        let (length, isJustTooLong) = scaled.addingReportingOverflow(
            attoseconds / 1_000_000_000_000)
        let (sum, isTooLate) = moment.microseconds.addingReportingOverflow(length)
        return Timestamp(microseconds: isJustTooLong || isTooLate ? edge : sum)
    }

    /// The time from `b` to `a`.
    public static func - (a: Timestamp, b: Timestamp) -> Duration {
        .microseconds(a.microseconds) - .microseconds(b.microseconds)
    }
}

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with microseconds, as in `2025-07-01T09:30:00.000250Z`.
    public var description: String {
        let second = microseconds.flooredQuotient(by: 1_000_000)
        let fraction = (microseconds % 1_000_000 + 1_000_000) % 1_000_000
        let day = second.flooredQuotient(by: 86_400)
        let time = second - day * 86_400
        let (year, month, dayOfMonth) = Self.civilDate(daysSince1970: day)
        return "\(year.padded(4))-\(month.padded(2))-\(dayOfMonth.padded(2))"
            + "T\((time / 3600).padded(2)):\((time / 60 % 60).padded(2)):\((time % 60).padded(2))"
            + ".\(fraction.padded(6))Z"
    }

    /// The Gregorian date of a day, counted in eras of 400 years that begin on 1 March.
    private static func civilDate(daysSince1970 day: Int64) -> (Int64, Int64, Int64) {
        let shifted = day + 719_468
        let era = shifted.flooredQuotient(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * marchMonth + 2) / 5 + 1)
    }
}

extension Int64 {
    fileprivate func flooredQuotient(by divisor: Int64) -> Int64 {
        self >= 0 ? self / divisor : (self + 1) / divisor - 1
    }

    fileprivate func padded(_ width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.count)) + digits
    }
}
