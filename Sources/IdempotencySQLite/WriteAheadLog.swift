private import CIdempotencySQLite
internal import Idempotency

/// Carries the write-ahead log over into the file, after the callers of a commit have their
/// answers. SQLite does it in one go, which nobody can interrupt: so it is done often, and little
/// at a time.
///
/// A failure while the log is carried over loses nothing: the log is kept and its pages are
/// written once more. A commit whose `fsync` failed is undone, and SQLite writes the next one in
/// its place; so the database is not opened anew after a failure: that would take the failed
/// commit for a good one, which the disk may not have, with all that is appended to it. At start
/// the log is carried over whole for the same reason, see ``Schema``.
@safe
final class WriteAheadLog {
    private let connection: Connection
    private let limit: Int
    private let frames: UnsafeMutablePointer<CInt>
    /// At how many pages it is carried over next.
    private var due: Int
    private var failure: StoreError?
    /// How many pages there were when it was idle last.
    private var idleFrames = 0

    /// - Parameter limit: Pages of 4 KiB after which it is carried over.
    init(_ connection: Connection, limit: Int) {
        self.connection = connection
        self.limit = max(1, limit)
        due = self.limit
        unsafe frames = .allocate(capacity: 1)
        unsafe frames.initialize(to: 0)
        unsafe cidempotencysqlite_count_frames(connection.database, frames)
    }

    deinit {
        unsafe sqlite3_wal_hook(connection.database, nil, nil)
        unsafe frames.deallocate()
    }

    private var count: Int { Int(unsafe frames.pointee) }

    /// The failure because of which the log outgrew its bound, so that no more is to be written.
    var obstacle: StoreError? { count > limit * Self.patience ? failure : nil }

    /// How often the limit may be exceeded while the file does not take the pages.
    private static let patience = 16

    /// Whether there are so many pages that they cannot wait for the next transaction's end.
    var isUrgent: Bool { count >= 2 * due }

    /// Carries the pages over if there are many.
    func settle() throws(StoreError) {
        // What was carried over begins anew with the next commit.
        if count < limit { due = limit }
        guard count >= due else { return }
        due = count + limit
        try carryOver(SQLITE_CHECKPOINT_PASSIVE)
    }

    /// To be called now and then: empties the log's file once nothing was written for a while,
    /// and tries anew what failed.
    func rest() throws(StoreError) {
        let isIdle = count == idleFrames
        idleFrames = count
        guard count > 0, isIdle || failure != nil else { return }
        try empty()
    }

    /// Carries all pages over and cuts the log's file off: what was overwritten or deleted is then
    /// in neither file.
    func empty() throws(StoreError) {
        try carryOver(SQLITE_CHECKPOINT_TRUNCATE)
        unsafe frames.pointee = 0
        idleFrames = 0
        due = limit
    }

    private func carryOver(_ mode: CInt) throws(StoreError) {
        let result = unsafe sqlite3_wal_checkpoint_v2(connection.database, "main", mode, nil, nil)
        do throws(StoreError) {
            try connection.check(result, "carrying the -wal file over")
            failure = nil
        } catch {
            failure = error
            throw error
        }
    }
}
