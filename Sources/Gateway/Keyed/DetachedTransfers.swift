import Synchronization
package import Telemetry

/// How many transfers go on without a client: a bounded number, over all event loops.
///
/// Each of them holds an upstream connection, and of its answer no more than the route's
/// `response_limit`.
package final class DetachedTransfers: Sendable {
    private let limit: Atomic<Int>
    private let count = Atomic(0)
    private let gauge: Gauge
    private let total: Counter
    private let refusals: Counter

    /// - Parameter limit: The most at one time; 0 lets no transfer go on without its client's place.
    package init(limit: Int, _ metrics: Metrics) {
        self.limit = Atomic(limit)
        gauge = metrics.gauge(
            "oncegate_detached", help: "Transfers that go on without their client.")
        total = metrics.counter(
            "oncegate_detached_total", help: "Transfers that lost their client or outlasted it.")
        refusals = metrics.counter(
            "oncegate_detached_refused_total",
            help: "Transfers that kept their client's place because too many had none.")
    }

    /// Changes the limit; transfers beyond a lower one go on to their end.
    package func change(_ limit: Int) { self.limit.store(limit, ordering: .relaxed) }

    /// Takes a place; false where there is none.
    func enter() -> Bool {
        let (_, taken) = count.wrappingAdd(1, ordering: .relaxed)
        guard taken <= limit.load(ordering: .relaxed) else {
            count.wrappingSubtract(1, ordering: .relaxed)
            refusals.increment()
            return false
        }
        gauge.add(1)
        total.increment()
        return true
    }

    /// Gives a place back.
    func leave() {
        count.wrappingSubtract(1, ordering: .relaxed)
        gauge.add(-1)
    }
}
