import Idempotency
private import Synchronization

/// The probes of all event loops: which records are asked for, and when. Shared, so that two loops
/// do not ask for the same record, and so that what one learns counts for all.
package final class ProbeLedger: Sendable {
    private let schedule: Mutex<ProbeSchedule>

    /// A ledger without records.
    ///
    /// - Parameter seed: For the jitter of its pauses.
    package init(seed: UInt64 = .random(in: .min ... .max)) {
        schedule = Mutex(ProbeSchedule(seed: seed))
    }

    /// How many records are followed.
    package var count: Int { schedule.withLock { $0.count } }

    func withSchedule<Result: Sendable>(_ body: (inout ProbeSchedule) -> Result) -> Result {
        schedule.withLock { body(&$0) }
    }
}
