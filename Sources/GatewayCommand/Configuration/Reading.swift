import JSON

/// A mistake in `gateway.json`.
struct Mistake: Sendable, Hashable, CustomStringConvertible {
    /// Nil when the file could not be read at all.
    let place: JSONPlace?
    /// `routes[0].idempotency.scope`; empty for the whole document.
    let path: String
    /// What is wrong and what would be right. Never the value of a secret.
    let message: String

    var description: String {
        [place?.description, path.isEmpty ? nil : path, message].compactMap(\.self)
            .joined(separator: ": ")
    }
}

/// A value of the document together with the way to it.
struct Cursor {
    let value: JSONValue
    let path: String
    /// The byte that a mistake is reported at.
    let offset: Int

    init(_ value: JSONValue, path: String = "") {
        self.value = value
        self.path = path
        offset = value.offset
    }

    private init(_ value: JSONValue, path: String, offset: Int) {
        self.value = value
        self.path = path
        self.offset = offset
    }

    /// The way to a member: `a.b`, or `a["b c"]`.
    static func path(_ path: String, member name: String) -> String {
        let isPlain =
            !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
                case UInt8(ascii: "_"), UInt8(ascii: "-"): true
                default: false
                }
            }
        if isPlain { return path.isEmpty ? name : "\(path).\(name)" }
        var writer = JSONWriter()
        writer.value(name)
        return "\(path)[\(String(decoding: writer.bytes, as: UTF8.self))]"
    }

    /// The way to an element: `a[0]`.
    static func path(_ path: String, element index: Int) -> String { "\(path)[\(index)]" }

    /// A member; nil when there is none.
    func member(_ name: String) -> Cursor? {
        value[name].map { Cursor($0, path: Self.path(path, member: name)) }
    }

    /// A member that is not null.
    func given(_ name: String) -> Cursor? {
        member(name).flatMap { $0.value.isNull ? nil : $0 }
    }

    /// A member's name rather than its value.
    func name(_ member: JSONValue.Member) -> Cursor {
        Cursor(
            member.value, path: Self.path(path, member: member.name), offset: member.nameOffset)
    }

    /// The place where a member is missing.
    func missing(_ name: String) -> Cursor {
        Cursor(value, path: Self.path(path, member: name), offset: offset)
    }

    /// The elements of an array; none for anything else.
    var elements: [Cursor] {
        (value.elements ?? []).enumerated().map { index, element in
            Cursor(element, path: Self.path(path, element: index))
        }
    }

    /// What stands there, for a mistake: strings as they are written, so no secret is shown.
    var found: String {
        switch value.kind {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .number(let digits): digits
        case .string(let text): "\"\(text)\""
        case .array: "a list"
        case .object: "an object"
        }
    }
}

/// One reading of a document: what is wrong with it, and what of it is secret.
struct Reading {
    /// The bytes that offsets count in.
    let text: ArraySlice<UInt8>
    let environment: Environment
    private(set) var mistakes: [Mistake] = []
    /// The paths of strings that hold a secret.
    private(set) var secrets: Set<String> = []

    init(_ text: ArraySlice<UInt8>, _ environment: Environment) {
        self.text = text
        self.environment = environment
    }

    /// Notes a mistake.
    mutating func tell(_ message: String, at cursor: Cursor) {
        mistakes.append(
            Mistake(
                place: JSONPlace(of: cursor.offset, in: text), path: cursor.path, message: message))
    }

    /// Notes that something else should stand there.
    mutating func tell(expected: String, at cursor: Cursor) {
        tell("expected \(expected), found \(cursor.found)", at: cursor)
    }

    /// Notes that a text does not say what it should.
    mutating func tell(_ error: Invalid, at cursor: Cursor) {
        tell("\(error.message), found \(cursor.found)\(error.hint)", at: cursor)
    }

    /// Whether something is wrong at a path or below it.
    func isFlawed(_ path: String) -> Bool {
        mistakes.contains { mistake in
            mistake.path.hasPrefix(path)
                && (mistake.path.count == path.count
                    || ".[".contains(mistake.path.dropFirst(path.count).first ?? " "))
        }
    }

    /// The text of a string, its secrets filled in; nil after a mistake was noted.
    mutating func string(_ cursor: Cursor, expected: String) -> String? {
        guard let written = cursor.value.string else {
            tell(expected: expected, at: cursor)
            return nil
        }
        guard written.contains("${") else { return written }
        secrets.insert(cursor.path)
        do {
            return try environment.fillIn(written)
        } catch {
            tell(error.message, at: cursor)
            return nil
        }
    }
}

/// Why a text does not say what it should.
struct Invalid: Error {
    /// What would be right.
    let message: String
    /// What follows on what was found instead.
    let hint: String

    init(_ message: String, hint: String = "") {
        self.message = message
        self.hint = hint
    }
}
