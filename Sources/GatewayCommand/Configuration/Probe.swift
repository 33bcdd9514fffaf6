import Gateway
import HTTP
import JSON

extension Configuration.Idempotency {
    /// How an upstream is asked what became of a request.
    struct Probe: Section {
        /// A target with `{key}`, `{params.NAME}` and `{field.NAME}`, checked with the route's path.
        var path = ""
        /// The least time between two negatives.
        var spacing = Duration.seconds(10)
        /// How often the gateway asks on its own.
        var attempts = 20
        /// What the probe bears beside `Host`.
        var headers: [Header] = []

        static var members: [Member<Probe>] {
            [
                .required("path", \.path, .plain("a path such as \"/orders?reference={key}\"")),
                Member("spacing", \.spacing, .duration(.seconds(1)...(.hours(24)))),
                Member("attempts", \.attempts, .count(1...1000)),
                Member("headers", \.headers, .headers),
            ]
        }
    }

    /// A field that a request of the gateway's own bears.
    struct Header: Sendable, Hashable {
        let name: FieldName
        let value: String
    }

    /// Checks what concerns the policy for unknown outcomes.
    func checkProbe(_ cursor: Cursor, _ reading: inout Reading) {
        if unknown == .probe, probe == nil, !reading.isFlawed(cursor.missing("probe").path) {
            let place = cursor.member("probe") ?? cursor.missing("probe")
            reading.tell(
                "is missing; expected an object such as { \"path\": \"/orders?reference={key}\" }, "
                    + "because unknown is \"probe\"", at: place)
        }
        if unknown != .probe, probe != nil, let place = cursor.member("probe") {
            reading.tell("has no effect unless unknown is \"probe\"", at: place)
        }
    }
}

extension Notation<[Configuration.Idempotency.Header]> {
    /// An object of field names and their values.
    static var headers: Notation {
        let expected = "an object of field names and their values"
        let text = Notation<String>.plain("a field's value")
        return Notation(
            expected: expected,
            read: { cursor, reading in
                guard let members = cursor.value.members, members.count <= 32 else {
                    reading.tell(expected: expected + ", at most 32", at: cursor)
                    return nil
                }
                reading.tellRepeated(members, cursor)
                return members.compactMap { member in
                    let name = FieldName(member.name)
                    guard name.isToken, !name.isOfMessage else {
                        reading.tell(
                            "expected a field name such as \"Authorization\"; Host and fields of "
                                + "the connection are the gateway's own", at: cursor.name(member))
                        return nil
                    }
                    let path = Cursor.path(cursor.path, member: member.name)
                    return text.read(Cursor(member.value, path: path), &reading).map {
                        Configuration.Idempotency.Header(name: name, value: $0)
                    }
                }
            },
            write: { headers, printing in
                printing.json.beginObject()
                for header in headers {
                    printing.member(header.name.description) { $0.json.value(header.value) }
                }
                printing.json.endObject()
            })
    }
}
