/// Which records are looked for.
public struct KeyQuery: Sendable {
    /// What a record can be found by.
    public enum State: String, Sendable, CaseIterable {
        /// Somebody works on it, or did when its lease was last renewed.
        case locked
        /// Nobody works on it, and a request may.
        case free
        /// Nobody knows its outcome.
        case unknown
        /// There is an answer.
        case finished
        /// Its time is over; a tombstone may be left.
        case expired
    }

    /// Nil for any.
    public var state: State?
    /// The name of the route that took the request; nil for any.
    public var route: String?
    /// The client's key, whoever's it is; nil for any.
    public var idempotencyKey: String?
    /// The newest first, from the first one before this id on; nil begins with the newest.
    public var before: KeyID?
    /// If given, the oldest first, from the first one after this id on.
    public var after: KeyID?
    /// The most records of a page. It has fewer where their answers are long.
    public var limit: Int

    /// Any record, the newest first.
    public init(
        state: State? = nil, route: String? = nil, idempotencyKey: String? = nil,
        before: KeyID? = nil, after: KeyID? = nil, limit: Int = 100
    ) {
        self.state = state
        self.route = route
        self.idempotencyKey = idempotencyKey
        self.before = before
        self.after = after
        self.limit = limit
    }

    /// Whether a record is looked for, by the store's clock. For stores.
    package func isMet(by key: IdempotencyKey, at now: Timestamp) -> Bool {
        (state.map { key.state(at: now) == $0 } ?? true)
            && (route.map { key.route == $0 } ?? true)
            && (idempotencyKey.map { key.identity.idempotencyKey == $0 } ?? true)
    }
}

/// Some of the records that a ``KeyQuery`` asks for.
public struct KeyPage: Sendable {
    /// The records, in the query's order.
    public var keys: [IdempotencyKey]
    /// What is to be given as `before`, or `after`, to go on; nil at the end.
    public var next: KeyID?

    /// The bytes of answers after which a page ends before its `limit`: 4 MiB. It is longer by at
    /// most the last one's.
    package static let byteLimit = 4 << 20

    /// A page from its parts.
    public init(keys: [IdempotencyKey], next: KeyID?) {
        self.keys = keys
        self.next = next
    }
}

extension IdempotencyKey {
    /// What counts for ``KeyPage/byteLimit``.
    package var replyBytes: Int {
        (reply?.responseBody?.count ?? 0) + (reply?.responseHeaders.count ?? 0)
            + stages.reduce(0) { $0 + ($1.reply?.responseBody?.count ?? 0) }
    }

    /// What the record can be found by, by the store's clock.
    public func state(at now: Timestamp) -> KeyQuery.State {
        guard !isExpired(at: now) else { return .expired }
        guard !isLocked else { return .locked }
        switch recoveryPoint {
        case .started, .stage: return .free
        case .finished: return .finished
        case .unknown: return .unknown
        }
    }
}
