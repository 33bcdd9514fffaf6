/// The timers and the clock of the event loop that a handler belongs to.
package protocol Timers: AnyObject {
    /// Calls `action` on the loop, once, when `delay` has passed, unless it is cancelled before.
    func after(_ delay: Duration, _ action: @escaping () -> Void) -> any ScheduledTimer

    /// Nanoseconds of a monotonic clock; it may stand still within one turn of the loop.
    var now: UInt64 { get }
}

/// A timer that was set.
package protocol ScheduledTimer: AnyObject {
    /// Keeps the action from being called; afterwards it does nothing.
    func cancel()
}
