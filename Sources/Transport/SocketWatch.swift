/// What ended a wait for a socket.
package enum Wake: Sendable {
    /// The socket may have become ready, or has failed: try it.
    case ready
    /// The deadline passed first.
    case timeout
    /// ``SocketWatch/cancel()`` was called.
    case cancelled
}

/// Remembers a socket's readiness between edges, and suspends tasks until there is an edge.
///
/// One task, or one action, may wait for each direction. Belongs to the loop of its reactor.
@safe package final class SocketWatch: ReadinessObserver {
    /// Whether reading is worth a try. Cleared by whoever met `EAGAIN` or a short read.
    package private(set) var isReadable = false
    /// Whether writing is worth a try.
    package private(set) var isWritable = true
    /// The peer will send no more; what it sent before can be read.
    package private(set) var hasEnded = false
    /// The connection is gone in both directions.
    package private(set) var hasFailed = false
    /// The peer reset the connection, or the network lost it: it did not just end in both
    /// directions, one after the other.
    package private(set) var wasReset = false
    /// Called when the connection turns out to be gone, also while nobody waits.
    package var onFailure: (() -> Void)?
    /// The same, of a reset alone. Called at once where that has come before.
    package var onReset: (() -> Void)? {
        didSet { if wasReset { tellReset() } }
    }
    /// Called when writing is worth a try again and no task waits for that.
    package var onWritable: (() -> Void)?

    private let reactor: Reactor
    private var descriptor: Int32
    private var isCancelled = false
    private var reader: Waiting?
    private var writer: Waiting?

    /// One direction's timer, made when there first is something to wait for.
    @safe private final class Waiting {
        var continuation: UnsafeContinuation<Wake, Never>?
        /// What is done in place of a task that would go on.
        var action: ((Wake) -> Void)?
        var timer: LoopTimer?
        /// Whether a task waits, also one that has not got as far as its continuation.
        var isWaiting = false
        var isInterrupted = false

        var isTaken: Bool { unsafe continuation != nil || action != nil }

        func resume(_ wake: Wake, _ reactor: Reactor) {
            guard isTaken else { return }
            if let timer { reactor.disarm(timer) }
            if let waiting = unsafe continuation {
                unsafe continuation = nil
                return unsafe waiting.resume(returning: wake)
            }
            let act = action
            action = nil
            act?(wake)
        }
    }

    /// Watches `descriptor`, which stays the caller's to close, after ``cancel()``.
    package init?(_ descriptor: Int32, on reactor: Reactor) {
        self.descriptor = descriptor
        self.reactor = reactor
        guard reactor.observe(descriptor, by: self) else { return nil }
    }

    package func became(_ readiness: Readiness) {
        if readiness.contains(.ended) { hasEnded = true }
        if readiness.contains(.failed) {
            hasFailed = true
            if readiness.contains(.reset) { wasReset = true }
        }
        if !readiness.isDisjoint(with: [.readable, .ended, .failed]) {
            isReadable = true
            reader?.resume(.ready, reactor)
        }
        if !readiness.isDisjoint(with: [.writable, .failed]) {
            isWritable = true
            writer?.resume(.ready, reactor)
            if let action = onWritable {
                onWritable = nil
                action()
            }
        }
        if hasFailed, let action = onFailure {
            onFailure = nil
            action()
        }
        if wasReset { tellReset() }
    }

    private func tellReset() {
        guard let action = onReset else { return }
        onReset = nil
        action()
    }

    /// Nothing more can be read for now. Forgotten at once where the end was announced: there is
    /// no second edge for that.
    package func drained() {
        if !hasEnded && !hasFailed { isReadable = false }
    }

    /// The end was read, perhaps before its edge came: a loop that polls on would never see that.
    package func ended() { hasEnded = true }

    /// Nothing more can be written for now.
    package func filled() { isWritable = false }

    /// Suspends until the socket may be readable, or the deadline passes.
    package func waitUntilReadable(until deadline: Instant?) async -> Wake {
        if isCancelled { return .cancelled }
        if isReadable { return .ready }
        let waiting = reader ?? Waiting()
        reader = waiting
        return await wait(waiting, until: deadline)
    }

    /// Suspends until the socket may be writable, or the deadline passes.
    package func waitUntilWritable(until deadline: Instant?) async -> Wake {
        if isCancelled { return .cancelled }
        if isWritable { return .ready }
        let waiting = writer ?? Waiting()
        writer = waiting
        return await wait(waiting, until: deadline)
    }

    /// Does `action` once the socket may be readable, or the deadline passes: the wait of a
    /// connection that is not worth a task's memory.
    package func whenReadable(until deadline: Instant, _ action: @escaping (Wake) -> Void) {
        if isCancelled { return action(.cancelled) }
        if isReadable { return action(.ready) }
        let waiting = reader ?? Waiting()
        reader = waiting
        prepare(waiting, until: deadline)
        waiting.action = action
    }

    private func prepare(_ waiting: Waiting, until deadline: Instant?) {
        precondition(!waiting.isTaken, "two tasks wait for one direction of a socket")
        guard let deadline else { return }
        let timer = waiting.timer ?? timeout(of: waiting)
        waiting.timer = timer
        reactor.arm(timer, at: deadline)
    }

    private func wait(_ waiting: Waiting, until deadline: Instant?) async -> Wake {
        prepare(waiting, until: deadline)
        waiting.isWaiting = true
        defer {
            waiting.isWaiting = false
            waiting.isInterrupted = false
        }
        return unsafe await withUnsafeContinuation { continuation in
            unsafe waiting.continuation = continuation
            // Getting here may take a turn of the loop, in which everything may have changed.
            if isCancelled || waiting.isInterrupted {
                waiting.resume(.cancelled, reactor)
            } else if waiting === reader ? isReadable : isWritable {
                waiting.resume(.ready, reactor)
            } else if deadline != nil, waiting.timer?.due == nil {
                // The timer went off when there was nobody to resume yet, and will not again.
                waiting.resume(.timeout, reactor)
            }
        }
    }

    private func timeout(of waiting: Waiting) -> LoopTimer {
        reactor.timer { [unowned reactor, weak waiting] in waiting?.resume(.timeout, reactor) }
    }

    /// Resumes the task that waits to read, if there is one, as if the watch were cancelled.
    package func interruptReading() {
        guard let reader, reader.isWaiting else { return }
        reader.isInterrupted = true
        reader.resume(.cancelled, reactor)
    }

    /// Stops watching and resumes whoever waits. To be called before the descriptor is closed.
    package func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        // Whoever finds a socket readable tries it again; there is nothing to try any more.
        isReadable = false
        onFailure = nil
        onReset = nil
        onWritable = nil
        reactor.ignore(descriptor)
        for waiting in [reader, writer] {
            waiting?.resume(.cancelled, reactor)
        }
    }
}
