/// What memory knows of the keys of one shard: those in flight here, those whose conclusion the
/// store has not taken yet, and answers that are likely to be asked for again.
///
/// No I/O and no locks. Cached answers are dropped in the manner of CLOCK: the hand spares an
/// answer once for having been replayed since it last came by.
struct KeyTable {
    private var positions: [Identity: Int] = [:]
    private var slots: [Slot] = []
    private var vacant: [Int] = []
    private var hand = 0
    /// Where work is in flight, in no order.
    private var inFlight: [Int] = []
    /// Replays and refusals that were decided here.
    private(set) var hits = 0

    /// What a request meets.
    enum Encounter {
        /// Nothing is known: the caller may claim.
        case nothing
        case finished(Finished)
        case unsaved(Admission)
        case reused(Fingerprint, id: KeyID, recoveryPoint: RecoveryPoint)
        /// The claim of another request is on its way: which of the two the key belongs to is not
        /// known before the store has answered.
        case contested(id: KeyID)
        /// In flight; `waiting` live waiters are enrolled.
        case inFlight(ticket: UInt64, id: KeyID, isClaimed: Bool, waiting: Int)
    }

    /// Work that goes on in this process.
    struct Work {
        /// Tells this stay in the table from earlier and later ones of the same key.
        let ticket: UInt64
        var id: KeyID
        /// Whether the claim is durable; before that the id is only proposed.
        var isClaimed = false
        var waiters: [Waiter] = []
        /// How many of the waiters gave up.
        var departed = 0
        /// Its place among those in flight.
        fileprivate var place = 0
        /// Whether the record was changed by other means, so that no answer is to be cached.
        fileprivate var isOverruled = false
        /// The token under which the claim is durable, and how long its lease is.
        fileprivate var lease: WorkLease?

        mutating func enroll(_ waiter: Waiter) {
            if departed > 16, departed * 2 > waiters.count {
                waiters.removeAll { $0.isSettled }
                departed = 0
            }
            waiters.append(waiter)
        }
    }

    private enum State {
        case vacant
        case inFlight(Work)
        case finished(Finished)
        case unsaved(Admission, id: KeyID)
    }

    /// The lease of work in flight.
    struct WorkLease {
        let token: LockToken
        let duration: Duration
        /// When it is to be renewed; nil for never again, because it is lost.
        var renewAt: Timestamp?
        /// Until when nobody else may take the record.
        var end: Timestamp
    }

    private struct Slot {
        var identity: Identity
        var fingerprint: Fingerprint
        var state: State
        var wasReplayed = false

        /// The bytes that a cached answer keeps in memory, more or less.
        var weight: Int {
            guard case .finished(let finished) = state else { return 0 }
            return 320 + identity.encoded.count + fingerprint.encoded.count + finished.reply.weight
        }
    }

    /// Meets a request with what is known. An expired answer is forgotten on the way;
    /// `freed` grows by its weight.
    mutating func meet(
        _ identity: Identity, _ fingerprint: Fingerprint, now: Timestamp, freed: inout Int
    ) -> Encounter {
        guard let position = positions[identity] else { return .nothing }
        switch slots[position].state {
        case .vacant: preconditionFailure("a key's position is never vacant")
        case .finished(let finished):
            guard now < finished.expiresAt else {
                freed += vacate(position)
                return .nothing
            }
            slots[position].wasReplayed = true
            hits &+= 1
            guard slots[position].fingerprint == fingerprint else {
                return .reused(
                    slots[position].fingerprint, id: finished.id, recoveryPoint: .finished)
            }
            return .finished(finished)
        case .unsaved(let answer, let id):
            hits &+= 1
            guard slots[position].fingerprint == fingerprint else {
                return .reused(slots[position].fingerprint, id: id, recoveryPoint: .unknown)
            }
            return .unsaved(answer)
        case .inFlight(let work):
            guard slots[position].fingerprint == fingerprint else {
                guard work.isClaimed else { return .contested(id: work.id) }
                return .reused(
                    slots[position].fingerprint, id: work.id, recoveryPoint: .started)
            }
            return .inFlight(
                ticket: work.ticket, id: work.id, isClaimed: work.isClaimed,
                waiting: work.waiters.count - work.departed)
        }
    }

    /// Notes that a claim is on its way; the key must not be known.
    mutating func begin(
        _ identity: Identity, _ fingerprint: Fingerprint, ticket: UInt64, id: KeyID
    ) {
        var work = Work(ticket: ticket, id: id)
        work.place = inFlight.count
        let position = place(
            Slot(identity: identity, fingerprint: fingerprint, state: .inFlight(work)))
        inFlight.append(position)
    }

    /// Keeps what duplicates are told of a key whose conclusion the store does not have; nothing
    /// happens where the key is known.
    mutating func restore(
        _ identity: Identity, _ fingerprint: Fingerprint, id: KeyID, answer: Admission
    ) {
        guard positions[identity] == nil else { return }
        _ = place(
            Slot(identity: identity, fingerprint: fingerprint, state: .unsaved(answer, id: id)))
    }

    private mutating func place(_ slot: Slot) -> Int {
        let position: Int
        if let reused = vacant.popLast() {
            position = reused
            slots[position] = slot
        } else {
            position = slots.count
            slots.append(slot)
        }
        positions[slot.identity] = position
        return position
    }

    /// Notes that a claim is durable, and its lease.
    mutating func confirm(_ identity: Identity, ticket: UInt64, id: KeyID, lease: WorkLease) {
        change(identity, ticket: ticket) { work in
            work.id = id
            work.isClaimed = true
            work.lease = lease
        }
    }

    /// The work whose lease is to be renewed by now.
    func leasesDue(at now: Timestamp) -> [DueLease] {
        inFlight.compactMap { position in
            guard
                case .inFlight(let work) = slots[position].state, let lease = work.lease,
                let renewAt = lease.renewAt, renewAt <= now
            else { return nil }
            return DueLease(
                identity: slots[position].identity, ticket: work.ticket, id: work.id,
                token: lease.token, duration: lease.duration)
        }
    }

    /// Notes when a lease is to be renewed next; nil for never again.
    ///
    /// - Parameter end: Until when it was renewed; nil if it was not.
    mutating func postpone(
        _ identity: Identity, ticket: UInt64, until moment: Timestamp?, end: Timestamp?
    ) {
        change(identity, ticket: ticket) { work in
            work.lease?.renewAt = moment
            if let end { work.lease?.end = end }
        }
    }

    /// Until when nobody else may take the record that is worked on; nil when that is over.
    func leaseEnd(_ identity: Identity, ticket: UInt64) -> Timestamp? {
        guard let position = positions[identity],
            case .inFlight(let work) = slots[position].state, work.ticket == ticket
        else { return nil }
        return work.lease?.end
    }

    /// Enrolls a waiter with work that was just met.
    mutating func enroll(_ waiter: Waiter, at identity: Identity, ticket: UInt64) {
        change(identity, ticket: ticket) { $0.enroll(waiter) }
    }

    /// Notes that a waiter gave up.
    mutating func leave(_ identity: Identity, ticket: UInt64) {
        change(identity, ticket: ticket) { $0.departed += 1 }
    }

    /// Ends work: keeps what is to be kept in its place, and gives the waiters out.
    ///
    /// - Returns: Nil if this stay of the key is over already; `weight` is that of a cached answer.
    mutating func end(
        _ identity: Identity, ticket: UInt64, keeping remains: Remains
    ) -> (waiters: [Waiter], weight: Int)? {
        guard
            let position = positions[identity],
            case .inFlight(let work) = slots[position].state, work.ticket == ticket
        else { return nil }
        leave(work.place)
        switch remains {
        case .answer(let finished) where !work.isOverruled:
            slots[position].state = .finished(finished)
        case .nothing, .answer: vacate(position)
        case .unsaved(let answer): slots[position].state = .unsaved(answer, id: work.id)
        }
        return (work.waiters, slots[position].weight)
    }

    /// Takes work out of those in flight: the last one gets its place.
    private mutating func leave(_ place: Int) {
        let moved = inFlight.removeLast()
        guard place < inFlight.count else { return }
        inFlight[place] = moved
        guard case .inFlight(var work) = slots[moved].state else {
            preconditionFailure("what is in flight is known to be")
        }
        slots[moved].state = .vacant
        work.place = place
        slots[moved].state = .inFlight(work)
    }

    /// What stays in memory when work ends.
    enum Remains {
        case nothing
        /// An answer that the store has.
        case answer(Finished)
        /// What duplicates are told while the store does not have the conclusion.
        case unsaved(Admission)
    }

    /// Replaces an unsaved conclusion by what came of it; the cached answer's weight.
    mutating func settle(_ identity: Identity, id: KeyID, keeping finished: Finished?) -> Int {
        guard
            let position = positions[identity],
            case .unsaved(_, let unsaved) = slots[position].state, unsaved == id
        else { return 0 }
        guard let finished else { return vacate(position) }
        slots[position].state = .finished(finished)
        return slots[position].weight
    }

    /// Whether the key's work goes on in this process.
    func isInFlight(_ identity: Identity) -> Bool {
        guard let position = positions[identity] else { return false }
        if case .inFlight = slots[position].state { return true }
        return false
    }

    /// Forgets a cached answer, because the record was changed by other means; its weight. Work
    /// in flight goes on, and leaves no answer behind.
    mutating func forget(_ identity: Identity) -> Int {
        guard let position = positions[identity] else { return 0 }
        switch slots[position].state {
        case .finished: return vacate(position)
        case .inFlight(let work): change(identity, ticket: work.ticket) { $0.isOverruled = true }
        case .vacant, .unsaved: break
        }
        return 0
    }

    /// Drops one cached answer that was not replayed since the hand last came by; its weight, nil
    /// if there was none all the way round.
    mutating func evict() -> Int? {
        for _ in slots.indices {
            hand = hand + 1 < slots.count ? hand + 1 : 0
            guard case .finished = slots[hand].state else { continue }
            guard !slots[hand].wasReplayed else {
                slots[hand].wasReplayed = false
                continue
            }
            return vacate(hand)
        }
        return nil
    }

    /// Changes work in place; the slot lets go of it meanwhile, so that nothing is copied.
    private mutating func change(
        _ identity: Identity, ticket: UInt64, _ body: (inout Work) -> Void
    ) {
        guard
            let position = positions[identity],
            case .inFlight(var work) = slots[position].state, work.ticket == ticket
        else { return }
        slots[position].state = .vacant
        body(&work)
        slots[position].state = .inFlight(work)
    }

    /// Empties a slot; the weight of the answer in it.
    @discardableResult
    private mutating func vacate(_ position: Int) -> Int {
        let weight = slots[position].weight
        positions[slots[position].identity] = nil
        slots[position] = .init(
            identity: Self.nobody, fingerprint: Self.noFingerprint, state: .vacant)
        vacant.append(position)
        return weight
    }

    private static let nobody = Identity(scope: [], idempotencyKey: "")
    private static let noFingerprint = Fingerprint()
}

/// Work in flight whose lease is to be renewed.
struct DueLease {
    let identity: Identity
    let ticket: UInt64
    let id: KeyID
    let token: LockToken
    let duration: Duration
}
