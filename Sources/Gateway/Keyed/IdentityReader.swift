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
        var fingerprint = Fingerprint()
        let method = head.method.token
        fingerprint.append(.method, method.utf8.count < 16 ? plain(method.utf8) : hashed(method))
        fingerprint.append(.path, digest(of: head.path))
        if rules.query, let query = head.query { fingerprint.append(.query, hashed(query)) }
        let mediaType = mediaType(of: head.fields)
        if !mediaType.isEmpty {
            let isUsual = mediaType == Self.json
            fingerprint.append(.mediaType, isUsual ? Self.jsonDigest : digest(of: mediaType[...]))
        }
        for name in rules.fields where head.fields.contains(name) {
            var text: [UInt8] = []
            appendValues(of: name, in: head.fields, to: &text)
            fingerprint.append(.field(lowercased(name)), hashed(text[...]))
        }
        appendBody(rules, body, mediaType, head.fields, to: &fingerprint)
        return fingerprint
    }

    private func appendBody(
        _ rules: borrowing FingerprintRules, _ body: ArraySlice<UInt8>, _ mediaType: [UInt8],
        _ fields: borrowing Fields, to fingerprint: inout Fingerprint
    ) {
        guard !body.isEmpty else { return }
        let form: JSONCanonicalForm.Result
        switch rules.body {
        case .none: return
        case .bytes: form = .same
        case .auto:
            let isJSON = isJSON(mediaType) && !isEncoded(fields)
            form = isJSON ? JSONCanonicalForm.of(body, ignoring: rules.ignore) : .same
        case .pointers(let only):
            form = JSONCanonicalForm.of(body, ignoring: rules.ignore, only: only)
        }
        if case .rewritten(let canonical) = form {
            fingerprint.append(.body, hashed(canonical[...]))
        } else {
            fingerprint.append(.body, hashed(body))
        }
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
    /// 127 bits of SHA-256. The last bit says that it is a hash.
    private func hashed(_ bytes: ArraySlice<UInt8>) -> (UInt64, UInt64) {
        let prefix = hasher.digest(bytes).prefix
        return (prefix.0, prefix.1 | 1)
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

    /// Type and subtype in lower case, without parameters.
    private func mediaType(of fields: borrowing Fields) -> [UInt8] {
        guard let value = fields[.contentType] else { return [] }
        let type = trimmed(value.prefix { $0 != UInt8(ascii: ";") })
        if equalsIgnoringCase(type, Self.json[...]) { return Self.json }
        return type.map(asciiLowercased)
    }

    private func isJSON(_ mediaType: [UInt8]) -> Bool {
        mediaType == Self.json || mediaType.suffix(5).elementsEqual(Self.jsonSuffix)
    }

    private func isEncoded(_ fields: borrowing Fields) -> Bool {
        guard let coding = fields[.contentEncoding] else { return false }
        return !equalsIgnoringCase(coding, Self.identity[...])
    }

    private static let json = Array("application/json".utf8)
    /// What stands for JSON, so that it needs no hash: the length 0 belongs to no other text.
    private static let jsonDigest: (UInt64, UInt64) = (1, 0)
    private static let jsonSuffix = Array("+json".utf8)
    private static let identity = Array("identity".utf8)
}
