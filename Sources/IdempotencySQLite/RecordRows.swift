internal import Idempotency

/// The rows of records and of their answers, one statement per step.
///
/// An answer has a row of its own in a second table, numbered in order of conclusion, and the
/// record's row does not grow when it is concluded: what is nulled then makes room for what is
/// set. So both tables grow at their ends, and no page has to be split.
final class RecordRows {
    private let connection: Connection
    private var scratch = Scratch()
    private let insertion, update, removal, tombstone, bySequence, unknown: Statement
    private let replyInsertion, replyRemoval: Statement
    private var lastReply: Int64

    init(_ connection: Connection) throws(StoreError) {
        self.connection = connection
        insertion = try connection.prepare(SQL.insert)
        update = try connection.prepare(SQL.update)
        removal = try connection.prepare("DELETE FROM idempotency_records WHERE sequence = ?1")
        tombstone = try connection.prepare(SQL.tombstone)
        bySequence = try connection.prepare(SQL.select + " WHERE sequence = ?1")
        unknown = try connection.prepare(SQL.unknown)
        replyInsertion = try connection.prepare(
            "INSERT INTO idempotency_replies VALUES (?1, ?2, ?3, ?4)")
        replyRemoval = try connection.prepare(SQL.replyRemoval)
        lastReply = try connection.number("SELECT max(reply) FROM idempotency_replies")
    }

    /// Adds a row; false if its number is taken.
    func insert(_ key: IdempotencyKey) throws(StoreError) -> Bool {
        bindRequest(of: key)
        bindState(of: key, to: insertion, from: 12)
        try insertion.run()
        guard connection.changes == 1 else { return false }
        try insertReply(of: key)
        return true
    }

    /// Changes the row that is at that version; false if there is none.
    func update(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) throws(StoreError) -> Bool {
        // A record that was only just made has no answer yet.
        if version.revision > 1 {
            try removeReply(version.id.sequence, revision: Int64(version.revision))
        }
        scratch.clear(
            reserving: 64 + key.owner.utf8.count + key.recoveryPoint.description.utf8.count)
        update.bind(1, version.id.sequence)
        update.bind(2, Int64(version.revision))
        bindState(of: key, to: update, from: 3)
        try update.run()
        guard connection.changes == 1 else { return false }
        try insertReply(of: key)
        return true
    }

    /// Removes a row and its answer.
    func remove(_ sequence: Int64) throws(StoreError) {
        try removeReply(sequence, revision: nil)
        removal.bind(1, sequence)
        try removal.run()
    }

    /// Makes a row a tombstone and removes its answer.
    func bury(_ sequence: Int64, now: Timestamp) throws(StoreError) {
        try removeReply(sequence, revision: nil)
        tombstone.bind(1, sequence)
        tombstone.bind(2, now)
        try tombstone.run()
    }

    /// The record in a row.
    func find(_ sequence: Int64) throws(StoreError) -> IdempotencyKey? {
        bySequence.bind(1, sequence)
        defer { bySequence.reset() }
        return try bySequence.step() ? read(bySequence) : nil
    }

    /// Unknown records in order of their numbers.
    func unknown(after sequence: Int64, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        unknown.bind(1, sequence)
        unknown.bind(2, Int64(limit))
        defer { unknown.reset() }
        var keys: [IdempotencyKey] = []
        while try unknown.step() { keys.append(try read(unknown)) }
        return keys
    }
}

extension RecordRows {
    private func bindRequest(of key: IdempotencyKey) {
        let identity = key.identity.bytes
        let fingerprint = key.fingerprint.encoded
        scratch.clear(
            reserving: 128 + identity.count + fingerprint.count + key.requestMethod.utf8.count
                + key.requestPath.utf8.count + key.requestParams.utf8.count
                + key.route.utf8.count + (key.probeTarget?.utf8.count ?? 0)
                + key.owner.utf8.count + key.recoveryPoint.description.utf8.count)
        let (scope, text) = (
            identity[1..<key.identity.keyStart], identity[key.identity.keyStart...]
        )
        insertion.bind(1, key.id.sequence)
        unsafe insertion.bind(text: 2, scratch.keep(key.id))
        unsafe insertion.bind(text: 3, scratch.keep(text, count: text.count))
        unsafe insertion.bind(blob: 4, scratch.keep(scope, count: scope.count))
        unsafe insertion.bind(blob: 5, scratch.keep(fingerprint, count: fingerprint.count))
        insertion.bind(6, key.createdAt)
        unsafe insertion.bind(text: 7, scratch.keep(key.requestMethod))
        unsafe insertion.bind(text: 8, scratch.keep(key.requestPath))
        unsafe insertion.bind(text: 9, scratch.keep(key.requestParams))
        unsafe insertion.bind(text: 10, scratch.keep(key.route))
        unsafe insertion.bind(text: 11, key.probeTarget.map { unsafe scratch.keep($0) })
    }

    /// Binds what changes in a record's life, in the order of the table's columns.
    private func bindState(of key: IdempotencyKey, to statement: Statement, from index: Int32) {
        unsafe statement.bind(text: index, scratch.keep(key.owner))
        statement.bind(index + 1, Int64(key.attempts))
        statement.bind(index + 2, Int64(key.revision))
        unsafe statement.bind(text: index + 3, scratch.keep(key.recoveryPoint.description))
        statement.bind(index + 4, key.updatedAt)
        statement.bind(index + 5, key.lockedAt)
        unsafe statement.bind(blob: index + 6, key.lockToken.map { unsafe scratch.keep($0.words) })
        statement.bind(index + 7, key.leaseUntil)
        statement.bind(index + 8, key.expiresAt)
        statement.bind(index + 9, key.tombstoneUntil)
        statement.bind(index + 10, key.reply == nil ? nil : lastReply + 1)
    }

    /// Adds the answer under the number that its record was just given.
    private func insertReply(of key: IdempotencyKey) throws(StoreError) {
        guard let reply = key.reply else { return }
        lastReply += 1
        replyInsertion.bind(1, lastReply)
        replyInsertion.bind(2, Int64(reply.responseCode))
        try unsafe reply.responseHeaders.withUnsafeBufferPointer { headers throws(StoreError) in
            unsafe replyInsertion.bind(blob: 3, UnsafeRawBufferPointer(headers))
            guard let body = reply.responseBody else {
                unsafe replyInsertion.bind(blob: 4, nil)
                return try replyInsertion.run()
            }
            try unsafe body.withUnsafeBufferPointer { body throws(StoreError) in
                unsafe replyInsertion.bind(blob: 4, UnsafeRawBufferPointer(body))
                try replyInsertion.run()
            }
        }
    }

    /// Removes the answer of a row, if it has one and is at that revision, or at any for nil.
    private func removeReply(_ sequence: Int64, revision: Int64?) throws(StoreError) {
        replyRemoval.bind(1, sequence)
        replyRemoval.bind(2, revision)
        try replyRemoval.run()
    }

    /// The record in the row that a `SELECT` stands at.
    private func read(_ row: Statement) throws(StoreError) -> IdempotencyKey {
        guard
            let id = KeyID(row.text(0)),
            let fingerprint = Fingerprint(encoded: row.bytes(3)),
            case let scope = row.bytes(2), scope.count <= 32
        else {
            throw StoreError(
                .corrupt, "\(connection.path): the record \(row.text(0)) cannot be read")
        }
        let request = KeyRequest(
            identity: Identity(scope: scope, keyBytes: row.bytes(1)), fingerprint: fingerprint,
            requestMethod: row.text(5), requestPath: row.text(6), requestParams: row.text(7),
            route: row.text(8), probeTarget: row.isNull(9) ? nil : row.text(9))
        return IdempotencyKey(
            id: id, request: request, createdAt: Timestamp(microseconds: row.integer(4)),
            recoveryPoint: RecoveryPoint(row.text(13)), lockedAt: row.moment(15),
            reply: reply(row), owner: row.text(10), lockToken: token(row),
            leaseUntil: row.moment(17), attempts: Int(row.integer(11)),
            updatedAt: Timestamp(microseconds: row.integer(14)), expiresAt: row.moment(18),
            tombstoneUntil: row.moment(19), revision: Int(row.integer(12)))
    }

    private func reply(_ row: Statement) -> StoredReply? {
        guard !row.isNull(20) else { return nil }
        return StoredReply(
            responseCode: UInt16(truncatingIfNeeded: row.integer(20)),
            responseHeaders: row.bytes(21), responseBody: row.isNull(22) ? nil : row.bytes(22))
    }

    private func token(_ row: Statement) -> LockToken? {
        let bytes = row.bytes(16)
        guard bytes.count == 16 else { return nil }
        return unsafe bytes.withUnsafeBytes { bytes in
            let high = unsafe bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
            let low = unsafe bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            return LockToken(words: (UInt64(littleEndian: high), UInt64(littleEndian: low)))
        }
    }
}

/// The statements' texts. The reaper's time is that of the record's next change: `expires_at`,
/// and for tombstones, and free records, `tombstone_until`.
private enum SQL {
    private typealias Field = IdempotencyKey.Field

    private static let request: [Field] = [
        .id, .idempotencyKey, .scope, .fingerprint, .createdAt, .requestMethod, .requestPath,
        .requestParams, .route, .probeTarget,
    ]

    private static let state: [Field] = [
        .owner, .attempts, .revision, .recoveryPoint, .updatedAt, .lockedAt, .lockToken,
        .leaseUntil, .expiresAt, .tombstoneUntil,
    ]

    private static let reply: [Field] = [.responseCode, .responseHeaders, .responseBody]

    private static func list(_ fields: [Field]) -> String {
        fields.map(\.rawValue).joined(separator: ", ")
    }

    static let select = """
        SELECT \(list(request + state + reply))
        FROM idempotency_records LEFT JOIN idempotency_replies USING (reply)
        """

    static let insert = """
        INSERT INTO idempotency_records
            (sequence, \(list(request)), \(list(state)), reply, reap_at)
        VALUES (\((1...22).map { "?\($0)" }.joined(separator: ", ")), ?20)
        ON CONFLICT DO NOTHING
        """

    static let update = """
        UPDATE idempotency_records SET reply = ?13, reap_at = ?11,
            \(state.enumerated().map { "\($1.rawValue) = ?\($0 + 3)" }.joined(separator: ", "))
        WHERE sequence = ?1 AND revision = ?2
        """

    static let replyRemoval = """
        DELETE FROM idempotency_replies WHERE reply =
            (SELECT reply FROM idempotency_records
            WHERE sequence = ?1 AND revision = coalesce(?2, revision))
        """

    /// Its condition is that of an index.
    static let unknown =
        select
        + " WHERE recovery_point = 'unknown' AND lock_token IS NOT NULL AND sequence > ?1"
        + " ORDER BY sequence LIMIT ?2"

    static let tombstone = """
        UPDATE idempotency_records
        SET reap_at = tombstone_until, reply = NULL, request_path = '', request_params = '{}',
            probe_target = NULL, lock_token = NULL, updated_at = ?2, revision = revision + 1
        WHERE sequence = ?1
        """
}
