extension IdempotencyKeyService {
    /// Unknown records in order of their ids.
    public func unknown(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await store.unknown(after: id, limit: limit)
    }

    /// Settles a record under the token that it was read with.
    public func settle(
        _ key: IdempotencyKey, _ outcome: Outcome, policy: KeyPolicy
    ) async throws -> IdempotencyKey {
        guard let token = key.lockToken else { throw ClaimError.lost }
        return try await save(
            UnsavedConclusions.Conclusion(
                claim: Claim(key, token, 0), outcome: outcome, policy: policy, moment: now()))
    }
}

extension IdempotencyKeyService {
    public func release(_ id: KeyID, force: Bool, policy: KeyPolicy) async throws -> IdempotencyKey
    {
        throw ClaimError.absent
    }
    public func complete(_ id: KeyID, with reply: StoredReply, policy: KeyPolicy) async throws
        -> IdempotencyKey
    { throw ClaimError.absent }
    public func erase(_ id: KeyID) async throws -> IdempotencyKey { throw ClaimError.absent }
}
