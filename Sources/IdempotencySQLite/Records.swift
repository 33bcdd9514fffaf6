internal import Idempotency

/// The records in a database, one statement per verb. Used by one thread, in its transactions.
final class Records {
    private let connection: Connection
    private let hash: IdentityHash
    private let index: IdentityIndex
    private let rows: RecordRows
    /// The rows that are locked, and perhaps some that were: a row leaves when its conclusion is
    /// committed. Their least is noted in the file now and then, so that the next start finds
    /// what a dead process left without reading all rows.
    private var locked: Set<Int64> = []
    private var unlocked: Set<Int64> = []
    /// The locked ones in order, with some that left since; nil when others came since. So a list
    /// that is read page by page is sorted once.
    private var lockedOrder: [Int64]?
    /// What is noted in the file; nil when a transaction failed that may have changed it.
    private var noted: Int64?
    private var newest: Int64 = 0

    private var reaper: ReapingPace
    private let begin, commit, rollback: Statement
    private let due, mark: Statement

    /// - Parameters:
    ///   - unindexed: How many changes of the identities' index are kept in memory.
    ///   - duration: How long one call may take what expired.
    init(
        _ connection: Connection, unindexed: Int, reapingFor duration: Duration = .milliseconds(5)
    ) throws(StoreError) {
        self.connection = connection
        reaper = ReapingPace(duration)
        let key = try connection.prepare(
            "SELECT value FROM idempotency_store WHERE name = 'identity_key'")
        defer { key.finalize() }
        guard try key.step(), case let bytes = key.bytes(0), bytes.count == 16 else {
            throw StoreError(.corrupt, "\(connection.path): its identity_key is missing")
        }
        hash = IdentityHash(key: bytes)
        index = try IdentityIndex(connection, limit: unindexed)
        rows = try RecordRows(connection)
        noted = try connection.number(
            "SELECT value FROM idempotency_store WHERE name = 'unfinished_from'")
        begin = try connection.prepare("BEGIN")
        commit = try connection.prepare("COMMIT")
        rollback = try connection.prepare("ROLLBACK")
        due = try connection.prepare(
            """
            SELECT sequence, tombstone_until, scope, idempotency_key FROM idempotency_records
            WHERE reap_at <= ?1 ORDER BY reap_at LIMIT ?2
            """)
        mark = try connection.prepare(
            "UPDATE idempotency_store SET value = ?1 WHERE name = 'unfinished_from'")
        try findLocked()
        try index.load(hash)
    }

    private func findLocked() throws(StoreError) {
        let statement = try connection.prepare(
            """
            SELECT sequence FROM idempotency_records
            WHERE sequence >= ?1 AND locked_at IS NOT NULL
            """)
        defer { statement.finalize() }
        statement.bind(1, noted)
        while try statement.step() { locked.insert(statement.integer(0)) }
        newest = try connection.number("SELECT max(sequence) FROM idempotency_records")
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
        guard try rows.insert(key) else {
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
            try rows.remove(version.id.sequence)
            unlocked.insert(version.id.sequence)
            return try insert(key) == nil
        }
        guard try rows.update(key, expecting: version) else { return false }
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
        guard
            let sequence = try index.sequence(of: hash), let key = try rows.find(sequence)
        else { return nil }
        guard key.identity == identity else {
            throw StoreError(
                .corrupt, "\(connection.path): \(key.id) has the hash of another identity")
        }
        return key
    }

    /// The record of that name.
    func find(_ id: KeyID) throws(StoreError) -> IdempotencyKey? {
        guard let key = try rows.find(id.sequence), key.id == id else { return nil }
        return key
    }

    /// Locked records in order of their numbers.
    func unfinished(after id: KeyID?, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        let order = lockedOrder ?? locked.sorted()
        lockedOrder = order
        var (start, end) = (0, order.count)
        while let id, start < end {
            let middle = start + (end - start) / 2
            if order[middle] > id.sequence { end = middle } else { start = middle + 1 }
        }
        var keys: [IdempotencyKey] = []
        for sequence in order[start...] where locked.contains(sequence) {
            guard keys.count < limit else { break }
            if let key = try rows.find(sequence), key.isLocked { keys.append(key) }
        }
        return keys
    }

    /// Unknown records in order of their numbers.
    func unknown(after id: KeyID?, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        try rows.unknown(after: id?.sequence ?? -1, limit: limit)
    }

    /// Suspended records that can go on without their clients, in order of their numbers.
    func suspended(after id: KeyID?, limit: Int) throws(StoreError) -> [IdempotencyKey] {
        try rows.suspended(after: id?.sequence ?? -1, limit: limit)
    }

    /// Records that a query asks for, as many as can be looked at in the time that there is.
    func list(
        _ query: KeyQuery, at now: Timestamp, within duration: Duration
    ) throws(StoreError) -> KeyPage {
        try rows.list(query, at: now, within: duration)
    }

    /// Turns what expired into tombstones and removes those whose time is over; not more than
    /// can be done in the time that there is for it.
    func remove(at now: Timestamp, limit: Int) throws(StoreError) -> Int {
        let start = ContinuousClock.now
        var count = 0
        for (sequence, gone) in try expired(at: now, limit: min(limit, reaper.size)) {
            if let gone {
                try rows.remove(sequence)
                index.remove(gone)
            } else {
                try rows.bury(sequence, now: now)
            }
            count += 1
        }
        try index.settle()
        reaper.note(count, in: ContinuousClock.now - start)
        return count
    }

    /// The rows that the reaper is to change; those to be removed with their identities' hashes.
    private func expired(
        at now: Timestamp, limit: Int
    ) throws(StoreError) -> [(sequence: Int64, gone: IdentityIndex.Hash?)] {
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
        return rows
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
        if locked.insert(sequence).inserted { lockedOrder = nil }
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
