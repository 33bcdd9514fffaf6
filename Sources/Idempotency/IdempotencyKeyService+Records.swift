extension IdempotencyKeyService {
    /// Makes a record, locked by the caller under the lease of `policy`. Its token is in it.
    ///
    /// For callers that work somewhere else and come back with the token: the record is not
    /// taken for alive longer than its lease.
    ///
    /// - Throws: ``ClaimError/exists(_:)`` if the key is in use, or ``StoreError``.
    public func create(_ request: KeyRequest, policy: KeyPolicy) async throws -> IdempotencyKey {
        guard !memory.isInFlight(request.identity) else { throw ClaimError.locked }
        let token = LockToken.random()
        let lease = Lease(owner: options.owner, token: token, duration: policy.lease)
        try await setClock()
        let moment = clock.now
        let fresh = IdempotencyKey.create(
            request, id: KeyID(at: moment), lease: lease, now: moment)
        switch try await insert(fresh) {
        case .inserted: return fresh
        case .existing(let key, let now):
            guard key.isGone(at: now) else { throw ClaimError.exists(key.id) }
        }
        guard
            case .proceed(let claim) = try await decide(fresh, policy, lease: lease, ticket: 0)
        else { throw ClaimError.exists(fresh.id) }
        return claim.key
    }

    /// The record of an identity, tombstones included.
    public func retrieve(_ identity: Identity) async throws(StoreError) -> IdempotencyKey? {
        try await store.find(identity).key
    }

    /// The record of that name, tombstones included.
    public func retrieve(_ id: KeyID) async throws(StoreError) -> IdempotencyKey? {
        try await store.find(id).key
    }

    /// Claims an idle record, whatever its outcome is known to be: the caller answers for it.
    ///
    /// - Throws: ``ClaimError`` if there is no such record, or it is finished, or somebody is at
    ///   work on it; or ``StoreError``.
    public func lock(_ id: KeyID, policy: KeyPolicy) async throws -> Claim {
        let lease = Lease(owner: options.owner, token: .random(), duration: policy.lease)
        return try await change(id) { key, now throws(ClaimError) in
            guard !self.memory.isInFlight(key.identity) else { throw .locked }
            if key.isLapsed(at: now) { key.lapse(retention: policy.whileUnknown, now: now) }
            guard !key.isLocked else { throw .locked }
            guard key.recoveryPoint != .finished else { throw .finished }
            guard !key.isExpired(at: now) else { throw .absent }
            key.reclaim(lease, now: now)
        } done: {
            Claim($0, lease.token, 0)
        }
    }

    /// Advances a record to a recovery point, or concludes it with an answer.
    ///
    /// - Parameters:
    ///   - id: The record's name.
    ///   - token: The lock's, as `create`, `lock` or `initialize` gave it.
    ///   - point: A stage that is done; `finished`, or nil, with an answer concludes.
    ///   - reply: The answer, or a stage's, which is recorded with it.
    ///   - policy: Says how long the lease is, and how long the answer is kept.
    /// - Throws: ``ClaimError`` if the token is stale or the record is finished: nothing was
    ///   changed; or ``StoreError``.
    public func update(
        _ id: KeyID, token: LockToken, recoveryPoint point: RecoveryPoint? = nil,
        reply: StoredReply? = nil, policy: KeyPolicy
    ) async throws -> IdempotencyKey {
        try await change(id) { key, now throws(ClaimError) in
            switch (point, reply) {
            case (.stage(let name), _):
                try key.advance(
                    to: name, reply: reply, token: token, lease: policy.lease, now: now)
            case (.unknown, let reply):
                try key.conclude(.unknown(reply), token: token, policy: policy, now: now)
            case (_, let reply?):
                let outcome = Outcome.finished(reply, retention: policy.retention)
                try key.conclude(outcome, token: token, policy: policy, now: now)
            case (_, nil):
                let stage = key.recoveryPoint
                try key.renew(at: stage, token: token, lease: policy.lease, now: now)
            }
        } done: {
            $0
        }
    }

    /// Changes the record of that name, judged anew while others change it. What this process
    /// knows of it and the store does not is stored before.
    func change<Result>(
        _ id: KeyID, _ body: (inout IdempotencyKey, Timestamp) throws(ClaimError) -> Void,
        done: (IdempotencyKey) -> Result
    ) async throws -> Result {
        try await saveUnsaved(of: id)
        for _ in 0..<Self.contention {
            let lookup = try await look(id)
            guard let key = lookup.key else { throw ClaimError.absent }
            var next = key
            try body(&next, lookup.now)
            switch try await replace(next, expecting: key.version) {
            case .replaced:
                memory.forget(next.identity)
                memory.settle(next.identity, id: id, keeping: nil)
                return done(next)
            case .lost: continue
            }
        }
        throw StoreError(.unavailable, "the record \(id) kept changing")
    }
}

extension IdempotencyKeyService {
    /// Takes what expired out of the store: one small batch.
    ///
    /// - Returns: How many records it changed; 0 when nothing is left to do for now.
    @discardableResult
    public func reap() async throws(StoreError) -> Int {
        try await store.remove(limit: options.reapBatch)
    }
}
