/// Why a claim could not be made or used.
public enum ClaimError: Error, Sendable, Hashable {
    /// The record is held under another token, or is gone: nothing was changed.
    case lost
    /// The record is finished: nothing was changed.
    case finished
    /// Somebody is at work on it under a live lease: nothing was changed.
    case locked
    /// There is such a record already.
    case exists(KeyID)
    /// There is no such record.
    case absent
    /// It has as many stages as a record can have: nothing was changed.
    case tooManyStages
}

/// Who claims, under which token, and for how long.
struct Lease {
    var owner: String
    var token: LockToken
    var duration: Duration
}

/// How long an ended record is kept.
struct Retention {
    var answer: Duration
    var tombstone: Duration
}

extension IdempotencyKey {
    /// A record for a request, claimed.
    static func create(
        _ request: KeyRequest, id: KeyID, lease: Lease, now: Timestamp
    ) -> IdempotencyKey {
        IdempotencyKey(
            origin: Origin(id: id, createdAt: now, request: request), recoveryPoint: .started,
            lockedAt: now, reply: nil, owner: lease.owner, lockToken: lease.token,
            leaseUntil: now + lease.duration, attempts: 1, updatedAt: now, expiresAt: nil,
            tombstoneUntil: nil, revision: 1)
    }

    /// Stores the answer, if `token` still owns the work.
    ///
    /// An owner that comes back after its lease settles a record that became unknown meanwhile.
    /// It never touches one that was claimed again since.
    ///
    /// - Throws: `finished` when there is an answer already, `lost` when the record is held
    ///   under another token.
    mutating func conclude(
        _ reply: StoredReply, token: LockToken, retention: Retention, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        finish(reply, retention: retention, now: now)
    }

    /// Notes that the work's outcome is unknown, and what the upstream said, if anything.
    ///
    /// The token stays valid: its owner may still learn the outcome.
    mutating func lose(
        _ reply: StoredReply?, token: LockToken, retention: Retention, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        self.reply = reply
        recoveryPoint = .unknown
        end(retention, now: now)
    }

    /// Frees a record on which nothing was done. The next request claims it.
    mutating func release(
        token: LockToken, policy: KeyPolicy, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        free(policy, now: now)
    }

    /// Frees a record whatever its token is, which then settles nothing any more. One of which
    /// stages are done goes on from there; otherwise nothing is left to go on with.
    mutating func free(_ policy: KeyPolicy, now: Timestamp) {
        precondition(recoveryPoint != .finished, "what is finished is not freed")
        guard resumptionPoint == .started else { return pause(policy.whileUnknown, now: now) }
        pause(Retention(answer: policy.retention, tombstone: .zero), now: now)
        dropContent()
    }

    /// Ends the claim of work that goes on later, with one more stage that is done, if any.
    mutating func suspend(
        reaching record: StageRecord?, token: LockToken, retention: Retention, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        if let record {
            recoveryPoint = resumptionPoint
            try reach(record)
        }
        pause(retention, now: now)
    }

    /// Leaves the record to whoever goes on with it.
    private mutating func pause(_ retention: Retention, now: Timestamp) {
        recoveryPoint = resumptionPoint
        reply = nil
        lockToken = nil
        setProgress(stages)
        end(retention, now: now)
    }

    private mutating func dropContent() {
        guard content != nil else { return }
        changeRequest { $0.content = nil }
    }

    /// Stores an answer that somebody vouches for who has no token; the last token then settles
    /// nothing any more.
    mutating func complete(_ reply: StoredReply, retention: Retention, now: Timestamp) {
        precondition(recoveryPoint != .finished, "what is finished is not settled anew")
        finish(reply, retention: retention, now: now)
    }

    /// Drops the answer's body and fields; its status stays.
    mutating func erase(now: Timestamp) {
        reply = reply?.bare
        setProgress(stages.map { $0.replying($0.reply?.bare) }, pending: pendingStage)
        dropContent()
        touch(now)
    }

    /// Notes that a stage's call is about to be made and renews the lease.
    mutating func begin(
        _ stage: String, token: LockToken, lease: Duration, now: Timestamp
    ) throws(ClaimError) {
        try renew(at: recoveryPoint, token: token, lease: lease, now: now)
        setProgress(stages, pending: stage)
    }

    /// Notes that a stage is done and renews the lease.
    mutating func advance(
        to stage: String, reply: StoredReply? = nil, token: LockToken, lease: Duration,
        now: Timestamp
    ) throws(ClaimError) {
        try renew(at: recoveryPoint, token: token, lease: lease, now: now)
        try reach(StageRecord(recoveryPoint: stage, reply: reply, reachedAt: now))
    }

    /// Renews the lease at a recovery point.
    mutating func renew(
        at point: RecoveryPoint, token: LockToken, lease: Duration, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        guard isLocked else { throw .lost }
        recoveryPoint = point
        leaseUntil = now + lease
        touch(now)
    }

    /// Takes a locked record whose owner is dead or silent for unknown.
    ///
    /// It permits no execution, and the owner's token stays valid. Work in stages is suspended
    /// instead, unless the call of one may be on its way; its owner's token is void then.
    mutating func lapse(retention: Retention, now: Timestamp) {
        precondition(isLocked, "only a locked record lapses")
        guard !isResumable || pendingStage != nil else { return pause(retention, now: now) }
        recoveryPoint = .unknown
        end(retention, now: now)
    }

    /// Claims a free or unknown record again: same request, new token, one attempt more.
    mutating func reclaim(_ lease: Lease, now: Timestamp) {
        precondition(!isLocked && recoveryPoint != .finished, "only an idle record is reclaimed")
        recoveryPoint = resumptionPoint
        setProgress(stages)
        reply = nil
        owner = lease.owner
        lockToken = lease.token
        lockedAt = now
        leaseUntil = now + lease.duration
        attempts += 1
        expiresAt = nil
        tombstoneUntil = nil
        touch(now)
    }

    /// Drops what an expired record need not say any more, so that a tombstone is left.
    package mutating func expire(now: Timestamp) {
        reply = nil
        lockToken = nil
        progress = nil
        changeRequest { request in
            request.requestPath = ""
            request.requestParams = "{}"
            request.probeTarget = nil
            request.content = nil
        }
        touch(now)
    }

    /// Whether the answer may not be replayed any more.
    func isExpired(at now: Timestamp) -> Bool { expiresAt.map { $0 <= now } ?? false }

    /// Whether a new request may use the key as if it had never been used.
    package func isGone(at now: Timestamp) -> Bool { tombstoneUntil.map { $0 <= now } ?? false }

    /// Whether the lease is over without a conclusion.
    func isLapsed(at now: Timestamp) -> Bool { isLocked && leaseUntil.map { $0 <= now } ?? true }

    private mutating func finish(_ reply: StoredReply, retention: Retention, now: Timestamp) {
        self.reply = reply
        recoveryPoint = .finished
        lockToken = nil
        setProgress(stages)
        dropContent()
        end(retention, now: now)
    }

    func expect(_ token: LockToken) throws(ClaimError) {
        guard recoveryPoint != .finished else { throw .finished }
        guard lockToken == token else { throw .lost }
    }

    private mutating func end(_ retention: Retention, now: Timestamp) {
        lockedAt = nil
        leaseUntil = nil
        expiresAt = now + retention.answer
        tombstoneUntil = now + retention.answer + retention.tombstone
        touch(now)
    }

    private mutating func touch(_ now: Timestamp) {
        updatedAt = now
        revision += 1
    }
}
