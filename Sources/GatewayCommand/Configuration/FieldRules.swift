import Gateway
import HTTP
import JSON

extension Configuration {
    /// What a route does with fields: lines are removed, then set, then added.
    struct FieldRules: Section {
        var remove: [FieldName] = []
        var set: [Line] = []
        var add: [Line] = []

        /// A line that is put in.
        struct Line: Sendable, Hashable {
            let name: FieldName
            /// A template.
            let value: String
            /// Whether it has a secret filled in, and is not to be shown.
            let isSecret: Bool

            /// The value as it is printed: a secret is masked, but where nothing is.
            func text(for printing: Printing) -> String {
                isSecret && printing.secrets != nil ? Printing.mask : value
            }
        }

        static var members: [Member<FieldRules>] {
            [
                Member("remove", \.remove, .list(.ruledField, count: 0...100)),
                Member("set", \.set, .fieldLines(several: false)),
                Member("add", \.add, .fieldLines(several: true)),
            ]
        }

        /// Whether there is nothing to be done.
        var isEmpty: Bool { remove.isEmpty && set.isEmpty && add.isEmpty }

        /// Says why no rule may touch a field, wherever one does.
        func tell(
            _ name: FieldName, _ reason: String, at place: Cursor, _ reading: inout Reading
        ) {
            let message = "expected no rule for \(name): \(reason)"
            for element in place.member("remove")?.elements ?? []
            where element.value.string.map({ FieldName($0) == name }) ?? false {
                reading.tell(message, at: element)
            }
            for list in [place.member("set"), place.member("add")].compactMap(\.self) {
                for member in list.value.members ?? [] where FieldName(member.name) == name {
                    reading.tell(message, at: list.name(member))
                }
            }
        }
    }
}

extension Configuration.Route {
    /// Checks what rules of fields have to do with the rest of the route.
    func checkFieldRules(_ cursor: Cursor, _ reading: inout Reading) {
        guard let pattern = try? PathPattern(path) else { return }
        for name in ["request_fields", "response_fields"] {
            guard let place = cursor.member(name) else { continue }
            for member in ["set", "add"] {
                guard let lines = place.member(member) else { continue }
                checkTemplates(lines, pattern, &reading)
            }
            let rules = name == "request_fields" ? requestFields : responseFields
            for field in keyFields {
                rules.tell(
                    field, "the gateway itself says what becomes of keys", at: place, &reading)
            }
        }
    }

    /// The fields that carry keys on this route, beside the usual ones.
    private var keyFields: [FieldName] {
        guard let idempotency else { return [] }
        var names = [idempotency.header]
        if case .renamed(let name) = idempotency.forwardKey { names.append(name) }
        return names.filter { $0.reasonAgainstRules == nil }
    }

    private func checkTemplates(
        _ lines: Cursor, _ pattern: PathPattern, _ reading: inout Reading
    ) {
        for member in lines.value.members ?? [] {
            let value = Cursor(member.value, path: Cursor.path(lines.path, member: member.name))
            for place in value.value.string == nil ? value.elements : [value] {
                guard let written = place.value.string, !reading.isFlawed(place.path),
                    let text = try? reading.environment.fillIn(written)
                else { continue }
                do {
                    _ = try Template(text, for: pattern, words: .ofFieldRule)
                } catch {
                    // What a secret holds is never told.
                    let isSecret = written.contains("${")
                    reading.tell(
                        isSecret ? "the secret holds a malformed word in braces" : error.reason,
                        at: place)
                }
            }
        }
    }
}

extension Notation<FieldName> {
    /// The name of a field that rules may touch.
    fileprivate static var ruledField: Notation {
        .text(
            "a field name such as \"Server\"",
            parse: { text throws(Invalid) in try ruled(text) }, print: \.description)
    }

    fileprivate static func ruled(_ text: String) throws(Invalid) -> FieldName {
        let name = FieldName(text)
        guard name.isToken else { throw Invalid("expected a field name such as \"Server\"") }
        if let reason = name.reasonAgainstRules {
            throw Invalid("expected no rule for \(name): \(reason)")
        }
        return name
    }
}

extension Notation<[Configuration.FieldRules.Line]> {
    /// An object of field names and their values, each one or `several` of them.
    fileprivate static func fieldLines(several: Bool) -> Notation {
        let expected =
            "an object of field names and their values" + (several ? ", or lists of values" : "")
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard let members = cursor.value.members, members.count <= 100 else {
                    reading.tell(expected: expected + ", at most 100", at: cursor)
                    return nil
                }
                reading.tellRepeated(members, cursor)
                var lines: [Configuration.FieldRules.Line] = []
                for member in members {
                    guard let name = name(cursor.name(member), member, lines, &reading) else {
                        continue
                    }
                    let path = Cursor.path(cursor.path, member: member.name)
                    let value = Cursor(member.value, path: path)
                    let isList = several && value.value.elements != nil
                    if isList, !(1...100).contains(value.elements.count) {
                        reading.tell("expected 1 to 100 values", at: value)
                    }
                    for place in isList ? value.elements : [value] {
                        guard let text = text(place, &reading) else { continue }
                        let isSecret = place.value.string?.contains("${") ?? false
                        lines.append(.init(name: name, value: text, isSecret: isSecret))
                    }
                }
                return lines
            },
            write: { lines, printing in write(lines, several: several, &printing) })
    }

    private static func name(
        _ place: Cursor, _ member: JSONValue.Member, _ lines: [Configuration.FieldRules.Line],
        _ reading: inout Reading
    ) -> FieldName? {
        do throws(Invalid) {
            let name = try Notation<FieldName>.ruled(member.name)
            if lines.contains(where: { $0.name == name }) {
                reading.tell("\(name) is there already, in other letters", at: place)
            }
            return name
        } catch {
            reading.tell(error.message, at: place)
            return nil
        }
    }

    /// A field's value (RFC 9110 section 5.5): no control characters but tabs, and none that would be
    /// lost at its ends. A secret is not told.
    private static func text(_ place: Cursor, _ reading: inout Reading) -> String? {
        let expected = "a field's value"
        guard let text = reading.string(place, expected: expected) else { return nil }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
            reading.tell("expected a field's value without CR, LF, NUL and the like", at: place)
            return nil
        }
        guard !isBlank(text.utf8.first), !isBlank(text.utf8.last) else {
            reading.tell("expected a field's value without spaces at its ends", at: place)
            return nil
        }
        return text
    }

    private static func isBlank(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }

    private static func write(
        _ lines: [Configuration.FieldRules.Line], several: Bool, _ printing: inout Printing
    ) {
        printing.json.beginObject()
        var rest = lines[...]
        while let first = rest.first {
            let group = rest.prefix { $0.name == first.name }
            rest = rest.dropFirst(group.count)
            printing.member(first.name.description) { printing in
                guard group.count > 1 else {
                    return printing.json.value(first.text(for: printing))
                }
                printing.json.beginArray(onOneLine: true)
                for (index, line) in group.enumerated() {
                    printing.element(index) { $0.json.value(line.text(for: $0)) }
                }
                printing.json.endArray()
            }
        }
        printing.json.endObject()
    }
}
