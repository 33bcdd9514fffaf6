internal import Synchronization

/// What a stage commits: SQL of its own, and where that leads.
public typealias StageCommit =
    @Sendable (IdempotencyKey, any SQLTransaction) throws -> StageResult

/// One stage of several, named by the recovery point that is reached when it is done; the last one
/// is `finished`.
public struct Stage: Sendable {
    /// The recovery point to which it leads.
    public let name: String
    /// What it does outside of the transaction. It returns what is to be committed.
    public let run: @Sendable (IdempotencyKey) async throws -> StageCommit

    /// A stage that calls others first, and then commits what came of it.
    ///
    /// - Parameters:
    ///   - name: The recovery point that is reached when it is done.
    ///   - run: Is called outside of the transaction, and perhaps again after a crash: what it calls
    ///     must tolerate that, by a key of its own for instance. What it returns is run in the
    ///     transaction.
    public init(
        _ name: String, run: @escaping @Sendable (IdempotencyKey) async throws -> StageCommit
    ) {
        self.name = name
        self.run = run
    }

    /// A stage that has nothing but SQL.
    public init(_ name: String, commit: @escaping StageCommit) {
        self.init(name, run: { _ in commit })
    }
}

/// Stages in their order.
public struct Stages: Sendable {
    /// The stages, the first one first.
    public let stages: [Stage]

    /// Stages in their order.
    ///
    /// - Precondition: There is one, their names are different, and each can be a stage's
    ///   (``RecoveryPoint/init(stage:)``), but for the last one's, which is `finished`.
    public init(_ stages: [Stage]) {
        precondition(stages.last?.name == "finished", "the last stage leads to `finished`")
        precondition(
            stages.dropLast().allSatisfy { RecoveryPoint(stage: $0.name) != nil },
            "a stage has a name that no stage can have")
        precondition(Set(stages.map(\.name)).count == stages.count, "two stages have one name")
        self.stages = stages
    }

    /// Those that are still to be worked.
    ///
    /// - Throws: ``StageError/unknownRecoveryPoint(_:)`` for a point that is none of theirs.
    public func remaining(from point: RecoveryPoint) throws(StageError) -> ArraySlice<Stage> {
        if point == .started { return stages[...] }
        guard case .stage(let name) = point,
            let index = stages.firstIndex(where: { $0.name == name })
        else { throw .unknownRecoveryPoint(point) }
        return stages[(index + 1)...]
    }
}

extension IdempotencyKeyService {
    /// Works a claimed key, stage by stage from its recovery point on, until its answer is stored.
    ///
    /// When a stage throws, the claim is given back, so that the next request goes on from the
    /// recovery point reached so far, and the error is thrown on. So it is when a stage ends with
    /// another stage's point than its own: that one is gone on from.
    ///
    /// - Returns: The answer.
    /// - Throws: What a stage threw; ``StageError`` for stages that do not lead on;
    ///   ``ClaimError/lost`` when the lease was over and somebody else took the key;
    ///   ``StoreError``.
    public func work(
        _ claim: Claim, through stages: Stages, policy: KeyPolicy = KeyPolicy()
    ) async throws -> StoredReply {
        guard working.withLock({ $0.insert(claim.id).inserted }) else {
            throw StageError.nested(claim.id)
        }
        defer { working.withLock { _ = $0.remove(claim.id) } }
        do {
            return try await go(claim, through: stages, policy)
        } catch {
            await giveBack(claim, after: error, policy)
            throw error
        }
    }

    private func go(
        _ claim: Claim, through stages: Stages, _ policy: KeyPolicy
    ) async throws -> StoredReply {
        var claim = claim
        for _ in 0...StageProgress.limit {
            guard let stage = try stages.remaining(from: claim.recoveryPoint).first else { break }
            let commit = try await stage.run(claim.key)
            claim = try await commitStage(claim, policy, commit)
            if claim.recoveryPoint == .finished, let reply = claim.key.reply { return reply }
        }
        throw StageError.unfinished(claim.recoveryPoint)
    }

    /// After a failure nobody is to wait for the lease's end. What the claim itself is over for
    /// needs nothing, and what the store does not take now lapses later.
    private func giveBack(_ claim: Claim, after error: any Error, _ policy: KeyPolicy) async {
        if error is ClaimError {
            return end(claim, keeping: .nothing, .refused(claim.refusal))
        }
        do { try await suspend(claim, policy: policy) } catch {
            options.report(.leftLocked(claim.id))
        }
    }
}
