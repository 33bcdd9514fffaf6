import Idempotency
import Synchronization

/// A journal in memory that fails while it is told to.
final class FaultyJournal: ConclusionJournal {
    private struct State {
        var entries: [(position: UInt64, bytes: [UInt8])] = []
        var last: UInt64 = 0
        var failure: StoreError?
        var failsToDiscard = false
    }

    private let state = Mutex(State())

    func entries() async throws(StoreError) -> [(position: UInt64, bytes: [UInt8])] {
        state.withLock { $0.entries }
    }

    func append(_ entry: [UInt8]) async throws(StoreError) -> UInt64 {
        try state.withLock { state throws(StoreError) in
            if let failure = state.failure { throw failure }
            state.last += 1
            state.entries.append((state.last, entry))
            return state.last
        }
    }

    func discard(_ positions: Set<UInt64>, isErasing: Bool) async throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            guard !state.failsToDiscard else { throw StoreError(.unavailable, "made to fail") }
            state.entries.removeAll { positions.contains($0.position) }
        }
    }

    var size: Int { state.withLock { $0.entries.reduce(0) { $0 + $1.bytes.count } } }
    var count: Int { state.withLock { $0.entries.count } }

    func fail(_ error: StoreError?) { state.withLock { $0.failure = error } }
    func failToDiscard(_ fails: Bool) { state.withLock { $0.failsToDiscard = fails } }

    /// Changes what is in it.
    func change(_ body: (inout [[UInt8]]) -> Void) {
        state.withLock { state in
            var entries = state.entries.map(\.bytes)
            body(&entries)
            state.entries = entries.enumerated().map { (UInt64($0.offset + 1), $0.element) }
            state.last = UInt64(entries.count)
        }
    }
}

/// What a service reported.
final class Events: Sendable {
    private let events = Mutex<[KeyEvent]>([])

    func add(_ event: KeyEvent) { events.withLock { $0.append(event) } }

    var delivered: [KeyID] {
        all.compactMap { if case .delivered(let id) = $0 { id } else { nil } }
    }
    var dropped: [ClaimError] {
        all.compactMap { if case .dropped(_, let error) = $0 { error } else { nil } }
    }
    var lapsed: [KeyID] { all.compactMap { if case .lapsed(let id) = $0 { id } else { nil } } }
    var journalFailures: [StoreError] {
        all.compactMap { if case .journalFailed(_, let error) = $0 { error } else { nil } }
    }
    var unreadable: [Bool] {
        all.compactMap { if case .unreadable(_, let isKept, _) = $0 { isKept } else { nil } }
    }

    private var all: [KeyEvent] { events.withLock { $0 } }
}
