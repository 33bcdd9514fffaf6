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

    /// Forgets all entries up to that position: they were delivered.
    func discard(through position: UInt64) async throws(StoreError)

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
}

/// Which entries of a journal are still needed.
///
/// A journal forgets from its beginning on, so an entry stays as long as one before it is needed.
struct JournalPositions {
    private var needed: Set<UInt64> = []
    private var last: UInt64 = 0
    private var discarded: UInt64 = 0
    /// Appends under way; the positions that they get are not known yet.
    private var appending = 0
    /// Whether the last append failed.
    private(set) var isFailing = false
    /// How many appends failed.
    private(set) var failures = 0
    /// Whether the entries of an earlier process were read.
    var isRead = false

    /// Notes that an append is under way.
    mutating func begin() { appending += 1 }

    /// Notes how it ended: where the entry is, or nil if it failed.
    mutating func end(_ position: UInt64?) {
        appending -= 1
        isFailing = position == nil
        guard let position else {
            failures += 1
            return
        }
        add(position, isNeeded: true)
    }

    /// Notes an entry that is there.
    mutating func add(_ position: UInt64, isNeeded: Bool) {
        last = max(last, position)
        if isNeeded { needed.insert(position) }
    }

    /// Notes that an entry is not needed any more.
    mutating func remove(_ position: UInt64?) {
        if let position { needed.remove(position) }
    }

    /// Up to where nothing is needed; nil if that was discarded already.
    var discardable: UInt64? {
        guard appending == 0 else { return nil }
        let end = needed.min().map { $0 - 1 } ?? last
        return end > discarded ? end : nil
    }

    /// Notes what was discarded.
    mutating func discard(through position: UInt64) { discarded = max(discarded, position) }
}
