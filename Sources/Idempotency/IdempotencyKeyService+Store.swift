extension IdempotencyKeyService {
    /// Learns the store's clock before the first times are written that others judge by it.
    func setClock() async throws(StoreError) {
        guard !clock.isSet else { return }
        _ = try await look(KeyID(at: clock.now))
    }

    /// The record of that name, and the store's clock.
    func look(_ id: KeyID) async throws(StoreError) -> Lookup {
        let start = clock.localNow
        let lookup = try await store.find(id)
        clock.learn(lookup.now, since: start)
        return lookup
    }

    /// Adds a record, unless there is one with its identity.
    func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        let start = clock.localNow
        let insertion = try await store.insert(key)
        switch insertion {
        case .inserted(let now), .existing(_, let now): clock.learn(now, since: start)
        }
        return insertion
    }

    /// Puts a record in the place of a version.
    func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        let start = clock.localNow
        let replacement = try await store.replace(key, expecting: version)
        switch replacement {
        case .replaced(let now), .lost(_, let now): clock.learn(now, since: start)
        }
        return replacement
    }
}
