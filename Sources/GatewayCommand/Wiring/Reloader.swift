import Admin
import Synchronization

/// Has the configuration read anew, once at a time.
///
/// Whoever asks while a reading is under way gets the next one, which they all share: it reads what
/// was there when they asked. So there are never more than two.
final class Reloader: Sendable {
    private struct State {
        /// Whether readings may begin, and those that wait for that.
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
        /// The reading that has not begun.
        var next: Task<ReloadOutcome, Never>?
        /// The one before.
        var last: Task<ReloadOutcome, Never>?
    }

    private let state = Mutex(State())
    private let perform: @Sendable () async -> ReloadOutcome

    /// - Parameter perform: Reads and applies the configuration; it may block.
    ///   It is not called before ``open()``.
    init(_ perform: @escaping @Sendable () async -> ReloadOutcome) { self.perform = perform }

    /// Lets readings begin; what was asked for before has waited.
    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    private func waitUntilOpen() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    /// Reads the configuration and applies it.
    func reload() async -> ReloadOutcome {
        let task = state.withLock { state in
            if let next = state.next { return next }
            let last = state.last
            // Detached, since the caller may be a task of an event loop, which must not block.
            let task = Task.detached {
                await self.waitUntilOpen()
                _ = await last?.value
                self.begin()
                return await self.perform()
            }
            state.next = task
            return task
        }
        return await task.value
    }

    private func begin() {
        state.withLock { state in
            state.last = state.next
            state.next = nil
        }
    }
}
