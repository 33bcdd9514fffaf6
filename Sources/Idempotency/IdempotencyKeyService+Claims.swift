internal import Synchronization

extension IdempotencyKeyService {
    /// How often a step is judged anew because others change the record meanwhile.
    static let contention = 8

    /// Claims a key that this process does nothing for yet, or learns from the store why not.
    func claim(
        _ request: KeyRequest, policy: KeyPolicy, ticket: UInt64, id: KeyID
    ) async throws(StoreError) -> Admission {
        let token = LockToken.random()
        let lease = Lease(owner: options.owner, token: token, duration: policy.lease)
        do {
            try await setClock()
            let fresh = IdempotencyKey.create(request, id: id, lease: lease, now: clock.now)
            let admission = try await decide(fresh, policy, lease: lease, ticket: ticket)
            settle(request.identity, ticket: ticket, admission, policy)
            return admission
        } catch {
            abandoned.withLock { $0.insert(token) }
            memory.end(
                request.identity, ticket: ticket, keeping: .nothing, telling: .failed(error))
            throw error
        }
    }

    private func settle(
        _ identity: Identity, ticket: UInt64, _ admission: Admission, _ policy: KeyPolicy
    ) {
        switch admission {
        case .proceed(let claim):
            memory.confirm(
                identity, ticket: ticket, id: claim.id, lease: workLease(of: claim, policy.lease))
        case .replay(let finished):
            memory.end(
                identity, ticket: ticket, keeping: .answer(finished), telling: .finished(finished))
        case .refuse(let refusal):
            memory.end(identity, ticket: ticket, keeping: .nothing, telling: .refused(refusal))
        case .wait: preconditionFailure("who claims does not wait")
        }
    }

    /// Inserts the fresh record, or goes by what is there.
    func decide(
        _ fresh: IdempotencyKey, _ policy: KeyPolicy, lease: Lease, ticket: UInt64
    ) async throws(StoreError) -> Admission {
        var found: (key: IdempotencyKey, now: Timestamp)?
        for _ in 0..<Self.contention {
            guard let (key, now) = found else {
                switch try await insert(fresh) {
                case .inserted: return .proceed(Claim(fresh, lease.token, ticket))
                case .existing(let key, let now): found = (key, now)
                }
                continue
            }
            let isAbandoned = abandoned.withLock { $0.contains(key.lockToken) }
            switch key.judge(
                for: fresh, policy, lease: lease, isAbandoned: isAbandoned, now: now)
            {
            case .answer(let admission): return admission
            case .claim(let claimed):
                found = try await put(claimed, over: key)
                if found?.key.isSame(as: claimed) ?? false {
                    return .proceed(Claim(claimed, lease.token, ticket))
                }
            case .lapse(let lapsed): found = try await put(lapsed, over: key)
            }
        }
        throw StoreError(.unavailable, "the record \(fresh.id) kept changing")
    }

    /// Stores a change; what is stored afterwards, be it the change or what came before it.
    func put(
        _ next: IdempotencyKey, over key: IdempotencyKey
    ) async throws(StoreError) -> (key: IdempotencyKey, now: Timestamp)? {
        switch try await replace(next, expecting: key.version) {
        case .replaced(let now): return (next, now)
        case .lost(let other, let now): return other.map { ($0, now) }
        }
    }

    /// Stores the conclusion of a record that the store has lost, as after a loss of power where
    /// its durability is less than full. One that can have been taken by the reaper is left alone.
    private func restore(
        _ key: IdempotencyKey, _ conclusion: UnsavedConclusions.Conclusion
    ) async throws(StoreError) -> (key: IdempotencyKey, now: Timestamp)? {
        let policy = conclusion.policy
        let least = min(policy.retention, policy.unknownRetention + policy.tombstone)
        let claimedAt = conclusion.claim.key.lockedAt ?? conclusion.claim.createdAt
        switch conclusion.outcome {
        case .released, .suspended: return nil
        case .finished, .unknown: break
        }
        guard clock.now < claimedAt + least else { return nil }
        switch try await insert(key) {
        case .inserted(let now): return (key, now)
        case .existing(let other, let now): return (other, now)
        }
    }

    /// Stores a conclusion, judged anew while others change the record.
    ///
    /// An answer that is too large for the store is kept without its body.
    ///
    /// - Returns: The record as it is stored now.
    func save(_ conclusion: UnsavedConclusions.Conclusion) async throws -> IdempotencyKey {
        do {
            return try await saveWhole(conclusion)
        } catch let error as StoreError where error.reason == .tooLarge {
            guard let slim = conclusion.withoutBody else { throw error }
            return try await saveWhole(slim)
        }
    }

    private func saveWhole(
        _ conclusion: UnsavedConclusions.Conclusion
    ) async throws -> IdempotencyKey {
        var key = conclusion.claim.key
        // The journal does not have what was done before.
        if key.isResumable || key.resumptionPoint != .started, conclusion.position != nil,
            let current = try await look(key.id).key
        {
            // It may have been stored by a call that then failed.
            if let made = conclusion.key, current.isSame(as: made) { return current }
            key = current
        }
        for _ in 0..<Self.contention {
            var next = key
            try next.conclude(
                conclusion.outcome, token: conclusion.claim.lockToken, policy: conclusion.policy,
                now: conclusion.moment, deadline: conclusion.claim.deadline)
            var stored = try await put(next, over: key)
            if stored == nil { stored = try await restore(next, conclusion) }
            guard let stored else { throw ClaimError.lost }
            if stored.key.isSame(as: next) { return next }
            key = stored.key
        }
        throw StoreError(.unavailable, "the record \(key.id) kept changing")
    }
}

/// The last tokens under which nothing was executed; a bounded number of them.
struct AbandonedTokens {
    private var tokens: Set<LockToken> = []
    private var order: [LockToken] = []
    private var next = 0
    private static let limit = 10_000

    func contains(_ token: LockToken?) -> Bool {
        guard let token, !tokens.isEmpty else { return false }
        return tokens.contains(token)
    }

    mutating func insert(_ token: LockToken) {
        guard tokens.insert(token).inserted else { return }
        guard order.count == Self.limit else { return order.append(token) }
        tokens.remove(order[next])
        order[next] = token
        next = (next + 1) % Self.limit
    }
}

extension Claim {
    init(
        _ key: IdempotencyKey, _ token: LockToken, _ ticket: UInt64, deadline: Timestamp? = nil
    ) {
        self.key = key
        self.deadline = deadline
        lockToken = token
        self.ticket = ticket
    }

    /// What those who waited for a claim are told that turned out to be no longer valid.
    var refusal: Refusal {
        .inFlight(id: id, recoveryPoint: recoveryPoint, retryAfter: .seconds(1))
    }
}

extension Settlement {
    /// How a claim ended, for those who waited.
    init(_ outcome: Outcome, _ key: IdempotencyKey) {
        switch outcome {
        case .finished(let reply, let retention):
            self = .finished(
                Finished(
                    id: key.id, reply: reply, expiresAt: key.expiresAt ?? key.updatedAt + retention,
                    attempts: key.attempts))
        case .unknown(let reply): self = .unknown(reply, id: key.id)
        case .released(let reply): self = .released(reply, id: key.id)
        case .suspended: self = .suspended(id: key.id, recoveryPoint: key.recoveryPoint)
        }
    }
}

extension Settlement {
    /// The same, before the store has it.
    var unsaved: Settlement {
        if case .finished(let finished) = self { .finished(finished.unsaved) } else { self }
    }
}

extension Finished {
    /// The same, before the store has it.
    fileprivate var unsaved: Finished {
        var finished = self
        finished.isSaved = false
        return finished
    }
}

extension IdempotencyKey {
    /// What duplicates are told while the store does not have the conclusion; nil if it is free.
    var unsavedAnswer: Admission? {
        if let finished { return .replay(finished.unsaved) }
        guard recoveryPoint == .unknown else { return nil }
        return .refuse(.unknown(id: id, recorded: reply, attempts: attempts))
    }
}
