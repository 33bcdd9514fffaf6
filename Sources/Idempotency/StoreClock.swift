private import Synchronization

/// The store's clock, as this process knows it: its own one and the difference between the two.
///
/// Every answer of the store says what its clock showed at some time between the call and the
/// answer. The difference is changed only as far as the last answer refutes it, so it is exact to
/// the time that an answer takes, and stays zero where both clocks are one.
final class StoreClock: Sendable {
    private let local: @Sendable () -> Timestamp
    /// Microseconds that the store's clock is ahead; `unknown` before the first answer.
    private let lead = Atomic<Int64>(unknown)
    private static let unknown = Int64.min

    /// - Parameter local: This process's clock.
    init(local: @escaping @Sendable () -> Timestamp) {
        self.local = local
    }

    /// Whether an answer was seen, so that ``now`` is the store's and not only this process's.
    var isSet: Bool { lead.load(ordering: .relaxed) != Self.unknown }

    /// What the store's clock shows, more or less.
    var now: Timestamp {
        let lead = lead.load(ordering: .relaxed)
        let moment = local()
        return lead == Self.unknown ? moment : moment.advanced(by: lead)
    }

    /// This process's own clock, to be read before a call for ``learn(_:since:)`` after it.
    var localNow: Timestamp { local() }

    /// Takes what the store's clock showed during a call that began at `start`.
    func learn(_ shown: Timestamp, since start: Timestamp) {
        let most = shown.lead(over: start)
        let least = min(most, shown.lead(over: local()))
        let old = lead.load(ordering: .relaxed)
        let new = min(max(old == Self.unknown ? 0 : old, least), most)
        if new != old { lead.store(new, ordering: .relaxed) }
    }
}

extension Timestamp {
    fileprivate func advanced(by lead: Int64) -> Timestamp {
        let (sum, isTooMuch) = microseconds.addingReportingOverflow(lead)
        return isTooMuch ? self : Timestamp(microseconds: sum)
    }

    /// Microseconds, within what can be stored.
    fileprivate func lead(over other: Timestamp) -> Int64 {
        let (difference, isTooMuch) = microseconds.subtractingReportingOverflow(other.microseconds)
        return isTooMuch ? 0 : max(difference, .min + 1)
    }
}
