internal import Idempotency

/// The open file, and everything that works on it: in transactions, and between them. Used by one
/// thread.
final class StoreFile {
    let records: Records
    let log: WriteAheadLog
    let space: FreeSpace
    private let connection: Connection
    private var backup: Backup?
    private var isResting = false

    init(_ connection: Connection, _ options: SQLiteStore.Options) throws(StoreError) {
        self.connection = connection
        records = try Records(
            connection, unindexed: options.unindexed, reapingFor: options.maintenance)
        log = WriteAheadLog(connection, limit: options.checkpointPages)
        space = try FreeSpace(connection, duration: options.maintenance)
    }

    /// Why nothing must be written now, though SQLite would do it; nil when all is well.
    var obstacle: StoreError? {
        if connection.hasMoved {
            return StoreError(
                .unavailable,
                "\(connection.path): it, or its -wal file, was removed or replaced under this"
                    + " process, and what is written now would be lost; put it back, or restart"
                    + " with the file that is to be used")
        }
        return log.obstacle
    }

    /// Whether there is more to do between transactions, without a call.
    var isBusy: Bool { backup != nil }

    /// Called now and then, in a transaction: looks what there is to be done after it.
    func look() throws(StoreError) {
        try space.look()
        isResting = true
    }

    /// What is done after every transaction, in bounded steps: pages are given back, the log is
    /// carried over, a backup goes on.
    func tend() throws(StoreError) {
        if space.isWanted {
            try records.transaction { () throws(StoreError) in try space.shrink() }
            // Not both at once, while others wait.
            guard log.isUrgent else { return }
        }
        try log.settle()
        if isResting {
            isResting = false
            try log.rest()
        }
    }

    /// Runs a transaction with the caller's own statements; when anything in it throws, all of it
    /// is undone.
    func transact(_ body: TransactionBody, at now: Timestamp) throws {
        let transaction = SQLiteTransaction(connection)
        defer { transaction.end() }
        var rejection: (any Error)?
        do throws(StoreError) {
            try records.transaction { () throws(StoreError) in
                do {
                    try body(records, transaction, now)
                    try transaction.expectOpen()
                } catch {
                    rejection = error
                    throw StoreError(.unavailable, "undone")
                }
            }
        } catch {
            throw rejection ?? error
        }
    }

    /// Begins a backup, of which each call of ``continueBackup()`` copies a part.
    func beginBackup(to path: String) throws(StoreError) {
        guard backup == nil else {
            throw StoreError(.unavailable, "\(path): a backup is under way already")
        }
        backup = try Backup(of: connection, to: path)
    }

    /// Copies the next part; true when all is copied. A backup that fails is over.
    func continueBackup() throws(StoreError) -> Bool {
        guard let backup else { return true }
        do throws(StoreError) {
            guard try backup.step() else { return false }
        } catch {
            self.backup = nil
            throw error
        }
        self.backup = nil
        return true
    }

    /// Gives a backup up that was begun.
    func cancelBackup() { backup = nil }
}
