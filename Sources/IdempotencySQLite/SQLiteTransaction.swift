private import CIdempotencySQLite
internal import Idempotency

/// The caller's own statements in a transaction of the store's. They may do anything but touch the
/// store's own tables, end the transaction, attach other files, or change how the file is kept.
@safe
final class SQLiteTransaction: SQLTransaction {
    private let connection: Connection
    private var isOver = false

    init(_ connection: Connection) { self.connection = connection }

    /// From now on every use fails.
    func end() { isOver = true }

    /// The most rows of one result.
    private static let rowLimit = 100_000

    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> SQLResult {
        guard !isOver else { throw StageError.transactionOver }
        // What is run without a transaction is committed by itself.
        try expectOpen()
        unsafe cidempotencysqlite_confine(connection.database)
        defer { unsafe cidempotencysqlite_free(connection.database) }
        let statement = unsafe try prepare(sql)
        defer { unsafe sqlite3_finalize(statement) }
        let expected = Int(unsafe sqlite3_bind_parameter_count(statement))
        guard parameters.count == expected else {
            throw SQLError(
                code: SQLITE_RANGE,
                message: "the statement takes \(expected) parameters, \(parameters.count) came")
        }
        for (index, value) in parameters.enumerated() {
            try check(unsafe bind(value, to: statement, at: Int32(index + 1)))
        }
        return try unsafe run(statement)
    }

    /// Throws if a statement ended the transaction, as `INSERT OR ROLLBACK` does.
    func expectOpen() throws {
        guard !connection.isInTransaction else { return }
        throw SQLError(code: SQLITE_ABORT, message: "a statement has undone the transaction")
    }

    private func prepare(_ sql: String) throws -> OpaquePointer {
        var prepared: OpaquePointer?
        var rest = 0
        try unsafe check(
            sql.utf8CString.withUnsafeBufferPointer { text in
                var tail: UnsafePointer<CChar>?
                let result = unsafe sqlite3_prepare_v2(
                    connection.database, text.baseAddress, CInt(text.count), &prepared, &tail)
                if let tail = unsafe tail, let start = text.baseAddress {
                    rest = unsafe tail - start
                }
                return result
            })
        guard let prepared = unsafe prepared else {
            throw SQLError(code: SQLITE_MISUSE, message: "there is no statement in it")
        }
        let more = sql.utf8.dropFirst(rest).contains { $0 > 0x20 && $0 != UInt8(ascii: ";") }
        guard !more else {
            unsafe sqlite3_finalize(prepared)
            throw SQLError(code: SQLITE_MISUSE, message: "there is more than one statement in it")
        }
        return unsafe prepared
    }

    private func bind(_ value: SQLValue, to statement: OpaquePointer, at index: Int32) -> CInt {
        switch value {
        case .null: return unsafe sqlite3_bind_null(statement, index)
        case .integer(let number): return unsafe sqlite3_bind_int64(statement, index, number)
        case .real(let number): return unsafe sqlite3_bind_double(statement, index, number)
        case .text(var text):
            return text.withUTF8 { utf8 in
                unsafe cidempotencysqlite_bind_text(
                    statement, index, utf8.baseAddress, CInt(utf8.count))
            }
        case .blob(let bytes):
            return unsafe bytes.withUnsafeBytes { bytes in
                unsafe cidempotencysqlite_bind_blob(
                    statement, index, bytes.baseAddress, CInt(bytes.count))
            }
        }
    }

    private func run(_ statement: OpaquePointer) throws -> SQLResult {
        let width = unsafe sqlite3_column_count(statement)
        let before = connection.totalChanges
        var result = SQLResult(columns: [], rows: [], changes: 0)
        for column in 0..<width {
            let name = unsafe sqlite3_column_name(statement, column)
            result.columns.append(unsafe name.map { unsafe String(cString: $0) } ?? "")
        }
        while true {
            let step = unsafe sqlite3_step(statement)
            if step == SQLITE_DONE { break }
            guard step == SQLITE_ROW else { throw failure(step) }
            guard result.rows.count < Self.rowLimit else {
                throw SQLError(
                    code: SQLITE_TOOBIG, message: "more than \(Self.rowLimit) rows; ask for fewer")
            }
            result.rows.append((0..<width).map { unsafe value(statement, $0) })
        }
        let changed = connection.totalChanges - before
        result.changes = changed
        return result
    }

    private func value(_ statement: OpaquePointer, _ column: Int32) -> SQLValue {
        switch unsafe sqlite3_column_type(statement, column) {
        case SQLITE_INTEGER: return .integer(unsafe sqlite3_column_int64(statement, column))
        case SQLITE_FLOAT: return .real(unsafe sqlite3_column_double(statement, column))
        case SQLITE_TEXT:
            return .text(String(decoding: unsafe bytes(statement, column), as: UTF8.self))
        case SQLITE_BLOB: return .blob(unsafe bytes(statement, column))
        default: return .null
        }
    }

    private func bytes(_ statement: OpaquePointer, _ column: Int32) -> [UInt8] {
        guard let start = unsafe sqlite3_column_blob(statement, column) else { return [] }
        let count = Int(unsafe sqlite3_column_bytes(statement, column))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    private func check(_ result: CInt) throws {
        guard result != SQLITE_OK else { return }
        throw failure(result)
    }

    /// The statement's own failure, or the disk's.
    private func failure(_ result: CInt) -> any Error {
        let message = unsafe String(cString: sqlite3_errmsg(connection.database))
        switch result & 0xFF {
        case SQLITE_FULL, SQLITE_IOERR, SQLITE_CORRUPT, SQLITE_NOMEM, SQLITE_READONLY,
            SQLITE_CANTOPEN:
            return StoreError(result, message, connection.path)
        default: return SQLError(code: result, message: message)
        }
    }
}
