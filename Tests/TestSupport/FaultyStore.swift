import Idempotency
import Synchronization

/// A store around a store that fails where it is told to, and can hold calls up.
package final class FaultyStore: IdempotencyStore {
    /// The calls that can fail.
    package enum Call: Sendable, Hashable, CaseIterable {
        case insert, find, replace, unfinished, unknown, suspended, list, transact, remove, scrub
    }

    /// Where a call fails.
    package enum Fault: Sendable, Hashable, CaseIterable {
        /// Nothing was done.
        case before
        /// It was done, and the caller does not learn of it.
        case after
    }

    private struct State {
        var faults: [Call: [Fault?]] = [:]
        var standing: [Call: Fault] = [:]
        var calls: [Call: Int] = [:]
        var isHolding = false
        var isHoldingAnswers = false
        var damaged: Set<KeyID> = []
        var contentions = 0
        var largestBody = Int.max
        var held: [UnsafeContinuation<Void, Never>] = []
        var watchers: [(count: Int, continuation: UnsafeContinuation<Void, Never>)] = []
    }

    private let store: any IdempotencyStore
    private let state = Mutex(State())
    private let exclusive: Bool?

    /// Wraps a store.
    ///
    /// - Parameter isExclusive: What it says of itself; nil for what the other one says.
    package init(_ store: any IdempotencyStore, isExclusive: Bool? = nil) {
        self.store = store
        exclusive = isExclusive
    }

    /// Has the next calls of a kind fail, or not (nil), one after the other.
    package func fail(_ call: Call, _ faults: Fault?...) {
        state.withLock { $0.faults[call, default: []] += faults }
    }

    /// Has all calls of these kinds fail until ``mend()``.
    package func breakDown(_ calls: [Call] = Call.allCases, _ fault: Fault = .before) {
        state.withLock { state in for call in calls { state.standing[call] = fault } }
    }

    /// Has replacements fail as `tooLarge` whose answers are longer than that.
    package func refuseBodies(above bytes: Int) { state.withLock { $0.largestBody = bytes } }

    /// Has replacements of a record fail as `corrupt`.
    package func damage(_ id: KeyID) { state.withLock { _ = $0.damaged.insert(id) } }

    /// Has that many transactions run and then fail as `contended`.
    package func contend(_ times: Int) { state.withLock { $0.contentions = times } }

    private func takeContention() -> Bool {
        state.withLock { state in
            guard state.contentions > 0 else { return false }
            state.contentions -= 1
            return true
        }
    }

    /// Ends all failures.
    package func mend() {
        state.withLock { state in
            state.faults = [:]
            state.standing = [:]
        }
    }

    /// How often a call came.
    package func count(_ call: Call) -> Int { state.withLock { $0.calls[call, default: 0] } }

    /// Holds calls up from now on, before they do anything.
    package func hold() { state.withLock { $0.isHolding = true } }

    /// Holds the answers of replacements up from now on, which are done by then.
    package func holdAnswers() { state.withLock { $0.isHoldingAnswers = true } }

    /// Holds up nothing that comes from now on.
    package func letNewCallsThrough() {
        state.withLock { state in
            state.isHolding = false
            state.isHoldingAnswers = false
        }
    }

    /// Lets the calls go on that are held, and all to come.
    package func letGo() {
        let held = state.withLock { state in
            state.isHolding = false
            state.isHoldingAnswers = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in held { continuation.resume() }
    }

    /// Waits until that many calls are held.
    package func untilHeld(_ count: Int) async {
        await withUnsafeContinuation { continuation in
            let isThere = state.withLock { state in
                if state.held.count >= count { return true }
                state.watchers.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    package var isExclusive: Bool { exclusive ?? store.isExclusive }
    package var isAvailable: Bool { state.withLock { $0.standing.isEmpty } && store.isAvailable }
    package var statistics: StoreStatistics { store.statistics }

    package func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        let fault = await enter(.insert)
        if fault == .before { throw Self.error }
        let result = try await store.insert(key)
        if fault == .after { throw Self.error }
        return result
    }

    package func find(_ identity: Identity) async throws(StoreError) -> Lookup {
        if await enter(.find) != nil { throw Self.error }
        return try await store.find(identity)
    }

    package func find(_ id: KeyID) async throws(StoreError) -> Lookup {
        if await enter(.find) != nil { throw Self.error }
        return try await store.find(id)
    }

    package func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        let fault = await enter(.replace)
        try refuse(key)
        if fault == .before { throw Self.error }
        let result = try await store.replace(key, expecting: version)
        await hold { $0.isHoldingAnswers }
        if fault == .after { throw Self.error }
        return result
    }

    package func unfinished(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        if await enter(.unfinished) != nil { throw Self.error }
        return try await store.unfinished(after: id, limit: limit)
    }

    package func unknown(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        if await enter(.unknown) != nil { throw Self.error }
        return try await store.unknown(after: id, limit: limit)
    }

    package func suspended(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        if await enter(.suspended) != nil { throw Self.error }
        return try await store.suspended(after: id, limit: limit)
    }

    package func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        if await enter(.list) != nil { throw Self.error }
        return try await store.list(query)
    }

    package func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws {
        let fault = await enter(.transact)
        if fault == .before { throw Self.error }
        if takeContention() {
            // The callback has run, and its transaction is undone.
            try? await store.transact(id) { lookup, sql in
                _ = try body(lookup, sql)
                throw Self.error
            }
            throw StoreError(.contended, "made to be contended")
        }
        try await store.transact(id, body)
        if fault == .after { throw Self.error }
    }

    package func remove(limit: Int) async throws(StoreError) -> Int {
        let fault = await enter(.remove)
        if fault == .before { throw Self.error }
        let result = try await store.remove(limit: limit)
        if fault == .after { throw Self.error }
        return result
    }

    package func scrub() async throws(StoreError) {
        let fault = await enter(.scrub)
        if fault == .before { throw Self.error }
        try await store.scrub()
        if fault == .after { throw Self.error }
    }

    private func refuse(_ key: IdempotencyKey) throws(StoreError) {
        try state.withLock { state throws(StoreError) in
            guard !state.damaged.contains(key.id) else {
                throw StoreError(.corrupt, "made to be damaged")
            }
            guard key.reply?.responseBody?.count ?? 0 <= state.largestBody else {
                throw StoreError(.tooLarge, "made to be too large")
            }
        }
    }

    private static let error = StoreError(.unavailable, "made to fail")

    /// Counts a call, holds it up if that is wanted, and says how it is to fail.
    private func enter(_ call: Call) async -> Fault? {
        await hold { $0.isHolding }
        return state.withLock { state in
            state.calls[call, default: 0] += 1
            if var faults = state.faults[call], !faults.isEmpty {
                let fault = faults.removeFirst()
                state.faults[call] = faults
                return fault
            }
            return state.standing[call]
        }
    }

    /// Holds the caller up while `isWanted`.
    private func hold(while isWanted: @Sendable (State) -> Bool) async {
        await withUnsafeContinuation { continuation in
            let (isHeld, watchers) = state.withLock { state in
                guard isWanted(state) else { return (false, [UnsafeContinuation<Void, Never>]()) }
                state.held.append(continuation)
                let reached = state.watchers.filter { $0.count <= state.held.count }
                state.watchers.removeAll { $0.count <= state.held.count }
                return (true, reached.map(\.continuation))
            }
            for watcher in watchers { watcher.resume() }
            if !isHeld { continuation.resume() }
        }
    }
}
