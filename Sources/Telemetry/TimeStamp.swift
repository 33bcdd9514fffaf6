import Glibc

/// Writes wall clock time as `2026-01-02T03:04:05.678Z` (RFC 3339) between two fixed texts, and
/// remembers the last millisecond's result.
struct TimeStamp {
    /// The length of every result.
    let length: Int
    /// Opening, time and closing.
    private var text: [UInt8]
    private let start: Int
    private var second = Int.min
    private var millisecond = 0

    /// Stamps inside these texts.
    init(opening: String = "", closing: String = "") {
        start = opening.utf8.count
        text = Array("\(opening)0000-00-00T00:00:00.000Z\(closing)".utf8)
        length = text.count
    }

    /// Opening, the stamp of `time` with milliseconds rounded down, closing.
    mutating func bytes(at time: timespec) -> [UInt8] {
        if time.tv_sec != second { set(second: time.tv_sec) }
        let millisecond = time.tv_nsec / 1_000_000
        if millisecond != self.millisecond {
            self.millisecond = millisecond
            put(millisecond, digits: 3, at: 20)
        }
        return text
    }

    private mutating func set(second: Int) {
        self.second = second
        let day = floorDivide(second, 86_400)
        let date = CivilDate(daysSince1970: day)
        let clock = second - day * 86_400
        put(date.year, digits: 4, at: 0)
        put(date.month, digits: 2, at: 5)
        put(date.day, digits: 2, at: 8)
        put(clock / 3600, digits: 2, at: 11)
        put(clock / 60 % 60, digits: 2, at: 14)
        put(clock % 60, digits: 2, at: 17)
    }

    private mutating func put(_ value: Int, digits: Int, at offset: Int) {
        var rest = value
        for index in (0..<digits).reversed() {
            text[start + offset + index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}

/// A day of the Gregorian calendar.
private struct CivilDate {
    let year: Int
    let month: Int
    let day: Int

    /// Counts in years that begin on 1 March, so that a leap day comes last, and in eras of 400
    /// years, which all have the same number of days.
    init(daysSince1970: Int) {
        let days = daysSince1970 + 719_468
        let era = floorDivide(days, 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }
}

private func floorDivide(_ value: Int, _ divisor: Int) -> Int {
    value >= 0 ? value / divisor : (value - divisor + 1) / divisor
}
