/// JSON texts as RFC 8259 has them, without extensions.
package enum JSON {
    /// What a parser does with a second member of the same name.
    package enum Duplicates: Sendable {
        case refused
        /// Both stay, in order; the caller sees to them.
        case kept
    }

    /// Parses a whole text.
    ///
    /// - Parameters:
    ///   - text: UTF-8 without a byte order mark. Values hold offsets from its start.
    ///   - depth: How many containers may stand inside each other.
    /// - Throws: ``JSONError`` at the first place where the text is wrong. A string with half a
    ///   surrogate pair is wrong too: it is no text.
    package static func parse(
        _ text: ArraySlice<UInt8>, depth: Int = 128, duplicates: Duplicates = .refused
    ) throws(JSONError) -> JSONValue {
        var parser = JSONParser(depth: depth, duplicates: duplicates)
        do {
            return try parser.parse(text.span)
        } catch {
            throw JSONError(
                offset: error.offset, place: JSONPlace(of: error.offset, in: text),
                message: error.message)
        }
    }

    /// Whether ``parse(_:depth:duplicates:)`` takes a text. It makes no values, so that the memory
    /// that it takes does not grow with their number.
    package static func isValid(_ text: ArraySlice<UInt8>, depth: Int = 128) -> Bool {
        var parser = JSONParser(depth: depth, duplicates: .refused)
        return (try? parser.skip(text.span)) != nil
    }
}

/// Turns bytes into values, recursing at most as deep as it may.
struct JSONParser {
    /// A mistake, before its line and column are counted.
    struct Failure: Error {
        let offset: Int
        let message: String
    }

    private var depth: Int
    private let duplicates: JSON.Duplicates
    private var offset = 0

    init(depth: Int, duplicates: JSON.Duplicates) {
        self.depth = depth
        self.duplicates = duplicates
    }

    mutating func parse(_ text: Span<UInt8>) throws(Failure) -> JSONValue {
        if text.count >= 3, text[0] == 0xEF, text[1] == 0xBB, text[2] == 0xBF {
            throw Failure(offset: 0, message: "expected JSON without a byte order mark")
        }
        let value = try value(text, expected: "a value")
        skipWhitespace(text)
        guard offset == text.count else { throw unexpected(text, "the end of the text") }
        return value
    }

    /// Reads a whole text for its mistakes alone.
    mutating func skip(_ text: Span<UInt8>) throws(Failure) {
        try skipValue(text)
        skipWhitespace(text)
        guard offset == text.count else { throw unexpected(text, "the end of the text") }
    }

    private mutating func skipValue(_ text: Span<UInt8>) throws(Failure) {
        skipWhitespace(text)
        guard offset < text.count else { throw unexpected(text, "a value") }
        switch text[offset] {
        case UInt8(ascii: "{"): try skipMembers(text)
        case UInt8(ascii: "["):
            try enter()
            if !accept("]", text) {
                repeat { try skipValue(text) } while accept(",", text)
                guard accept("]", text) else { throw unexpected(text, "\",\" or \"]\"") }
            }
            depth += 1
        default: _ = try value(text, expected: "a value")
        }
    }

    private mutating func skipMembers(_ text: Span<UInt8>) throws(Failure) {
        try enter()
        defer { depth += 1 }
        guard !accept("}", text) else { return }
        var names: Set<[UInt8]> = []
        repeat {
            skipWhitespace(text)
            guard offset < text.count, text[offset] == JSONText.quote,
                names.insert(Array(try string(text).utf8)).inserted, accept(":", text)
            else { throw unexpected(text, "a member's name, once") }
            try skipValue(text)
        } while accept(",", text)
        guard accept("}", text) else { throw unexpected(text, "\",\" or \"}\"") }
    }

    private mutating func value(
        _ text: Span<UInt8>, expected: String
    ) throws(Failure) -> JSONValue {
        skipWhitespace(text)
        guard offset < text.count else { throw unexpected(text, expected) }
        let start = offset
        switch text[offset] {
        case UInt8(ascii: "{"): return JSONValue(.object(try members(text)), offset: start)
        case UInt8(ascii: "["): return JSONValue(.array(try elements(text)), offset: start)
        case JSONText.quote: return JSONValue(.string(try string(text)), offset: start)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return JSONValue(.number(try number(text)), offset: start)
        default: return JSONValue(try literal(text, expected: expected), offset: start)
        }
    }

    private mutating func literal(
        _ text: Span<UInt8>, expected: String
    ) throws(Failure) -> JSONValue.Kind {
        guard let word = JSONText.literal(text, offset) else { throw unexpected(text, expected) }
        offset += word.utf8CodeUnitCount
        switch unsafe word.utf8Start.pointee {
        case UInt8(ascii: "t"): return .bool(true)
        case UInt8(ascii: "f"): return .bool(false)
        default: return .null
        }
    }

    private mutating func number(_ text: Span<UInt8>) throws(Failure) -> String {
        guard let end = JSONText.endOfNumber(text, offset) else {
            throw Failure(
                offset: offset,
                message: "expected a number as JSON writes it, such as 0, -1.5 or 2e3"
            )
        }
        if end < text.count, text[end] &- UInt8(ascii: "0") < 10 {
            throw Failure(offset: offset, message: "expected a number without a leading zero")
        }
        var digits: [UInt8] = []
        JSONText.append(text, offset..<end, to: &digits)
        offset = end
        return String(decoding: digits, as: UTF8.self)
    }

    private mutating func elements(_ text: Span<UInt8>) throws(Failure) -> [JSONValue] {
        try enter()
        var elements: [JSONValue] = []
        if !accept("]", text) {
            repeat {
                elements.append(try value(text, expected: "an element"))
            } while accept(",", text)
            guard accept("]", text) else { throw unexpected(text, "\",\" or \"]\"") }
        }
        depth += 1
        return elements
    }

    private mutating func members(_ text: Span<UInt8>) throws(Failure) -> [JSONValue.Member] {
        try enter()
        var members: [JSONValue.Member] = []
        var names: Set<[UInt8]> = []
        if !accept("}", text) {
            repeat {
                let member = try member(text)
                if duplicates == .refused, !names.insert(Array(member.name.utf8)).inserted {
                    throw Failure(
                        offset: member.nameOffset,
                        message: "expected \"\(member.name)\" once, it is there already")
                }
                members.append(member)
            } while accept(",", text)
            guard accept("}", text) else { throw unexpected(text, "\",\" or \"}\"") }
        }
        depth += 1
        return members
    }

    private mutating func member(_ text: Span<UInt8>) throws(Failure) -> JSONValue.Member {
        skipWhitespace(text)
        let start = offset
        guard offset < text.count, text[offset] == JSONText.quote else {
            throw unexpected(text, "a member's name in double quotes")
        }
        let name = try string(text)
        guard accept(":", text) else { throw unexpected(text, "\":\" after a member's name") }
        return JSONValue.Member(
            name: name, nameOffset: start, value: try value(text, expected: "a value"))
    }

    private mutating func enter() throws(Failure) {
        guard depth > 0 else {
            throw Failure(offset: offset, message: "expected fewer containers inside each other")
        }
        depth -= 1
        offset += 1
    }

    private mutating func string(_ text: Span<UInt8>) throws(Failure) -> String {
        let start = offset
        var content: [UInt8] = []
        offset += 1
        while true {
            let end = JSONText.endOfPlainASCII(text, offset)
            JSONText.append(text, offset..<end, to: &content)
            offset = end
            guard offset < text.count else {
                throw Failure(offset: start, message: "expected a closing quote for this string")
            }
            switch text[offset] {
            case JSONText.quote:
                offset += 1
                return String(decoding: content, as: UTF8.self)
            case JSONText.backslash: content.append(contentsOf: UTF8.encode(try escape(text))!)
            case 0..<0x20:
                throw Failure(
                    offset: offset, message: "expected control characters escaped, as in \\n")
            default:
                guard let length = JSONText.lengthOfUTF8(text, offset) else {
                    throw Failure(offset: offset, message: "expected UTF-8")
                }
                JSONText.append(text, offset..<(offset + length), to: &content)
                offset += length
            }
        }
    }

    private mutating func escape(_ text: Span<UInt8>) throws(Failure) -> Unicode.Scalar {
        guard let (value, end) = JSONText.escape(text, offset) else {
            throw Failure(
                offset: offset,
                message: "expected an escape sequence: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX"
            )
        }
        guard case .scalar(let scalar) = value else {
            throw Failure(offset: offset, message: "expected both halves of a surrogate pair")
        }
        offset = end
        return scalar
    }

    @inline(__always)
    private mutating func skipWhitespace(_ text: Span<UInt8>) {
        offset = JSONText.endOfWhitespace(text, offset)
    }

    /// Consumes whitespace and then `mark`, if it is there.
    private mutating func accept(_ mark: Unicode.Scalar, _ text: Span<UInt8>) -> Bool {
        skipWhitespace(text)
        guard offset < text.count, text[offset] == UInt8(ascii: mark) else { return false }
        offset += 1
        return true
    }

    private func unexpected(_ text: Span<UInt8>, _ expected: String) -> Failure {
        guard offset < text.count else {
            return Failure(offset: offset, message: "expected \(expected), found the end")
        }
        let found =
            switch text[offset] {
            case UInt8(ascii: "\""): "a string"
            case 0x21..<0x7F: "\"\(Unicode.Scalar(text[offset]))\""
            default: "something else"
            }
        return Failure(offset: offset, message: "expected \(expected), found \(found)")
    }
}
