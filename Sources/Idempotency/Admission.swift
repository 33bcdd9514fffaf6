/// What `initializeRequest` decided.
public enum Admission: Sendable {
    /// The record is locked for the caller, durably. It must end in exactly one `workStage`.
    indirect case proceed(Claim)
    /// Somebody is at it; the caller was enrolled as a waiter and asks it for the outcome.
    case wait(Waiter)
    /// There is an answer.
    case replay(Finished)
    /// The request is not to be executed, and there is nothing to wait for.
    case refuse(Refusal)
}

/// The right and the duty to do a record's work.
public struct Claim: Sendable {
    /// The record as it was claimed.
    public let key: IdempotencyKey
    /// Proves the right.
    public let lockToken: LockToken
    /// Which stay in memory the claim belongs to.
    let ticket: UInt64
    /// When a suspended record expires that is gone on with without its client, unless its work
    /// comes on; nil for any other.
    let deadline: Timestamp?

    /// The record's own name.
    public var id: KeyID { key.id }
    /// Who asks, and the key.
    public var identity: Identity { key.identity }
    /// How often the key was claimed, this time included.
    public var attempts: Int { key.attempts }
    /// When the record was first made.
    public var createdAt: Timestamp { key.createdAt }
    /// Where the work goes on from.
    public var recoveryPoint: RecoveryPoint { key.recoveryPoint }
}

/// A finished record, as far as a replay needs it.
public struct Finished: Sendable {
    /// The record's own name.
    public let id: KeyID
    /// The answer.
    public let reply: StoredReply
    /// When it stops being replayed.
    public let expiresAt: Timestamp
    /// How often the key was claimed.
    public let attempts: Int
    /// Whether the store has it; until then it may be lost with the process.
    public internal(set) var isSaved = true
}

/// Why a request is not executed.
public enum Refusal: Sendable {
    /// The key belongs to another request: 422.
    case reused(differs: [String], id: KeyID, recoveryPoint: RecoveryPoint)
    /// Somebody is at it, and the caller may not wait, or too many wait already: 409.
    case inFlight(id: KeyID, recoveryPoint: RecoveryPoint, retryAfter: Duration)
    /// Nobody knows the outcome, and the policy is to hold; what was recorded, if anything.
    case unknown(id: KeyID, recorded: StoredReply?, attempts: Int)
    /// The answer is gone, the key is not free yet: 410.
    case expired(id: KeyID)
}

/// How a claim ended; those who waited get it too.
public enum Settlement: Sendable {
    /// There is an answer.
    case finished(Finished)
    /// The key is free again. The reply, if the upstream gave one, goes to those who waited; nil:
    /// nothing was sent.
    case released(StoredReply?, id: KeyID)
    /// Nobody knows the outcome; what the upstream said, if anything.
    case unknown(StoredReply?, id: KeyID)
    /// The work goes on later, from that point.
    case suspended(id: KeyID, recoveryPoint: RecoveryPoint)
    /// The claim that was waited for turned out to be none: the store knew better.
    case refused(Refusal)
    /// The claim itself failed in the store: nothing was executed.
    case failed(StoreError)
}

/// What happened to a claim's work.
public enum Outcome: Sendable {
    /// It is done; the answer is kept for that long.
    case finished(StoredReply, retention: Duration)
    /// Nobody knows; what the upstream said, if anything.
    case unknown(StoredReply?)
    /// Nothing was done: the record is freed. The reply is for those who waited.
    case released(StoredReply?)
    /// It is not done yet: nobody works on it until it goes on, after one more stage, if any.
    case suspended(reached: StageRecord?)
}
