internal import Synchronization

/// What a stage ends with.
public enum StageResult: Sendable {
    /// A recovery point is reached; the stage's own answer, if it is to be recorded.
    case reached(String, reply: StoredReply? = nil)
    /// All is done: the answer is stored and replayed from now on.
    case finished(StoredReply)

    /// All is done, with a JSON answer.
    ///
    /// - Parameters:
    ///   - responseCode: The status code.
    ///   - json: The document's text, which is taken as it is.
    public static func finished(_ responseCode: UInt16, json: String) -> StageResult {
        .finished(StoredReply(responseCode, json: json))
    }
}

extension IdempotencyKeyService {
    /// Works one stage in a serializable transaction of the store's: what `body` does with its SQL,
    /// and the recovery point that it returns, are committed together or not at all.
    ///
    /// `body` gets the record as it is in the transaction. It is called on the store's own thread,
    /// while others wait: a transaction calls nobody and waits for nothing. Where the store could
    /// not put the transaction in order with others, `body` is called again, at most eight times in
    /// all, with pauses that grow from a few milliseconds to a quarter of a second.
    ///
    /// The claim's lease is renewed by each stage.
    ///
    /// - Returns: The claim with the record as it is now. Once it is `finished`, the claim is over:
    ///   the answer is in it.
    /// - Throws: What `body` threw: nothing was changed, the claim goes on. ``ClaimError/finished``
    ///   or ``ClaimError/lost`` where the claim is no longer valid; ``StageError``;
    ///   ``StoreError``: nothing was changed, as far as the store could tell.
    public func workStage(
        _ claim: Claim, policy: KeyPolicy = KeyPolicy(),
        _ body: @escaping @Sendable (IdempotencyKey, any SQLTransaction) throws -> StageResult
    ) async throws -> Claim {
        guard working.withLock({ $0.insert(claim.id).inserted }) else {
            throw StageError.nested(claim.id)
        }
        defer { working.withLock { _ = $0.remove(claim.id) } }
        return try await commitStage(claim, policy, body)
    }

    func commitStage(
        _ claim: Claim, _ policy: KeyPolicy,
        _ body: @escaping @Sendable (IdempotencyKey, any SQLTransaction) throws -> StageResult
    ) async throws -> Claim {
        let token = claim.lockToken
        let last = LastState()
        let work = { @Sendable (lookup: Lookup, sql: any SQLTransaction) throws in
            guard var key = lookup.key else { throw ClaimError.lost }
            try key.expect(token)
            guard key.isLocked else { throw ClaimError.lost }
            try key.apply(try body(key, sql), token: token, policy, now: lookup.now)
            last.key.withLock { $0 = key }
            return key as IdempotencyKey?
        }
        do {
            try await transact(claim.id, work)
        } catch let error as StoreError {
            // It may have been committed all the same.
            guard let key = last.key.withLock({ $0 }),
                let stored = try? await look(claim.id).key, stored.isSame(as: key)
            else { throw error }
        }
        guard let key = last.key.withLock({ $0 }) else {
            preconditionFailure("a stage that was committed was run")
        }
        return note(key, claim)
    }

    /// A transaction that is tried again while the store cannot put it in order with others.
    private func transact(
        _ id: KeyID,
        _ work: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws {
        var pause = Duration.milliseconds(2)
        for _ in 1..<Self.contention {
            do {
                return try await store.transact(id, work)
            } catch let error as StoreError where error.reason == .contended {
                let jitter = Double(randomWord() >> 11) / Double(1 << 53)
                try? await Task.sleep(for: pause * (0.5 + jitter))
                pause = min(pause * 2, .milliseconds(250))
            }
        }
        try await store.transact(id, work)
    }

    /// Lets memory know what a stage did.
    private func note(_ key: IdempotencyKey, _ claim: Claim) -> Claim {
        if let finished = key.finished {
            end(claim, keeping: .answer(finished), .finished(finished))
        }
        return Claim(key, claim.lockToken, claim.ticket)
    }

    /// Gives a claim back: nobody works on the record until somebody claims it again, at the
    /// recovery point that it has reached.
    ///
    /// - Throws: ``ClaimError`` if the claim is no longer valid, or ``StoreError``.
    public func suspend(_ claim: Claim, policy: KeyPolicy = KeyPolicy()) async throws {
        _ = try await workStage(claim, .suspended(reached: nil), policy: policy)
    }
}

/// The record as the last run of a stage left it.
private final class LastState: Sendable {
    let key = Mutex<IdempotencyKey?>(nil)
}

extension IdempotencyKey {
    /// Applies what a stage ended with.
    fileprivate mutating func apply(
        _ result: StageResult, token: LockToken, _ policy: KeyPolicy, now: Timestamp
    ) throws {
        switch result {
        case .reached(let name, let reply):
            guard RecoveryPoint(stage: name) != nil else {
                throw StageError.invalidRecoveryPoint(name)
            }
            try advance(to: name, reply: reply, token: token, lease: policy.lease, now: now)
        case .finished(let reply):
            let outcome = Outcome.finished(reply, retention: policy.retention)
            try conclude(outcome, token: token, policy: policy, now: now)
        }
    }
}
