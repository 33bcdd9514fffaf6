/// What a stored record means for a request; the table of the contract's section 2, step 4.
enum Judgement {
    /// It is decided.
    case answer(Admission)
    /// The record is to be stored as the caller's claim, which may then go to work.
    case claim(IdempotencyKey)
    /// The record's lease is over: it is to be stored as unknown, and judged again.
    case lapse(IdempotencyKey)
}

extension IdempotencyKey {
    /// Judges the record for a request, by the store's clock.
    ///
    /// - Parameters:
    ///   - fresh: The claim that would be made if there were no record.
    ///   - isAbandoned: Whether the last claim is known to have executed nothing.
    func judge(
        for fresh: IdempotencyKey, _ policy: KeyPolicy, lease: Lease, isAbandoned: Bool,
        now: Timestamp
    ) -> Judgement {
        guard !isGone(at: now) else { return .claim(fresh.succeeding(self)) }
        guard fingerprint == fresh.fingerprint else {
            let differs = fresh.fingerprint.differences(from: fingerprint)
            return .answer(
                .refuse(.reused(differs: differs, id: id, recoveryPoint: recoveryPoint)))
        }
        guard !isExpired(at: now) else { return .answer(.refuse(.expired(id: id))) }
        guard !isAbandoned else { return .claim(reclaimed(for: fresh, lease, now: now)) }
        guard !isLapsed(at: now) else { return .lapse(lapsed(policy, now: now)) }
        if isLocked {
            let rest = leaseUntil.map { $0 - now } ?? .zero
            return .answer(
                .refuse(.inFlight(id: id, recoveryPoint: recoveryPoint, retryAfter: rest)))
        }
        return judgeIdle(for: fresh, policy, lease: lease, now: now)
    }

    private func judgeIdle(
        for fresh: IdempotencyKey, _ policy: KeyPolicy, lease: Lease, now: Timestamp
    ) -> Judgement {
        switch (recoveryPoint, policy.unknown) {
        case (.finished, _):
            return .answer(finished.map { .replay($0) } ?? .refuse(.expired(id: id)))
        // A stage that was announced is not repeated, whatever the policy is by now.
        case (.unknown, _) where policy.unknown == .hold || pendingStage != nil:
            return .answer(.refuse(.unknown(id: id, recorded: reply, attempts: attempts)))
        case (.unknown, _), (.started, _), (.stage, _):
            return .claim(reclaimed(for: fresh, lease, now: now))
        }
    }

    /// The record as a replay needs it; nil unless it is finished.
    var finished: Finished? {
        guard recoveryPoint == .finished, let reply, let expiresAt else { return nil }
        return Finished(id: id, reply: reply, expiresAt: expiresAt, attempts: attempts)
    }

    /// A new record that takes the place of one whose time is over.
    private func succeeding(_ former: IdempotencyKey) -> IdempotencyKey {
        var key = self
        key.revision = former.revision + 1
        return key
    }

    /// The record, claimed again for a request. Only of one that nobody works on. What was dropped
    /// when it was freed is the request's to give anew.
    private func reclaimed(
        for fresh: IdempotencyKey, _ lease: Lease, now: Timestamp
    ) -> IdempotencyKey {
        var key = self
        key.lockedAt = nil
        key.reclaim(lease, now: now)
        if key.recoveryPoint == .started, key.content == nil {
            key.changeRequest { request in
                request.content = fresh.content
                request.isResumable = fresh.isResumable
            }
        }
        return key
    }

    private func lapsed(_ policy: KeyPolicy, now: Timestamp) -> IdempotencyKey {
        var key = self
        key.lapse(retention: policy.whileUnknown, now: now)
        return key
    }
}

extension KeyPolicy {
    /// How long an unknown record is kept.
    var whileUnknown: Retention { Retention(answer: unknownRetention, tombstone: tombstone) }
}

extension IdempotencyKey {
    /// Applies what happened to the work.
    ///
    /// - Parameter deadline: The latest end of a record that is suspended as it was.
    mutating func conclude(
        _ outcome: Outcome, token: LockToken, policy: KeyPolicy, now: Timestamp,
        deadline: Timestamp? = nil
    ) throws(ClaimError) {
        switch outcome {
        case .finished(let reply, let retention):
            let kept = Retention(answer: retention, tombstone: policy.tombstone)
            try conclude(reply, token: token, retention: kept, now: now)
        case .unknown(let reply):
            try lose(reply, token: token, retention: policy.whileUnknown, now: now)
        case .released: try release(token: token, policy: policy, now: now)
        case .suspended(let record):
            var kept = policy.whileUnknown
            if record == nil, let deadline { kept.answer = min(kept.answer, deadline - now) }
            try suspend(reaching: record, token: token, retention: kept, now: now)
        }
    }

    /// Whether this is the record that `other` was to become, stored by a call that then failed.
    /// Two who share a token, as a backend and its gateway do, are told apart by what they stored.
    func isSame(as other: IdempotencyKey) -> Bool {
        version == other.version && recoveryPoint == other.recoveryPoint
            && lockToken == other.lockToken && updatedAt == other.updatedAt
            && expiresAt == other.expiresAt && reply == other.reply
    }
}
