package import HTTP
import Idempotency

/// A request's idempotency key, as the client means it.
package struct ClientKey {
    /// The key itself, unquoted and unescaped: 1 to 255 bytes of visible ASCII.
    package let bytes: ArraySlice<UInt8>
    /// The key as a field value: itself, or quoted where it could not stand raw.
    package let fieldValue: ArraySlice<UInt8>

    /// A key from its text, which must be a valid one.
    init(generated text: String) {
        bytes = Array(text.utf8)[...]
        fieldValue = bytes
    }

    /// A key from a value that was not meant as one; nil for what no key can be.
    init?(derived value: ArraySlice<UInt8>) {
        guard (1...Self.maximumLength).contains(value.count), value.allSatisfy(isVisible) else {
            return nil
        }
        bytes = value
        guard !value.allSatisfy(isRawKeyByte) else {
            fieldValue = value
            return
        }
        fieldValue = quoted(value)
    }

    private init(raw: ArraySlice<UInt8>) {
        bytes = raw
        fieldValue = raw
    }

    private init(unquoted: [UInt8], from quoted: ArraySlice<UInt8>) {
        bytes = unquoted[...]
        fieldValue = unquoted.allSatisfy(isRawKeyByte) ? unquoted[...] : quoted
    }

    /// The key of a record; nil where no client can have sent it.
    init?(of record: IdempotencyKey) {
        self.init(derived: Array(record.identity.idempotencyKey.utf8)[...])
    }

    /// As a field value, the key of one step of the work: `<key>:<recovery point>`.
    func fieldValue(at point: String) -> ArraySlice<UInt8> {
        let value = bytes + [UInt8(ascii: ":")] + point.utf8
        return value.allSatisfy(isRawKeyByte) ? value : quoted(value)
    }

    /// What a request's fields say of its key.
    package enum Reading {
        case absent
        case key(ClientKey)
        /// The reason completes "is not a key: ".
        case invalid(String)
    }

    /// Reads the field that carries the key.
    ///
    /// Raw, as in `abc-123`, a value is the key: visible ASCII but `"` and `,`. A value that begins
    /// with `"` is a String of RFC 9651 section 3.3.3, in which only `\"` and `\\` are escapes; its
    /// content, likewise of visible ASCII, is the key. Parameters are refused: nobody could say
    /// whether they belong to the key.
    package static func read(from fields: borrowing Fields, named name: FieldName) -> Reading {
        guard let index = fields.firstIndex(of: name) else { return .absent }
        guard fields.firstIndex(of: name, from: index + 1) == nil else {
            return .invalid("it is there more than once")
        }
        let value = fields.value(at: index)
        guard let first = value.first else { return .invalid("it is empty") }
        if first == UInt8(ascii: "\"") { return readQuoted(value) }
        guard value.count <= maximumLength else { return .invalid(tooLong) }
        guard value.allSatisfy(isRawKeyByte) else {
            return .invalid("it has bytes other than visible ASCII, or a quote or comma")
        }
        return .key(ClientKey(raw: value))
    }

    private static func readQuoted(_ value: ArraySlice<UInt8>) -> Reading {
        var key: [UInt8] = []
        var index = value.startIndex + 1
        while index < value.endIndex, value[index] != UInt8(ascii: "\"") {
            if value[index] == UInt8(ascii: "\\") {
                index += 1
                guard index < value.endIndex, isEscapable(value[index]) else {
                    return .invalid("a backslash escapes only a quote or a backslash")
                }
            }
            guard isVisible(value[index]) else {
                return .invalid("it has bytes other than visible ASCII")
            }
            key.append(value[index])
            index += 1
        }
        guard index < value.endIndex else { return .invalid("its closing quote is missing") }
        guard index + 1 == value.endIndex else { return .invalid("something follows its quotes") }
        guard !key.isEmpty else { return .invalid("it is empty") }
        guard key.count <= maximumLength else { return .invalid(tooLong) }
        return .key(ClientKey(unquoted: key, from: value))
    }

    private static let maximumLength = 255
    private static let tooLong = "it is longer than 255 bytes"
}

/// A String of RFC 9651.
private func quoted(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var quoted = [UInt8(ascii: "\"")]
    for byte in value {
        if isEscapable(byte) { quoted.append(UInt8(ascii: "\\")) }
        quoted.append(byte)
    }
    quoted.append(UInt8(ascii: "\""))
    return quoted[...]
}

private func isVisible(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F }

private func isRawKeyByte(_ byte: UInt8) -> Bool {
    isVisible(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: ",")
}

private func isEscapable(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
}
