import Synchronization

/// A number that only grows, until the process ends.
package final class Counter: Sendable {
    private let count = Atomic(0)

    /// A counter at zero, which no registry knows.
    package init() {}

    /// Adds; from any thread.
    package func increment(by amount: Int = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// What was counted so far.
    package var value: Int { count.load(ordering: .relaxed) }
}

/// A number that goes up and down.
package final class Gauge: Sendable {
    private let current = Atomic(0)

    /// A gauge at zero, which no registry knows.
    package init() {}

    /// Replaces the value; from any thread.
    package func set(_ value: Int) { current.store(value, ordering: .relaxed) }

    /// Adds, a negative amount too; from any thread.
    package func add(_ amount: Int) { current.wrappingAdd(amount, ordering: .relaxed) }

    /// The value now.
    package var value: Int { current.load(ordering: .relaxed) }
}

/// How durations are spread over a few ranges.
package final class Histogram: Sendable {
    /// From half a millisecond to ten seconds, and half a minute.
    package static let latencyBuckets = [
        0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]

    /// The upper bounds of all ranges but the last one, which has none.
    let bounds: [Double]
    private let limits: [Int]
    private let counts: [Counter]
    private let nanoseconds = Counter()

    /// A histogram without values, which no registry knows. `bounds` are seconds, ascending.
    package init(_ bounds: [Double] = latencyBuckets) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds must ascend")
        precondition(bounds.allSatisfy { $0.isFinite && abs($0) < 1e9 }, "bounds must be seconds")
        self.bounds = bounds
        limits = bounds.map { Int(($0 * 1e9).rounded()) }
        counts = (0...bounds.count).map { _ in Counter() }
    }

    /// Records a duration; from any thread.
    package func record(nanoseconds value: Int) {
        var range = 0
        while range < limits.count, value > limits[range] { range += 1 }
        counts[range].increment()
        nanoseconds.increment(by: value)
    }

    /// Records a duration; from any thread. One that is not finite is left out.
    package func record(seconds: Double) {
        guard abs(seconds) < 1e9 else { return }
        record(nanoseconds: Int(seconds * 1e9))
    }

    /// Records a duration; from any thread.
    package func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        record(nanoseconds: Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000))
    }

    /// How many values fell into each range, and their sum.
    var snapshot: (counts: [Int], seconds: Double) {
        (counts.map(\.value), Double(nanoseconds.value) / 1e9)
    }
}
