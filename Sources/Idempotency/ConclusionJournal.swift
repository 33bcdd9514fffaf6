/// Keeps, on the gateway's own disk, conclusions that the store did not take.
///
/// What is written stays until it is discarded, over restarts and losses of power. What an entry
/// says is the service's business.
public protocol ConclusionJournal: Sendable {
    /// Everything that was appended and not discarded, in order. Asked once, at start.
    func entries() async throws(StoreError) -> [(position: UInt64, bytes: [UInt8])]

    /// Adds an entry; durable when it returns. Its position is greater than all earlier ones.
    ///
    /// - Throws: When it was not added, `full` where its limit is reached.
    func append(_ entry: [UInt8]) async throws(StoreError) -> UInt64

    /// Forgets the entries at these positions: they were delivered. Positions at which there is
    /// nothing any more do not matter.
    ///
    /// - Parameters:
    ///   - positions: As `append` or `entries` gave them.
    ///   - isErasing: Whether nothing of what was ever discarded may be on the disk when it
    ///     returns; otherwise some of it may stay there for a while.
    func discard(_ positions: Set<UInt64>, isErasing: Bool) async throws(StoreError)

    /// Bytes that it holds now.
    var size: Int { get }
}

/// Something about conclusions and leases that an operator may want to know.
public enum KeyEvent: Sendable {
    /// A conclusion reached the store that it had not taken at first.
    case delivered(KeyID)
    /// A conclusion that the store had not taken came too late: the record is held under another
    /// token, is finished, or is gone. Nothing was changed.
    case dropped(KeyID, ClaimError)
    /// A conclusion that neither store nor journal took, and that memory had no room for: its
    /// record becomes unknown.
    case forgotten(KeyID)
    /// The journal did not take a conclusion; it is in memory alone.
    case journalFailed(KeyID, StoreError)
    /// What was delivered could not be taken out of the journal; that is tried again.
    case discardFailed(StoreError)
    /// An entry of the journal cannot be read. It is kept where another version, or a key that is
    /// not there, may read it.
    case unreadable(position: UInt64, isKept: Bool, StoreError)
    /// A record became unknown because its lease was over.
    case lapsed(KeyID)
    /// A claim could not be given back after a stage failed; its lease ends by itself.
    case leftLocked(KeyID)
    /// A record's lease was over; its work goes on at its recovery point.
    case suspended(KeyID)
}

/// Which entries of a journal are no longer needed.
struct JournalPositions {
    /// Where the entries are that were delivered, or are worth nothing, and not discarded yet.
    private(set) var spent: Set<UInt64> = []
    /// Whether the last append failed.
    private(set) var isFailing = false
    /// How many appends failed.
    private(set) var failures = 0
    /// Whether the entries of an earlier process were read.
    var isRead = false

    /// Notes how an append ended.
    mutating func note(failed: Bool) {
        isFailing = failed
        if failed { failures += 1 }
    }

    /// Notes that an entry is not needed any more.
    mutating func remove(_ position: UInt64?) {
        if let position { spent.insert(position) }
    }

    /// Notes what was discarded.
    mutating func discard(_ positions: Set<UInt64>) { spent.subtract(positions) }
}
