public import Idempotency
private import Synchronization

/// Records in one SQLite file, which belongs to one process.
///
/// A thread of its own takes everything that queued up while the last commit went to the disk and
/// commits it as one transaction, so many callers share one `fsync`. A call that failed before it
/// changed anything fails alone; after any other failure nothing of the transaction is done, and
/// each of its callers gets the error.
public final class SQLiteStore: IdempotencyStore {
    /// What a returned call survives.
    public enum Durability: String, Sendable {
        /// Loss of power.
        case full = "FULL"
        /// The death of the process. After a loss of power the last commits may be missing: keys
        /// are then executed again.
        case normal = "NORMAL"
    }

    /// Limits, and how the store works.
    public struct Options: Sendable {
        /// What a returned call survives.
        public var durability = Durability.full
        /// Calls that may wait for their turn; further ones fail as `unavailable` at once.
        public var queueLimit = 16_384
        /// Bytes of the file that are kept in memory. The kernel keeps more; SQLite walks through
        /// all of its own at commits that split a page.
        public var cacheBytes = 16 << 20
        /// After how many pages of 4 KiB the write-ahead log is carried over into the file, while
        /// all calls wait.
        public var checkpointPages = 1024
        /// How long all calls may wait while records expire, or while the file shrinks.
        public var maintenance = Duration.milliseconds(8)
        /// Whether what is deleted is overwritten with zeroes, in the file's free pages too.
        public var erasesDeleted = true
        /// How many changes of the identities' index are kept in memory, where 40 bytes each are
        /// taken; twice as many rows are read at start.
        public var unindexed = 16_384
        /// Told to resume the callers of a batch, all at once.
        public var deliver: @Sendable (_ resumeAll: () -> Void) -> Void = { $0() }
        /// The store's clock.
        public var now: @Sendable () -> Timestamp = { Timestamp.now() }

        /// The defaults.
        public init() {}
    }

    private let queue: CommitQueue
    private let thread: StoreThread
    /// Whether the file shrinks when many records are gone. One that was made before this store
    /// could do so stays as large as it ever was, until `PRAGMA auto_vacuum = INCREMENTAL; VACUUM;`
    /// is run on it while nobody else uses it.
    public let canShrink: Bool

    /// Opens the file at `path`, or makes it, and takes possession of it.
    ///
    /// It blocks. What is locked in the file belongs to a dead process: `recover` the service
    /// before it gets requests.
    ///
    /// - Throws: Whatever stands in the way, with the file's name and the remedy. A file that is
    ///   not a store of ours is left as it is.
    public init(path: String, options: Options = Options()) throws(StoreError) {
        let connection = try Connection(path: path)
        try connection.run("PRAGMA cache_size = -\(max(1, options.cacheBytes >> 10))")
        try connection.run("PRAGMA temp_store = MEMORY")
        try connection.run("PRAGMA secure_delete = \(options.erasesDeleted ? "ON" : "OFF")")
        // Beyond it the log's file is cut off when it begins anew.
        try connection.run("PRAGMA journal_size_limit = \(options.checkpointPages * 8192)")
        try Schema.prepare(connection, durability: options.durability)
        let file = try StoreFile(connection, options)
        canShrink = file.space.isIncremental
        let queue = CommitQueue(file, options)
        thread = try StoreThread { queue.commit() }
        self.queue = queue
    }

    /// The version of the SQLite that the process is linked to.
    public static var libraryVersion: String { sqliteVersion }

    deinit { close() }

    /// Finishes what is queued and closes the file. Later calls fail as `unavailable`.
    public func close() {
        queue.close()
        thread.stop()
        queue.end()
    }

    /// The file is locked against other processes.
    public var isExclusive: Bool { true }

    /// Whether the last transaction that wrote something went well.
    public var isAvailable: Bool { queue.isAvailable }

    /// What was done since the store was opened.
    public var statistics: StoreStatistics { queue.statistics }

    /// Adds a record, unless there is one with its identity.
    public func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        switch try await submit(.insert(key), weight: key.weight) {
        case .stored(let now): return .inserted(now: now)
        case .found(let existing?, let now): return .existing(existing, now: now)
        default: preconditionFailure("an insert was answered otherwise")
        }
    }

    /// The record of an identity.
    public func find(_ identity: Identity) async throws(StoreError) -> Lookup {
        try await lookup(.find(identity))
    }

    /// The record of that name.
    public func find(_ id: KeyID) async throws(StoreError) -> Lookup {
        try await lookup(.findID(id))
    }

    /// Puts a record in the place of the version that the caller judged.
    public func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        switch try await submit(.replace(key, version), weight: key.weight) {
        case .stored(let now): return .replaced(now: now)
        case .found(let other, let now): return .lost(other, now: now)
        default: preconditionFailure("a replacement was answered otherwise")
        }
    }

    /// Locked records in order of their ids.
    public func unfinished(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await list(.unfinished(id, limit))
    }

    /// Unknown records in order of their ids.
    public func unknown(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await list(.unknown(id, limit))
    }

    /// Suspended records in order of their ids.
    public func suspended(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        try await list(.suspended(id, limit))
    }

    /// A part of all records: as many as can be looked at within ``Options/maintenance``.
    public func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        guard case .page(let page) = try await submit(.page(query)) else {
            preconditionFailure("a page was answered otherwise")
        }
        return page
    }

    /// Runs statements and changes a record, in a transaction of its own on the store's thread.
    public func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws {
        try await run { records, sql, now in
            let key = try records.find(id)
            guard let next = try body(Lookup(key: key, now: now), sql) else { return }
            try sql.expectOpen()
            guard let key, try records.replace(next, expecting: key.version) else {
                throw StoreError(.unavailable, "the record \(id) is not there")
            }
        }
    }

    /// Runs statements of the program's own in one serializable transaction, as for making its
    /// tables: they are in the same file, which no other connection can open.
    ///
    /// - Parameter body: Runs on the store's thread, while others wait. What it throws undoes all
    ///   of it and is thrown on. Tables whose names begin with `idempotency_` are the store's: they
    ///   can be read, not written.
    public func transaction<Result: Sendable>(
        _ body: @escaping @Sendable (any SQLTransaction) throws -> Result
    ) async throws -> Result {
        let result = LastResult<Result>()
        try await run { _, sql, _ in
            let value = try body(sql)
            result.value.withLock { $0 = value }
        }
        guard let value = result.value.withLock({ $0 }) else {
            preconditionFailure("a transaction that ran has a result")
        }
        return value
    }

    /// Returns when the store's thread has had its turn, whatever came of it there: a thread that
    /// hangs, in a call of the kernel for instance, never does.
    package func ping() async {
        _ = try? await list(.unfinished(nil, 0))
    }

    private func run(_ body: @escaping TransactionBody) async throws {
        switch try await submit(.transact(body)) {
        case .done: return
        case .rejected(let error): throw error
        default: preconditionFailure("a transaction was answered otherwise")
        }
    }

    private func list(_ operation: StoreOperation) async throws(StoreError) -> [IdempotencyKey] {
        guard case .list(let keys) = try await submit(operation) else {
            preconditionFailure("a list was answered otherwise")
        }
        return keys
    }

    /// Takes what expired, and gives back what room the file no longer needs: more than 0 as long
    /// as there is more to do of either.
    public func remove(limit: Int) async throws(StoreError) -> Int {
        guard case .removed(let count) = try await submit(.remove(limit)) else {
            preconditionFailure("a removal was answered otherwise")
        }
        return count
    }

    /// Copies the store to a file of that name, which must not exist, while calls go on.
    ///
    /// The copy is a store as it would be found after a sudden end at the moment at which the
    /// function returns, more or less. Memory does not grow with its size.
    ///
    /// - Throws: If the copy could not be made; nothing is left of it then.
    public func backup(to path: String) async throws(StoreError) {
        try await attempt(.backup(path), "a backup")
        let outcome = PublishedBackup(path)
        try await outcome.wait()
    }

    /// Removes the last traces of what was overwritten or deleted before: they are in neither
    /// file of the database when it returns.
    public func scrub() async throws(StoreError) {
        try await attempt(.scrub, "a scrub")
    }

    private func attempt(
        _ operation: StoreOperation, _ what: String
    ) async throws(StoreError) {
        guard case .done = try await submit(operation) else {
            preconditionFailure("\(what) was answered otherwise")
        }
    }

    private func lookup(_ operation: StoreOperation) async throws(StoreError) -> Lookup {
        guard case .found(let key, let now) = try await submit(operation) else {
            preconditionFailure("a lookup was answered otherwise")
        }
        return Lookup(key: key, now: now)
    }

    /// Half of what SQLite takes in a row.
    private static let largestRecord = 500_000_000

    private func submit(
        _ operation: StoreOperation, weight: Int = 0
    ) async throws(StoreError) -> StoreAnswer {
        guard weight <= Self.largestRecord else {
            throw StoreError(.tooLarge, "a record of \(weight) bytes")
        }
        let answer = await unsafe withUnsafeContinuation { continuation in
            if queue.append(unsafe StoreRequest(operation: operation, caller: continuation)) {
                thread.wake()
            }
        }
        if case .failed(let error) = answer { throw error }
        return answer
    }
}

extension IdempotencyKey {
    /// The bytes that may be many.
    fileprivate var weight: Int {
        requestPath.utf8.count + requestParams.utf8.count
            + (reply.map { $0.responseHeaders.count + ($0.responseBody?.count ?? 0) } ?? 0)
    }
}

/// What a transaction gave, on its way from the store's thread.
private final class LastResult<Value: Sendable>: Sendable {
    let value = Mutex<Value?>(nil)
}
