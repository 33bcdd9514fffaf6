/// A parsed JSON value that remembers where it stood.
package struct JSONValue: Sendable {
    /// What the value is.
    package indirect enum Kind: Sendable {
        case null
        case bool(Bool)
        /// As it was written; JSON numbers have no bounds of their own.
        case number(String)
        case string(String)
        case array([JSONValue])
        /// In the order of the text.
        case object([Member])
    }

    /// A name and its value.
    package struct Member: Sendable {
        package let name: String
        /// Where the name's quote stands, in bytes from the start of the text.
        package let nameOffset: Int
        package let value: JSONValue

        /// A member from its parts.
        package init(name: String, nameOffset: Int = 0, value: JSONValue) {
            self.name = name
            self.nameOffset = nameOffset
            self.value = value
        }
    }

    package let kind: Kind
    /// Where the value begins, in bytes from the start of the text.
    package let offset: Int

    /// A value from its parts.
    package init(_ kind: Kind, offset: Int = 0) {
        self.kind = kind
        self.offset = offset
    }

    /// The first member of that name; nil when there is none, or when this is no object.
    ///
    /// Names are equal when their code points are (RFC 8259 section 8.3), without normalisation.
    package subscript(name: String) -> JSONValue? {
        guard case .object(let members) = kind else { return nil }
        return members.first { $0.name.utf8.elementsEqual(name.utf8) }?.value
    }

    /// The text of a string.
    package var string: String? {
        if case .string(let text) = kind { text } else { nil }
    }

    /// The value of a number that is written as an integer and fits.
    package var integer: Int? {
        if case .number(let text) = kind { Int(text) } else { nil }
    }

    /// The value of `true` or `false`.
    package var bool: Bool? {
        if case .bool(let flag) = kind { flag } else { nil }
    }

    /// The elements of an array.
    package var elements: [JSONValue]? {
        if case .array(let elements) = kind { elements } else { nil }
    }

    /// The members of an object.
    package var members: [Member]? {
        if case .object(let members) = kind { members } else { nil }
    }

    /// Whether this is `null`.
    package var isNull: Bool {
        if case .null = kind { true } else { false }
    }
}

/// A place in a text, as editors and compilers count it.
package struct JSONPlace: Sendable, Hashable, CustomStringConvertible {
    /// From 1.
    package let line: Int
    /// From 1, in code points.
    package let column: Int

    /// The place of a byte offset. Lines end with LF.
    package init(of offset: Int, in text: ArraySlice<UInt8>) {
        let before = text.prefix(offset)
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? before.startIndex
        line = 1 + before.count(where: { $0 == UInt8(ascii: "\n") })
        column = 1 + before[lineStart...].count(where: { $0 & 0xC0 != 0x80 })
    }

    /// `line:column`.
    package var description: String { "\(line):\(column)" }
}

/// Why a text is not the JSON that was asked for.
package struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Bytes from the start of the text.
    package let offset: Int
    package let place: JSONPlace
    /// What was expected there, for people.
    package let message: String

    /// `line:column: message`.
    package var description: String { "\(place): \(message)" }
}
