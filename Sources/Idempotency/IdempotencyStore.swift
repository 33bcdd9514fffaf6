/// Keeps records. It stores; what a record means is decided by its users.
///
/// When a function returns, what it did is as durable as the store promises. When it throws, what
/// it was to do may or may not have been done; nothing else was changed. Any number of calls may
/// be under way at once, each is atomic, and cancelling a task does not cut one short.
public protocol IdempotencyStore: Sendable {
    /// Whether no other process can use the store's data at the same time, so that a record found
    /// locked at start belongs to a dead process.
    var isExclusive: Bool { get }

    /// Adds a record, unless there is one with its identity.
    func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion

    /// The record of an identity.
    func find(_ identity: Identity) async throws(StoreError) -> Lookup

    /// The record of that name.
    func find(_ id: KeyID) async throws(StoreError) -> Lookup

    /// Puts a record in the place of the one with its identity, if that is still at the version
    /// that the caller judged. The new one may bear a new id.
    func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement

    /// Up to `limit` locked records in order of their ids, from the first after `id` on.
    func unfinished(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey]

    /// Up to `limit` unknown records in order of their ids, which is that of their creation, from
    /// the first after `id` on. Those that expired are left out once the reaper has seen them.
    func unknown(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey]

    /// Up to `limit` records in order of their ids, from the first after `id` on, that nobody works
    /// on and whose work can go on without its client (``IdempotencyKey/isSuspended``,
    /// ``IdempotencyKey/content``).
    func suspended(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey]

    /// A part of all records, for people who look for some.
    ///
    /// A call looks at a bounded number of records, so a page may have fewer than were asked for,
    /// or none, and yet say where to go on.
    func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage

    /// Runs statements of the caller's own and changes a record, in one serializable transaction.
    ///
    /// - Parameters:
    ///   - id: The record's name.
    ///   - body: Gets the record of that name, and returns what it is to become; nil leaves it
    ///     alone. It runs synchronously, perhaps on a thread of the store's, perhaps more than
    ///     once, and what it throws undoes all of it and is thrown on.
    func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws

    /// Turns up to `limit` records that expired by the store's clock into tombstones, or removes
    /// them where the tombstone's time is over too.
    ///
    /// - Returns: How many were changed; 0 when nothing is left to do for now. It may be fewer than
    ///   `limit` when more would hold up other calls.
    func remove(limit: Int) async throws(StoreError) -> Int

    /// Removes the last traces of what was overwritten or removed before: nothing of it is on the
    /// store's disk when it returns.
    func scrub() async throws(StoreError)

    /// Whether the last call that could tell found the store working.
    var isAvailable: Bool { get }

    /// What the store has done so far.
    var statistics: StoreStatistics { get }
}

/// What became of an `insert`. `now` is the store's clock.
public enum Insertion: Sendable {
    /// The record is stored.
    case inserted(now: Timestamp)
    /// There was one already; nothing was changed.
    indirect case existing(IdempotencyKey, now: Timestamp)
}

/// What a `find` found. `now` is the store's clock.
public struct Lookup: Sendable {
    /// The record, expired ones included; nil if there is none.
    public let key: IdempotencyKey?
    /// The store's clock.
    public let now: Timestamp

    /// A store's answer.
    public init(key: IdempotencyKey?, now: Timestamp) {
        self.key = key
        self.now = now
    }
}

/// What became of a `replace`. `now` is the store's clock.
public enum Replacement: Sendable {
    /// The record is stored.
    case replaced(now: Timestamp)
    /// Somebody else changed the record: this is what it is now, nil if it is gone.
    indirect case lost(IdempotencyKey?, now: Timestamp)
}

/// A store did not do what it was asked, or nobody knows whether it did.
public struct StoreError: Error, Sendable, Hashable {
    /// What a caller can decide on.
    public enum Reason: String, Sendable, Hashable {
        /// It cannot be reached, or has too much to do already.
        case unavailable
        /// There is no room left.
        case full
        /// What is stored cannot be read, or belongs to something else.
        case corrupt
        /// It can be read, not written.
        case readOnly
        /// Another process holds it.
        case locked
        /// It was written by a newer version.
        case newer
        /// The record is too large for it.
        case tooLarge
        /// The transaction could not be put in order with others (SQLSTATE 40001, 40P01): nothing
        /// was done, and it can be tried again.
        case contended
    }

    /// What a caller can decide on.
    public let reason: Reason
    /// For the log, never for a client: what failed, and what to do about it.
    public let detail: String

    /// A store's failure.
    public init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }
}

extension StoreError: CustomStringConvertible {
    /// Text for logs.
    public var description: String { "store \(reason.rawValue): \(detail)" }
}

/// What a store has done since it was opened.
public struct StoreStatistics: Sendable {
    /// Transactions made durable.
    public var commits = 0
    /// Records written by them.
    public var rows = 0
    /// Records looked up.
    public var reads = 0
    /// Seconds during which the store was at work.
    public var busySeconds = 0.0
    /// Calls that wait for their turn.
    public var queued = 0
    /// Calls that failed.
    public var failures = 0
    /// The last failure, for the log and the admin page.
    public var lastError: StoreError?

    /// Nothing yet.
    public init() {}
}
