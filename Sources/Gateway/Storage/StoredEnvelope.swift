import Idempotency

/// What stands before the fields of a reply that was not written as it is.
///
/// A NUL, the version 1, a byte of flags; then, where the body is compressed, its length as eight
/// bytes, the highest first; then, where all is encrypted, eight bytes that name the key.
struct StoredEnvelope {
    /// Whether there is a body.
    var hasBody = false
    /// The length of the body before it was compressed; nil when it was not.
    var bodyLength: Int?
    /// The key that encrypts fields and body; nil when none does.
    var keyID: [UInt8]?

    private static let mark: UInt8 = 0
    private static let version: UInt8 = 1
    private static let bodyFlag: UInt8 = 1
    private static let compressedFlag: UInt8 = 2
    private static let sealedFlag: UInt8 = 4

    /// Whether a field section has an envelope. No field line begins with its mark.
    static func isMarked(_ section: [UInt8]) -> Bool { section.first == mark }

    /// The envelope as it is written.
    var bytes: [UInt8] {
        var flags: UInt8 = hasBody ? Self.bodyFlag : 0
        if bodyLength != nil { flags |= Self.compressedFlag }
        if keyID != nil { flags |= Self.sealedFlag }
        var bytes = [Self.mark, Self.version, flags]
        if let bodyLength {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: bodyLength >> shift))
            }
        }
        if let keyID { bytes += keyID }
        return bytes
    }

    /// Reads the envelope of a marked field section, and gives what follows it.
    static func read(
        _ section: [UInt8], of id: KeyID
    ) throws(StoreError) -> (StoredEnvelope, rest: ArraySlice<UInt8>) {
        let damaged = StoreError(.corrupt, "the envelope of the answer of \(id) is damaged")
        guard section.count >= 3 else { throw damaged }
        guard section[1] == version, section[2] < 8 else {
            throw StoreError(.newer, "the answer of \(id) was written by a newer version")
        }
        let flags = section[2]
        var envelope = StoredEnvelope()
        var rest = section[3...]
        envelope.hasBody = flags & bodyFlag != 0
        if flags & compressedFlag != 0 {
            guard envelope.hasBody, rest.count >= 8 else { throw damaged }
            let length = rest.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            guard length <= largestBody else { throw damaged }
            envelope.bodyLength = Int(length)
            rest = rest.dropFirst(8)
        }
        if flags & sealedFlag != 0 {
            guard rest.count >= 8 else { throw damaged }
            envelope.keyID = Array(rest.prefix(8))
            rest = rest.dropFirst(8)
        }
        return (envelope, rest)
    }

    /// More than `response_limit` can be: what a damaged length may make us allocate.
    private static let largestBody: UInt64 = 1 << 30
}
