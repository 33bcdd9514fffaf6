/// Conclusions as bytes, for the journal.
///
/// The first byte is the version, then come the claimed record, the token, what happened, the
/// policy and the moment; numbers are little-endian, byte strings begin with their length. There
/// is one way to write a conclusion: what `decode` takes, `encode` gives back.
///
/// Version 2 is that of work in stages. What was done of it before is not written: the store has
/// it.
package enum ConclusionCodec {
    typealias Conclusion = UnsavedConclusions.Conclusion

    private static let version: UInt8 = 1
    private static let stagedVersion: UInt8 = 2

    /// The bytes of a conclusion, less its position.
    ///
    /// - Throws: `tooLarge` for what the lengths cannot say.
    static func encode(_ conclusion: Conclusion) throws(StoreError) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(conclusion.isStaged ? stagedVersion : version)
        try writer.write(conclusion.claim.key)
        writer.write(conclusion.claim.lockToken)
        try writer.write(conclusion.outcome)
        writer.write(conclusion.policy)
        writer.write(conclusion.moment.microseconds)
        return writer.bytes
    }

    /// What `decode` takes, written anew; for fuzzers.
    package static func rewrite(_ bytes: [UInt8]) throws(StoreError) -> [UInt8] {
        try encode(try decode(bytes))
    }

    /// The conclusion that `encode` wrote.
    ///
    /// - Throws: `newer` for a version that this one does not know, `corrupt` for anything else.
    static func decode(_ bytes: [UInt8]) throws(StoreError) -> Conclusion {
        var reader = ByteReader(bytes)
        let found: UInt8 = try reader.number()
        guard found != 0 else { throw reader.malformed }
        guard found <= stagedVersion else {
            throw StoreError(
                .newer, "a conclusion of version \(found), this program knows \(stagedVersion)")
        }
        let isStaged = found == stagedVersion
        let key = try reader.key(isResumable: isStaged)
        let token = try reader.token()
        let outcome = try reader.outcome(isStaged: isStaged)
        let policy = try reader.policy()
        let moment = try reader.moment()
        guard reader.isAtEnd else { throw reader.malformed }
        return Conclusion(
            claim: Claim(key, token, 0), outcome: outcome, policy: policy, moment: moment,
            position: nil)
    }
}

extension UnsavedConclusions.Conclusion {
    /// Whether it is of work in stages.
    fileprivate var isStaged: Bool {
        if case .suspended = outcome { return true }
        return claim.key.isResumable
    }
}

extension ByteWriter {
    fileprivate mutating func write(_ key: IdempotencyKey) throws(StoreError) {
        write(key.id.high)
        write(key.id.low)
        try write(key.identity.bytes)
        try write(key.fingerprint.encoded)
        write(key.createdAt.microseconds)
        for text in [
            key.requestMethod, key.requestPath, key.requestParams, key.route, key.owner,
            key.recoveryPoint.description,
        ] { try write(Array(text.utf8)) }
        try writeOptional(key.probeTarget) { writer, text throws(StoreError) in
            try writer.write(Array(text.utf8))
        }
        try writeOptional(key.reply) { writer, reply throws(StoreError) in
            try writer.write(reply)
        }
        try writeOptional(key.lockToken) { writer, token in writer.write(token) }
        for moment in [key.lockedAt, key.leaseUntil, key.expiresAt, key.tombstoneUntil] {
            try writeOptional(moment) { writer, moment in writer.write(moment.microseconds) }
        }
        write(key.updatedAt.microseconds)
        write(Int64(key.attempts))
        write(Int64(key.revision))
    }

    fileprivate mutating func write(_ token: LockToken) {
        write(token.high)
        write(token.low)
    }

    fileprivate mutating func write(_ reply: StoredReply) throws(StoreError) {
        write(reply.responseCode)
        try write(reply.responseHeaders)
        try writeOptional(reply.responseBody) { writer, body throws(StoreError) in
            try writer.write(body)
        }
    }

    fileprivate mutating func write(_ outcome: Outcome) throws(StoreError) {
        switch outcome {
        case .finished(let reply, let retention):
            write(1 as UInt8)
            try write(reply)
            write(retention)
        case .unknown(let reply):
            write(2 as UInt8)
            try writeOptional(reply) { writer, reply throws(StoreError) in try writer.write(reply) }
        case .released(let reply):
            write(3 as UInt8)
            try writeOptional(reply) { writer, reply throws(StoreError) in try writer.write(reply) }
        case .suspended(let record):
            write(4 as UInt8)
            try writeOptional(record) { writer, record throws(StoreError) in
                try writer.write(Array(record.recoveryPoint.utf8))
                writer.write(record.reachedAt.microseconds)
                try writer.writeOptional(record.reply) { writer, reply throws(StoreError) in
                    try writer.write(reply)
                }
            }
        }
    }

    fileprivate mutating func write(_ policy: KeyPolicy) {
        switch policy.unknown {
        case .hold: write(1 as UInt8)
        case .retry: write(2 as UInt8)
        }
        for duration in [
            policy.lease, policy.retention, policy.unknownRetention, policy.tombstone,
        ] { write(duration) }
        write(Int64(policy.waiters))
    }

    /// Whole microseconds; what would not fit is the longest that does.
    fileprivate mutating func write(_ duration: Duration) {
        write((Timestamp(microseconds: 0) + duration).microseconds)
    }
}

extension ByteReader {
    fileprivate mutating func key(isResumable: Bool) throws(StoreError) -> IdempotencyKey {
        let id = KeyID(words: (try number(), try number()))
        let identity = try identity()
        guard let fingerprint = Fingerprint(encoded: try bytes()) else { throw malformed }
        let createdAt = try moment()
        let (method, path, params) = (try text(), try text(), try text())
        let (route, owner, point) = (try text(), try text(), try text())
        let probeTarget = try optional { reader throws(StoreError) in try reader.text() }
        let reply = try optional { reader throws(StoreError) in try reader.reply() }
        let token = try optional { reader throws(StoreError) in try reader.token() }
        let lockedAt = try optionalMoment()
        let leaseUntil = try optionalMoment()
        let expiresAt = try optionalMoment()
        let tombstoneUntil = try optionalMoment()
        let updatedAt = try moment()
        let request = KeyRequest(
            identity: identity, fingerprint: fingerprint, requestMethod: method, requestPath: path,
            requestParams: params, route: route, probeTarget: probeTarget,
            isResumable: isResumable)
        return IdempotencyKey(
            id: id, request: request, createdAt: createdAt, recoveryPoint: RecoveryPoint(point),
            lockedAt: lockedAt, reply: reply, owner: owner, lockToken: token,
            leaseUntil: leaseUntil, attempts: try count(), updatedAt: updatedAt,
            expiresAt: expiresAt, tombstoneUntil: tombstoneUntil, revision: try count())
    }

    private mutating func identity() throws(StoreError) -> Identity {
        let encoded = try bytes()
        guard let length = encoded.first, length <= 32, encoded.count > Int(length) else {
            throw malformed
        }
        let scope = Array(encoded[1..<(1 + Int(length))])
        return Identity(scope: scope, keyBytes: encoded[(1 + scope.count)...])
    }

    fileprivate mutating func token() throws(StoreError) -> LockToken {
        LockToken(words: (try number(), try number()))
    }

    private mutating func reply() throws(StoreError) -> StoredReply {
        let code: UInt16 = try number()
        let headers = try bytes()
        let body = try optional { reader throws(StoreError) in try reader.bytes() }
        return StoredReply(responseCode: code, responseHeaders: headers, responseBody: body)
    }

    fileprivate mutating func outcome(isStaged: Bool) throws(StoreError) -> Outcome {
        let tag: UInt8 = try number()
        switch tag {
        case 1:
            let reply = try reply()
            return .finished(reply, retention: try duration())
        case 2: return .unknown(try optional { reader throws(StoreError) in try reader.reply() })
        case 3: return .released(try optional { reader throws(StoreError) in try reader.reply() })
        case 4 where isStaged:
            return .suspended(
                reached: try optional { reader throws(StoreError) in try reader.stage() })
        default: throw malformed
        }
    }

    private mutating func stage() throws(StoreError) -> StageRecord {
        let name = try text()
        let reachedAt = try moment()
        let reply = try optional { reader throws(StoreError) in try reader.reply() }
        return StageRecord(recoveryPoint: name, reply: reply, reachedAt: reachedAt)
    }

    fileprivate mutating func policy() throws(StoreError) -> KeyPolicy {
        var policy = KeyPolicy()
        let tag: UInt8 = try number()
        switch tag {
        case 1: policy.unknown = .hold
        case 2: policy.unknown = .retry
        default: throw malformed
        }
        policy.lease = try duration()
        policy.retention = try duration()
        policy.unknownRetention = try duration()
        policy.tombstone = try duration()
        policy.waiters = try count()
        return policy
    }

    fileprivate mutating func moment() throws(StoreError) -> Timestamp {
        Timestamp(microseconds: try number())
    }

    private mutating func optionalMoment() throws(StoreError) -> Timestamp? {
        try optional { reader throws(StoreError) in try reader.moment() }
    }

    private mutating func duration() throws(StoreError) -> Duration {
        .microseconds(try number() as Int64)
    }

    /// A number that counts something.
    private mutating func count() throws(StoreError) -> Int {
        let value: Int64 = try number()
        guard value >= 0 else { throw malformed }
        return Int(value)
    }
}
