import Synchronization

/// The counters, gauges and histograms of one process, and whatever else is read when somebody
/// scrapes.
///
/// Metrics are registered at start-up and at reloads, which takes a lock, and written from any
/// thread, which takes none. What is registered stays until the process ends. A malformed name, or a name used with two meanings, is a bug and traps.
package final class Metrics: Sendable {
    private struct Registry {
        var families: [MetricFamily] = []
        var collectors: [@Sendable (inout PrometheusText) -> Void] = []
    }

    private let registry = Mutex(Registry())

    /// A registry without metrics.
    package init() {}

    /// The counter of that name and those labels, made if it is not there yet. By convention its
    /// name ends in `_total`.
    package func counter(
        _ name: String, help: String, labels: [(String, String)] = []
    ) -> Counter {
        let series = series(name, help, .counter, labels) { .counter(Counter()) }
        guard case .counter(let counter) = series else { preconditionFailure(name) }
        return counter
    }

    /// The gauge of that name and those labels, made if it is not there yet.
    package func gauge(_ name: String, help: String, labels: [(String, String)] = []) -> Gauge {
        let series = series(name, help, .gauge, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = series else { preconditionFailure(name) }
        return gauge
    }

    /// The histogram of that name and those labels, made if it is not there yet. `buckets` are
    /// upper bounds in seconds, ascending, without infinity.
    package func histogram(
        _ name: String, help: String, buckets: [Double] = Histogram.latencyBuckets,
        labels: [(String, String)] = []
    ) -> Histogram {
        precondition(!labels.contains { $0.0 == "le" }, "le is the histogram's own label")
        let series = series(name, help, .histogram, labels) { .histogram(Histogram(buckets)) }
        guard case .histogram(let histogram) = series else { preconditionFailure(name) }
        return histogram
    }

    /// Adds a value that is read at every scrape, on the thread that scrapes.
    package func observe(
        _ name: String, help: String, type: MetricType = .gauge, labels: [(String, String)] = [],
        read: @escaping @Sendable () -> Double
    ) {
        _ = series(name, help, type, labels) { .observed(read) }
    }

    /// Adds families that are written at every scrape, for values that come out of one snapshot.
    /// `write` must use names of its own.
    package func collect(_ write: @escaping @Sendable (inout PrometheusText) -> Void) {
        registry.withLock { $0.collectors.append(write) }
    }

    /// Everything in Prometheus' text format, version 0.0.4, in the order of registration.
    package func prometheusText() -> [UInt8] {
        let (families, collectors) = registry.withLock { ($0.families, $0.collectors) }
        var text = PrometheusText()
        for family in families { family.write(to: &text) }
        for write in collectors { write(&text) }
        return text.bytes
    }

    private func series(
        _ name: String, _ help: String, _ type: MetricType, _ labels: [(String, String)],
        make: () -> MetricFamily.Value
    ) -> MetricFamily.Value {
        registry.withLock { registry in
            let index: Int
            if let known = registry.families.firstIndex(where: { $0.name == name }) {
                precondition(registry.families[known].type == type, "\(name) has two types")
                index = known
            } else {
                index = registry.families.count
                registry.families.append(MetricFamily(name: name, help: help, type: type))
            }
            return registry.families[index].value(labels, make)
        }
    }
}

/// All series of one name.
struct MetricFamily: Sendable {
    /// What a series' value comes from.
    enum Value: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case observed(@Sendable () -> Double)
    }

    let name: String
    let help: String
    let type: MetricType
    private var series: [(labels: [(String, String)], value: Value)] = []
    /// Where in `series` labels are; a table of routes has thousands.
    private var positions: [[String]: Int] = [:]

    /// A family without series.
    init(name: String, help: String, type: MetricType) {
        self.name = name
        self.help = help
        self.type = type
    }

    /// The value with these labels, made if it is not there yet.
    mutating func value(_ labels: [(String, String)], _ make: () -> Value) -> Value {
        let place = labels.flatMap { [$0.0, $0.1] }
        if let known = positions[place] { return series[known].value }
        let value = make()
        positions[place] = series.count
        series.append((labels, value))
        return value
    }

    /// Writes the family with all its series.
    func write(to text: inout PrometheusText) {
        text.family(name, help: help, type: type)
        for (labels, value) in series {
            switch value {
            case .counter(let counter): text.sample(labels: labels, counter.value)
            case .gauge(let gauge): text.sample(labels: labels, gauge.value)
            case .histogram(let histogram): text.histogram(histogram, labels: labels)
            case .observed(let read): text.sample(labels: labels, read())
            }
        }
    }
}
