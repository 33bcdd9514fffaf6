/// A store whose replies are written down by a ``ReplyCoding``: a store around a store.
///
/// Short replies are coded where the caller runs; the coding of a body of more than 64 KiB takes
/// milliseconds, so that it is done on the threads of Swift's own pool, while the caller waits.
public final class CodedStore: IdempotencyStore {
    private let store: any IdempotencyStore
    private let coding: any ReplyCoding

    /// Wraps a store.
    public init(_ store: any IdempotencyStore, coding: any ReplyCoding) {
        self.store = store
        self.coding = coding
    }

    /// As the store says.
    public var isExclusive: Bool { store.isExclusive }
    /// As the store says.
    public var isAvailable: Bool { store.isAvailable }
    /// What the store has done.
    public var statistics: StoreStatistics { store.statistics }

    /// Adds a record, unless there is one with its identity.
    public func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        switch try await store.insert(try await encoded(key)) {
        case .inserted(let now): return .inserted(now: now)
        case .existing(let existing, let now):
            return .existing(try await decoded(existing), now: now)
        }
    }

    /// The record of an identity.
    public func find(_ identity: Identity) async throws(StoreError) -> Lookup {
        try await decoded(try await store.find(identity))
    }

    /// The record of that name.
    public func find(_ id: KeyID) async throws(StoreError) -> Lookup {
        try await decoded(try await store.find(id))
    }

    /// Puts a record in the place of the version that the caller judged.
    public func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        switch try await store.replace(try await encoded(key), expecting: version) {
        case .replaced(let now): return .replaced(now: now)
        case .lost(let other?, let now): return .lost(try await decoded(other), now: now)
        case .lost(nil, let now): return .lost(nil, now: now)
        }
    }

    /// Locked records in order of their ids.
    public func unfinished(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        await listed(try await store.unfinished(after: id, limit: limit))
    }

    /// Unknown records in order of their ids.
    public func unknown(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        await listed(try await store.unknown(after: id, limit: limit))
    }

    /// Suspended records in order of their ids.
    public func suspended(
        after id: KeyID?, limit: Int
    ) async throws(StoreError) -> [IdempotencyKey] {
        await listed(try await store.suspended(after: id, limit: limit))
    }

    /// A part of all records.
    public func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        let page = try await store.list(query)
        var (keys, bytes): ([IdempotencyKey], Int) = ([], 0)
        // What was compressed is longer now.
        for key in page.keys where bytes < KeyPage.byteLimit {
            keys.append((try? await decoded(key)) ?? key)
            bytes += keys[keys.count - 1].replyBytes
        }
        let isWhole = keys.count == page.keys.count
        return KeyPage(keys: keys, next: isWhole ? page.next : keys.last?.id)
    }

    /// Runs statements and changes a record, in one transaction.
    public func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws {
        let coding = coding
        try await store.transact(id) { lookup, transaction in
            let key = try lookup.key?.decoded(by: coding)
            let changed = try body(Lookup(key: key, now: lookup.now), transaction)
            return try changed?.encoded(by: coding)
        }
    }

    /// Takes what expired.
    public func remove(limit: Int) async throws(StoreError) -> Int {
        try await store.remove(limit: limit)
    }

    /// Removes the last traces.
    public func scrub() async throws(StoreError) { try await store.scrub() }
}

extension CodedStore {
    private func encoded(_ key: IdempotencyKey) async throws(StoreError) -> IdempotencyKey {
        guard key.isStaged else { return try await encodedPlain(key) }
        if key.isLong {
            return try await withTaskExecutorPreference(globalConcurrentExecutor) {
                () async throws(StoreError) in try await encodedElsewhere(key)
            }
        }
        return try key.encoded(by: coding)
    }

    private func encodedPlain(_ key: IdempotencyKey) async throws(StoreError) -> IdempotencyKey {
        guard let reply = key.reply else { return key }
        var key = key
        key.reply = try await coding.encoded(reply, of: key.id)
        return key
    }

    private func decoded(_ key: IdempotencyKey) async throws(StoreError) -> IdempotencyKey {
        if key.isStaged {
            guard key.isLong else { return try key.decoded(by: coding) }
            return try await withTaskExecutorPreference(globalConcurrentExecutor) {
                () async throws(StoreError) in try await decodedElsewhere(key)
            }
        }
        guard let reply = key.reply else { return key }
        var key = key
        key.reply = try await coding.decoded(reply, of: key.id)
        return key
    }

    @concurrent private func encodedElsewhere(
        _ key: IdempotencyKey
    ) async throws(StoreError) -> IdempotencyKey {
        try key.encoded(by: coding)
    }

    @concurrent private func decodedElsewhere(
        _ key: IdempotencyKey
    ) async throws(StoreError) -> IdempotencyKey {
        try key.decoded(by: coding)
    }

    private func decoded(_ lookup: Lookup) async throws(StoreError) -> Lookup {
        guard let key = lookup.key else { return lookup }
        return Lookup(key: try await decoded(key), now: lookup.now)
    }

    /// One record that cannot be read does not hide the others: its reply stays as it is written,
    /// and is written again like that.
    private func listed(_ keys: [IdempotencyKey]) async -> [IdempotencyKey] {
        var listed: [IdempotencyKey] = []
        for key in keys { listed.append((try? await decoded(key)) ?? key) }
        return listed
    }
}

// A function that is `@concurrent` runs where its task prefers to, which on an event loop is the
// loop: so it is told otherwise.

extension ReplyCoding {
    /// Encodes where the caller runs, or elsewhere if that takes long.
    func encoded(_ reply: StoredReply, of id: KeyID) async throws(StoreError) -> StoredReply {
        guard reply.isLong else { return try encode(reply, of: id) }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            () async throws(StoreError) in try await encodeElsewhere(reply, of: id)
        }
    }

    /// Decodes where the caller runs, or elsewhere if that takes long.
    func decoded(_ reply: StoredReply, of id: KeyID) async throws(StoreError) -> StoredReply {
        guard reply.isLong else { return try decode(reply, of: id) }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            () async throws(StoreError) in try await decodeElsewhere(reply, of: id)
        }
    }

    @concurrent private func encodeElsewhere(
        _ reply: StoredReply, of id: KeyID
    ) async throws(StoreError) -> StoredReply {
        try encode(reply, of: id)
    }

    @concurrent private func decodeElsewhere(
        _ reply: StoredReply, of id: KeyID
    ) async throws(StoreError) -> StoredReply {
        try decode(reply, of: id)
    }
}

extension StoredReply {
    /// Whether it is coded on the threads of Swift's own pool.
    fileprivate var isLong: Bool { responseBody?.count ?? 0 > 64 << 10 }
}

extension IdempotencyKey {
    /// Whether it has more to be coded than its answer.
    fileprivate var isStaged: Bool { content != nil || progress != nil }

    /// Whether coding it takes long.
    fileprivate var isLong: Bool {
        let replies = stages.reduce(reply?.weight ?? 0) { $0 + ($1.reply?.weight ?? 0) }
        return replies + (content?.count ?? 0) > 64 << 10
    }

    /// The record with its answers and the request's content as they are to be written.
    fileprivate func encoded(
        by coding: any ReplyCoding
    ) throws(StoreError) -> IdempotencyKey {
        var key = try mapReplies { reply throws(StoreError) in try coding.encode(reply, of: id) }
        guard let content else { return key }
        let coded = try coding.encode(
            StoredReply(responseCode: 0, responseHeaders: [], responseBody: content), of: id)
        var writer = ByteWriter()
        try writer.write(coded.responseHeaders)
        writer.write(raw: coded.responseBody ?? [])
        key.changeRequest { $0.content = writer.bytes }
        return key
    }

    /// The record with its answers and the request's content as they were before.
    fileprivate func decoded(
        by coding: any ReplyCoding
    ) throws(StoreError) -> IdempotencyKey {
        var key = try mapReplies { reply throws(StoreError) in try coding.decode(reply, of: id) }
        guard let content else { return key }
        var reader = ByteReader(content)
        let headers = try reader.bytes()
        let coded = StoredReply(
            responseCode: 0, responseHeaders: headers, responseBody: reader.rest)
        let plain = try coding.decode(coded, of: id).responseBody
        key.changeRequest { $0.content = plain }
        return key
    }

    private func mapReplies(
        _ code: (StoredReply) throws(StoreError) -> StoredReply
    ) throws(StoreError) -> IdempotencyKey {
        var key = self
        if let reply { key.reply = try code(reply) }
        var coded: [StageRecord] = []
        for stage in stages {
            var reply = stage.reply
            if let plain = reply { reply = try code(plain) }
            coded.append(stage.replying(reply))
        }
        key.setProgress(coded, pending: pendingStage)
        return key
    }
}
