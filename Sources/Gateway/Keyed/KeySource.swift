import Crypto
package import HTTP
import Idempotency
package import JSON

/// Where the key of a request comes from whose client sends none: `from` in `gateway.json`.
package enum KeySource: Sendable {
    /// A field that names the request, such as `X-GitHub-Delivery`.
    case header(FieldName)
    /// A string or number in a JSON body.
    case json(JSONPointer)
    /// What the request is: equal requests are duplicates.
    case fingerprint

    /// Whether the key is known only when the body is.
    var needsBody: Bool {
        if case .header = self { false } else { true }
    }
}

/// Makes keys of what requests say anyway. One for each event loop.
package final class DerivedKeys {
    private let hasher = SHA256Hasher()

    /// No keys yet.
    package init() {}

    /// The key that a request's fields hold; nil for another source, or without a value.
    ///
    /// Several lines are one value, as if they stood in one (RFC 9110 section 5.3).
    package func key(_ source: KeySource?, of fields: borrowing Fields) -> ClientKey? {
        guard case .header(let name) = source else { return nil }
        var value: [UInt8] = []
        for index in fields.indices where fields.isLine(at: index, named: name) {
            if !value.isEmpty { value += [UInt8(ascii: ","), UInt8(ascii: " ")] }
            value += fields.value(at: index)
        }
        return key(of: value[...])
    }

    /// The key that a request's body or fingerprint holds; nil for another source, or when there
    /// is no string or number where the source says.
    func key(
        _ source: KeySource?, of body: KeyedBody, _ fields: borrowing Fields,
        _ fingerprint: borrowing Fingerprint
    ) -> ClientKey? {
        switch source {
        case .json(let pointer):
            content(of: body, fields).flatMap { key(at: pointer, in: $0) }
        case .fingerprint: ClientKey(generated: hash(of: fingerprint.encoded[...]))
        case .header, nil: nil
        }
    }

    /// A body without its codings, or as it is where what is said of them makes no sense.
    private func content(of body: KeyedBody, _ fields: borrowing Fields) -> ArraySlice<UInt8>? {
        let limit = IdentityReader.comparedByPointers
        let decoded = ContentCodings(fields).flatMap {
            IdentityReader.content(of: body, $0, limit: limit)
        }
        return decoded ?? (body.count <= limit ? body.bytes : nil)
    }

    /// Reads one value without building the others, so that memory stays within a few bodies.
    private func key(at pointer: JSONPointer, in body: ArraySlice<UInt8>) -> ClientKey? {
        guard case .rewritten(let line) = JSONCanonicalForm.of(body, only: [pointer]) else {
            return nil
        }
        let value = line.dropLast()
        guard let first = value.first else { return nil }
        switch first {
        case UInt8(ascii: "\""):
            // Half of a surrogate pair is no text; its spelling still names the request.
            guard let text = try? JSON.parse(value).string else { return key(of: value) }
            return key(of: Array(text.utf8)[...])
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return key(of: value)
        default: return nil
        }
    }

    /// A value as a key, or its hash where it cannot be one. An empty one is none.
    private func key(of value: ArraySlice<UInt8>) -> ClientKey? {
        guard !value.isEmpty else { return nil }
        return ClientKey(derived: value) ?? ClientKey(generated: hash(of: value))
    }

    /// SHA-256 in 64 hexadecimal digits.
    private func hash(of bytes: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        for byte in hasher.digest(bytes).bytes {
            text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
        return String(decoding: text, as: UTF8.self)
    }
}
