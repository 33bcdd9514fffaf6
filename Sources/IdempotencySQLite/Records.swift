internal import Idempotency

/// The records in a database, one statement per verb. Used by one thread, in its transactions.
final class Records {
    private let connection: Connection
    private let hash: IdentityHash
    private let index: IdentityIndex
    private var scratch = Scratch()
    /// The rows that are locked, and perhaps some that were: a row leaves when its conclusion is
    /// committed. Their least is noted in the file now and then, so that the next start finds
    /// what a dead process left without reading all rows.
    private var locked: Set<Int64> = []
    private var unlocked: Set<Int64> = []
    /// What is noted in the file; nil when a transaction failed that may have changed it.
    private var noted: Int64?
    private var newest: Int64 = 0

    private let begin, commit, rollback: Statement
    private let insertion, update, removal, tombstone: Statement
    private let bySequence, unfinished, due, mark: Statement

    /// - Parameter unindexed: How many changes of the identities' index are kept in memory.
    init(_ connection: Connection, unindexed: Int) throws(StoreError) {
        self.connection = connection
        let key = try connection.prepare(
            "SELECT value FROM idempotency_store WHERE name = 'identity_key'")
        defer { key.finalize() }
        guard try key.step(), case let bytes = key.bytes(0), bytes.count == 16 else {
            throw StoreError(.corrupt, "\(connection.path): its identity_key is missing")
        }
        hash = IdentityHash(key: bytes)
        index = try IdentityIndex(connection, limit: unindexed)
        noted = try connection.number(
            "SELECT value FROM idempotency_store WHERE name = 'unfinished_from'")
        begin = try connection.prepare("BEGIN")
        commit = try connection.prepare("COMMIT")
        rollback = try connection.prepare("ROLLBACK")
        insertion = try connection.prepare(SQL.insert)
        update = try connection.prepare(SQL.update)
        removal = try connection.prepare("DELETE FROM idempotency_keys WHERE sequence = ?1")
        tombstone = try connection.prepare(SQL.tombstone)
        bySequence = try connection.prepare(SQL.select + " WHERE sequence = ?1")
        unfinished = try connection.prepare(SQL.unfinished)
        due = try connection.prepare(SQL.due)
        mark = try connection.prepare(
            "UPDATE idempotency_store SET value = ?1 WHERE name = 'unfinished_from'")
        try findLocked()
        try index.load(hash)
    }

    private func findLocked() throws(StoreError) {
        let statement = try connection.prepare(
            "SELECT sequence FROM idempotency_keys WHERE sequence >= ?1 AND locked_at IS NOT NULL")
        defer { statement.finalize() }
        statement.bind(1, noted)
        while try statement.step() { locked.insert(statement.integer(0)) }
        newest = try connection.number("SELECT max(sequence) FROM idempotency_keys")
    }

    /// Runs a transaction; when anything in it fails, all of it is undone.
    func transaction<Result>(
        _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        let changes = connection.totalChanges
        do throws(StoreError) {
            try begin.run()
            let result = try body()
            if connection.totalChanges != changes { try index.settle() }
            try commit.run()
            index.commit()
            locked.subtract(unlocked)
            unlocked.removeAll(keepingCapacity: true)
            return result
        } catch {
            unlocked.removeAll()
            noted = nil
            index.rollback()
            if connection.isInTransaction { try? rollback.run() }
            throw error
        }
    }

    /// Tells whether a call changed anything: rows changed so far, nil when the transaction is
    /// undone already.
    var state: Int? { connection.isInTransaction ? connection.totalChanges : nil }

    /// Adds a record; the one that is there, if there is one.
    func insert(_ key: IdempotencyKey) throws(StoreError) -> IdempotencyKey? {
        let hash = IdentityIndex.Hash(words: hash(key.identity.bytes))
        if let existing = try find(key.identity, hash) { return existing }
        try put(key)
        guard connection.changes == 1 else {
            throw StoreError(
                .unavailable,
                "\(connection.path): another record has the number of \(key.id); try again")
        }
        try index.put(hash, key.id.sequence)
        if key.isLocked { try note(key.id.sequence) }
        return nil
    }

    /// Puts a record in the place of that version; false if the row is not at it.
    func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) throws(StoreError) -> Bool {
        guard key.id == version.id else {
            guard try find(key.identity)?.version == version else { return false }
            removal.bind(1, version.id.sequence)
            try removal.run()
            unlocked.insert(version.id.sequence)
            return try insert(key) == nil
        }
        try change(key, expecting: version)
        guard connection.changes == 1 else { return false }
        if key.isLocked {
            try note(key.id.sequence)
        } else {
            unlocked.insert(key.id.sequence)
        }
        return true
    }

    /// The record of an identity.
    func find(_ identity: Identity) throws(StoreError) -> IdempotencyKey? {
        try find(identity, IdentityIndex.Hash(words: hash(identity.bytes)))
    }

    private func find(
        _ identity: Identity, _ hash: IdentityIndex.Hash
    ) throws(StoreError) -> IdempotencyKey? {
        guard let sequence = try index.sequence(of: hash) else { return nil }
        bySequence.bind(1, sequence)
        defer { bySequence.reset() }
        guard try bySequence.step() else { return nil }
        let key = try read(bySequence)
        guard key.identity == identity else {
            throw StoreError(
                .corrupt, "\(connection.path): \(key.id) has the hash of another identity")
        }
        return key
    }

    /// The record of that name.
    func find(_ id: KeyID) throws(StoreError) -> IdempotencyKey? {
        bySequence.bind(1, id.sequence)
        defer { bySequence.reset() }
        guard try bySequence.step() else { return nil }
        let key = try read(bySequence)
        return key.id == id ? key : nil
    }

    /// Locked records in order of their numbers.
    func unfinished(after id: KeyID?, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        unfinished.bind(1, max(noted ?? 0, id.map { $0.sequence + 1 } ?? 0))
        unfinished.bind(2, Int64(limit))
        defer { unfinished.reset() }
        var keys: [IdempotencyKey] = []
        while try unfinished.step() { keys.append(try read(unfinished)) }
        return keys
    }

    /// Turns what expired into tombstones and removes those whose time is over.
    func remove(at now: Timestamp, limit: Int) throws(StoreError) -> Int {
        var rows: [(sequence: Int64, gone: IdentityIndex.Hash?)] = []
        due.bind(1, now)
        due.bind(2, Int64(limit))
        defer { due.reset() }
        while try due.step() {
            let isGone = due.integer(1) <= now.microseconds
            let identity = Identity(scope: due.bytes(2), keyBytes: due.bytes(3))
            let gone = isGone ? IdentityIndex.Hash(words: hash(identity.bytes)) : nil
            rows.append((due.integer(0), gone))
        }
        for row in rows {
            let statement = row.gone == nil ? tombstone : removal
            statement.bind(1, row.sequence)
            if row.gone == nil { statement.bind(2, now) }
            try statement.run()
            if let gone = row.gone { index.remove(gone) }
        }
        return rows.count
    }

    /// Prepares the file for the next start. In the last transaction.
    func finish() throws(StoreError) {
        _ = try noteUnfinished(isForced: false)
        try index.finish()
    }

    /// Notes in the file below which number no row is locked.
    ///
    /// - Parameter isForced: Whether to write even if it is noted already.
    func noteUnfinished(isForced: Bool) throws(StoreError) -> Bool {
        let least = locked.min() ?? newest
        guard isForced || least != noted else { return false }
        try mark(from: least)
        return true
    }

    /// Notes that a row is locked.
    private func note(_ sequence: Int64) throws(StoreError) {
        locked.insert(sequence)
        unlocked.remove(sequence)
        newest = max(newest, sequence)
        if sequence < noted ?? .max { try mark(from: locked.min() ?? sequence) }
    }

    private func mark(from sequence: Int64) throws(StoreError) {
        mark.bind(1, sequence)
        try mark.run()
        noted = sequence
    }
}

extension Records {
    private func put(_ key: IdempotencyKey) throws(StoreError) {
        let params = key.requestParams
        scratch.clear(
            reserving: 256 + key.identity.bytes.count + key.fingerprint.encoded.count
                + key.requestMethod.utf8.count + key.requestPath.utf8.count + params.utf8.count
                + key.owner.utf8.count + key.recoveryPoint.description.utf8.count)
        let identity = key.identity.bytes
        let (scope, text) = (
            identity[1..<key.identity.keyStart], identity[key.identity.keyStart...]
        )
        insertion.bind(1, key.id.sequence)
        unsafe insertion.bind(text: 2, scratch.keep(key.id))
        unsafe insertion.bind(text: 3, scratch.keep(text, count: text.count))
        unsafe insertion.bind(blob: 4, scratch.keep(scope, count: scope.count))
        let fingerprint = key.fingerprint.encoded
        unsafe insertion.bind(blob: 5, scratch.keep(fingerprint, count: fingerprint.count))
        insertion.bind(6, key.createdAt)
        unsafe insertion.bind(text: 7, scratch.keep(key.requestMethod))
        unsafe insertion.bind(text: 8, scratch.keep(key.requestPath))
        unsafe insertion.bind(text: 9, scratch.keep(params))
        bindState(of: key, to: insertion, from: 10)
        try bindReply(of: key, to: insertion, from: 20)
    }

    private func change(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) throws(StoreError) {
        scratch.clear(
            reserving: 256 + key.owner.utf8.count + key.recoveryPoint.description.utf8.count)
        update.bind(1, version.id.sequence)
        update.bind(2, Int64(version.revision))
        bindState(of: key, to: update, from: 3)
        try bindReply(of: key, to: update, from: 13)
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
    }

    /// Binds the answer and runs the statement while its bytes stay in place.
    private func bindReply(
        of key: IdempotencyKey, to statement: Statement, from index: Int32
    ) throws(StoreError) {
        statement.bind(index, (key.reply?.responseCode).map { Int64($0) })
        guard let reply = key.reply else {
            unsafe statement.bind(blob: index + 1, nil)
            unsafe statement.bind(blob: index + 2, nil)
            return try statement.run()
        }
        try unsafe reply.responseHeaders.withUnsafeBufferPointer { headers throws(StoreError) in
            unsafe statement.bind(blob: index + 1, UnsafeRawBufferPointer(headers))
            guard let body = reply.responseBody else {
                unsafe statement.bind(blob: index + 2, nil)
                return try statement.run()
            }
            try unsafe body.withUnsafeBufferPointer { body throws(StoreError) in
                unsafe statement.bind(blob: index + 2, UnsafeRawBufferPointer(body))
                try statement.run()
            }
        }
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
        return IdempotencyKey(
            id: id, identity: Identity(scope: scope, keyBytes: row.bytes(1)),
            createdAt: Timestamp(microseconds: row.integer(4)), requestMethod: row.text(5),
            requestPath: row.text(6), requestParams: row.text(7),
            recoveryPoint: RecoveryPoint(row.text(11)), lockedAt: row.moment(13),
            reply: reply(row), fingerprint: fingerprint, owner: row.text(8),
            lockToken: token(row), leaseUntil: row.moment(15), attempts: Int(row.integer(9)),
            updatedAt: Timestamp(microseconds: row.integer(12)), expiresAt: row.moment(16),
            tombstoneUntil: row.moment(17), revision: Int(row.integer(10)))
    }

    private func reply(_ row: Statement) -> StoredReply? {
        guard !row.isNull(18) else { return nil }
        return StoredReply(
            responseCode: UInt16(truncatingIfNeeded: row.integer(18)),
            responseHeaders: row.bytes(19), responseBody: row.isNull(20) ? nil : row.bytes(20))
    }

    private func token(_ row: Statement) -> LockToken? {
        let bytes = row.bytes(14)
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
        .requestParams,
    ]

    private static let state: [Field] = [
        .owner, .attempts, .revision, .recoveryPoint, .updatedAt, .lockedAt, .lockToken,
        .leaseUntil, .expiresAt, .tombstoneUntil, .responseCode, .responseHeaders, .responseBody,
    ]

    private static func list(_ fields: [Field]) -> String {
        fields.map(\.rawValue).joined(separator: ", ")
    }

    static let select = "SELECT \(list(request + state)) FROM idempotency_keys"

    static let insert = """
        INSERT INTO idempotency_keys
            (sequence, id, \(list(Array(request.dropFirst()))), \(list(state)), reap_at)
        VALUES (\((1...22).map { "?\($0)" }.joined(separator: ", ")), ?18)
        ON CONFLICT DO NOTHING
        """

    static let update = """
        UPDATE idempotency_keys SET reap_at = ?11,
            \(state.enumerated().map { "\($1.rawValue) = ?\($0 + 3)" }.joined(separator: ", "))
        WHERE sequence = ?1 AND revision = ?2
        """

    static let unfinished =
        select + " WHERE sequence >= ?1 AND locked_at IS NOT NULL ORDER BY sequence LIMIT ?2"

    static let due = """
        SELECT sequence, tombstone_until, scope, idempotency_key FROM idempotency_keys
        WHERE reap_at <= ?1 ORDER BY reap_at LIMIT ?2
        """

    static let tombstone = """
        UPDATE idempotency_keys
        SET reap_at = tombstone_until, response_code = NULL, response_headers = NULL,
            response_body = NULL, request_path = '', request_params = '{}', lock_token = NULL,
            updated_at = ?2, revision = revision + 1
        WHERE sequence = ?1
        """
}
