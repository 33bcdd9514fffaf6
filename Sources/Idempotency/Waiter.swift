private import Synchronization

/// One request that waits for the answer of another.
public final class Waiter: Sendable {
    /// The record that it waits for; nil while the claim itself is still on its way.
    public let id: KeyID?

    private let state = Mutex(State.new)
    private let leave: @Sendable () -> Void

    /// A continuation is resumed by whoever takes it out of here, so once.
    @safe
    private enum State {
        case new
        case waiting(UnsafeContinuation<Settlement?, Never>)
        case settled(Settlement?)
    }

    /// - Parameter leave: Gives the place among the waiting back; called at most once, and only
    ///   when the waiter gave up before it was settled.
    init(id: KeyID?, leave: @escaping @Sendable () -> Void) {
        self.id = id
        self.leave = leave
    }

    /// How the other request ended; nil if this one gave up, or if its task was cancelled.
    ///
    /// To be called once.
    public func outcome() async -> Settlement? {
        await withTaskCancellationHandler {
            await unsafe withUnsafeContinuation { continuation in
                unsafe wait(continuation)
            }
        } onCancel: {
            giveUp()
        }
    }

    /// Ends the wait with nil, unless the answer came first. From any thread, any number of times.
    public func giveUp() {
        if settle(nil) { leave() }
    }

    /// Whether it was settled, or gave up.
    var isSettled: Bool {
        state.withLock { state in
            if case .settled = state { true } else { false }
        }
    }

    /// Gives the answer; false if the wait had ended already.
    @discardableResult
    func settle(_ settlement: Settlement?) -> Bool {
        let previous = state.withLock { state in
            let previous = state
            if case .settled = previous { return previous }
            state = .settled(settlement)
            return previous
        }
        switch previous {
        case .new: return true
        case .settled: return false
        case .waiting(let continuation):
            unsafe continuation.resume(returning: settlement)
            return true
        }
    }

    private func wait(_ continuation: UnsafeContinuation<Settlement?, Never>) {
        let settled: Settlement?? = state.withLock { state in
            switch state {
            case .new:
                unsafe state = .waiting(continuation)
                return nil
            case .settled(let settlement): return .some(settlement)
            case .waiting: preconditionFailure("a waiter's outcome is asked for once")
            }
        }
        if let settled { unsafe continuation.resume(returning: settled) }
    }
}
