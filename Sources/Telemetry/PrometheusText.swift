/// What a metric's values mean; the `TYPE` of the text format.
package enum MetricType: String, Sendable {
    case counter, gauge, histogram
}

/// Writes Prometheus' text format, version 0.0.4.
///
/// A family begins with its name, help and type; its samples follow.
package struct PrometheusText {
    /// The media type of the text, for `Content-Type`.
    package static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    /// The text so far.
    package private(set) var bytes: [UInt8] = []
    private var name = ""

    /// A text without families.
    package init() { bytes.reserveCapacity(16 << 10) }

    /// Begins a family. A name outside `[a-zA-Z_:][a-zA-Z0-9_:]*` is a bug and traps.
    package mutating func family(_ name: String, help: String, type: MetricType) {
        precondition(isMetricName(name), "not a metric name: \(name)")
        self.name = name
        put("# HELP \(name) ")
        putEscaped(help, quotes: false)
        put("\n# TYPE \(name) \(type.rawValue)\n")
    }

    /// Adds a sample to the family.
    package mutating func sample(labels: [(String, String)] = [], _ value: Int) {
        put(name)
        put(labels)
        put(" \(value)\n")
    }

    /// Adds a sample to the family.
    package mutating func sample(labels: [(String, String)] = [], _ value: Double) {
        put(name)
        put(labels)
        put(" \(Self.text(of: value))\n")
    }

    /// Adds the samples of a histogram: cumulative buckets, sum and count. The count is that of the
    /// last bucket, whatever other threads record meanwhile.
    mutating func histogram(_ histogram: Histogram, labels: [(String, String)]) {
        let (counts, seconds) = histogram.snapshot
        var total = 0
        for (index, count) in counts.enumerated() {
            total += count
            let bound = index < histogram.bounds.count ? histogram.bounds[index] : .infinity
            put("\(name)_bucket")
            put(labels + [("le", Self.text(of: bound))])
            put(" \(total)\n")
        }
        put("\(name)_sum")
        put(labels)
        put(" \(Self.text(of: seconds))\n\(name)_count")
        put(labels)
        put(" \(total)\n")
    }

    private mutating func put(_ labels: [(String, String)]) {
        guard !labels.isEmpty else { return }
        var mark = "{"
        for (name, value) in labels {
            precondition(isMetricName(name) && !name.contains(":"), "not a label name: \(name)")
            put("\(mark)\(name)=\"")
            putEscaped(value, quotes: true)
            put("\"")
            mark = ","
        }
        put("}")
    }

    private mutating func put(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func putEscaped(_ text: String, quotes: Bool) {
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): put("\\\\")
            case UInt8(ascii: "\n"): put("\\n")
            case UInt8(ascii: "\"") where quotes: put("\\\"")
            default: bytes.append(byte)
            }
        }
    }

    /// A number as Go's `ParseFloat` reads it.
    private static func text(of value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let integer = Int(exactly: value) { return "\(integer)" }
        return "\(value)"
    }
}

private func isMetricName(_ name: String) -> Bool {
    let isNumber = { (byte: UInt8) in byte &- 0x30 < 10 }
    let isLetter = { (byte: UInt8) in (byte | 0x20) &- 0x61 < 26 || byte == 0x5F || byte == 0x3A }
    guard let first = name.utf8.first, isLetter(first) else { return false }
    return name.utf8.allSatisfy { isLetter($0) || isNumber($0) }
}
