import Idempotency
import Synchronization

/// A wall clock that stands until it is told to move.
package final class ManualClock: Sendable {
    private let moment: Mutex<Timestamp>

    /// A clock that stands somewhere in 2025.
    package init(at moment: Timestamp = Timestamp(microseconds: 1_751_362_200_000_000)) {
        self.moment = Mutex(moment)
    }

    /// What it shows.
    package var now: Timestamp { moment.withLock { $0 } }

    /// Moves it, backwards too.
    package func advance(by duration: Duration) {
        moment.withLock { $0 = $0 + duration }
    }
}
