internal import Idempotency

/// Which row an identity has: a table sorted by the identities' hashes, and in memory what has
/// changed lately.
///
/// Hashes fall anywhere in the table, so a table that is always up to date dirties a page for
/// every new key, and those pages are most of what a commit writes. Here changes gather in
/// memory, in 256 buckets by the hash's first byte, and go to the table a bucket at a time:
/// changes that lie close together share their pages. The rows themselves are complete in every
/// commit, and at start the rows from `unindexed_from` on, at most some 50 000, are read into
/// memory again.
///
/// An entry may outlive its row, and then means nothing. A row without an entry, here or there,
/// would be executed again: no row below `unindexed_from` is ever entered in memory alone.
final class IdentityIndex {
    /// The hash of an identity.
    struct Hash: Hashable {
        let words: (UInt64, UInt64)

        static func == (a: Hash, b: Hash) -> Bool { a.words == b.words }

        func hash(into hasher: inout Hasher) {
            hasher.combine(words.0)
            hasher.combine(words.1)
        }

        /// The byte by which the table is sorted first.
        var bucket: Int { Int(words.0 & 255) }
    }

    private enum Change {
        case put(Int64)
        case remove
    }

    private let connection: Connection
    private let lookup, insertion, removal, note: Statement
    private var scratch = Scratch()
    /// How many changes are kept in memory.
    private let limit: Int
    private var buckets = [[Hash: Change]](repeating: [:], count: 256)
    private var count = 0
    /// The bucket that goes to the table next.
    private var next = 0
    /// What the transaction changed in memory, to be undone with it.
    private var undo: [(hash: Hash, former: Change?)] = []
    /// `unindexed_from`; the last number there is while nobody knows what the file says.
    private var unindexedFrom: Int64

    init(_ connection: Connection, limit: Int) throws(StoreError) {
        self.connection = connection
        self.limit = limit
        lookup = try connection.prepare(
            "SELECT sequence FROM idempotency_identities WHERE identity = ?1")
        insertion = try connection.prepare(
            "INSERT OR REPLACE INTO idempotency_identities VALUES (?1, ?2)")
        removal = try connection.prepare("DELETE FROM idempotency_identities WHERE identity = ?1")
        note = try connection.prepare(
            "UPDATE idempotency_store SET value = ?1 WHERE name = 'unindexed_from'")
        unindexedFrom = try connection.number(
            "SELECT value FROM idempotency_store WHERE name = 'unindexed_from'")
    }

    /// Reads the rows that the table may lack.
    func load(_ hash: IdentityHash) throws(StoreError) {
        let rows = try connection.prepare(
            "SELECT sequence, scope, idempotency_key FROM idempotency_records WHERE sequence >= ?1")
        defer { rows.finalize() }
        rows.bind(1, unindexedFrom)
        while try rows.step() {
            let identity = Identity(scope: rows.bytes(1), keyBytes: rows.bytes(2))
            change(Hash(words: hash(identity.bytes)), .put(rows.integer(0)))
        }
        undo.removeAll()
    }

    /// The row of an identity; it may be gone.
    func sequence(of hash: Hash) throws(StoreError) -> Int64? {
        switch buckets[hash.bucket][hash] {
        case .put(let sequence): return sequence
        case .remove: return nil
        case nil: break
        }
        scratch.clear(reserving: 16)
        unsafe lookup.bind(blob: 1, scratch.keep(hash.words))
        defer { lookup.reset() }
        return try lookup.step() ? lookup.integer(0) : nil
    }

    /// Enters a row that is inserted in this transaction.
    func put(_ hash: Hash, _ sequence: Int64) throws(StoreError) {
        guard sequence < unindexedFrom else { return change(hash, .put(sequence)) }
        try write(hash, .put(sequence))
        change(hash, nil)
    }

    /// Forgets a row that is deleted in this transaction.
    func remove(_ hash: Hash) { change(hash, .remove) }

    /// Brings the changes in memory back to their limit. To be called at the end of a transaction
    /// that writes.
    func settle() throws(StoreError) {
        if unindexedFrom == .max { try noteUnindexed() }
        while count > limit {
            try write(bucket: next)
            next = (next + 1) & 255
            if next == 0 { try noteUnindexed() }
        }
    }

    /// Writes everything out. To be called at the end of the last transaction.
    func finish() throws(StoreError) {
        for bucket in buckets.indices { try write(bucket: bucket) }
        try noteUnindexed()
    }

    /// The transaction is durable.
    func commit() { undo.removeAll(keepingCapacity: true) }

    /// The transaction is undone, or nobody knows.
    func rollback() {
        for (hash, former) in undo.reversed() { change(hash, former) }
        undo.removeAll()
        unindexedFrom = .max
    }

    /// Notes in the file which rows it knows to be in the table: those below all in memory. The
    /// rows of later transactions that are below too go to the table at once.
    private func noteUnindexed() throws(StoreError) {
        var least = Int64.max
        for bucket in buckets {
            for case .put(let sequence) in bucket.values { least = min(least, sequence) }
        }
        if least == .max {
            least = try connection.number("SELECT max(sequence) + 1 FROM idempotency_records")
        }
        note.bind(1, least)
        try note.run()
        unindexedFrom = least
    }

    private func write(bucket index: Int) throws(StoreError) {
        let changes = buckets[index].sorted { $0.key.order < $1.key.order }
        for (hash, change) in changes {
            try write(hash, change)
            self.change(hash, nil)
        }
    }

    private func write(_ hash: Hash, _ change: Change) throws(StoreError) {
        scratch.clear(reserving: 16)
        let statement: Statement
        switch change {
        case .put(let sequence):
            statement = insertion
            statement.bind(2, sequence)
        case .remove: statement = removal
        }
        unsafe statement.bind(blob: 1, scratch.keep(hash.words))
        try statement.run()
    }

    private func change(_ hash: Hash, _ change: Change?) {
        let former = buckets[hash.bucket].updateValue(change, forKey: hash)
        undo.append((hash, former))
        count += (change == nil ? 0 : 1) - (former == nil ? 0 : 1)
    }
}

extension IdentityIndex.Hash {
    /// The order of the table, which compares bytes.
    fileprivate var order: (UInt64, UInt64) { (words.0.byteSwapped, words.1.byteSwapped) }
}

extension Dictionary {
    /// Sets or removes a value and returns the former one.
    fileprivate mutating func updateValue(_ value: Value?, forKey key: Key) -> Value? {
        if let value { return updateValue(value, forKey: key) }
        return removeValue(forKey: key)
    }
}
