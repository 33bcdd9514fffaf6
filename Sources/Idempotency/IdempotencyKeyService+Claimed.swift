internal import Synchronization

// Work in stages by those who hold a claim, and by those who take it up again.

extension IdempotencyKeyService {
    /// Notes durably that a stage's call is about to be made: from now on a lapse leaves its
    /// outcome unknown.
    ///
    /// - Throws: ``ClaimError`` if the claim is no longer valid, or ``StoreError``: then nothing may
    ///   be sent, and it may be noted nevertheless.
    public func begin(
        _ stage: String, of claim: Claim, policy: KeyPolicy
    ) async throws -> Claim {
        try await step(claim) { key, now throws(ClaimError) in
            try key.begin(stage, token: claim.lockToken, lease: policy.lease, now: now)
        }
    }

    /// Records durably that a stage is done, with its answer, and renews the lease. It may be tried
    /// again after a failure.
    ///
    /// - Throws: ``ClaimError`` if the claim is no longer valid: nothing was changed; or
    ///   ``StoreError``: it may be recorded nevertheless. `workStage` with
    ///   ``Outcome/suspended(reached:)`` then keeps it where other conclusions are kept.
    public func advance(
        _ claim: Claim, to stage: String, reply: StoredReply?, policy: KeyPolicy
    ) async throws -> Claim {
        guard RecoveryPoint(stage: stage) != nil else {
            throw StageError.invalidRecoveryPoint(stage)
        }
        do {
            return try await advance(claim, reaching: stage, reply, policy)
        } catch let error as StoreError where error.reason == .tooLarge && reply != nil {
            return try await advance(claim, reaching: stage, reply?.withoutBody, policy)
        }
    }

    private func advance(
        _ claim: Claim, reaching stage: String, _ reply: StoredReply?, _ policy: KeyPolicy
    ) async throws -> Claim {
        try await step(claim) { key, now throws(ClaimError) in
            try key.advance(
                to: stage, reply: reply, token: claim.lockToken, lease: policy.lease, now: now)
        }
    }

    /// Changes a claimed record, judged anew while others change it.
    private func step(
        _ claim: Claim, _ body: (inout IdempotencyKey, Timestamp) throws(ClaimError) -> Void
    ) async throws -> Claim {
        var key = claim.key
        for _ in 0..<Self.contention {
            var next = key
            try body(&next, clock.now)
            guard let stored = try await put(next, over: key) else { throw ClaimError.lost }
            if stored.key.isSame(as: next) {
                let isOn = next.stages.count > claim.key.stages.count
                return Claim(
                    next, claim.lockToken, claim.ticket, deadline: isOn ? nil : claim.deadline)
            }
            key = stored.key
        }
        throw StoreError(.unavailable, "the record \(claim.id) kept changing")
    }

    /// Claims a suspended record for whoever goes on with it without its client. Duplicates that
    /// come meanwhile wait for this claim.
    ///
    /// - Returns: nil if somebody is at it, or there is nothing to go on with any more.
    /// - Throws: When the store failed. Nothing may be executed then.
    public func resume(_ id: KeyID, policy: KeyPolicy) async throws(StoreError) -> Claim? {
        guard let key = try await look(id).key, key.isSuspended else { return nil }
        var alone = policy
        alone.waiters = 0
        switch memory.enter(key.identity, key.fingerprint, policy: alone, now: clock.now) {
        case .answer: return nil
        case .overloaded:
            throw StoreError(.unavailable, "\(options.claims) requests are in flight already")
        case .claim(let ticket, _):
            let token = LockToken.random()
            do throws(StoreError) {
                guard let claim = try await reclaim(id, token, policy, ticket: ticket) else {
                    memory.end(
                        key.identity, ticket: ticket, keeping: .nothing,
                        telling: .suspended(id: id, recoveryPoint: key.recoveryPoint))
                    return nil
                }
                memory.confirm(
                    key.identity, ticket: ticket, id: id, lease: workLease(of: claim, policy.lease))
                return claim
            } catch {
                abandoned.withLock { $0.insert(token) }
                memory.end(
                    key.identity, ticket: ticket, keeping: .nothing, telling: .failed(error))
                throw error
            }
        }
    }

    /// Claims what is still suspended.
    private func reclaim(
        _ id: KeyID, _ token: LockToken, _ policy: KeyPolicy, ticket: UInt64
    ) async throws(StoreError) -> Claim? {
        let found = try await look(id)
        guard let key = found.key, key.isSuspended, !key.isExpired(at: found.now) else {
            return nil
        }
        var next = key
        let lease = Lease(owner: options.owner, token: token, duration: policy.lease)
        next.reclaim(lease, now: found.now)
        guard let stored = try await put(next, over: key), stored.key.isSame(as: next) else {
            return nil
        }
        return Claim(next, token, ticket, deadline: key.expiresAt)
    }

    /// Up to `limit` suspended records that can go on without their clients, in order of their
    /// creation, from the first after `id` on.
    public func suspended(
        after id: KeyID? = nil, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await store.suspended(after: id, limit: limit)
    }

    /// A part of all records, for people who look for some.
    public func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        try await store.list(query)
    }
}

/// What `initialize` decided.
public enum Initialization: Sendable {
    /// The record was made, locked for the caller; its token is in it.
    case created(IdempotencyKey)
    /// The record was there and free, and is locked anew for the caller; its token is in it.
    case resumed(IdempotencyKey)
    /// There is an answer.
    case finished(IdempotencyKey)
    /// The request is not to be executed.
    case refused(Refusal)
}

extension IdempotencyKeyService {
    /// `initializeRequest` for callers that work somewhere else and come back with the token: the
    /// record is not taken for alive longer than its lease, and nobody waits for it here.
    ///
    /// - Throws: When the store failed. Nothing may be executed then.
    public func initialize(
        _ request: KeyRequest, policy: KeyPolicy
    ) async throws(StoreError) -> Initialization {
        guard !memory.isInFlight(request.identity) else {
            return try await meet(request)
        }
        let token = LockToken.random()
        let lease = Lease(owner: options.owner, token: token, duration: policy.lease)
        do throws(StoreError) {
            try await setClock()
            let moment = clock.now
            let fresh = IdempotencyKey.create(
                request, id: KeyID(at: moment), lease: lease, now: moment)
            switch try await decide(fresh, policy, lease: lease, ticket: 0) {
            case .proceed(let claim):
                return claim.attempts == 1 ? .created(claim.key) : .resumed(claim.key)
            case .replay(let finished):
                guard let key = try await look(finished.id).key else {
                    return .refused(.expired(id: finished.id))
                }
                return .finished(key)
            case .refuse(let refusal): return .refused(refusal)
            case .wait: preconditionFailure("who claims does not wait")
            }
        } catch {
            abandoned.withLock { $0.insert(token) }
            throw error
        }
    }

    /// What is told of a key that this process works on.
    private func meet(_ request: KeyRequest) async throws(StoreError) -> Initialization {
        guard let key = try await store.find(request.identity).key else {
            // Its claim is on its way to the store.
            return .refused(
                .inFlight(
                    id: KeyID(at: clock.now), recoveryPoint: .started, retryAfter: .seconds(1)))
        }
        guard key.fingerprint == request.fingerprint else {
            let differs = request.fingerprint.differences(from: key.fingerprint)
            return .refused(
                .reused(differs: differs, id: key.id, recoveryPoint: key.recoveryPoint))
        }
        return .refused(
            .inFlight(id: key.id, recoveryPoint: key.recoveryPoint, retryAfter: .seconds(1)))
    }
}

extension StoredReply {
    /// The same without its body, which is then said to be not kept.
    var withoutBody: StoredReply {
        StoredReply(
            responseCode: responseCode, responseHeaders: responseHeaders, responseBody: nil)
    }
}
