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
    private let suspended, newestFirst, oldestFirst: Statement
    private let stages: StageRows
    private var lastReply: Int64

    init(_ connection: Connection) throws(StoreError) {
        self.connection = connection
        insertion = try connection.prepare(SQL.insert)
        update = try connection.prepare(SQL.update)
        removal = try connection.prepare("DELETE FROM idempotency_records WHERE sequence = ?1")
        tombstone = try connection.prepare(SQL.tombstone)
        bySequence = try connection.prepare(SQL.select + " WHERE sequence = ?1")
        unknown = try connection.prepare(SQL.unknown)
        suspended = try connection.prepare(SQL.suspended)
        newestFirst = try connection.prepare(
            SQL.select + " WHERE sequence < ?1 ORDER BY sequence DESC")
        oldestFirst = try connection.prepare(
            SQL.select + " WHERE sequence > ?1 ORDER BY sequence")
        stages = try StageRows(connection)
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
        if key.hasStages { try stages.insert(key) }
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
        let former = key.hasStages ? try stages.state(of: version) : nil
        clearScratch(reserving: 64, for: key)
        update.bind(1, version.id.sequence)
        update.bind(2, Int64(version.revision))
        bindState(of: key, to: update, from: 3)
        try update.run()
        guard connection.changes == 1 else { return false }
        try insertReply(of: key)
        if let former { try stages.update(key, from: former) }
        return true
    }

    /// Removes a row and its answer.
    func remove(_ sequence: Int64) throws(StoreError) {
        try removeReply(sequence, revision: nil)
        try stages.remove(sequence)
        removal.bind(1, sequence)
        try removal.run()
    }

    /// Makes a row a tombstone and removes its answer.
    func bury(_ sequence: Int64, now: Timestamp) throws(StoreError) {
        try removeReply(sequence, revision: nil)
        try stages.remove(sequence)
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
        try list(unknown, after: sequence, limit: limit)
    }

    /// Suspended records in order of their numbers.
    func suspended(after sequence: Int64, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        try list(suspended, after: sequence, limit: limit)
    }

    private func list(
        _ statement: Statement, after sequence: Int64, limit: Int
    ) throws(StoreError) -> [IdempotencyKey] {
        statement.bind(1, sequence)
        statement.bind(2, Int64(limit))
        defer { statement.reset() }
        var keys: [IdempotencyKey] = []
        while try statement.step() { keys.append(try read(statement)) }
        return keys
    }

    /// Records that a query asks for, as many as can be looked at in that time.
    func list(
        _ query: KeyQuery, at now: Timestamp, within duration: Duration
    ) throws(StoreError) -> KeyPage {
        let start = ContinuousClock.now
        let rows = query.after == nil ? newestFirst : oldestFirst
        rows.bind(1, query.after?.sequence ?? query.before?.sequence ?? .max)
        defer { rows.reset() }
        var keys: [IdempotencyKey] = []
        var (seen, bytes) = (0, 0)
        while try rows.step() {
            seen += 1
            if isMaybe(rows, query) {
                let key = try read(rows)
                if query.isMet(by: key, at: now) {
                    keys.append(key)
                    bytes += key.replyBytes
                }
            }
            let isLate = seen.isMultiple(of: 64) && ContinuousClock.now - start > duration
            guard keys.count < query.limit, bytes < KeyPage.byteLimit, !isLate else {
                return KeyPage(keys: keys, next: KeyID(rows.text(0)))
            }
        }
        return KeyPage(keys: keys, next: nil)
    }

    /// Tells most rows that are not looked for, without making records of them.
    private func isMaybe(_ row: Statement, _ query: KeyQuery) -> Bool {
        if let key = query.idempotencyKey, row.text(1) != key { return false }
        if let route = query.route, row.text(8) != route { return false }
        switch query.state {
        case .locked: return !row.isNull(15)
        case .free, .unknown, .finished: return row.isNull(15)
        case .expired, nil: return true
        }
    }
}

extension RecordRows {
    private func bindRequest(of key: IdempotencyKey) {
        let identity = key.identity.bytes
        let fingerprint = key.fingerprint.encoded
        clearScratch(
            reserving: 128 + identity.count + fingerprint.count + key.requestMethod.utf8.count
                + key.requestPath.utf8.count + key.requestParams.utf8.count
                + key.route.utf8.count + (key.probeTarget?.utf8.count ?? 0),
            for: key)
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

    /// Makes room for what ``bindState(of:to:from:)`` keeps, and so much more.
    private func clearScratch(reserving count: Int, for key: IdempotencyKey) {
        scratch.clear(
            reserving: count + key.owner.utf8.count + key.recoveryPoint.description.utf8.count
                + (key.pendingStage?.utf8.count ?? 0))
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
        statement.bind(index + 11, key.isResumable ? 1 : 0)
        unsafe statement.bind(
            text: index + 12, key.pendingStage.map { unsafe scratch.keep($0) })
        statement.bind(index + 13, Int64(key.stages.count))
        statement.bind(index + 14, key.content == nil ? 0 : 1)
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
        let (content, done) =
            row.integer(25) == 0 && row.integer(26) == 0 ? (nil, []) : try stages.find(id.sequence)
        let request = KeyRequest(
            identity: Identity(scope: scope, keyBytes: row.bytes(1)), fingerprint: fingerprint,
            requestMethod: row.text(5), requestPath: row.text(6), requestParams: row.text(7),
            route: row.text(8), probeTarget: row.isNull(9) ? nil : row.text(9),
            isResumable: row.integer(23) != 0, content: content)
        return IdempotencyKey(
            id: id, request: request, createdAt: Timestamp(microseconds: row.integer(4)),
            recoveryPoint: RecoveryPoint(row.text(13)), lockedAt: row.moment(15),
            reply: reply(row), owner: row.text(10), lockToken: token(row),
            leaseUntil: row.moment(17), attempts: Int(row.integer(11)),
            updatedAt: Timestamp(microseconds: row.integer(14)), expiresAt: row.moment(18),
            tombstoneUntil: row.moment(19), revision: Int(row.integer(12)), stages: done,
            pendingStage: row.isNull(24) ? nil : row.text(24))
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

extension IdempotencyKey {
    /// Whether there may be rows of stages.
    fileprivate var hasStages: Bool { isResumable || !stages.isEmpty }
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

    /// What is known of stages, beside their own rows: the last two count those.
    private static let work = ["resumable", "pending_stage", "stages", "content"]

    static let select = """
        SELECT \(list(request + state + reply)), \(work.joined(separator: ", "))
        FROM idempotency_records LEFT JOIN idempotency_replies USING (reply)
        """

    static let insert = """
        INSERT INTO idempotency_records
            (sequence, \(list(request)), \(list(state)), reply, \(work.joined(separator: ", ")),
            reap_at)
        VALUES (\((1...26).map { "?\($0)" }.joined(separator: ", ")), ?20)
        ON CONFLICT DO NOTHING
        """

    static let update = """
        UPDATE idempotency_records SET reply = ?13, reap_at = ?11,
            \(work.enumerated().map { "\($1) = ?\($0 + 14)" }.joined(separator: ", ")),
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

    /// Its condition is that of an index.
    static let suspended =
        select
        + " WHERE content <> 0 AND locked_at IS NULL"
        + " AND recovery_point NOT IN ('finished', 'unknown') AND sequence > ?1"
        + " ORDER BY sequence LIMIT ?2"

    static let tombstone = """
        UPDATE idempotency_records
        SET reap_at = tombstone_until, reply = NULL, request_path = '', request_params = '{}',
            probe_target = NULL, lock_token = NULL, pending_stage = NULL, stages = 0, content = 0,
            updated_at = ?2, revision = revision + 1
        WHERE sequence = ?1
        """
}
