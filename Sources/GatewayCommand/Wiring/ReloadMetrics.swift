import Glibc
import Synchronization
import Telemetry

/// What is counted of reloads.
final class ReloadMetrics: Sendable {
    private let applied: Counter
    private let refused: Counter
    private let generation: Gauge
    private let succeeded: Gauge
    private let moment: Gauge
    private let hash = Mutex("")

    /// Registers the metrics.
    init(_ metrics: Metrics) {
        func counter(_ result: String) -> Counter {
            metrics.counter(
                "oncegate_reloads_total", help: "Configurations that were read after the start.",
                labels: [("result", result)])
        }
        applied = counter("applied")
        refused = counter("refused")
        generation = metrics.gauge(
            "oncegate_config_generation", help: "Configurations used since the start.")
        succeeded = metrics.gauge(
            "oncegate_config_last_reload_successful",
            help: "1, or 0 when the last configuration that was read was refused.")
        moment = metrics.gauge(
            "oncegate_config_last_reload_success_timestamp_seconds",
            help: "When the configuration in use was read, since the epoch.")
        metrics.collect { [self] text in
            text.family(
                "oncegate_config_info", help: "Always 1; the label names the configuration.",
                type: .gauge)
            text.sample(labels: [("config", hash.withLock { $0 })], 1)
        }
    }

    /// Notes the configuration that is in use from now on.
    func note(_ rules: Rules) {
        generation.set(rules.generation)
        succeeded.set(1)
        moment.set(time(nil))
        hash.withLock { $0 = rules.loaded.hash }
    }

    /// Counts a reload.
    func count(isApplied: Bool) {
        (isApplied ? applied : refused).increment()
        succeeded.set(isApplied ? 1 : 0)
    }
}
