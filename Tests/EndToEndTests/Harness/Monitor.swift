import Glibc

/// What went wrong in the harness itself: a deadline passed, a peer broke the protocol.
struct HarnessError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// How long the harness waits for anything before it calls it hung.
let patience: Duration = .seconds(30)

/// A point in monotonic time after which waiting fails.
struct Deadline: Sendable {
    let instant: ContinuousClock.Instant

    /// A deadline so far from now.
    init(in duration: Duration = patience) { instant = .now + duration }

    /// Milliseconds left for `poll`, at least 0.
    var milliseconds: Int32 {
        let left = instant - .now
        guard left > .zero else { return 0 }
        let (seconds, attoseconds) = left.components
        return Int32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000 + 1)
    }

    /// Whether it has passed.
    var hasPassed: Bool { instant <= .now }
}

/// A value under a lock, whose changes can be waited for.
final class Monitor<Value>: @unchecked Sendable {
    // `value` is touched under `mutex` alone; both C objects stay where they were allocated.
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var value: Value

    init(_ value: Value) {
        self.value = value
        mutex = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(mutex)
        changed.deallocate()
        mutex.deallocate()
    }

    /// Reads or changes the value and wakes all who wait.
    @discardableResult
    func with<Result>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(changed)
            pthread_mutex_unlock(mutex)
        }
        return try body(&value)
    }

    /// Waits until `body` gives something else than nil; `what` names it in the error.
    @discardableResult
    func wait<Result>(
        for what: @autoclosure () -> String, within duration: Duration = patience,
        _ body: (inout Value) throws -> Result?
    ) throws -> Result {
        var end = timespec()
        clock_gettime(CLOCK_MONOTONIC, &end)
        let (seconds, attoseconds) = duration.components
        end.tv_sec += Int(seconds)
        end.tv_nsec += Int(attoseconds / 1_000_000_000)
        if end.tv_nsec >= 1_000_000_000 {
            end.tv_sec += 1
            end.tv_nsec -= 1_000_000_000
        }
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let result = try body(&value) {
                pthread_cond_broadcast(changed)
                return result
            }
            guard pthread_cond_timedwait(changed, mutex, &end) == 0 else {
                throw HarnessError("waited \(duration) in vain for \(what())")
            }
        }
    }
}

/// A door that is shut until a test opens it, for good.
final class Gate: Sendable {
    private let isOpen = Monitor(false)

    /// Lets everybody through.
    func open() { isOpen.with { $0 = true } }

    /// Waits until the gate is open.
    func pass() throws { try isOpen.wait(for: "a gate to open") { $0 ? true : nil } }
}
