import Gateway
import HTTP
import JSON

extension Configuration {
    /// How a route treats its keys.
    struct Idempotency: Section {
        /// Whether keys are only watched.
        enum Mode: String, CaseIterable { case enforce, shadow }

        /// What a request without a key gets.
        enum AbsentKey: String, CaseIterable { case required, create, pass }

        /// What a duplicate gets while the first request is at work.
        enum InFlight: String, CaseIterable { case wait, reject }

        /// What a request gets whose predecessor's outcome is not known.
        enum Unknown: String, CaseIterable { case hold, retry, probe }

        /// What a request gets when no key can be claimed.
        enum StoreDown: String, CaseIterable { case refuse, pass }

        var mode = Mode.enforce
        var key = AbsentKey.create
        /// The field that carries the key.
        var header = FieldName.idempotencyKey
        /// Where the key comes from when that field is not there.
        var from: KeyOrigin?
        var forwardKey = ForwardKey.no
        /// The methods that are guarded.
        var methods = ["POST", "PUT", "PATCH", "DELETE"]
        var scope = Scope.shared
        var fingerprint = Fingerprint()
        var inFlight = InFlight.wait
        var waitLimit = Duration.seconds(30)
        /// Per key.
        var waiters = 1000
        /// How long a client waits while its request is executed; nil for as long as it takes.
        var answerWithin: Duration?
        /// Statuses that are final answers; ``release`` wins.
        var keep: [ClosedRange<UInt16>] = [200...499]
        /// Statuses by which an upstream says that it did not act.
        var release: [ClosedRange<UInt16>] = KeyRules.refusals.map { $0...$0 }
        var unknown = Unknown.hold
        /// How to find out about unknown outcomes.
        var probe: Probe?
        var lease = Duration.seconds(30)
        var retention = Duration.hours(24)
        var unknownRetention = Duration.days(7)
        var tombstone = Duration.days(7)
        /// Bytes of an answer's body that are kept at most.
        var responseLimit = 8 << 20
        /// Fields that are not replayed.
        var replayWithout = KeyRules.momentaryFields
        /// Whether answers go to the client while they are recorded, however short.
        var stream = false
        var storeDown = StoreDown.refuse
        /// Whether the upstream has stages of its own.
        var backendStages = false
        /// The calls that do the work, one after the other; nil for the one that forwards it.
        var stages: [Stage]?

        static var members: [Member<Idempotency>] {
            [
                Member("mode", \.mode, .word()),
                Member("key", \.key, .word()),
                Member("header", \.header, .keyField),
                Member("from", \.from, .orNull(.keySource)),
                Member("forward_key", \.forwardKey, .forwardKey),
                Member("methods", \.methods, .list(.method, count: 1...100)),
                .required("scope", \.scope, .scope),
                Member("fingerprint", \.fingerprint, .object),
                Member("in_flight", \.inFlight, .word()),
                Member("wait_limit", \.waitLimit, .duration(.zero...(.hours(1)))),
                Member("waiters", \.waiters, .count(1...1_000_000)),
                Member("answer_within", \.answerWithin, .or("none", .duration(patience))),
                Member("keep", \.keep, .list(.statuses)),
                Member("release", \.release, .list(.statuses)),
                Member("unknown", \.unknown, .word()),
                Member("probe", \.probe, .orNull(.object)),
                Member("lease", \.lease, .duration(.seconds(1)...(.days(1)))),
                Member("retention", \.retention, .duration(lifetime)),
                Member("unknown_retention", \.unknownRetention, .duration(lifetime)),
                Member("tombstone", \.tombstone, .duration(.zero...lifetime.upperBound)),
                Member("response_limit", \.responseLimit, .size(0...(1 << 30))),
                Member("replay_without", \.replayWithout, .list(.fieldName)),
                Member("stream", \.stream, .flag),
                Member("store_down", \.storeDown, .word()),
                Member(
                    "stages", \.stages, .orNull(.list(.object, count: 1...64, onOneLine: false))),
                Member("backend_stages", \.backendStages, .flag),
            ]
        }

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            if stages == nil { checkProbe(cursor, &reading) } else { checkStages(cursor, &reading) }
            checkBackendStages(cursor, &reading)
            if case .header(header) = from, let place = cursor.member("from") {
                reading.tell("is the field of header already; leave it out", at: place)
            }
        }

        private static let patience = Duration.milliseconds(10)...Duration.days(1)
        private static let lifetime = Duration.seconds(1)...Duration.days(3650)
    }
}

extension Configuration.Idempotency {
    /// Whether the upstream is told the key, and in which field.
    enum ForwardKey: Sendable, Hashable {
        case no
        /// In the field in which it came.
        case yes
        case renamed(FieldName)
    }

    /// Where a key comes from that the client did not send.
    enum KeyOrigin: Sendable, Hashable {
        case header(FieldName)
        case json(JSONPointer)
        case fingerprint
    }

    /// Whose keys are told apart, and who may see whose answers.
    enum Scope: Sendable, Hashable {
        /// Everybody shares the keys.
        case shared
        /// Requests that agree in these fields.
        case fields([FieldName])
    }

    /// What makes two requests with one key the same request.
    struct Fingerprint: Section {
        /// How the body takes part.
        enum Body: Sendable, Hashable {
            /// JSON by its canonical form, anything else byte for byte.
            case auto
            case bytes
            case none
            /// The values at these places of a JSON body.
            case pointers([JSONPointer])
        }

        var query = true
        /// Fields that take part.
        var headers: [FieldName] = []
        var body = Body.auto
        /// Places of a JSON body that take no part.
        var ignore: [JSONPointer] = []

        static var members: [Member<Fingerprint>] {
            [
                Member("query", \.query, .flag),
                Member("headers", \.headers, .list(.fieldName)),
                Member("body", \.body, .fingerprintBody),
                Member("ignore", \.ignore, .list(.pointer, count: 0...pointers)),
            ]
        }

        /// The most pointers of either list: both go into one canonical form.
        fileprivate static let pointers = JSONCanonicalForm.maximumPointers / 2

        mutating func complete(_ cursor: Cursor, _ reading: inout Reading) {
            guard body == .bytes || body == .none, !ignore.isEmpty,
                let place = cursor.member("ignore")
            else { return }
            reading.tell("has no effect unless body is \"auto\" or a list of pointers", at: place)
        }
    }
}

extension Notation<Configuration.Idempotency.ForwardKey> {
    /// `true`, `false` or a field name.
    static var forwardKey: Notation {
        let name = Notation<FieldName>.keyField
        let expected = "true, false or the name of a field"
        return Notation(
            expected: expected,
            read: { cursor, reading in
                switch cursor.value.kind {
                case .bool(let flag): return flag ? .yes : .no
                case .string: return name.read(cursor, &reading).map { .renamed($0) }
                default:
                    reading.tell(expected: expected, at: cursor)
                    return nil
                }
            },
            write: { value, printing in
                switch value {
                case .no: printing.json.value(false)
                case .yes: printing.json.value(true)
                case .renamed(let field): name.write(field, &printing)
                }
            })
    }
}

extension Notation<Configuration.Idempotency.KeyOrigin> {
    /// `"header:NAME"`, `"json:POINTER"` or `"fingerprint"`.
    static var keySource: Notation {
        let expected = "\"header:NAME\", \"json:/POINTER\" or \"fingerprint\""
        return .text(
            expected,
            parse: { text throws(Invalid) in
                if text == "fingerprint" { return .fingerprint }
                let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
                if parts.count == 2, parts[0] == "header", FieldName(parts[1]).isToken {
                    guard !FieldName(parts[1]).holdsCredentials else {
                        throw Invalid(Notation<FieldName>.noCredentials)
                    }
                    return .header(FieldName(parts[1]))
                }
                if parts.count == 2, parts[0] == "json", let pointer = JSONPointer(parts[1]) {
                    return .json(pointer)
                }
                throw Invalid("expected \(expected)")
            },
            print: { source in
                switch source {
                case .header(let name): "header:\(name)"
                case .json(let pointer): "json:\(pointer)"
                case .fingerprint: "fingerprint"
                }
            })
    }
}

extension Notation<Configuration.Idempotency.Scope> {
    /// `"shared"`, or a list of what tells callers apart.
    static var scope: Notation {
        let source = Notation<FieldName>.text(
            "\"header:NAME\"",
            parse: { text throws(Invalid) in try field(text) }, print: { "header:\($0)" })
        let sources = Notation<[FieldName]>.list(source, count: 1...16)
        let shared = Notation.text(
            "\"shared\"",
            parse: { text throws(Invalid) in
                guard text == "shared" else {
                    throw Invalid(
                        "expected \"shared\" or a list such as [\"header:Authorization\"]")
                }
                return .shared
            }, print: { _ in "shared" })
        let list = Notation(
            expected: "a list such as [\"header:Authorization\"]",
            read: { cursor, reading in sources.read(cursor, &reading).map { .fields($0) } },
            write: { scope, printing in
                switch scope {
                case .shared: shared.write(scope, &printing)
                case .fields(let fields): sources.write(fields, &printing)
                }
            })
        return .word(shared, otherwise: list)
    }

    private static func field(_ text: String) throws(Invalid) -> FieldName {
        if text == "client_certificate" || text.hasPrefix("jwt:") {
            throw Invalid("not supported by this version; expected \"header:NAME\"")
        }
        guard text != "shared" else { throw Invalid("expected \"shared\" alone, without a list") }
        let name = FieldName(String(text.dropFirst(7)))
        guard text.hasPrefix("header:"), name.isToken else {
            throw Invalid("expected \"header:NAME\", such as \"header:Authorization\"")
        }
        return name
    }
}

extension Notation<Configuration.Idempotency.Fingerprint.Body> {
    /// A word, or a list of pointers.
    static var fingerprintBody: Notation {
        typealias Body = Configuration.Idempotency.Fingerprint.Body
        let words: [(String, Body)] = [("auto", .auto), ("bytes", .bytes), ("none", .none)]
        let expected = alternatives(words.map(\.0))
        let word = Notation.text(
            expected,
            parse: { text throws(Invalid) in
                guard let word = words.first(where: { $0.0 == text }) else {
                    throw Invalid("expected \(expected), or a list of JSON pointers")
                }
                return word.1
            },
            print: { body in words.first { $0.1 == body }?.0 ?? "" })
        let pointers = Notation<[JSONPointer]>.list(
            .pointer, count: 1...Configuration.Idempotency.Fingerprint.pointers)
        let list = Notation(
            expected: "a list of JSON pointers",
            read: { cursor, reading in pointers.read(cursor, &reading).map { .pointers($0) } },
            write: { body, printing in
                if case .pointers(let list) = body {
                    pointers.write(list, &printing)
                } else {
                    word.write(body, &printing)
                }
            })
        return .word(word, otherwise: list)
    }
}
