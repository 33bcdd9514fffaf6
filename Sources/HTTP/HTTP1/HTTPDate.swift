/// Dates as HTTP writes them: `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110 section 5.6.7).
package enum HTTPDate {
    /// Appends the date of a wall clock time in the years 0 to 9999, at which it is held.
    package static func append(secondsSince1970 seconds: Int64, to bytes: inout [UInt8]) {
        let seconds = min(max(seconds, -62_167_219_200), 253_402_300_799)
        let day = Int(seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400)
        let second = Int(seconds) - day * 86400
        let (year, month, dayOfMonth) = civil(day)
        // 1970 began on a Thursday.
        append(Self.dayNames, ((day + 4) % 7 + 7) % 7, to: &bytes)
        bytes.append(", ")
        append(dayOfMonth, to: &bytes)
        bytes.append(0x20)
        append(Self.monthNames, month - 1, to: &bytes)
        bytes.append(0x20)
        append(year / 100, to: &bytes)
        append(year % 100, to: &bytes)
        bytes.append(0x20)
        append(second / 3600, to: &bytes)
        bytes.append(0x3A)
        append(second / 60 % 60, to: &bytes)
        bytes.append(0x3A)
        append(second % 60, to: &bytes)
        bytes.append(" GMT")
    }

    private static let dayNames = Array("SunMonTueWedThuFriSat".utf8)
    private static let monthNames = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

    /// The date in the proleptic Gregorian calendar, so many days after 1970 began. Years are
    /// counted from March, so that a leap day is the last of its year.
    private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }

    private static func append(_ names: [UInt8], _ index: Int, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: names[(index * 3)..<(index * 3 + 3)])
    }

    private static func append(_ value: Int, to bytes: inout [UInt8]) {
        bytes.append(0x30 + UInt8(value / 10))
        bytes.append(0x30 + UInt8(value % 10))
    }
}
