/// One stage of a key's work that is done.
public struct StageRecord: Sendable, Equatable {
    /// The point that was reached by it; a stage's name.
    public let recoveryPoint: String
    /// The stage's own answer; nil if it had none, or was recorded without.
    public let reply: StoredReply?
    /// When it was recorded, by the store's clock.
    public let reachedAt: Timestamp

    /// A stage from its parts.
    public init(recoveryPoint: String, reply: StoredReply?, reachedAt: Timestamp) {
        self.recoveryPoint = recoveryPoint
        self.reply = reply
        self.reachedAt = reachedAt
    }

    /// The same stage with another answer.
    func replying(_ reply: StoredReply?) -> StageRecord {
        StageRecord(recoveryPoint: recoveryPoint, reply: reply, reachedAt: reachedAt)
    }
}

/// How far work in stages has come. Shared by all copies of a record; ordinary records have none.
final class StageProgress: Sendable {
    let stages: [StageRecord]
    let pending: String?

    /// Nil where there is nothing to be said.
    init?(_ stages: [StageRecord], pending: String?) {
        guard !stages.isEmpty || pending != nil else { return nil }
        self.stages = stages
        self.pending = pending
    }

    /// The most stages of one record.
    static let limit = 128
}

extension IdempotencyKey {
    /// The stages that are done, in their order; they stay until the record expires.
    public var stages: [StageRecord] { progress?.stages ?? [] }

    /// The stage whose call may be on its way; durable before anything is sent. In an unknown
    /// record it says which stage's outcome nobody knows.
    public var pendingStage: String? { progress?.pending }

    /// Where the work goes on from: the last stage that is done, or the start.
    public var resumptionPoint: RecoveryPoint {
        if case .stage = recoveryPoint { return recoveryPoint }
        return stages.last.map { .stage($0.recoveryPoint) } ?? .started
    }

    /// Whether nobody works on it and its work is to go on at its recovery point.
    public var isSuspended: Bool {
        guard isResumable, !isLocked else { return false }
        switch recoveryPoint {
        case .started, .stage: return true
        case .finished, .unknown: return false
        }
    }

    /// Sets what is done and what is under way.
    mutating func setProgress(_ stages: [StageRecord], pending: String? = nil) {
        progress = StageProgress(stages, pending: pending)
    }

    /// Notes that a stage is done; one that is noted twice in a row is the same one.
    mutating func reach(_ record: StageRecord) throws(ClaimError) {
        var done = stages
        if done.last?.recoveryPoint != record.recoveryPoint {
            guard done.count < StageProgress.limit else { throw .tooManyStages }
            done.append(record)
        }
        setProgress(done)
        recoveryPoint = .stage(record.recoveryPoint)
    }
}
