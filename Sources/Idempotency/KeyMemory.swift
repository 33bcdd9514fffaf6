private import Synchronization

/// What memory knows of all keys: tables sharded by key hash, each behind its own lock, and the
/// limits that they share.
final class KeyMemory: Sendable {
    private let shards: [Shard]
    private let limits: Limits
    private let tickets = Atomic<UInt64>(0)
    private let claims = Atomic<Int>(0)
    private let waiters = Atomic<Int>(0)
    private let replies = Atomic<Int>(0)
    private let bytes = Atomic<Int>(0)
    private let hand = Atomic<Int>(0)

    /// The bounds of everything that is kept.
    struct Limits {
        var claims: Int
        var waiters: Int
        var replyBytes: Int
    }

    private final class Shard: Sendable {
        let table = Mutex(KeyTable())
    }

    /// What is to be done with a request.
    enum Decision {
        case answer(Admission)
        /// The key is the caller's to claim; it has to `confirm` or to `end` it.
        case claim(ticket: UInt64, id: KeyID)
        /// Too much is in flight.
        case overloaded
    }

    init(limits: Limits) {
        self.limits = limits
        shards = (0..<64).map { _ in Shard() }
    }

    /// Decides from memory, or marks the key as being claimed.
    func enter(
        _ identity: Identity, _ fingerprint: Fingerprint, policy: KeyPolicy, now: Timestamp
    ) -> Decision {
        var freed = 0
        let decision = shard(of: identity).table.withLock { table in
            let encounter = table.meet(identity, fingerprint, now: now, freed: &freed)
            switch encounter {
            case .nothing: return begin(identity, fingerprint, in: &table, now: now)
            case .contested(let id): return .answer(.refuse(.inFlight(id)))
            case .inFlight(let ticket, let id, let isClaimed, let waiting):
                guard let waiter = enroll(identity, ticket, isClaimed ? id : nil, waiting, policy)
                else { return .answer(.refuse(.inFlight(id))) }
                table.enroll(waiter, at: identity, ticket: ticket)
                return .answer(.wait(waiter))
            default: return .answer(Admission(encounter, fingerprint))
            }
        }
        forget(freed)
        return decision
    }

    /// What memory alone can answer without a claim or a wait: a replay, or a refusal.
    func recall(_ identity: Identity, _ fingerprint: Fingerprint, now: Timestamp) -> Admission? {
        var freed = 0
        let encounter = shard(of: identity).table.withLock { table in
            table.meet(identity, fingerprint, now: now, freed: &freed)
        }
        forget(freed)
        switch encounter {
        case .nothing, .inFlight, .contested: return nil
        default: return Admission(encounter, fingerprint)
        }
    }

    /// Notes that a claim is durable, and its lease.
    func confirm(_ identity: Identity, ticket: UInt64, id: KeyID, lease: KeyTable.WorkLease) {
        shard(of: identity).table.withLock {
            $0.confirm(identity, ticket: ticket, id: id, lease: lease)
        }
    }

    /// The work whose lease is to be renewed by now.
    func leasesDue(at now: Timestamp) -> [DueLease] {
        guard claims.load(ordering: .relaxed) > 0 else { return [] }
        return shards.flatMap { shard in shard.table.withLock { $0.leasesDue(at: now) } }
    }

    /// Notes when a lease is to be renewed next; nil for never again.
    ///
    /// - Parameter end: Until when it was renewed; nil if it was not.
    func postpone(_ lease: DueLease, until moment: Timestamp?, end: Timestamp? = nil) {
        shard(of: lease.identity).table.withLock {
            $0.postpone(lease.identity, ticket: lease.ticket, until: moment, end: end)
        }
    }

    /// Until when nobody else may take the record that is worked on; nil when that is over.
    func leaseEnd(_ identity: Identity, ticket: UInt64) -> Timestamp? {
        shard(of: identity).table.withLock { $0.leaseEnd(identity, ticket: ticket) }
    }

    /// Keeps what duplicates are told of a key whose conclusion the store does not have.
    func restore(
        _ identity: Identity, _ fingerprint: Fingerprint, id: KeyID, answer: Admission
    ) {
        shard(of: identity).table.withLock {
            $0.restore(identity, fingerprint, id: id, answer: answer)
        }
    }

    /// Ends work and tells those who waited for it. An answer that would take more than a
    /// quarter of the cache is left to the store.
    func end(
        _ identity: Identity, ticket: UInt64, keeping remains: KeyTable.Remains,
        telling settlement: Settlement
    ) {
        var kept = remains
        if case .answer(let finished) = remains, finished.reply.weight > limits.replyBytes / 4 {
            kept = .nothing
        }
        let ended = shard(of: identity).table.withLock { [kept] table in
            table.end(identity, ticket: ticket, keeping: kept)
        }
        guard let ended else { return }
        claims.subtract(1, ordering: .relaxed)
        remember(ended.weight)
        var told = 0
        for waiter in ended.waiters where waiter.settle(settlement) { told += 1 }
        waiters.subtract(told, ordering: .relaxed)
    }

    /// Replaces an unsaved conclusion by what came of it.
    func settle(_ identity: Identity, id: KeyID, keeping finished: Finished?) {
        let weight = shard(of: identity).table.withLock { table in
            table.settle(identity, id: id, keeping: finished)
        }
        remember(weight)
    }

    /// Whether the key's work goes on in this process.
    func isInFlight(_ identity: Identity) -> Bool {
        shard(of: identity).table.withLock { $0.isInFlight(identity) }
    }

    /// Forgets a cached answer, because the record was changed by other means.
    func forget(_ identity: Identity) {
        forget(shard(of: identity).table.withLock { $0.forget(identity) })
    }

    /// What is kept now.
    func count(into statistics: inout KeyStatistics) {
        statistics.claims = claims.load(ordering: .relaxed)
        statistics.waiters = waiters.load(ordering: .relaxed)
        statistics.cachedReplies = replies.load(ordering: .relaxed)
        statistics.cachedBytes = bytes.load(ordering: .relaxed)
        statistics.hits = shards.reduce(0) { $0 &+ $1.table.withLock { $0.hits } }
    }

    private func shard(of identity: Identity) -> Shard { shards[Int(identity.hash >> 58)] }

    private func begin(
        _ identity: Identity, _ fingerprint: Fingerprint, in table: inout KeyTable, now: Timestamp
    ) -> Decision {
        guard claims.load(ordering: .relaxed) < limits.claims else { return .overloaded }
        claims.add(1, ordering: .relaxed)
        let ticket = tickets.add(1, ordering: .relaxed).newValue
        let id = KeyID(at: now)
        table.begin(identity, fingerprint, ticket: ticket, id: id)
        return .claim(ticket: ticket, id: id)
    }

    private func enroll(
        _ identity: Identity, _ ticket: UInt64, _ id: KeyID?, _ waiting: Int, _ policy: KeyPolicy
    ) -> Waiter? {
        guard waiting < policy.waiters else { return nil }
        guard waiters.load(ordering: .relaxed) < limits.waiters else { return nil }
        waiters.add(1, ordering: .relaxed)
        return Waiter(id: id) { [weak self] in self?.leave(identity, ticket: ticket) }
    }

    private func leave(_ identity: Identity, ticket: UInt64) {
        waiters.subtract(1, ordering: .relaxed)
        shard(of: identity).table.withLock { $0.leave(identity, ticket: ticket) }
    }

    private func forget(_ weight: Int) {
        guard weight > 0 else { return }
        replies.subtract(1, ordering: .relaxed)
        bytes.subtract(weight, ordering: .relaxed)
    }

    private func remember(_ weight: Int) {
        guard weight > 0 else { return }
        replies.add(1, ordering: .relaxed)
        bytes.add(weight, ordering: .relaxed)
        evict()
    }

    /// Drops answers, one shard after the other, until the rest is within its limit. In the second
    /// round no answer is spared any more.
    private func evict() {
        var misses = 0
        while bytes.load(ordering: .relaxed) > limits.replyBytes, misses < 2 * shards.count {
            let next = hand.add(1, ordering: .relaxed).newValue & (shards.count - 1)
            if let weight = shards[next].table.withLock({ $0.evict() }) {
                forget(weight)
                misses = 0
            } else {
                misses += 1
            }
        }
    }
}

extension Refusal {
    /// Work of this process takes as long as it takes; asking again after a second is cheap.
    fileprivate static func inFlight(_ id: KeyID) -> Refusal {
        .inFlight(id: id, recoveryPoint: .started, retryAfter: .seconds(1))
    }
}

extension Admission {
    /// The answer to an encounter that needs no claim and no wait.
    fileprivate init(_ encounter: KeyTable.Encounter, _ fingerprint: Fingerprint) {
        switch encounter {
        case .finished(let finished): self = .replay(finished)
        case .unsaved(let answer): self = answer
        case .reused(let other, let id, let point):
            let differs = fingerprint.differences(from: other)
            self = .refuse(.reused(differs: differs, id: id, recoveryPoint: point))
        case .nothing, .inFlight, .contested:
            preconditionFailure("neither a claim nor a wait is an answer")
        }
    }
}
