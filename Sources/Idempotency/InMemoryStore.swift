private import Synchronization

/// A store that forgets everything when the process ends: for tests, and for keys that need not
/// outlive their process. It holds all records in memory, up to a limit.
public final class InMemoryStore: IdempotencyStore {
    private let state = Mutex(State())
    private let limit: Int
    private let now: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - limit: How many records it takes; the next one is refused as `full`.
    ///   - now: The store's clock.
    public init(
        limit: Int = 1_000_000, now: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.limit = limit
        self.now = now
    }

    /// Nobody else can see this memory.
    public var isExclusive: Bool { true }
    /// Always.
    public var isAvailable: Bool { true }
    /// What was done so far.
    public var statistics: StoreStatistics { state.withLock { $0.statistics } }

    /// Adds a record, unless there is one with its identity.
    public func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        let now = now()
        return try state.withLock { state throws(StoreError) in
            if let existing = state.keys[key.identity] { return .existing(existing, now: now) }
            guard state.keys.count < limit else {
                throw StoreError(.full, "the store in memory holds \(limit) records already")
            }
            state.put(key)
            return .inserted(now: now)
        }
    }

    /// The record of that name or identity.
    public func find(_ identity: Identity) async throws(StoreError) -> Lookup {
        state.withLock { state in
            state.statistics.reads += 1
            return Lookup(key: state.keys[identity], now: now())
        }
    }

    /// The record of that name or identity.
    public func find(_ id: KeyID) async throws(StoreError) -> Lookup {
        state.withLock { state in
            state.statistics.reads += 1
            return Lookup(key: state.identities[id].flatMap { state.keys[$0] }, now: now())
        }
    }

    /// Puts a record in the place of the version that the caller judged.
    public func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        state.withLock { state in
            guard let current = state.keys[key.identity], current.version == version else {
                return .lost(state.keys[key.identity], now: now())
            }
            state.identities[current.id] = nil
            state.put(key)
            return .replaced(now: now())
        }
    }

    /// Locked records in order of their ids.
    public func unfinished(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        list(after: id, limit: limit) { $0.isLocked }
    }

    /// Unknown records in order of their ids.
    public func unknown(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        list(after: id, limit: limit) { $0.isUnknown }
    }

    /// Suspended records in order of their ids.
    public func suspended(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        list(after: id, limit: limit) { $0.isSuspended && $0.content != nil }
    }

    /// A part of all records. It looks at all of them.
    public func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        let now = now()
        return state.withLock { state in
            let found = state.keys.values.filter { key in
                query.isMet(by: key, at: now)
                    && (query.after.map { $0 < key.id } ?? query.before.map { key.id < $0 } ?? true)
            }.sorted { query.after == nil ? $1.id < $0.id : $0.id < $1.id }
            var bytes = 0
            let page = Array(
                found.prefix(max(0, query.limit)).prefix { key in
                    defer { bytes += key.replyBytes }
                    return bytes < KeyPage.byteLimit
                })
            return KeyPage(keys: page, next: page.count < found.count ? page.last?.id : nil)
        }
    }

    /// Changes a record while nobody else can. There is no SQL here.
    public func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws {
        let now = now()
        try state.withLock { state in
            let current = state.identities[id].flatMap { state.keys[$0] }
            guard let next = try body(Lookup(key: current, now: now), NoSQL()) else { return }
            precondition(
                next.id == id && current != nil, "a transaction changes the record it was given")
            state.put(next)
        }
    }

    private func list(
        after id: KeyID?, limit: Int, where isWanted: (IdempotencyKey) -> Bool
    ) -> [IdempotencyKey] {
        state.withLock { state in
            let found = state.keys.values.filter { key in
                isWanted(key) && id.map { $0 < key.id } ?? true
            }
            return Array(found.sorted { $0.id < $1.id }.prefix(limit))
        }
    }

    /// Takes what expired.
    public func remove(limit: Int) async throws(StoreError) -> Int {
        let now = now()
        return state.withLock { state in
            let due = state.keys.values.filter { $0.isDueForRemoval(at: now) }.prefix(limit)
            for key in due { state.retire(key, now: now) }
            return due.count
        }
    }

    /// There are none on any disk.
    public func scrub() async throws(StoreError) {}
}

extension InMemoryStore {
    private struct State {
        var keys: [Identity: IdempotencyKey] = [:]
        var identities: [KeyID: Identity] = [:]
        var statistics = StoreStatistics()

        mutating func put(_ key: IdempotencyKey) {
            keys[key.identity] = key
            identities[key.id] = key.identity
            statistics.commits += 1
            statistics.rows += 1
        }

        mutating func retire(_ key: IdempotencyKey, now: Timestamp) {
            guard key.isGone(at: now) else {
                var tombstone = key
                tombstone.expire(now: now)
                put(tombstone)
                return
            }
            keys[key.identity] = nil
            identities[key.id] = nil
        }
    }
}

extension IdempotencyKey {
    /// Whether the reaper has something to take from the record.
    fileprivate func isDueForRemoval(at now: Timestamp) -> Bool {
        guard isExpired(at: now) else { return false }
        return isGone(at: now) || reply != nil || requestPath != "" || lockToken != nil
    }
}

/// What there is instead of SQL.
private struct NoSQL: SQLTransaction {
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> SQLResult {
        throw StageError.sqlUnsupported
    }
}
