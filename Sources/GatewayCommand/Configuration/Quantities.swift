/// Splits `10MiB` into its digits and what follows; nil without digits, or with too many.
private func quantity(_ text: String) -> (number: Int, unit: String)? {
    let digits = text.utf8.prefix { $0 &- UInt8(ascii: "0") < 10 }
    guard (1...12).contains(digits.count), let number = Int(Substring(digits)) else { return nil }
    return (number, String(text.dropFirst(digits.count)))
}

/// Sizes in bytes: `"64KiB"`.
enum ByteSize {
    private static let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)]

    /// The number of bytes; nil when this is no size, or more than fits.
    static func parse(_ text: String) -> Int? {
        guard let (number, name) = quantity(text),
            let unit = units.first(where: { $0.0 == name })
        else { return nil }
        let (bytes, isTooMuch) = number.multipliedReportingOverflow(by: unit.1)
        return isTooMuch ? nil : bytes
    }

    /// The size in the largest unit that leaves no rest.
    static func text(_ bytes: Int) -> String {
        guard bytes > 0, let unit = units.first(where: { bytes % $0.1 == 0 }) else {
            return "\(bytes)B"
        }
        return "\(bytes / unit.1)\(unit.0)"
    }
}

/// Durations: `"250ms"`.
enum DurationText {
    private static let units: [(String, Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]
    /// One day is called 24 hours, one minute 60 seconds.
    private static let leastOfUnit: [String: Int64] = ["d": 2, "m": 2]

    /// The duration; nil when this is none, or longer than is told apart in milliseconds.
    static func parse(_ text: String) -> Duration? {
        guard let (number, name) = quantity(text),
            let unit = units.first(where: { $0.0 == name })
        else { return nil }
        let (milliseconds, isTooMuch) = Int64(number).multipliedReportingOverflow(by: unit.1)
        return isTooMuch ? nil : .milliseconds(milliseconds)
    }

    /// The duration in the largest usual unit that leaves no rest.
    static func text(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = seconds * 1000 + attoseconds / 1_000_000_000_000_000
        guard milliseconds > 0, let unit = units.first(where: isWhole) else { return "0s" }
        return "\(milliseconds / unit.1)\(unit.0)"

        func isWhole(_ unit: (String, Int64)) -> Bool {
            milliseconds % unit.1 == 0 && milliseconds / unit.1 >= leastOfUnit[unit.0] ?? 1
        }
    }
}

extension Duration {
    static func minutes(_ count: Int) -> Duration { .seconds(count * 60) }
    static func hours(_ count: Int) -> Duration { .seconds(count * 3600) }
    static func days(_ count: Int) -> Duration { .seconds(count * 86_400) }
}
