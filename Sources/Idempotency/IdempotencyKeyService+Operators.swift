// What others than a claim's owner may do to a record. Each of these first stores what this
// process knows of the record and the store does not, and drops what memory has of it.

extension IdempotencyKeyService {
    /// Settles an unknown or locked record under the token that the caller read in it.
    ///
    /// - Throws: ``ClaimError`` if the record is finished, is gone, or was claimed anew since:
    ///   nothing was changed; or ``StoreError``.
    public func settle(
        _ key: IdempotencyKey, _ outcome: Outcome, policy: KeyPolicy
    ) async throws -> IdempotencyKey {
        try await change(key.id) { current, now throws(ClaimError) in
            guard let token = key.lockToken else {
                throw current.recoveryPoint == .finished ? .finished : .lost
            }
            try current.conclude(outcome, token: token, policy: policy, now: now)
        } done: {
            $0
        }
    }

    /// Up to `limit` unknown records in order of their creation, from the first after `id` on.
    public func unknown(
        after id: KeyID? = nil, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await store.unknown(after: id, limit: limit)
    }

    /// Frees a record, so that the next request executes. Whoever works on it under an older token
    /// changes nothing any more.
    ///
    /// - Parameters:
    ///   - id: The record's name.
    ///   - force: Whether a lock that is alive is broken.
    ///   - policy: Says how long the free record is remembered.
    /// - Throws: ``ClaimError`` if it is finished, gone, or held by somebody alive: nothing was
    ///   changed; or ``StoreError``.
    public func release(
        _ id: KeyID, force: Bool = false, policy: KeyPolicy
    ) async throws -> IdempotencyKey {
        try await change(id) { key, now throws(ClaimError) in
            try self.expectIdle(key, now, orElse: force)
            key.free(policy, now: now)
        } done: {
            $0
        }
    }

    /// Settles a record that nobody works on with an answer that the caller vouches for.
    ///
    /// - Throws: ``ClaimError`` if it is finished, gone, or held by somebody alive: nothing was
    ///   changed; or ``StoreError``.
    public func complete(
        _ id: KeyID, with reply: StoredReply, policy: KeyPolicy
    ) async throws -> IdempotencyKey {
        try await change(id) { key, now throws(ClaimError) in
            try self.expectIdle(key, now, orElse: false)
            let kept = Retention(answer: policy.retention, tombstone: policy.tombstone)
            key.complete(reply, retention: kept, now: now)
        } done: {
            $0
        }
    }

    /// Drops the body and the fields of a record's answer. Its status and the verdict stay, so
    /// that nothing is executed again. Neither the store nor the journal has anything of them on
    /// its disk when it returns.
    ///
    /// - Throws: ``ClaimError`` if there is no such record, or it has no outcome yet; or
    ///   ``StoreError``: to be done again then, because traces may be left.
    public func erase(_ id: KeyID) async throws -> IdempotencyKey {
        let erased = try await change(id) { key, now throws(ClaimError) in
            guard !key.isLocked else { throw .locked }
            guard key.recoveryPoint == .finished || key.recoveryPoint == .unknown else {
                throw .absent
            }
            key.erase(now: now)
        } done: {
            $0
        }
        try await discardSpent(isErasing: true)
        try await store.scrub()
        return erased
    }

    private func expectIdle(
        _ key: IdempotencyKey, _ now: Timestamp, orElse isForced: Bool
    ) throws(ClaimError) {
        guard key.recoveryPoint != .finished else { throw .finished }
        guard !key.isExpired(at: now) else { throw .absent }
        guard key.isLocked, !isForced else { return }
        guard key.isLapsed(at: now), !memory.isInFlight(key.identity) else { throw .locked }
    }
}
