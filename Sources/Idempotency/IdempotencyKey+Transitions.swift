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
        token: LockToken, retention: Duration, now: Timestamp
    ) throws(ClaimError) {
        try expect(token)
        free(retention: retention, now: now)
    }

    /// Frees a record whatever its token is, which then settles nothing any more.
    mutating func free(retention: Duration, now: Timestamp) {
        precondition(recoveryPoint != .finished, "what is finished is not freed")
        reply = nil
        lockToken = nil
        if recoveryPoint == .unknown { recoveryPoint = .started }
        end(Retention(answer: retention, tombstone: .zero), now: now)
    }

    /// Stores an answer that somebody vouches for who has no token; the last token then settles
    /// nothing any more.
    mutating func complete(_ reply: StoredReply, retention: Retention, now: Timestamp) {
        precondition(recoveryPoint != .finished, "what is finished is not settled anew")
        finish(reply, retention: retention, now: now)
    }

    /// Drops the answer's body and fields; its status stays.
    mutating func erase(now: Timestamp) {
        guard let reply else { return }
        self.reply = StoredReply(
            responseCode: reply.responseCode, responseHeaders: [], responseBody: nil)
        touch(now)
    }

    /// Notes that a stage is done and renews the lease.
    mutating func advance(
        to stage: String, token: LockToken, lease: Duration, now: Timestamp
    ) throws(ClaimError) {
        try renew(at: .stage(stage), token: token, lease: lease, now: now)
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
    /// It permits no execution, and the owner's token stays valid.
    mutating func lapse(retention: Retention, now: Timestamp) {
        precondition(isLocked, "only a locked record lapses")
        recoveryPoint = .unknown
        end(retention, now: now)
    }

    /// Claims a free or unknown record again: same request, new token, one attempt more.
    mutating func reclaim(_ lease: Lease, now: Timestamp) {
        precondition(!isLocked && recoveryPoint != .finished, "only an idle record is reclaimed")
        if recoveryPoint == .unknown { recoveryPoint = .started }
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
        var request = origin.request
        request.requestPath = ""
        request.requestParams = "{}"
        request.probeTarget = nil
        origin = Origin(id: id, createdAt: createdAt, request: request)
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
        end(retention, now: now)
    }

    private func expect(_ token: LockToken) throws(ClaimError) {
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
