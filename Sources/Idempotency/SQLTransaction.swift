/// SQL of the caller's own, inside the transaction in which a key advances.
///
/// It is valid while the callback runs that was given it, and on no other thread.
public protocol SQLTransaction {
    /// Runs one statement.
    ///
    /// - Parameters:
    ///   - sql: One statement, with `?1`, `?2`, … or `?` for the parameters.
    ///   - parameters: As many as it takes.
    /// - Returns: Its rows, at most 100,000 of them, and how many it changed.
    /// - Throws: ``SQLError`` for a statement that failed or may not be run here;
    ///   ``StageError/transactionOver`` after the callback; ``StageError/sqlUnsupported`` for a
    ///   store that has no SQL.
    func execute(_ sql: String, _ parameters: [SQLValue]) throws -> SQLResult
}

extension SQLTransaction {
    /// Runs one statement with the parameters that follow it.
    @discardableResult
    public func execute(_ sql: String, _ parameters: SQLValue...) throws -> SQLResult {
        try execute(sql, parameters)
    }
}

/// A value of SQL's.
public enum SQLValue: Sendable, Hashable {
    /// NULL.
    case null
    /// A whole number.
    case integer(Int64)
    /// A floating-point number.
    case real(Double)
    /// A text.
    case text(String)
    /// Bytes.
    case blob([UInt8])
}

extension SQLValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByNilLiteral
{
    /// A text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A floating-point number.
    public init(floatLiteral value: Double) { self = .real(value) }
    /// NULL.
    public init(nilLiteral: ()) { self = .null }
}

extension SQLValue {
    /// The text; nil for anything else.
    public var text: String? { if case .text(let text) = self { text } else { nil } }
    /// The whole number; nil for anything else.
    public var integer: Int64? { if case .integer(let number) = self { number } else { nil } }
}

/// What a statement gave.
public struct SQLResult: Sendable, Hashable {
    /// The names of its columns; empty for a statement that gives no rows.
    public var columns: [String]
    /// Its rows.
    public var rows: [[SQLValue]]
    /// How many rows it inserted, updated or deleted.
    public var changes: Int

    /// A result from its parts.
    public init(columns: [String], rows: [[SQLValue]], changes: Int) {
        self.columns = columns
        self.rows = rows
        self.changes = changes
    }
}

/// A statement that failed.
public struct SQLError: Error, Sendable, Hashable {
    /// The store's own code: SQLite's extended result code.
    public let code: Int32
    /// What the store said of it.
    public let message: String

    /// A failure from its parts.
    public init(code: Int32, message: String) {
        self.code = code
        self.message = message
    }
}

extension SQLError: CustomStringConvertible {
    /// Text for people.
    public var description: String { "SQL error \(code): \(message)" }
}
