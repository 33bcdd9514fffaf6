import Crypto
import HTTP
import Idempotency
import JSON

/// Takes the identity of requests: who asks, and what for. One for each event loop.
final class IdentityReader {
    private let hasher = SHA256Hasher()

    /// The hash of the fields that say who asks; empty where all share their keys.
    ///
    /// Hashed are, for each field, its name, the number of its lines, and each value with its
    /// length, so that no two lists look alike, and an absent field differs from an empty one.
    func scope(_ scope: KeyRules.Scope, of fields: borrowing Fields) -> [UInt8] {
        guard case .fields(let names) = scope else { return [] }
        var text: [UInt8] = []
        text.reserveCapacity(256)
        for name in names {
            appendCount(name.spelling.count, to: &text)
            for byte in name.spelling { text.append(asciiLowercased(byte)) }
            appendValues(of: name, in: fields, to: &text)
        }
        return hasher.digest(text[...]).bytes
    }

    /// The digests of what makes the request itself.
    func fingerprint(
        _ rules: borrowing FingerprintRules, of head: borrowing RequestHead,
        body: ArraySlice<UInt8>
    ) -> Fingerprint {
        fingerprint(rules, of: head, body: .memory(body))
    }

    /// The digests of what makes the request itself.
    func fingerprint(
        _ rules: borrowing FingerprintRules, of head: borrowing RequestHead, body: KeyedBody
    ) -> Fingerprint {
        var fingerprint = Fingerprint()
        let method = head.method.token
        fingerprint.append(.method, method.utf8.count < 16 ? plain(method.utf8) : hashed(method))
        fingerprint.append(.path, digest(of: head.path))
        if rules.query, let query = head.query { fingerprint.append(.query, hashed(query)) }
        let mediaType = mediaType(of: head.fields)
        if mediaType == nil {
            var text: [UInt8] = []
            appendValues(of: .contentType, in: head.fields, to: &text)
            fingerprint.append(.mediaType, hashed(text[...]))
        } else if let mediaType, !mediaType.isEmpty {
            let isUsual = mediaType == Self.json
            fingerprint.append(.mediaType, isUsual ? Self.jsonDigest : digest(of: mediaType[...]))
        }
        for name in rules.fields where head.fields.contains(name) {
            var text: [UInt8] = []
            appendValues(of: name, in: head.fields, to: &text)
            fingerprint.append(.field(lowercased(name)), hashed(text[...]))
        }
        if body.count > 0,
            let (digest, subject) = bodyDigest(rules, body, mediaType, head.fields)
        {
            let words = hashed(digest)
            fingerprint.append(.body, (words.0, words.1 ^ subject.rawValue))
        }
        return fingerprint
    }

    private func appendValues(
        of name: FieldName, in fields: borrowing Fields, to text: inout [UInt8]
    ) {
        appendCount(fields.count(of: name), to: &text)
        var index = fields.firstIndex(of: name)
        while let found = index {
            let value = fields.value(at: found)
            appendCount(value.count, to: &text)
            text += value
            index = fields.firstIndex(of: name, from: found + 1)
        }
    }

    /// Four bytes, which is more than a head can hold.
    private func appendCount(_ count: Int, to text: inout [UInt8]) {
        for shift in stride(from: 24, through: 0, by: -8) {
            text.append(UInt8(truncatingIfNeeded: count >> shift))
        }
    }
}

extension IdentityReader {
    /// Longer bodies are compared byte for byte under `auto`, which can refuse a repetition as
    /// another request and never takes one for the other. It bounds the time for which a body, or
    /// what comes out of its codings, holds the loop up.
    static let comparedByContent = 1 << 20
    /// The same where pointers are given, without which such requests could not be compared.
    static let comparedByPointers = 64 << 20

    /// The most that may come out of a body's codings, as a multiple of what came in, beyond
    /// ``comparedByContent``: a few KiB are not to keep the loop busy with many MiB.
    static let expansion = 32

    /// A body without its codings; nil when it is longer than `limit`, or cannot be decoded.
    static func content(
        of body: KeyedBody, _ codings: ContentCodings, limit: Int
    ) -> ArraySlice<UInt8>? {
        guard body.count <= limit, let bytes = body.bytes else { return nil }
        return codings.decode(
            bytes, limit: min(limit, max(comparedByContent, body.count * expansion)))
    }

    /// What the digest of a body was taken of. It shows in the digest, or a body could be made of
    /// the very bytes that another one was reduced to.
    private enum Subject: UInt64 {
        /// The bytes as they came, or JSON in its canonical form, which other bytes cannot be.
        case content = 0
        /// What pointers name.
        case values = 2
        case parts = 4
        /// Bytes and the codings that they bear, which were not taken off.
        case encoded = 8
    }

    /// What separates the parts of a body that is compared by them while it comes; nil for any
    /// other.
    func boundary(_ rules: borrowing FingerprintRules, _ fields: borrowing Fields) -> [UInt8]? {
        guard case .auto = rules.body, ContentCodings(fields)?.isEmpty == true else { return nil }
        return boundary(fields)
    }

    private func boundary(_ fields: borrowing Fields) -> [UInt8]? {
        guard fields.count(of: .contentType) == 1 else { return nil }
        return fields[.contentType].flatMap { MultipartBoundary.of($0) }
    }

    /// The digest of what a body is compared by; nil where it takes no part.
    private func bodyDigest(
        _ rules: borrowing FingerprintRules, _ body: KeyedBody, _ mediaType: [UInt8]?,
        _ fields: borrowing Fields
    ) -> (Digest, Subject)? {
        var only: [JSONPointer]?
        switch rules.body {
        case .none: return nil
        case .bytes: return (digest(of: body), .content)
        case .auto: break
        case .pointers(let pointers): only = pointers
        }
        let isJSON = only != nil || mediaType.map(isJSON) == true
        guard let codings = ContentCodings(fields) else { return encodedDigest(of: body, fields) }
        if codings.isEmpty, !isJSON {
            let parts = boundary(fields).flatMap { partsDigest(of: body, $0) }
            return parts.map { ($0, .parts) } ?? (digest(of: body), .content)
        }
        let hasPointers = only != nil || !rules.ignore.isEmpty
        let limit = hasPointers ? Self.comparedByPointers : Self.comparedByContent
        guard let content = Self.content(of: body, codings, limit: limit) else {
            return codings.isEmpty
                ? (digest(of: body), .content) : encodedDigest(of: body, fields)
        }
        if isJSON {
            let form = JSONCanonicalForm.of(content, ignoring: rules.ignore, only: only)
            if case .rewritten(let canonical) = form {
                return (hasher.digest(canonical[...]), only == nil ? .content : .values)
            }
        } else if let parts = boundary(fields).flatMap({ partsDigest(of: .memory(content), $0) }) {
            return (parts, .parts)
        }
        return (hasher.digest(content), .content)
    }

    private func encodedDigest(
        of body: KeyedBody, _ fields: borrowing Fields
    ) -> (Digest, Subject) {
        var text = digest(of: body).bytes
        appendValues(of: .contentEncoding, in: fields, to: &text)
        return (hasher.digest(text[...]), .encoded)
    }

    private func digest(of body: KeyedBody) -> Digest {
        switch body {
        case .memory(let bytes): hasher.digest(bytes)
        case .spooled(let content): content.digests.whole
        }
    }

    private func partsDigest(of body: KeyedBody, _ boundary: [UInt8]) -> Digest? {
        switch body {
        case .memory(let bytes):
            var digest = MultipartDigest(boundary: boundary)
            digest.append(bytes)
            return digest.finish()
        case .spooled(let content): return content.digests.parts
        }
    }
}

extension IdentityReader {
    /// 127 bits of SHA-256. The last bit says that it is a hash.
    private func hashed(_ digest: Digest) -> (UInt64, UInt64) {
        (digest.prefix.0, digest.prefix.1 | 1)
    }

    private func hashed(_ bytes: ArraySlice<UInt8>) -> (UInt64, UInt64) {
        hashed(hasher.digest(bytes))
    }

    private func hashed(_ text: String) -> (UInt64, UInt64) { hashed(Array(text.utf8)[...]) }

    /// Text that the record shows anyway: as it is when it is short, else hashed.
    private func digest(of text: ArraySlice<UInt8>) -> (UInt64, UInt64) {
        text.count < 16 ? plain(text) : hashed(text)
    }

    /// Up to 15 bytes as they are, and their number, doubled, in the last byte.
    private func plain(_ text: some Collection<UInt8>) -> (UInt64, UInt64) {
        var words: (UInt64, UInt64) = (0, UInt64(text.count) << 1)
        var shift: UInt64 = 120
        for byte in text {
            if shift >= 64 {
                words.0 |= UInt64(byte) << (shift - 64)
            } else {
                words.1 |= UInt64(byte) << shift
            }
            shift -= 8
        }
        return words
    }

    private func lowercased(_ name: FieldName) -> String {
        String(decoding: name.spelling.map(asciiLowercased), as: UTF8.self)
    }

    /// Type and subtype in lower case, without parameters; nil when several lines are there, of
    /// which nobody knows which one the upstream goes by.
    private func mediaType(of fields: borrowing Fields) -> [UInt8]? {
        guard let value = fields[.contentType] else { return [] }
        guard fields.count(of: .contentType) == 1 else { return nil }
        let type = trimmed(value.prefix { $0 != UInt8(ascii: ";") })
        if equalsIgnoringCase(type, Self.json[...]) { return Self.json }
        return type.map(asciiLowercased)
    }

    private func isJSON(_ mediaType: [UInt8]) -> Bool {
        mediaType == Self.json || mediaType.suffix(5).elementsEqual(Self.jsonSuffix)
    }

    private static let json = Array("application/json".utf8)
    /// What stands for JSON, so that it needs no hash: the length 0 belongs to no other text.
    private static let jsonDigest: (UInt64, UInt64) = (1, 0)
    private static let jsonSuffix = Array("+json".utf8)
}
