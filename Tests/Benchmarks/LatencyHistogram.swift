/// How latencies are spread, in steps of about 3 %.
struct LatencyHistogram {
    private var counts = [Int](repeating: 0, count: 64 * 64)
    private var total = 0

    /// Counts a latency.
    mutating func add(nanoseconds value: Int) {
        let value = max(0, value)
        let shift = value < 64 ? 0 : 58 - value.leadingZeroBitCount
        counts[shift * 64 + value >> shift] += 1
        total += 1
    }

    /// The latency, in microseconds, that this share of all did not exceed; 0 when there are none.
    func microseconds(_ quantile: Double) -> Double {
        var seen = 0
        for (index, count) in counts.enumerated() {
            seen += count
            guard Double(seen) > quantile * Double(total) else { continue }
            return (Double(index % 64) + 0.5) * Double(1 << (index / 64)) / 1000
        }
        return 0
    }
}
