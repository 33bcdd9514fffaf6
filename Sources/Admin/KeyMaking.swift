import HTTP
import Idempotency
import JSON

/// What it takes to make keys that this room has no means for.
package struct KeyMaking {
    /// A new random key.
    let newKey: () -> String
    /// A strong hash of 32 bytes.
    let digest: (ArraySlice<UInt8>) -> [UInt8]

    /// - Parameters:
    ///   - newKey: Makes a random key that nobody can guess: a UUID, version 4.
    ///   - digest: SHA-256.
    package init(
        newKey: @escaping () -> String, digest: @escaping (ArraySlice<UInt8>) -> [UInt8]
    ) {
        self.newKey = newKey
        self.digest = digest
    }
}

extension KeyMaking {
    /// The request that a body describes, for a record that a caller elsewhere works on; nil when
    /// there are mistakes.
    func request(_ document: inout RequestDocument) -> KeyRequest? {
        let method = document.text(
            "request_method", isRequired: true, expected: "a method, such as \"POST\""
        ) { 1...64 ~= $0.utf8.count && FieldName($0).isToken }
        let path = document.text(
            "request_path", isRequired: true,
            expected: "a path without query, such as \"/carts/7\", of visible ASCII"
        ) { $0.hasPrefix("/") && $0.utf8.count <= 16_384 && $0.utf8.allSatisfy(isPathByte) }
        let params = parameters(&document)
        let key = document.text(
            "idempotency_key", expected: "1 to 255 characters of visible ASCII"
        ) { 1...255 ~= $0.utf8.count && $0.utf8.allSatisfy { 0x21...0x7E ~= $0 } }
        let scope = document.text("scope", expected: "a text of at most 1024 bytes") {
            $0.utf8.count <= 1024
        }
        guard let method, let path, let params else { return nil }
        return KeyRequest(
            identity: Identity(scope: self.scope(scope), idempotencyKey: key ?? newKey()),
            fingerprint: fingerprint(method, path, params), requestMethod: method,
            requestPath: path, requestParams: params, isResumable: true)
    }

    /// The text of `request_params`; nil after a mistake.
    private func parameters(_ document: inout RequestDocument) -> String? {
        guard let value = document.value("request_params") else { return "{}" }
        guard value.members != nil else {
            document.tell("request_params", "expected an object")
            return nil
        }
        let text = document.text("request_params", of: value)
        // It is shown within a record, within a list, to readers that do not go on for ever.
        guard text.count <= 65_536, JSON.isValid(text[...], depth: 64) else {
            document.tell(
                "request_params", "expected at most 65536 bytes of JSON, nested 64 deep at most")
            return nil
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Who asks, as a hash that is no gateway's: those begin with the length of a field's name,
    /// whose first byte is 0.
    private func scope(_ scope: String?) -> [UInt8] {
        digest(Array((scope.map { "service scope:" + $0 } ?? "service").utf8)[...])
    }

    private func fingerprint(_ method: String, _ path: String, _ params: String) -> Fingerprint {
        var fingerprint = Fingerprint()
        fingerprint.append(.method, words(Array(method.utf8)))
        fingerprint.append(.path, words(Array(path.utf8)))
        let text = Array(params.utf8)
        var canonical = text
        if case .rewritten(let form) = JSONCanonicalForm.of(text[...]) { canonical = form }
        fingerprint.append(Self.params, words(canonical))
        return fingerprint
    }

    private func words(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        let hash = digest(bytes[...])
        return (
            hash.prefix(8).reduce(0) { $0 << 8 | UInt64($1) },
            hash.dropFirst(8).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        )
    }

    private static let params = Fingerprint.Part.field("request_params")

    /// The member of a request that a part of its fingerprint was taken of.
    static func member(_ part: String) -> String {
        switch part {
        case "method": "request_method"
        case "path": "request_path"
        case params.name: "request_params"
        default: part
        }
    }
}

/// Visible ASCII but `?` and `#`.
private func isPathByte(_ byte: UInt8) -> Bool {
    0x21...0x7E ~= byte && byte != UInt8(ascii: "?") && byte != UInt8(ascii: "#")
}
