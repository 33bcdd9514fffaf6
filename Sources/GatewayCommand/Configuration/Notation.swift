import JSON

/// How a kind of value is written in `gateway.json`, in both directions.
struct Notation<Value> {
    /// What is expected, for a mistake: `a size such as "64KiB"`.
    let expected: String
    /// The value that stands there; nil after a mistake was noted.
    let read: (Cursor, inout Reading) -> Value?
    let write: (Value, inout Printing) -> Void
}

extension Notation {
    /// A string that `parse` understands.
    static func text(
        _ expected: String, parse: @escaping (String) throws(Invalid) -> Value,
        print: @escaping (Value) -> String
    ) -> Notation {
        Notation(
            expected: expected,
            read: { cursor, reading in
                guard let text = reading.string(cursor, expected: expected) else { return nil }
                do throws(Invalid) {
                    return try parse(text)
                } catch {
                    reading.tell(error, at: cursor)
                    return nil
                }
            },
            write: { value, printing in printing.json.value(print(value)) })
    }

    /// Null for nil.
    static func orNull<Wrapped>(_ notation: Notation<Wrapped>) -> Notation
    where Value == Wrapped? {
        Notation(
            expected: "\(notation.expected), or null",
            read: { cursor, reading in
                cursor.value.isNull
                    ? .some(nil) : notation.read(cursor, &reading).map(Optional.some)
            },
            write: { value, printing in
                if let value { notation.write(value, &printing) } else { printing.json.null() }
            })
    }

    /// A word for nil: `"none"`, `"auto"`.
    static func or<Wrapped>(_ word: String, _ notation: Notation<Wrapped>) -> Notation
    where Value == Wrapped? {
        Notation(
            expected: "\(notation.expected), or \"\(word)\"",
            read: { cursor, reading in
                if let written = cursor.value.string,
                    (try? reading.environment.fillIn(written)) == word
                {
                    return reading.string(cursor, expected: word).map { _ in nil }
                }
                return notation.read(cursor, &reading).map(Optional.some)
            },
            write: { value, printing in
                if let value { notation.write(value, &printing) } else { printing.json.value(word) }
            })
    }

    /// A list. One of single values is printed on one line.
    static func list<Element>(
        _ notation: Notation<Element>, count: ClosedRange<Int> = 0...1000, onOneLine: Bool = true
    ) -> Notation where Value == [Element] {
        let expected = "a list, each element \(notation.expected)"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard let elements = cursor.value.elements else {
                    reading.tell(expected: expected, at: cursor)
                    return nil
                }
                guard count.contains(elements.count) else {
                    let bound =
                        elements.isEmpty ? "at least one element" : "at most \(count.upperBound)"
                    reading.tell("expected \(bound), found \(elements.count)", at: cursor)
                    return nil
                }
                return cursor.elements.compactMap { notation.read($0, &reading) }
            },
            write: { values, printing in
                printing.json.beginArray(onOneLine: onOneLine)
                for (index, value) in values.enumerated() {
                    printing.element(index) { notation.write(value, &$0) }
                }
                printing.json.endArray()
            })
    }
}

extension Notation where Value: Section {
    /// An object with the members of a section.
    static var object: Notation {
        Notation(
            expected: "an object", read: { Value.read($0, &$1) }, write: { $0.write(&$1) })
    }
}

/// A value under a name of the operator's choice.
struct Named<Value: Sendable>: Sendable {
    let name: String
    let value: Value
}

extension Notation {
    /// An object whose names are the operator's own.
    static func named<Element: Section>() -> Notation where Value == [Named<Element>] {
        let expected = "an object of names and their objects"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard let members = cursor.value.members, !members.isEmpty else {
                    reading.tell(expected: expected, at: cursor)
                    return nil
                }
                reading.tellRepeated(members, cursor)
                return members.map { member in
                    if member.name.isEmpty {
                        reading.tell("expected a name that is not empty", at: cursor.name(member))
                    }
                    let path = Cursor.path(cursor.path, member: member.name)
                    return Named(
                        name: member.name,
                        value: Element.read(Cursor(member.value, path: path), &reading))
                }
            },
            write: { values, printing in
                printing.json.beginObject()
                for named in values {
                    printing.member(named.name) { named.value.write(&$0) }
                }
                printing.json.endObject()
            })
    }
}

extension Notation where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the words of an enumeration.
    ///
    /// - Parameter unsupported: Words of the format that this version does nothing with.
    static func word(unsupported: [String] = []) -> Notation {
        let words = Value.allCases.map(\.rawValue)
        return .text(
            alternatives(words),
            parse: { text throws(Invalid) in
                if let value = Value(rawValue: text) { return value }
                if unsupported.contains(text) {
                    throw Invalid("not supported by this version; expected \(alternatives(words))")
                }
                throw Invalid(
                    "expected \(alternatives(words))",
                    hint: Suggestion.phrase(for: text, among: words))
            },
            print: { $0.rawValue })
    }
}

extension Notation<Bool> {
    /// `true` or `false`.
    static var flag: Notation {
        Notation(
            expected: "true or false",
            read: { cursor, reading in
                if cursor.value.bool == nil { reading.tell(expected: "true or false", at: cursor) }
                return cursor.value.bool
            },
            write: { value, printing in printing.json.value(value) })
    }
}

extension Notation<Int> {
    /// A whole number within bounds.
    static func count(_ range: ClosedRange<Int>) -> Notation {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                if let value = cursor.value.integer, range.contains(value) { return value }
                reading.tell(expected: expected, at: cursor)
                return nil
            },
            write: { value, printing in printing.json.value(value) })
    }

    /// A number of bytes within bounds.
    static func size(_ range: ClosedRange<Int>) -> Notation {
        let bounds =
            "\"\(ByteSize.text(range.lowerBound))\" to \"\(ByteSize.text(range.upperBound))\""
        return .text(
            "a size such as \"64KiB\", \"10MiB\" or \"1GiB\"",
            parse: { text throws(Invalid) in
                guard let value = ByteSize.parse(text) else {
                    throw Invalid("expected a size such as \"64KiB\", \"10MiB\" or \"1GiB\"")
                }
                guard range.contains(value) else { throw Invalid("expected a size from \(bounds)") }
                return value
            },
            print: ByteSize.text)
    }
}

extension Notation<Duration> {
    /// A duration within bounds.
    static func duration(_ range: ClosedRange<Duration>) -> Notation {
        let example = "a duration such as \"250ms\", \"10s\", \"5m\", \"24h\" or \"7d\""
        let bounds =
            "\"\(DurationText.text(range.lowerBound))\" to \"\(DurationText.text(range.upperBound))\""
        return .text(
            example,
            parse: { text throws(Invalid) in
                guard let value = DurationText.parse(text) else {
                    throw Invalid("expected \(example)")
                }
                guard range.contains(value) else {
                    throw Invalid("expected a duration from \(bounds)")
                }
                return value
            },
            print: DurationText.text)
    }
}

/// A string that is never shown.
struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible {
    /// What it hides.
    let value: String

    var description: String { Printing.mask }
    var debugDescription: String { Printing.mask }
}

extension Secret: CustomReflectable {
    var customMirror: Mirror { Mirror(self, children: []) }
}
