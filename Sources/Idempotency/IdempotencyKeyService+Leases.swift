internal import Synchronization

// Leases: renewed while their owner works, and taken from those who do not.

extension IdempotencyKeyService {
    /// How long the lease of a new claim is, and when it is first to be renewed: after a third of
    /// it. One whose times turn out not to be the store's is to be renewed at once.
    func workLease(of claim: Claim, _ duration: Duration) -> KeyTable.WorkLease {
        let now = clock.now
        let claimedAt = claim.key.lockedAt ?? now
        let isAstray = claimedAt > now + duration / 3 || claimedAt + duration / 3 < now
        return KeyTable.WorkLease(
            token: claim.lockToken, duration: duration,
            renewAt: isAstray ? now : claimedAt + duration / 3,
            end: (claim.key.leaseUntil ?? claimedAt + duration))
    }

    /// Whether other processes may take over what this one works on too slowly.
    public var isShared: Bool { !store.isExclusive }

    /// Whether nobody else can have taken a claim's record yet: nobody can use the store beside
    /// this process, or the claim's lease goes on.
    ///
    /// To be asked right before something is done that a second owner might do too.
    public func isHeld(_ claim: Claim) -> Bool {
        if store.isExclusive { return true }
        guard let end = memory.leaseEnd(claim.identity, ticket: claim.ticket) else { return false }
        return clock.now < end
    }

    /// Renews the leases of work that goes on in this process, once a third of them is over.
    ///
    /// To be called by one loop, several times in a third of the shortest lease. Work whose record
    /// was taken for unknown meanwhile, or was claimed by somebody else, goes on without a lease:
    /// its conclusion shows whether it still counts.
    ///
    /// - Returns: How many were renewed.
    @discardableResult
    public func renewLeases() async -> Int {
        var rest = memory.leasesDue(at: clock.now)[...]
        var count = 0
        while !rest.isEmpty {
            count += await withTaskGroup(of: Bool.self) { group in
                for lease in rest.prefix(256) { group.addTask { await self.renew(lease) } }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            rest = rest.dropFirst(256)
        }
        return count
    }

    private func renew(_ lease: DueLease) async -> Bool {
        do throws(StoreError) {
            let lookup = try await look(lease.id)
            guard let key = lookup.key, key.lockToken == lease.token, key.isLocked else {
                memory.postpone(lease, until: nil)
                return false
            }
            var next = key
            do throws(ClaimError) {
                try next.renew(
                    at: key.recoveryPoint, token: lease.token, lease: lease.duration,
                    now: lookup.now)
            } catch {
                memory.postpone(lease, until: nil)
                return false
            }
            guard case .replaced(let now) = try await replace(next, expecting: key.version) else {
                return false
            }
            memory.postpone(
                lease, until: now + lease.duration / 3, end: now + lease.duration)
            return true
        } catch {
            memory.postpone(lease, until: clock.now + lease.duration / 12)
            return false
        }
    }
}

/// What the background has seen of the store's records.
struct RecordWatch {
    /// When the oldest unknown record was made.
    var oldestUnknown: Timestamp?
    /// Up to where locked records were looked at in this round.
    var lapsedThrough: KeyID?
}

extension IdempotencyKeyService {
    /// At start: stores the conclusions that an earlier process left in the journal; then what a
    /// dead process left locked becomes unknown. With a store that others use too, only what is
    /// past its lease.
    ///
    /// - Throws: When the store failed. What the journal held answers duplicates all the same, and
    ///   is tried again by ``IdempotencyKeyService/retryUnsaved(isLast:)``.
    public func recover(policy: KeyPolicy = KeyPolicy()) async throws(StoreError) {
        try await readJournal()
        await retryUnsaved()
        try await setClock()
        var last: KeyID?
        while true {
            let locked = try await store.unfinished(after: last, limit: Self.page)
            guard let end = locked.last?.id else { return }
            let dead = locked.filter { store.isExclusive || $0.isLapsed(at: clock.now) }
            _ = try await lapse(dead, policy, isDead: store.isExclusive)
            last = end
        }
    }

    /// Has records become unknown whose lease is over, whoever held it: other processes, and
    /// callers who made or locked a record by hand and did not come back.
    ///
    /// To be called every few seconds by one loop. It looks at some hundred locked records and
    /// goes on with the next ones in the next call.
    ///
    /// - Returns: How many became unknown, or were suspended.
    @discardableResult
    public func lapseOverdue(policy: KeyPolicy = KeyPolicy()) async throws(StoreError) -> Int {
        try await setClock()
        let after = watch.withLock { $0.lapsedThrough }
        let locked = try await store.unfinished(after: after, limit: Self.page)
        watch.withLock { $0.lapsedThrough = locked.count < Self.page ? nil : locked.last?.id }
        return try await lapse(
            locked.filter { $0.isLapsed(at: clock.now) }, policy, isDead: false)
    }

    private static let page = 512

    /// Lapses a page of records, all at once so that the store can commit them together.
    ///
    /// - Parameter isDead: Whether their owners are known to be gone, so that no lease counts.
    private func lapse(
        _ keys: [IdempotencyKey], _ policy: KeyPolicy, isDead: Bool
    ) async throws(StoreError) -> Int {
        // What is known to be concluded does not lapse: the token that is to deliver it may go.
        let concluded = unsaved.withLock { $0.ids }
        let policies = routePolicies.withLock { $0 }
        let (count, failure) = await withTaskGroup(of: Result<Bool, StoreError>.self) { group in
            for key in keys where !memory.isInFlight(key.identity) && !concluded.contains(key.id) {
                let policy = policies[key.route] ?? policy
                group.addTask { await self.lapse(key, policy, isDead: isDead) }
            }
            return await group.reduce((0, nil as StoreError?)) { sum, result in
                switch result {
                case .success(let hasLapsed): (sum.0 + (hasLapsed ? 1 : 0), sum.1)
                case .failure(let error): (sum.0, sum.1 ?? error)
                }
            }
        }
        if let failure { throw failure }
        return count
    }

    /// Lapses one record, by the clock that the store shows now.
    private func lapse(
        _ key: IdempotencyKey, _ policy: KeyPolicy, isDead: Bool
    ) async -> Result<Bool, StoreError> {
        do throws(StoreError) {
            var key = key
            var moment = clock.now
            if !isDead {
                let lookup = try await look(key.id)
                guard let current = lookup.key, current.isLapsed(at: lookup.now),
                    !memory.isInFlight(current.identity)
                else { return .success(false) }
                key = current
                moment = lookup.now
            }
            let version = key.version
            key.lapse(retention: policy.whileUnknown, now: moment)
            guard case .replaced = try await replace(key, expecting: version) else {
                return .success(false)
            }
            options.report(key.isSuspended ? .suspended(key.id) : .lapsed(key.id))
            return .success(true)
        } catch {
            return .failure(error)
        }
    }

    /// Looks for the oldest unknown record, for the statistics. To be called every few seconds.
    public func noteOldestUnknown() async throws(StoreError) {
        let oldest = try await store.unknown(after: nil, limit: 1).first
        watch.withLock { $0.oldestUnknown = oldest?.createdAt }
    }
}
