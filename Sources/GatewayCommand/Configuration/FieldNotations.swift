import Crypto
import HTTP
import JSON

extension Notation<String> {
    /// Any text that is not empty.
    static func plain(_ expected: String) -> Notation {
        .text(
            expected,
            parse: { text throws(Invalid) in
                guard !text.isEmpty, !text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
                    throw Invalid("expected \(expected), not empty, without control characters")
                }
                return text
            },
            print: \.self)
    }

    /// A method's token.
    static var method: Notation {
        let example = "a method such as \"POST\""
        return .text(
            example,
            parse: { text throws(Invalid) in
                guard FieldName(text).isToken else { throw Invalid("expected \(example)") }
                let upper = text.uppercased()
                if case .other = Method(text), case .other = Method(upper) { return text }
                guard text == upper else {
                    throw Invalid("expected \"\(upper)\"", hint: "; methods are case-sensitive")
                }
                return text
            },
            print: \.self)
    }

    /// The path of a directory in which files can be made.
    static var writableDirectory: Notation {
        let path = Notation.plain("the path of a directory")
        return Notation(
            expected: path.expected,
            read: { cursor, reading in
                guard let path = path.read(cursor, &reading) else { return nil }
                do throws(Invalid) {
                    try reading.environment.directory(path)
                    return path
                } catch {
                    reading.tell(
                        "files cannot be made in \(cursor.found): \(error.message)", at: cursor)
                    return nil
                }
            },
            write: path.write)
    }

    /// The path of a file that is there and can be read.
    static var readableFile: Notation {
        let expected = "the path of a file"
        let path = Notation.plain(expected)
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard let path = path.read(cursor, &reading) else { return nil }
                do throws(Invalid) {
                    _ = try reading.environment.file(path)
                    return path
                } catch {
                    reading.tell(
                        "the file \(cursor.found) cannot be read: \(error.message)", at: cursor)
                    return nil
                }
            },
            write: path.write)
    }
}

extension Notation<FieldName> {
    /// A field name.
    static var fieldName: Notation {
        .text("a field name such as \"Authorization\"", parse: parseFieldName, print: \.description)
    }

    /// The name of a field that carries keys, to the gateway or on from it: none in which what a
    /// client calls its key would say where a request ends or goes.
    static var keyField: Notation {
        let expected = "a field name such as \"Idempotency-Key\""
        return .text(
            expected,
            parse: { text throws(Invalid) in
                let name = try parseFieldName(text)
                guard !name.isOfMessage else {
                    throw Invalid(
                        "expected \(expected); Host and fields of the connection carry no keys")
                }
                guard !name.holdsCredentials else { throw Invalid(Self.noCredentials) }
                return name
            },
            print: \.description)
    }
}

extension Notation<FieldName> {
    /// Why a field of ``FieldName/holdsCredentials`` is no field of keys.
    static var noCredentials: String {
        "expected a field without credentials: keys are stored, shown and told as they are"
    }
}

extension FieldName {
    /// Whether the field says who somebody is, in a way that another could use.
    var holdsCredentials: Bool {
        [.authorization, .proxyAuthorization, FieldName("Cookie")].contains(self)
    }

    /// Whether the field frames its message, routes it or belongs to the connection: the gateway
    /// writes those itself.
    var isOfMessage: Bool {
        switch id {
        case .host, .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade,
            .contentLength, .proxyConnection, .expect:
            true
        default: false
        }
    }
}

private func parseFieldName(_ text: String) throws(Invalid) -> FieldName {
    let name = FieldName(text)
    guard name.isToken else { throw Invalid("expected a field name such as \"Authorization\"") }
    return name
}

extension Notation<Secret> {
    /// Text that is never shown.
    static var secret: Notation {
        let text = Notation<String>.plain("a secret, such as \"${NAME}\" or \"${file:PATH}\"")
        return Notation(
            expected: text.expected,
            read: { cursor, reading in
                guard let written = cursor.value.string else {
                    reading.tell(
                        "expected \(text.expected), and no other value", at: cursor)
                    return nil
                }
                guard let value = reading.string(cursor, expected: text.expected) else {
                    return nil
                }
                guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
                    let kind = written.isEmpty ? "an empty one" : "something else"
                    reading.tell("expected a secret of visible ASCII, found \(kind)", at: cursor)
                    return nil
                }
                return Secret(value: value)
            },
            write: { value, printing in printing.json.value(value.description) })
    }
}

extension Notation<[Secret]> {
    /// One key for the store's encryption, or several, or null for none.
    static var encryptionKeys: Notation {
        let expected =
            "32 bytes in hexadecimal, such as \"${file:PATH}\", or a list of them, or null"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                switch cursor.value.kind {
                case .null: return []
                case .array where 1...16 ~= cursor.elements.count:
                    var keys: [Secret] = []
                    for element in cursor.elements {
                        guard let key = encryptionKey(element, &reading) else { continue }
                        if keys.contains(key) {
                            reading.tell("the key is there already", at: element)
                        }
                        keys.append(key)
                    }
                    return keys
                case .string: return encryptionKey(cursor, &reading).map { [$0] }
                default:
                    reading.tell("expected \(expected)", at: cursor)
                    return nil
                }
            },
            write: { keys, printing in
                switch keys.count {
                case 0: printing.json.null()
                case 1: printing.json.value(keys[0].description)
                default: Notation<[Secret]>.list(.secret).write(keys, &printing)
                }
            })
    }

    /// What stands there is never told: it may be a key with a digit too many.
    private static func encryptionKey(_ cursor: Cursor, _ reading: inout Reading) -> Secret? {
        guard cursor.value.string != nil else {
            reading.tell("expected 64 hexadecimal digits", at: cursor)
            return nil
        }
        guard let text = reading.string(cursor, expected: "64 hexadecimal digits") else {
            return nil
        }
        guard SealingKey(hexadecimal: text) != nil else {
            let count = text.utf8.count
            reading.tell(
                "expected 64 hexadecimal digits, found \(count) characters; "
                    + "`openssl rand -hex 32` makes a key", at: cursor)
            return nil
        }
        return Secret(value: text)
    }
}

extension Notation<Address> {
    /// A listener's address.
    static var address: Notation {
        .text(
            "an address such as \"127.0.0.1:8080\"",
            parse: { text throws(Invalid) in try Address(text) }, print: \.text)
    }
}

extension Notation<TrustedProxy> {
    /// An address, a block of them, or the word for Unix sockets.
    static var trustedProxy: Notation {
        .text(
            "an address, a block such as \"10.0.0.0/8\", or \"unix\"",
            parse: { text throws(Invalid) in try TrustedProxy(text) }, print: \.text)
    }
}

extension Notation<FileMode> {
    /// A Unix socket's permissions.
    static var fileMode: Notation {
        .text(
            "permissions such as \"0660\"",
            parse: { text throws(Invalid) in try FileMode(text) }, print: \.text)
    }
}

extension Notation<UpstreamURL> {
    /// An upstream's URL.
    static var upstreamURL: Notation {
        .text(
            "a URL such as \"http://127.0.0.1:9000\"",
            parse: { text throws(Invalid) in try UpstreamURL(text) }, print: \.text)
    }
}

extension Notation<JSONPointer> {
    /// A pointer into a JSON body (RFC 6901).
    static var pointer: Notation {
        .text(
            "a JSON pointer such as \"/order/id\"",
            parse: { text throws(Invalid) in
                guard let pointer = JSONPointer(text) else {
                    throw Invalid("expected a JSON pointer such as \"/order/id\"")
                }
                return pointer
            },
            print: \.description)
    }
}

extension Notation<ClosedRange<UInt16>> {
    /// A final status, or a range of them: `404`, `"200-499"`.
    static var statuses: Notation {
        let expected = "a status or a range from 200 to 599, such as 404 or \"200-499\""
        let text = Notation.text(
            expected,
            parse: { text throws(Invalid) in
                let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
                    .map { status(String($0)) }
                guard (1...2).contains(bounds.count), let low = bounds[0],
                    let high = bounds[bounds.count - 1], low <= high
                else { throw Invalid("expected \(expected)") }
                return low...high
            },
            print: { "\($0.lowerBound)-\($0.upperBound)" })
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard case .number(let digits) = cursor.value.kind else {
                    return text.read(cursor, &reading)
                }
                guard let value = status(digits) else {
                    reading.tell(expected: expected, at: cursor)
                    return nil
                }
                return value...value
            },
            write: { range, printing in
                if range.count == 1 {
                    printing.json.value(Int(range.lowerBound))
                } else {
                    text.write(range, &printing)
                }
            })
    }

    private static func status(_ digits: String) -> UInt16? {
        guard digits.utf8.count == 3, let value = UInt16(digits), (200...599).contains(value) else {
            return nil
        }
        return value
    }
}

/// A bare word in place of a list.
extension Notation {
    /// Tries a word first: what is a string goes to `word`, anything else to `list`.
    static func word(_ word: Notation, otherwise list: Notation) -> Notation {
        let expected = "\(word.expected), or \(list.expected)"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                switch cursor.value.kind {
                case .string: return word.read(cursor, &reading)
                case .array: return list.read(cursor, &reading)
                default:
                    reading.tell(expected: expected, at: cursor)
                    return nil
                }
            },
            write: list.write)
    }
}
