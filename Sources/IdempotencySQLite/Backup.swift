private import CIdempotencySQLite
internal import Idempotency
private import Synchronization

/// A copy of a database that is in use, made by the connection that uses it, some pages at a time:
/// what is written meanwhile goes to the pages that were copied already too.
///
/// It is made under another name, `PATH.part`, which is removed with it unless it was completed.
@safe
final class Backup {
    /// Where a copy is while it is made.
    static func partial(_ path: String) -> String { path + ".part" }

    private let source: Connection
    private let path: String
    private var target: OpaquePointer?
    private var backup: OpaquePointer?
    /// Whether there is a copy to be removed.
    private var isBegun = false

    /// Pages that are copied at a time: 512 KiB.
    private static let pages: CInt = 128

    /// Begins a copy; nothing is copied yet.
    init(of source: Connection, to path: String) throws(StoreError) {
        self.source = source
        self.path = path
        let name = fileName(path)
        guard unsafe cidempotencysqlite_exists(name) == 0 else {
            throw StoreError(.unavailable, "\(path): it exists; name a file that does not")
        }
        let part = Self.partial(name)
        let created = unsafe cidempotencysqlite_create(part)
        guard created == 0 else {
            let reason = unsafe String(cString: cidempotencysqlite_message(created))
            throw StoreError(
                .unavailable,
                "\(Self.partial(path)): cannot create it: \(reason); its directory must exist and"
                    + " be writable, and no other backup be under way")
        }
        isBegun = true
        do throws(StoreError) {
            try open(part)
        } catch {
            discard()
            throw error
        }
    }

    deinit { discard() }

    private func open(_ part: String) throws(StoreError) {
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        try check(unsafe sqlite3_open_v2(part, &target, flags, nil))
        // It is no database before it is complete: nothing has to be undone in it.
        try check(
            unsafe sqlite3_exec(
                target, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", nil, nil, nil))
        unsafe backup = unsafe sqlite3_backup_init(target, "main", source.database, "main")
        if unsafe backup == nil { try check(unsafe sqlite3_errcode(target)) }
    }

    /// Copies the next pages; true when the copy is whole and closed. It is not on the disk yet.
    func step() throws(StoreError) -> Bool {
        let result = unsafe sqlite3_backup_step(backup, Self.pages)
        guard result == SQLITE_DONE else {
            try check(result)
            return false
        }
        try check(unsafe sqlite3_backup_finish(backup))
        unsafe backup = nil
        isBegun = false
        discard()
        return true
    }

    /// Closes everything, and removes a copy that is not whole.
    private func discard() {
        unsafe sqlite3_backup_finish(backup)
        unsafe backup = nil
        unsafe sqlite3_close(target)
        unsafe target = nil
        if isBegun { unsafe cidempotencysqlite_unlink(Self.partial(fileName(path))) }
        isBegun = false
    }

    private func check(_ result: CInt) throws(StoreError) {
        guard result != SQLITE_OK else { return }
        let message = unsafe String(cString: sqlite3_errstr(result))
        throw StoreError(result, "the backup failed: \(message) (\(result))", path)
    }
}

/// Gives a whole copy its name once it is on the disk. It blocks, for as long as the disk takes.
func publishBackup(_ path: String) -> StoreError? {
    let name = fileName(path)
    let part = Backup.partial(name)
    let end = name.lastIndex(of: "/") ?? name.startIndex
    let directory = end == name.startIndex ? "/" : String(name[..<end])
    var error = unsafe cidempotencysqlite_sync(part)
    if error == 0 { error = unsafe cidempotencysqlite_rename(part, name) }
    if error == 0 { error = unsafe cidempotencysqlite_sync(directory) }
    guard error != 0 else { return nil }
    unsafe cidempotencysqlite_unlink(part)
    let reason = unsafe String(cString: cidempotencysqlite_message(error))
    return StoreError(.unavailable, "\(path): the backup failed: \(reason)")
}

/// A copy on its way to the disk, on a thread of its own: nobody else waits for it.
final class PublishedBackup: Sendable {
    private let path: String
    private let state = Mutex(State.waiting)

    private enum State {
        case waiting
        case awaited(CheckedContinuation<StoreError?, Never>)
        case done(StoreError?)
    }

    init(_ path: String) { self.path = path }

    /// Waits until it is there.
    func wait() async throws(StoreError) {
        let thread = try StoreThread { [self] in publish() }
        thread.wake()
        let error = await withCheckedContinuation { continuation in
            let done: StoreError?? = state.withLock { state in
                if case .done(let error) = state { return .some(error) }
                state = .awaited(continuation)
                return nil
            }
            if let done { continuation.resume(returning: done) }
        }
        thread.stop()
        if let error { throw error }
    }

    private func publish() {
        // The thread's last turn has nothing to do.
        if state.withLock({ if case .done = $0 { true } else { false } }) { return }
        let error = publishBackup(path)
        let former = state.withLock { state in
            let former = state
            state = .done(error)
            return former
        }
        if case .awaited(let continuation) = former {
            continuation.resume(returning: error)
        }
    }
}

/// A path that SQLite takes for nothing else.
func fileName(_ path: String) -> String { path.hasPrefix("/") ? path : "./" + path }
