package import Gateway

/// Timers whose time passes when the test says so. They belong to one actor.
package final class ManualTimers: Timers {
    private final class Timer: ScheduledTimer {
        fileprivate let due: UInt64
        fileprivate var action: (() -> Void)?

        fileprivate init(_ due: UInt64, _ action: @escaping () -> Void) {
            self.due = due
            self.action = action
        }

        func cancel() { action = nil }
    }

    /// Nanoseconds since the test began.
    package private(set) var now: UInt64 = 0
    private var timers: [Timer] = []

    /// Timers at zero.
    package init() {}

    /// The number of timers that are set.
    package var pending: Int { timers.count { $0.action != nil } }

    package func after(
        _ delay: Duration, _ action: @escaping () -> Void
    ) -> any ScheduledTimer {
        let (seconds, attoseconds) = delay.components
        let nanoseconds = UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        let timer = Timer(now + nanoseconds, action)
        timers.append(timer)
        return timer
    }

    /// Lets time pass, and timers act in their order.
    package func advance(by duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let end = now + UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        while let next = timers.filter({ $0.action != nil && $0.due <= end }).min(by: {
            $0.due < $1.due
        }) {
            now = next.due
            let action = next.action
            next.action = nil
            action?()
        }
        timers.removeAll { $0.action == nil }
        now = end
    }
}
