/// The record: one key's state, from its claim to its end. Medusa's fields, then the gateway's.
///
/// It does no I/O. What may happen to it is in the functions of its extension; the times come
/// from the store's clock.
///
/// | state | recovery point | locked | expires |
/// | --- | --- | --- | --- |
/// | in flight | `started` or a stage | yes | no |
/// | free | `started` | no | when its retention ends; then it is absent |
/// | suspended | `started` or a stage | no | as an unknown one; its work goes on until then |
/// | finished | `finished` | no | when its retention ends; then a tombstone |
/// | unknown | `unknown` | no, but the last token may settle it | likewise |
public struct IdempotencyKey: Sendable {
    /// What does not change from claim to conclusion, shared by all copies of the record.
    var origin: Origin

    /// How far the work has come.
    public internal(set) var recoveryPoint: RecoveryPoint
    /// Since when somebody has been at work; nil when nobody is.
    public internal(set) var lockedAt: Timestamp?
    /// The stages of the work; nil where there are none.
    var progress: StageProgress?
    /// `response_code`, `response_headers`, `response_body`; nil until there is an answer.
    public internal(set) var reply: StoredReply?
    /// The gateway that made the last claim.
    public internal(set) var owner: String
    /// The last claim's token; nil once it can conclude nothing more.
    public internal(set) var lockToken: LockToken?
    /// Until when a claim is taken for alive, whatever became of its owner.
    public internal(set) var leaseUntil: Timestamp?
    /// How often the key was claimed.
    public internal(set) var attempts: Int
    /// When it was changed last.
    public internal(set) var updatedAt: Timestamp
    /// When the answer stops being replayed; nil while it is in flight.
    public internal(set) var expiresAt: Timestamp?
    /// When a new request may use the key again; nil while it is in flight.
    public internal(set) var tombstoneUntil: Timestamp?
    /// Counts the changes. With the id it names one state of one record for ever.
    public internal(set) var revision: Int

    /// The record's fields by the contract's names, in its order.
    ///
    /// Tables, JSON and logs take the names from here.
    public enum Field: String, Sendable, CaseIterable {
        case id
        case createdAt = "created_at"
        case idempotencyKey = "idempotency_key"
        case requestMethod = "request_method"
        case requestPath = "request_path"
        case requestParams = "request_params"
        case route
        case probeTarget = "probe_target"
        case resumable
        case recoveryPoint = "recovery_point"
        case stages
        case pendingStage = "pending_stage"
        case lockedAt = "locked_at"
        case responseCode = "response_code"
        case responseHeaders = "response_headers"
        case responseBody = "response_body"
        case scope
        case fingerprint
        case owner
        case lockToken = "lock_token"
        case leaseUntil = "lease_until"
        case attempts
        case updatedAt = "updated_at"
        case expiresAt = "expires_at"
        case tombstoneUntil = "tombstone_until"
        case revision
    }

    /// One state of one record; what a change expects to find.
    public struct Version: Sendable, Hashable {
        /// The record's name.
        public let id: KeyID
        /// The number of changes it has been through.
        public let revision: Int
    }

    /// The state that this is.
    public var version: Version { Version(id: id, revision: revision) }

    /// Whether somebody is at work on it, or was when its lease was last renewed.
    public var isLocked: Bool { lockedAt != nil }

    /// Whether its outcome may still be learnt: a tombstone's token is gone.
    package var isUnknown: Bool { recoveryPoint == .unknown && lockToken != nil }
}

extension IdempotencyKey {
    /// The unchanging half of a record.
    final class Origin: Sendable {
        let id: KeyID
        let createdAt: Timestamp
        let request: KeyRequest

        init(id: KeyID, createdAt: Timestamp, request: KeyRequest) {
            self.id = id
            self.createdAt = createdAt
            self.request = request
        }
    }

    /// Changes what is kept of the request, for this copy.
    mutating func changeRequest(_ change: (inout KeyRequest) -> Void) {
        var request = origin.request
        change(&request)
        origin = Origin(id: id, createdAt: createdAt, request: request)
    }

    /// The record's own name.
    public var id: KeyID { origin.id }
    /// Who asks, and the key.
    public var identity: Identity { origin.request.identity }
    /// When it was made.
    public var createdAt: Timestamp { origin.createdAt }
    /// The method, as received.
    public var requestMethod: String { origin.request.requestMethod }
    /// The path as received, without query; empty on a tombstone.
    public var requestPath: String { origin.request.requestPath }
    /// A JSON object as text: the route's path captures; `{}` on a tombstone.
    public var requestParams: String { origin.request.requestParams }
    /// The name of the route that took the request; empty where there are no routes.
    public var route: String { origin.request.route }
    /// The request target at which the upstream can be asked what became of the request; nil
    /// where it cannot be asked, and on a tombstone.
    public var probeTarget: String? { origin.request.probeTarget }
    /// Whether its work goes in stages and is taken up again when its owner is gone.
    public var isResumable: Bool { origin.request.isResumable }
    /// The request as its work needs it to go on without the client; nil when it is not needed.
    public var content: [UInt8]? { origin.request.content }
    /// What the request was, as digests.
    public var fingerprint: Fingerprint { origin.request.fingerprint }

    /// A record as it was stored. For stores.
    package init(
        id: KeyID, request: KeyRequest, createdAt: Timestamp, recoveryPoint: RecoveryPoint,
        lockedAt: Timestamp?, reply: StoredReply?, owner: String, lockToken: LockToken?,
        leaseUntil: Timestamp?, attempts: Int, updatedAt: Timestamp, expiresAt: Timestamp?,
        tombstoneUntil: Timestamp?, revision: Int, stages: [StageRecord] = [],
        pendingStage: String? = nil
    ) {
        progress = StageProgress(stages, pending: pendingStage)
        origin = Origin(id: id, createdAt: createdAt, request: request)
        self.recoveryPoint = recoveryPoint
        self.lockedAt = lockedAt
        self.reply = reply
        self.owner = owner
        self.lockToken = lockToken
        self.leaseUntil = leaseUntil
        self.attempts = attempts
        self.updatedAt = updatedAt
        self.expiresAt = expiresAt
        self.tombstoneUntil = tombstoneUntil
        self.revision = revision
    }
}
