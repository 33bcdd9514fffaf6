import Gateway
import HTTP
import Idempotency
import JSON

extension Configuration.Idempotency {
    /// One upstream call of several that do a route's work.
    struct Stage: Section {
        /// The point that is reached when it is done.
        var recoveryPoint = ""
        var call = StageCall()
        /// What takes it back when a later stage fails.
        var compensate: StageCall?

        static var members: [Member<Stage>] {
            let point = Notation<String>.recoveryPoint
            return [.required("recovery_point", \.recoveryPoint, point)]
                + StageCall.members(at: \.call)
                + [Member("compensate", \.compensate, .orNull(.object))]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            call.complete(cursor, &reading)
        }
    }

    /// A call of an upstream.
    struct StageCall: Section {
        /// The name of an upstream; nil for the route's own.
        var upstream: String?
        var method = "POST"
        /// A template, as are the values of ``headers`` and the strings of ``body``.
        var path = ""
        /// These replace the client's own.
        var headers: [Header] = []
        var body = Body.none
        var success: [ClosedRange<UInt16>] = [200...299]
        var retry: Retry?
        /// Nil for the route's.
        var unknown: Unknown?
        var probe: Probe?

        /// What is sent beside the fields.
        enum Body: Sendable {
            case none
            case original
            case json(JSONValue)
        }

        /// How often it is made again.
        struct Retry: Section {
            /// All of them, the first one too.
            var attempts = 3
            var backoff = Duration.milliseconds(500)

            static var members: [Member<Retry>] {
                [
                    Member("attempts", \.attempts, .count(1...20)),
                    Member(
                        "backoff", \.backoff, .duration(.milliseconds(10)...(.minutes(1)))),
                ]
            }
        }

        static var members: [Member<StageCall>] { members(at: \.self) }

        /// The members of a section that holds a call.
        static func members<Owner>(
            at call: WritableKeyPath<Owner, StageCall>
        ) -> [Member<Owner>] {
            let path = Notation<String>.plain("a path such as \"/carts/{id}/taxes\"")
            return [
                Member(
                    "upstream", call.appending(path: \.upstream),
                    .orNull(.plain("the name of an upstream"))),
                Member("method", call.appending(path: \.method), .method),
                .required("path", call.appending(path: \.path), path),
                Member("headers", call.appending(path: \.headers), .headers),
                Member("body", call.appending(path: \.body), .stageBody),
                Member(
                    "success", call.appending(path: \.success), .list(.statuses, count: 1...100)),
                Member("retry", call.appending(path: \.retry), .orNull(.object)),
                Member("unknown", call.appending(path: \.unknown), .orNull(.word())),
                Member("probe", call.appending(path: \.probe), .orNull(.object)),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            if method == "GET" || method == "HEAD", let place = cursor.member("body"),
                !place.value.isNull
            {
                reading.tell("expected none with \(method)", at: place)
            }
            if let unknown, unknown != .probe, probe != nil, let place = cursor.member("probe") {
                reading.tell("has no effect unless unknown is \"probe\"", at: place)
            }
        }
    }
}

extension Notation<String> {
    /// The name of a stage's recovery point, or `finished`.
    fileprivate static var recoveryPoint: Notation {
        let expected = "a name such as \"payment_authorized\""
        return .text(
            expected,
            parse: { text throws(Invalid) in
                if text == "finished" { return text }
                guard RecoveryPoint(stage: text) != nil else {
                    throw Invalid(
                        "expected \(expected): letters, digits, \"_\", \".\", \":\" and \"-\", and "
                            + "neither \"started\" nor \"unknown\"")
                }
                if let flaw = StageRules.flaw(ofName: text) { throw Invalid(flaw) }
                return text
            },
            print: \.self)
    }
}

extension Notation<Configuration.Idempotency.StageCall.Body> {
    /// `null`, `"original"`, or JSON whose strings are templates.
    fileprivate static var stageBody: Notation {
        let expected = "null, \"original\", or JSON with words such as {id} in its strings"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                if cursor.value.isNull { return Configuration.Idempotency.StageCall.Body.none }
                if cursor.value.string == "original" { return .original }
                return value(cursor, &reading).map { .json($0) }
            },
            write: { body, printing in
                switch body {
                case .none: printing.json.null()
                case .original: printing.json.value("original")
                case .json(let value): write(value, &printing)
                }
            })
    }

    /// The value that stands there, with its secrets filled in.
    private static func value(_ cursor: Cursor, _ reading: inout Reading) -> JSONValue? {
        switch cursor.value.kind {
        case .string:
            return reading.string(cursor, expected: "a text").map {
                JSONValue(.string($0), offset: cursor.offset)
            }
        case .array:
            let elements = cursor.elements.compactMap { value($0, &reading) }
            return JSONValue(.array(elements), offset: cursor.offset)
        case .object(let members):
            reading.tellRepeated(members, cursor)
            let filled = members.compactMap { member in
                let path = Cursor.path(cursor.path, member: member.name)
                return value(Cursor(member.value, path: path), &reading).map {
                    JSONValue.Member(name: member.name, nameOffset: member.nameOffset, value: $0)
                }
            }
            return JSONValue(.object(filled), offset: cursor.offset)
        case .null, .bool, .number: return cursor.value
        }
    }

    private static func write(_ value: JSONValue, _ printing: inout Printing) {
        switch value.kind {
        case .null: printing.json.null()
        case .bool(let flag): printing.json.value(flag)
        case .number(let digits): printing.json.value(json: Array(digits.utf8)[...])
        case .string(let text): printing.json.value(text)
        case .array(let elements):
            printing.json.beginArray()
            for (index, element) in elements.enumerated() {
                printing.element(index) { write(element, &$0) }
            }
            printing.json.endArray()
        case .object(let members):
            printing.json.beginObject()
            for member in members {
                printing.member(member.name) { write(member.value, &$0) }
            }
            printing.json.endObject()
        }
    }
}
