import Compression
package import Crypto
package import Idempotency

/// Writes replies down compressed, then encrypted, as far as it is told to; it reads all that it
/// ever wrote, and replies that were written as they are.
///
/// A written reply is told from a plain one by the first byte of its field section, a NUL, which
/// begins no field line. A ``StoredEnvelope`` says what was done. Who can change the store can put
/// plain replies there, because those from before encryption stay readable; encryption keeps
/// replies secret, and a sealed one bound to its record and status.
package struct SealedReplies: ReplyCoding {
    /// Bodies longer than this are compressed; nil compresses none.
    private let compressAbove: Int?
    private let keys: [(id: [UInt8], key: SealingKey)]

    /// - Parameter keys: The first one writes; each one reads what it wrote.
    package init(compressAbove: Int?, keys: [SealingKey]) {
        self.compressAbove = compressAbove
        self.keys = keys.map { ($0.id, $0) }
    }

    package func encode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
        guard !StoredEnvelope.isMarked(reply.responseHeaders) else { return reply }
        var envelope = StoredEnvelope()
        var body = reply.responseBody
        envelope.hasBody = body != nil
        if let plain = body, let compressAbove, plain.count > compressAbove,
            let compressed = Zstandard.compress(plain)
        {
            envelope.bodyLength = plain.count
            body = compressed
        }
        guard let (keyID, key) = keys.first else {
            guard envelope.bodyLength != nil else { return reply }
            return StoredReply(
                responseCode: reply.responseCode,
                responseHeaders: envelope.bytes + reply.responseHeaders, responseBody: body)
        }
        envelope.keyID = keyID
        let seal = Seal(key, envelope, reply.responseCode, id)
        let fields = seal.key.seal(reply.responseHeaders, context: seal.fieldsContext)
        let sealedBody = body.map { seal.key.seal($0, context: seal.bodyContext(fields[...])) }
        return StoredReply(
            responseCode: reply.responseCode, responseHeaders: envelope.bytes + fields,
            responseBody: sealedBody)
    }

    package func decode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
        guard StoredEnvelope.isMarked(reply.responseHeaders) else { return reply }
        let (envelope, rest) = try StoredEnvelope.read(reply.responseHeaders, of: id)
        guard envelope.hasBody == (reply.responseBody != nil) else { throw .changed(id) }
        var fields = Array(rest)
        var body = reply.responseBody
        if let keyID = envelope.keyID {
            guard let key = keys.first(where: { $0.id == keyID })?.key else {
                throw StoreError(
                    .corrupt,
                    "the answer of \(id) needs an encryption key that is not configured; add it to "
                        + "store.encryption_key, after the first")
            }
            let seal = Seal(key, envelope, reply.responseCode, id)
            guard let opened = seal.key.open(rest, context: seal.fieldsContext) else {
                throw .changed(id)
            }
            if let sealed = body {
                body = seal.key.open(sealed[...], context: seal.bodyContext(rest))
                guard body != nil else { throw .changed(id) }
            }
            fields = opened
        }
        if let length = envelope.bodyLength, let compressed = body {
            body = ContentCoding.zstandard.decode(compressed.span, limit: length)
            guard body?.count == length else { throw .changed(id) }
        }
        return StoredReply(
            responseCode: reply.responseCode, responseHeaders: fields, responseBody: body)
    }
}

/// The key of one record, and what its parts are bound to: the record's name, the status, what the
/// envelope says, and the body to its fields, so that nothing opens in another place.
private struct Seal {
    let key: SealingKey
    private let common: [UInt8]

    init(_ key: SealingKey, _ envelope: StoredEnvelope, _ code: UInt16, _ id: KeyID) {
        let name = Array("oncegate reply 1 \(id)".utf8)
        self.key = key.derived(for: name)
        common = name + [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)] + envelope.bytes
    }

    var fieldsContext: [UInt8] { common + [UInt8(ascii: "f")] }

    /// - Parameter fields: The sealed fields, whose nonce and tag no other sealing has.
    func bodyContext(_ fields: ArraySlice<UInt8>) -> [UInt8] {
        common + [UInt8(ascii: "b")] + fields.prefix(SealingKey.overhead)
    }
}

extension StoreError {
    fileprivate static func changed(_ id: KeyID) -> StoreError {
        StoreError(
            .corrupt, "the answer of \(id) is not as it was written: it was changed or damaged")
    }
}
