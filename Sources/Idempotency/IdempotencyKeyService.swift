internal import Synchronization

/// Decides who executes. Medusa's service, shared by all event loops: memory first, the store
/// second.
///
/// One claim per key is under way at a time in this process; duplicates meet it in memory, where
/// they are compared with it, wait for it, or are refused. What a claim permits is durable before
/// the caller learns of it. A failing store permits nothing.
///
/// No function is cut short by the cancellation of its task.
public final class IdempotencyKeyService: Sendable {
    /// Names and limits.
    public struct Options: Sendable {
        /// What this process is called in the records that it claims.
        public var owner = "oncegate"
        /// Bytes of finished replies that are kept in memory.
        public var replyCacheBytes = 64 << 20
        /// Claims under way; further ones fail as `unavailable`.
        public var claims = 100_000
        /// Waiting requests over all keys; further ones are refused.
        public var waiters = 100_000
        /// Conclusions that are kept while the store does not take them.
        public var unsavedConclusions = 10_000
        /// Their bytes.
        public var unsavedBytes = 256 << 20
        /// Records that one call of `reap` changes at most.
        public var reapBatch = 4096
        /// The policies by which records lapse that nobody asks for, by their routes' names;
        /// others go by the policy that the call gives.
        public var routePolicies: [String: KeyPolicy] = [:]
        /// Is told what an operator may want to know. It must not block.
        public var report: @Sendable (KeyEvent) -> Void = { _ in }

        /// The defaults.
        public init() {}
    }

    /// By which records of each route lapse; at first those of the options.
    let routePolicies: Mutex<[String: KeyPolicy]>
    let store: any IdempotencyStore
    let journal: (any ConclusionJournal)?
    let coding: (any ReplyCoding)?
    let options: Options
    /// The store's clock, by which everything is judged.
    let clock: StoreClock
    let memory: KeyMemory
    let unsaved = Mutex(UnsavedConclusions())
    /// Which entries of the journal are still needed.
    let positions = Mutex(JournalPositions())
    let watch = Mutex(RecordWatch())
    /// The keys whose stages are being worked.
    let working = Mutex(Set<KeyID>())
    /// The tokens of claims that failed in the store or were released while it failed: whatever
    /// it holds under them executed nothing. Lost with the process; then such records are unknown.
    let abandoned = Mutex(AbandonedTokens())

    /// - Parameters:
    ///   - store: Where records are kept.
    ///   - journal: Where conclusions are kept while the store does not take them; without one
    ///     they are lost with the process, and their records become unknown.
    ///   - coding: How replies are written into the journal; nil for as they are.
    ///   - options: Names and limits.
    ///   - now: This process's clock. Records go by the store's, which may be another one.
    public init(
        store: any IdempotencyStore, journal: (any ConclusionJournal)? = nil,
        coding: (any ReplyCoding)? = nil, options: Options = Options(),
        now: @escaping @Sendable () -> Timestamp = { Timestamp.now() }
    ) {
        self.store = store
        self.journal = journal
        self.coding = coding
        self.options = options
        routePolicies = Mutex(options.routePolicies)
        clock = StoreClock(local: now)
        memory = KeyMemory(
            limits: .init(
                claims: options.claims, waiters: options.waiters,
                replyBytes: options.replyCacheBytes))
    }

    /// Decides what is to become of a request: one atomic step.
    ///
    /// A key that memory knows is decided without suspension.
    ///
    /// - Throws: When the store failed. Nothing may be executed then.
    public func initializeRequest(
        _ request: KeyRequest, policy: KeyPolicy
    ) async throws(StoreError) -> Admission {
        switch memory.enter(request.identity, request.fingerprint, policy: policy, now: clock.now)
        {
        case .answer(let admission): return admission
        case .claim(let ticket, let id):
            return try await claim(request, policy: policy, ticket: ticket, id: id)
        case .overloaded:
            throw StoreError(.unavailable, "\(options.claims) requests are in flight already")
        }
    }

    /// What memory alone can answer: a replay or a refusal. Nil: ask `initializeRequest`.
    ///
    /// It spares the caller the making of a ``KeyRequest``.
    public func recall(_ identity: Identity, _ fingerprint: Fingerprint) -> Admission? {
        memory.recall(identity, fingerprint, now: clock.now)
    }

    /// Concludes durably, then tells those who wait.
    ///
    /// - Throws: ``StoreError`` if the store did not take it: the conclusion is in the journal, if
    ///   there is one that works, and stays in memory, where duplicates find it, until
    ///   ``IdempotencyKeyService/retryUnsaved(isLast:)`` has stored it. ``ClaimError`` if the claim is no longer valid: nothing
    ///   was changed.
    public func workStage(
        _ claim: Claim, _ outcome: Outcome, policy: KeyPolicy
    ) async throws -> Settlement {
        let conclusion = UnsavedConclusions.Conclusion(
            claim: claim, outcome: outcome, policy: policy, moment: clock.now)
        do {
            let key = try await save(conclusion)
            let settlement = Settlement(outcome, key)
            end(claim, keeping: key.finished.map { .answer($0) } ?? .nothing, settlement)
            return settlement
        } catch let error as StoreError {
            throw await keep(conclusion, after: error)
        } catch {
            await endLost(claim)
            throw error
        }
    }

    /// Replaces ``Options/routePolicies``. What is claimed already goes by the policy that it was
    /// claimed under.
    package func replaceRoutePolicies(_ policies: [String: KeyPolicy]) {
        routePolicies.withLock { $0 = policies }
    }

    /// Whether claims are likely to succeed, and their conclusions to be kept.
    public var isReady: Bool {
        let unsaved = unsaved.withLock { $0.total }
        guard store.isAvailable, unsaved < options.unsavedConclusions else { return false }
        return unsaved == 0 || positions.withLock { !$0.isFailing }
    }

    /// What is kept now, and what was done so far.
    public var statistics: KeyStatistics {
        var statistics = KeyStatistics(store: store.statistics)
        memory.count(into: &statistics)
        statistics.unsaved = unsaved.withLock { $0.total }
        statistics.journalBytes = journal?.size ?? 0
        statistics.journalFailures = positions.withLock { $0.failures }
        let oldest = watch.withLock { $0.oldestUnknown }
        statistics.oldestUnknown = oldest.map { max(.zero, clock.now - $0) } ?? .zero
        return statistics
    }

    /// Ends a claim that is no longer valid. Those who waited get the answer that somebody else
    /// gave, if there is one.
    private func endLost(_ claim: Claim) async {
        do throws(StoreError) {
            let found = try await look(claim.id).key
            guard let finished = found?.finished else {
                return end(claim, keeping: .nothing, .refused(claim.refusal))
            }
            end(claim, keeping: .answer(finished), .finished(finished))
        } catch {
            end(claim, keeping: .nothing, .failed(error))
        }
    }

    func end(_ claim: Claim, keeping remains: KeyTable.Remains, _ settlement: Settlement) {
        memory.end(
            claim.identity, ticket: claim.ticket, keeping: remains, telling: settlement)
    }
}

/// Numbers about a service, taken at one moment.
public struct KeyStatistics: Sendable {
    /// Claims under way.
    public internal(set) var claims = 0
    /// Requests that wait for the answer of another.
    public internal(set) var waiters = 0
    /// Finished replies in memory.
    public internal(set) var cachedReplies = 0
    /// Their bytes, more or less.
    public internal(set) var cachedBytes = 0
    /// Replays and refusals decided from memory so far.
    public internal(set) var hits = 0
    /// Conclusions that the store has not taken yet.
    public internal(set) var unsaved = 0
    /// Bytes of conclusions in the journal.
    public internal(set) var journalBytes = 0
    /// Conclusions that the journal did not take, so far.
    public internal(set) var journalFailures = 0
    /// The age of the oldest unknown record, as ``IdempotencyKeyService/noteOldestUnknown()`` saw
    /// it last; zero without one.
    public internal(set) var oldestUnknown = Duration.zero
    /// What the store has done.
    public let store: StoreStatistics

    init(store: StoreStatistics) { self.store = store }
}
