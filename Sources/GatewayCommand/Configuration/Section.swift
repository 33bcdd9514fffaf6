import JSON

/// An object of `gateway.json`.
///
/// Its members are named once, in a table that reading, printing and the search for unknown names
/// all go by.
protocol Section: Sendable {
    /// The defaults. Members without a default hold something that reading replaces.
    init()

    /// All names, in the order in which they are printed.
    static var members: [Member<Self>] { get }

    /// After the members: checks what concerns several of them.
    mutating func complete(_ cursor: Cursor, _ reading: inout Reading)
}

extension Section {
    mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {}

    /// The section that an object describes. Mistakes leave defaults behind.
    static func read(_ cursor: Cursor, _ reading: inout Reading) -> Self {
        guard let written = cursor.value.members else {
            reading.tell(expected: "an object", at: cursor)
            return Self()
        }
        let table = members
        reading.tellRepeated(written, cursor)
        let names = table.map(\.name)
        for member in written where !names.contains(member.name) {
            let hint = Suggestion.phrase(
                for: member.name, among: table.filter(\.isPrinted).map(\.name))
            reading.tell("unknown name" + hint, at: cursor.name(member))
        }
        var section = Self()
        for member in table { member.read(cursor, &section, &reading) }
        section.complete(cursor, &reading)
        return section
    }

    /// Writes the section with every default filled in.
    func write(_ printing: inout Printing) {
        printing.json.beginObject()
        for member in Self.members where member.isPrinted {
            printing.member(member.name) { member.write(self, &$0) }
        }
        printing.json.endObject()
    }
}

extension Reading {
    /// Notes names that are there more than once.
    mutating func tellRepeated(_ members: [JSONValue.Member], _ cursor: Cursor) {
        var seen: [String: Int] = [:]
        for member in members {
            if let first = seen[member.name] {
                let place = JSONPlace(of: first, in: text)
                tell("the name is there already, at \(place)", at: cursor.name(member))
            } else {
                seen[member.name] = member.nameOffset
            }
        }
    }
}

/// A member of a section: its name, and how it is read and printed.
struct Member<Owner> {
    let name: String
    /// Takes the member out of the object, if it is there.
    let read: (Cursor, inout Owner, inout Reading) -> Void
    let write: (Owner, inout Printing) -> Void
    let isPrinted: Bool

    /// A member that may be left out.
    init<Value>(
        _ name: String, _ keyPath: WritableKeyPath<Owner, Value>, _ notation: Notation<Value>
    ) {
        self.init(name, keyPath, notation, isRequired: false)
    }

    /// A member that has no default.
    static func required<Value>(
        _ name: String, _ keyPath: WritableKeyPath<Owner, Value>, _ notation: Notation<Value>
    ) -> Member {
        Member(name, keyPath, notation, isRequired: true)
    }

    private init<Value>(
        _ name: String, _ keyPath: WritableKeyPath<Owner, Value>, _ notation: Notation<Value>,
        isRequired: Bool
    ) {
        self.name = name
        isPrinted = true
        read = { object, owner, reading in
            guard let cursor = object.member(name) else {
                guard isRequired else { return }
                reading.tell(
                    "is missing; expected \(notation.expected)", at: object.missing(name))
                return
            }
            if let value = notation.read(cursor, &reading) { owner[keyPath: keyPath] = value }
        }
        write = { owner, printing in notation.write(owner[keyPath: keyPath], &printing) }
    }

    /// A member of the format that this version does nothing with: it is refused unless it has the
    /// value that says so.
    static func unsupported(_ name: String, except inert: Inert, isPrinted: Bool = true) -> Member {
        Member(
            name: name,
            read: { object, _, reading in
                guard let cursor = object.member(name), !inert.matches(cursor.value) else { return }
                reading.tell(
                    "not supported by this version; leave it out, or \(inert.rawValue)", at: cursor)
            },
            write: { _, printing in printing.json.value(json: Array(inert.rawValue.utf8)[...]) },
            isPrinted: isPrinted)
    }

    private init(
        name: String, read: @escaping (Cursor, inout Owner, inout Reading) -> Void,
        write: @escaping (Owner, inout Printing) -> Void, isPrinted: Bool
    ) {
        self.name = name
        self.read = read
        self.write = write
        self.isPrinted = isPrinted
    }
}

/// A value that switches something off.
enum Inert: String {
    case null

    func matches(_ value: JSONValue) -> Bool {
        switch self {
        case .null: value.isNull
        }
    }
}

/// The effective configuration on its way to the reader, secrets masked.
struct Printing {
    var json = JSONWriter(reserving: 4096, indentation: 2)
    /// The paths whose strings hold a secret; nil where nothing is masked, for comparison alone.
    let secrets: Set<String>?
    private var path = ""

    static let mask = "***"

    init(secrets: Set<String>?) { self.secrets = secrets }

    /// Writes a member.
    mutating func member(_ name: String, _ write: (inout Printing) -> Void) {
        json.name(name)
        at(Cursor.path(path, member: name), write)
    }

    /// Writes an element.
    mutating func element(_ index: Int, _ write: (inout Printing) -> Void) {
        at(Cursor.path(path, element: index), write)
    }

    private mutating func at(_ inner: String, _ write: (inout Printing) -> Void) {
        let outer = path
        path = inner
        if secrets?.contains(inner) ?? false { json.value(Self.mask) } else { write(&self) }
        path = outer
    }
}
