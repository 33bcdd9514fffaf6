private import CIdempotencySQLite
internal import Idempotency

/// An open database, alone with its file, and the statements prepared for it.
///
/// Used by one thread at a time.
@safe
final class Connection {
    let database: OpaquePointer
    /// The file, for messages.
    let path: String
    /// Which file the log is; 0 before there is one.
    private var logNumber: UInt64 = 0

    /// Opens a database and takes exclusive possession of its file, which is created, readable by
    /// its owner alone, if it does not exist. Nothing in it is changed.
    init(path: String) throws(StoreError) {
        let name = fileName(path)
        try Self.create(name, path)
        var opened: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let result = unsafe sqlite3_open_v2(name, &opened, flags, nil)
        guard result == SQLITE_OK, let opened = unsafe opened else {
            let error = StoreError(result, "cannot open it", path)
            unsafe sqlite3_close(opened)
            throw error
        }
        unsafe database = opened
        self.path = path
        guard unsafe sqlite3_db_readonly(opened, "main") != 1 else {
            throw StoreError(
                .readOnly, "\(path): this process may not write it; let it, or name another path")
        }
        try run("PRAGMA locking_mode = EXCLUSIVE")
    }

    /// Creates the file, unless it is there.
    private static func create(_ name: String, _ path: String) throws(StoreError) {
        let error = unsafe cidempotencysqlite_create(name)
        guard error != 0, error != cidempotencysqlite_eexist() else { return }
        let reason = unsafe String(cString: cidempotencysqlite_message(error))
        throw StoreError(
            .unavailable,
            "\(path): cannot create it: \(reason); its directory must exist and be writable")
    }

    deinit {
        while let statement = unsafe sqlite3_next_stmt(database, nil) {
            unsafe sqlite3_finalize(statement)
        }
        unsafe sqlite3_close(database)
    }

    /// Runs statements that give no rows.
    func run(_ sql: String) throws(StoreError) {
        try check(unsafe sqlite3_exec(database, sql, nil, nil, nil), sql)
    }

    /// The one number that a statement gives.
    func number(_ sql: String) throws(StoreError) -> Int64 {
        let statement = try prepare(sql)
        defer { statement.finalize() }
        guard try statement.step() else { return 0 }
        return statement.integer(0)
    }

    /// A statement to be run many times. It lives as long as the connection.
    func prepare(_ sql: String) throws(StoreError) -> Statement {
        var prepared: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        try check(
            unsafe sqlite3_prepare_v3(database, sql, -1, flags, &prepared, nil), sql)
        guard let prepared = unsafe prepared else {
            preconditionFailure("an empty statement: \(sql)")
        }
        return unsafe Statement(prepared, self)
    }

    /// Whether a transaction is open.
    var isInTransaction: Bool { unsafe sqlite3_get_autocommit(database) == 0 }

    /// Whether the file, or its log, is no longer what its name leads to.
    var hasMoved: Bool {
        if unsafe cidempotencysqlite_has_moved(database) != 0 { return true }
        // SQLite makes the log once, and keeps it until it closes the file.
        let number = unsafe cidempotencysqlite_log_number(database)
        if logNumber == 0 { logNumber = number }
        return number != logNumber
    }

    /// How many rows the last statement changed.
    var changes: Int { Int(unsafe sqlite3_changes(database)) }

    /// How many rows all statements changed since the database was opened.
    var totalChanges: Int { Int(unsafe sqlite3_total_changes64(database)) }

    func check(_ result: CInt, _ doing: String) throws(StoreError) {
        guard result != SQLITE_OK else { return }
        throw error(result, doing)
    }

    func error(_ result: CInt, _ doing: String) -> StoreError {
        let message = unsafe String(cString: sqlite3_errmsg(database))
        return StoreError(result, "\(message) (\(result)), at: \(doing.prefix(60))", path)
    }
}

extension StoreError {
    /// An error of SQLite's, with what to do about it.
    init(_ result: CInt, _ message: String, _ path: String) {
        switch result & 0xFF {
        case SQLITE_BUSY, SQLITE_LOCKED:
            self.init(
                .locked,
                "\(path): another process holds it; stop that one, or give this one its own file")
        case SQLITE_NOTADB:
            self.init(
                .corrupt,
                "\(path): not a SQLite database; it was left as it is: move it away, or name"
                    + " another path")
        case SQLITE_CORRUPT:
            self.init(.corrupt, "\(path): damaged: \(message); restore it, or move it away")
        case SQLITE_FULL:
            self.init(
                .full,
                "\(path): no room left on its disk: \(message); make room there: it then goes on"
                    + " by itself")
        case SQLITE_READONLY, SQLITE_PERM:
            self.init(
                .readOnly,
                "\(path): it cannot be written: \(message); let this process write the file, its"
                    + " -wal file and their directory")
        case SQLITE_CANTOPEN:
            self.init(
                .unavailable,
                "\(path): it, or its -wal file, cannot be opened: \(message); let this process"
                    + " read and write both and their directory")
        case SQLITE_IOERR:
            self.init(
                .unavailable,
                "\(path): its disk failed: \(message); see the kernel's log; when the disk works"
                    + " again, it goes on by itself")
        case SQLITE_TOOBIG: self.init(.tooLarge, "\(path): \(message)")
        default: self.init(.unavailable, "\(path): \(message)")
        }
    }
}

/// The version of the SQLite that the process is linked to.
var sqliteVersion: String { unsafe String(cString: sqlite3_libversion()) }
