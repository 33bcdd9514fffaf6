import Glibc

/// Writes wall clock time as `2026-01-02T03:04:05.678Z` (RFC 3339), remembering the last second.
struct TimeStamp {
    /// The length of every stamp.
    static let length = 24

    private var second = Int.min
    private var text: [UInt8] = []

    /// Appends the stamp of `time`, milliseconds rounded down.
    mutating func append(_ time: timespec, to bytes: inout [UInt8]) {
        if time.tv_sec != second { format(time.tv_sec) }
        bytes.append(contentsOf: text)
        appendDigits(time.tv_nsec / 1_000_000, 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    private mutating func format(_ seconds: Int) {
        second = seconds
        let day = floorDivide(seconds, 86_400)
        let date = CivilDate(daysSince1970: day)
        let clock = seconds - day * 86_400
        text.removeAll(keepingCapacity: true)
        appendDigits(date.year, 4, to: &text)
        for (mark, value) in [
            ("-", date.month), ("-", date.day), ("T", clock / 3600), (":", clock / 60 % 60),
            (":", clock % 60),
        ] {
            text.append(contentsOf: mark.utf8)
            appendDigits(value, 2, to: &text)
        }
        text.append(UInt8(ascii: "."))
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

/// Appends a number with leading zeros.
private func appendDigits(_ value: Int, _ count: Int, to bytes: inout [UInt8]) {
    var scale = 1
    for _ in 1..<count { scale *= 10 }
    while scale > 0 {
        bytes.append(UInt8(ascii: "0") + UInt8(value / scale % 10))
        scale /= 10
    }
}
