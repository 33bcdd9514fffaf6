import HTTP
import Idempotency
import JSON

/// A request's body: a JSON object, or nothing, which is the empty one.
///
/// It is read member by member. What is wrong is collected and told by ``finish()`` all at once,
/// each mistake with its place; a member that nobody asked for is one too.
struct RequestDocument {
    private let members: [JSONValue.Member]
    /// The texts of members that are long containers, which are empty in ``members``.
    private let texts: [String: [UInt8]]
    private var known: [String] = []
    private var mistakes: [ReloadOutcome.Mistake] = []

    /// The most bytes of a body: a stored answer's default limit in base64, and some more.
    static let limit = 12 << 20

    /// Reads a request's body whole.
    init(_ request: Request) async throws {
        try Self.checkMediaType(request.head.fields)
        var bytes: [UInt8] = []
        while let chunk = try await request.body.read() {
            guard bytes.count + chunk.count <= Self.limit else {
                throw AdminProblem(
                    "body-too-large", status: 413, title: "Body too large",
                    detail: "A change takes at most \(Self.limit) bytes.")
            }
            bytes += chunk
        }
        guard !bytes.isEmpty else {
            (members, texts) = ([], [:])
            return
        }
        let parsed: (members: [JSONValue.Member]?, texts: [String: [UInt8]])
        do throws(JSONError) {
            parsed =
                bytes.count > 16_384
                ? try await withTaskExecutorPreference(globalConcurrentExecutor) {
                    () async throws(JSONError) in try await Self.parseElsewhere(bytes)
                }
                : (try JSON.parse(bytes[...]).members, [:])
        } catch {
            throw AdminProblem.badRequest("The body is not JSON: \(error).")
        }
        guard let members = parsed.members else {
            throw AdminProblem.badRequest("The body is to be a JSON object.")
        }
        (self.members, texts) = (members, parsed.texts)
    }

    /// Parses a long text on the threads of Swift's own pool, and leaves no large tree for the event
    /// loop to walk.
    @concurrent private static func parseElsewhere(
        _ bytes: [UInt8]
    ) async throws(JSONError) -> (members: [JSONValue.Member]?, texts: [String: [UInt8]]) {
        var texts: [String: [UInt8]] = [:]
        let members = try JSON.parse(bytes[...]).members?.map { member in
            let kind: JSONValue.Kind
            switch member.value.kind {
            case .object(let members) where members.count != 1 || members[0].name != "base64":
                kind = .object([])
            case .array where member.name != "response_headers": kind = .array([])
            default: return member
            }
            texts[member.name] = text(of: member.value)
            return JSONValue.Member(name: member.name, value: JSONValue(kind))
        }
        return (members, texts)
    }

    private static func text(of value: JSONValue) -> [UInt8] {
        var json = JSONWriter()
        json.value(value)
        return json.bytes
    }

    /// The JSON text of the value that the member of that name has.
    func text(_ name: String, of value: JSONValue) -> [UInt8] {
        texts[name] ?? Self.text(of: value)
    }

    private static func checkMediaType(_ fields: borrowing Fields) throws {
        guard let value = fields.text(.contentType) else { return }
        let type = value.prefix { $0 != ";" }.lowercased().filter { $0 != " " && $0 != "\t" }
        guard type == "application/json" || type.hasSuffix("+json"),
            fields.count(of: .contentType) == 1
        else {
            throw AdminProblem(
                "unsupported-media-type", status: 415, title: "Unsupported media type",
                detail: "Send Content-Type: application/json, or none.")
        }
    }

    /// Notes a mistake.
    mutating func tell(_ path: String, _ message: String) {
        mistakes.append(ReloadOutcome.Mistake(path, message))
    }

    /// The member of that name; nil when it is absent or null.
    mutating func value(_ name: String) -> JSONValue? {
        known.append(name)
        guard let member = members.first(where: { $0.name == name }) else { return nil }
        return member.value.isNull ? nil : member.value
    }

    /// Ends the reading.
    ///
    /// - Throws: All mistakes, if there are any.
    mutating func finish() throws(AdminProblem) {
        for member in members where !known.contains(member.name) {
            let list = known.isEmpty ? "nothing" : known.joined(separator: ", ")
            tell(member.name, "unknown name; this call takes \(list)")
        }
        guard !mistakes.isEmpty else { return }
        let list = mistakes.map { "\($0.path): \($0.message)" }.joined(separator: "; ")
        var problem = AdminProblem.badRequest(list + ".")
        problem.mistakes = mistakes
        throw problem
    }
}

extension RequestDocument {
    /// A string that `isValid`; `expected` completes "expected ".
    mutating func text(
        _ name: String, isRequired: Bool = false, expected: String,
        where isValid: (String) -> Bool
    ) -> String? {
        guard let value = value(name) else {
            if isRequired { tell(name, "is missing; expected \(expected)") }
            return nil
        }
        guard let text = value.string, isValid(text) else {
            tell(name, "expected \(expected)")
            return nil
        }
        return text
    }

    /// `true` or `false`; absent is `false`.
    mutating func flag(_ name: String) -> Bool {
        guard let value = value(name) else { return false }
        if value.bool == nil { tell(name, "expected true or false") }
        return value.bool ?? false
    }

    /// A duration such as `"30s"`.
    mutating func duration(_ name: String, in range: ClosedRange<Duration>, as limits: String)
        -> Duration?
    {
        guard let value = value(name) else { return nil }
        guard let duration = value.string.flatMap({ Self.duration($0) }), range.contains(duration)
        else {
            tell(name, "expected a duration from \(limits), such as \"30s\"")
            return nil
        }
        return duration
    }

    /// A number and its unit, as in `gateway.json`.
    private static func duration(_ text: String) -> Duration? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard (1...12).contains(digits.count), let number = Int(digits) else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(number)
        case "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        case "d": return .seconds(number * 86_400)
        default: return nil
        }
    }

    /// How the caller wants its record kept: the route's policy but for `lease`, and for
    /// `retention` where the call can end the work.
    mutating func policy(_ standard: KeyPolicy, withRetention: Bool = false) -> KeyPolicy {
        var policy = standard
        let lease = duration("lease", in: .seconds(1)...(.seconds(86_400)), as: "\"1s\" to \"24h\"")
        if let lease { policy.lease = lease }
        if withRetention { retention(&policy) }
        return policy
    }

    /// How long the answer is kept that the call ends the work with.
    mutating func retention(_ policy: inout KeyPolicy) {
        let range = Duration.seconds(1)...(.seconds(3650 * 86_400))
        guard let retention = duration("retention", in: range, as: "\"1s\" to \"3650d\"") else {
            return
        }
        policy.retention = retention
    }
}
