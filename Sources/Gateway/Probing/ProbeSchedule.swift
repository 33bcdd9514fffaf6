import Idempotency

/// When each unknown record is asked for, and what the answers amount to. No I/O.
///
/// Times are nanoseconds of a monotonic clock. Nothing of it outlives the process: a new one asks
/// anew, and only negatives that it got itself count.
struct ProbeSchedule {
    /// What an upstream said of a request.
    enum Finding {
        /// It was executed.
        case executed
        /// The upstream does not know it.
        case absent
        /// Neither: an error, or no answer.
        case inconclusive
    }

    /// What a finding amounts to.
    enum Ruling {
        /// The record is finished.
        case finish
        /// The record is free: twice, far enough apart, the upstream did not know the request.
        case release
        /// It stays unknown.
        case hold
        /// It stays unknown, and nobody asks any more but clients.
        case giveUp
    }

    private struct Progress {
        /// Which claim's outcome nobody knows: what was said of an earlier one does not count.
        let claim: Int
        /// The least time between counted negatives, and from the record's discovery to the first.
        let spacing: UInt64
        /// From when on a negative counts.
        var countsFrom: UInt64
        var hasNegative = false
        var attempts = 0
        let attemptLimit: Int
        var lastBegan: UInt64?
        /// When it is to be asked for next; nil when nobody asks any more on their own.
        var due: UInt64?
        var isUnderWay = false
    }

    private var records: [KeyID: Progress] = [:]
    private var random: UInt64

    /// The most records that are followed at a time; others wait for their turn.
    static let limit = 10_000
    /// The least time between two probes of a record, whoever wants them.
    static let pause: UInt64 = 1_000_000_000
    private static let longestPause: UInt64 = 3600 * 1_000_000_000

    /// - Parameter seed: For the jitter.
    init(seed: UInt64) { random = seed | 1 }

    /// Whether no further record can be followed.
    var isFull: Bool { records.count >= Self.limit }
    /// How many records are followed.
    var count: Int { records.count }

    /// Notes an unknown record; one that is known already, by the same claim, stays as it is. False
    /// if there is no room.
    @discardableResult
    mutating func discover(
        _ id: KeyID, claim: Int, spacing: Duration, attempts: Int, now: UInt64
    ) -> Bool {
        let known = records[id]
        guard known?.claim != claim else { return true }
        guard known != nil || !isFull else { return false }
        let spacing = max(spacing.nanoseconds, Self.pause)
        records[id] = Progress(
            claim: claim, spacing: spacing, countsFrom: now + spacing, attemptLimit: attempts,
            due: now + spacing)
        return true
    }

    /// Takes up to `limit` records whose time has come; each is to be ended.
    mutating func takeDue(now: UInt64, limit: Int) -> [KeyID] {
        var due: [KeyID] = []
        for (id, progress) in records where due.count < limit {
            if !progress.isUnderWay, let moment = progress.due, moment <= now { due.append(id) }
        }
        due.sort()
        for id in due { take(id, now: now) }
        return due
    }

    /// Takes a record at a client's wish, unless it is asked for now or was a moment ago.
    mutating func take(atWishOfClient id: KeyID, now: UInt64) -> Bool {
        guard let progress = records[id], !progress.isUnderWay else { return false }
        if let last = progress.lastBegan, now < last + Self.pause { return false }
        take(id, now: now)
        return true
    }

    private mutating func take(_ id: KeyID, now: UInt64) {
        records[id]?.isUnderWay = true
        records[id]?.lastBegan = now
        records[id]?.attempts += 1
    }

    /// Ends a probe that was about the outcome of a claim.
    mutating func end(_ id: KeyID, claim: Int, _ finding: Finding, now: UInt64) -> Ruling {
        guard var progress = records[id], progress.claim == claim else { return .hold }
        progress.isUnderWay = false
        switch finding {
        case .executed:
            records[id] = nil
            return .finish
        case .absent where now >= progress.countsFrom:
            guard !progress.hasNegative else {
                records[id] = nil
                return .release
            }
            progress.hasNegative = true
            progress.countsFrom = now + progress.spacing
            progress.due = progress.countsFrom
        case .absent, .inconclusive:
            let pause = pause(after: progress)
            progress.due = max(now + pause, progress.countsFrom)
        }
        let isOver = progress.attempts >= progress.attemptLimit
        if isOver { progress.due = nil }
        let gaveUp = isOver && progress.attempts == progress.attemptLimit
        records[id] = progress
        return gaveUp ? .giveUp : .hold
    }

    /// Which claim of a record is followed; nil for none.
    func claim(of id: KeyID) -> Int? { records[id]?.claim }

    /// Forgets a record that is not unknown any more.
    mutating func forget(_ id: KeyID) { records[id] = nil }

    /// The spacing, doubled after each try, up to an hour, and up to a quarter longer by chance.
    private mutating func pause(after progress: Progress) -> UInt64 {
        let doublings = UInt64(min(progress.attempts - 1, 20))
        let (product, isTooLong) = progress.spacing.multipliedReportingOverflow(by: 1 << doublings)
        let pause = isTooLong ? Self.longestPause : min(product, Self.longestPause)
        let longer = max(pause, progress.spacing)
        return longer + nextRandom() % (longer / 4 + 1)
    }

    /// Xorshift: nobody has to be kept from guessing it.
    private mutating func nextRandom() -> UInt64 {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        return random
    }
}

extension Duration {
    /// Whole nanoseconds; negative ones count as none.
    fileprivate var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(seconds) &* 1_000_000_000 &+ UInt64(attoseconds / 1_000_000_000)
    }
}
