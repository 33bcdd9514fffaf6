private import CIdempotencySQLite
internal import Idempotency

/// A prepared statement of a ``Connection``, valid as long as that is.
///
/// What is bound is not copied: it has to stay where it is until the statement is reset.
@safe
struct Statement {
    private let pointer: OpaquePointer
    private unowned let connection: Connection

    init(_ pointer: OpaquePointer, _ connection: Connection) {
        unsafe self.pointer = unsafe pointer
        self.connection = connection
    }

    /// Runs it to the next row; false at the end. A statement that failed is reset.
    func step() throws(StoreError) -> Bool {
        let result = unsafe sqlite3_step(pointer)
        if result == SQLITE_ROW { return true }
        guard result != SQLITE_DONE else { return false }
        let error = connection.error(result, unsafe String(cString: sqlite3_sql(pointer)))
        reset()
        throw error
    }

    /// Runs a statement that gives no rows, and makes it ready for the next time.
    func run() throws(StoreError) {
        _ = try step()
        reset()
    }

    /// The one number that the statement gives; 0 if it gives none.
    func number() throws(StoreError) -> Int64 {
        defer { reset() }
        return try step() ? integer(0) : 0
    }

    func reset() { unsafe sqlite3_reset(pointer) }

    func finalize() { unsafe sqlite3_finalize(pointer) }

    func bind(_ index: Int32, _ value: Int64) { unsafe sqlite3_bind_int64(pointer, index, value) }

    func bind(_ index: Int32, _ value: Int64?) {
        if let value { bind(index, value) } else { unsafe sqlite3_bind_null(pointer, index) }
    }

    func bind(_ index: Int32, _ moment: Timestamp?) { bind(index, moment?.microseconds) }

    /// Nil stands for NULL.
    func bind(text index: Int32, _ bytes: UnsafeRawBufferPointer?) {
        guard let bytes = unsafe bytes else {
            unsafe sqlite3_bind_null(pointer, index)
            return
        }
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        unsafe sqlite3_bind_text(pointer, index, start, CInt(bytes.count), nil)
    }

    /// Nil stands for NULL; no bytes are an empty blob.
    func bind(blob index: Int32, _ bytes: UnsafeRawBufferPointer?) {
        guard let bytes = unsafe bytes else {
            unsafe sqlite3_bind_null(pointer, index)
            return
        }
        guard unsafe !bytes.isEmpty else {
            unsafe sqlite3_bind_zeroblob(pointer, index, 0)
            return
        }
        unsafe sqlite3_bind_blob(pointer, index, bytes.baseAddress, CInt(bytes.count), nil)
    }

    func isNull(_ column: Int32) -> Bool {
        unsafe sqlite3_column_type(pointer, column) == SQLITE_NULL
    }

    func integer(_ column: Int32) -> Int64 { unsafe sqlite3_column_int64(pointer, column) }

    func moment(_ column: Int32) -> Timestamp? {
        isNull(column) ? nil : Timestamp(microseconds: integer(column))
    }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = unsafe sqlite3_column_blob(pointer, column) else { return [] }
        let count = Int(unsafe sqlite3_column_bytes(pointer, column))
        return unsafe Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    func text(_ column: Int32) -> String { String(decoding: bytes(column), as: UTF8.self) }
}
