import HTTP
import Idempotency
import JSON

/// What an operator sends along with a change: a JSON object, or nothing.
struct OperatorRequest {
    private let value: JSONValue?

    /// The most bytes of a body: a stored answer's default limit in base64, and some more.
    static let limit = 12 << 20

    /// Reads a request's body whole.
    init(_ body: any RequestBody) async throws {
        var bytes: [UInt8] = []
        while let chunk = try await body.read() {
            guard bytes.count + chunk.count <= Self.limit else {
                throw AdminProblem(
                    "body-too-large", status: 413, title: "Body too large",
                    detail: "A change takes at most \(Self.limit) bytes.")
            }
            bytes += chunk
        }
        guard !bytes.isEmpty else {
            value = nil
            return
        }
        do throws(JSONError) {
            value = try JSON.parse(bytes[...])
        } catch {
            throw AdminProblem.badRequest("The body is not JSON: \(error.message).")
        }
        guard value?.members != nil else {
            throw AdminProblem.badRequest("The body is to be a JSON object.")
        }
    }

    /// Whether a live lock is to be broken.
    var isForced: Bool {
        get throws {
            guard let force = value?["force"] else { return false }
            guard let flag = force.bool else {
                throw AdminProblem.badRequest("force is true or false.")
            }
            return flag
        }
    }

    /// The answer that settles a record.
    var reply: StoredReply {
        get throws {
            guard let code = value?["response_code"]?.integer, 200...599 ~= code else {
                throw AdminProblem.badRequest("response_code is a number from 200 to 599.")
            }
            var fields = Fields()
            for pair in try headers { fields.append(pair.name, pair.value) }
            let body = try body
            if let type = body.mediaType, !fields.contains(.contentType) {
                fields.append(.contentType, type)
            }
            var section: [UInt8] = []
            fields.appendFieldSection(to: &section)
            return StoredReply(
                responseCode: UInt16(code), responseHeaders: section, responseBody: body.bytes)
        }
    }

    private var headers: [(name: FieldName, value: String)] {
        get throws {
            guard let list = value?["response_headers"], !list.isNull else { return [] }
            let problem = AdminProblem.badRequest(
                "response_headers is a list of pairs such as [[\"Location\", \"/orders/1\"]].")
            guard let elements = list.elements else { throw problem }
            return try elements.map { pair in
                guard let sides = pair.elements, sides.count == 2, let name = sides[0].string,
                    let text = sides[1].string, FieldName(name).isToken,
                    text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
                else { throw problem }
                let field = FieldName(name)
                guard !Self.frames(field) else {
                    throw AdminProblem.badRequest(
                        "response_headers cannot have \(name): the gateway frames the answer.")
                }
                return (field, text)
            }
        }
    }

    /// Whether a field belongs to one connection, or says where a message ends.
    private static func frames(_ name: FieldName) -> Bool {
        switch name.id {
        case .connection, .contentLength, .keepAlive, .proxyConnection, .te, .trailer,
            .transferEncoding, .upgrade:
            true
        default: false
        }
    }

    /// Text as it is, `{"base64": …}` decoded, any other JSON as its text.
    private var body: (bytes: [UInt8], mediaType: String?) {
        get throws {
            guard let body = value?["response_body"], !body.isNull else { return ([], nil) }
            if let text = body.string { return (Array(text.utf8), nil) }
            if let members = body.members, members.count == 1, members[0].name == "base64" {
                guard let text = members[0].value.string, let bytes = Base64.decode(text) else {
                    throw AdminProblem.badRequest("base64 is padded base64 (RFC 4648 section 4).")
                }
                return (bytes, nil)
            }
            var json = JSONWriter()
            json.value(body)
            return (json.bytes, "application/json")
        }
    }
}

extension JSONWriter {
    /// Writes a parsed value again, its numbers as they were written.
    fileprivate mutating func value(_ parsed: JSONValue) {
        switch parsed.kind {
        case .null: null()
        case .bool(let flag): value(flag)
        case .number(let text): value(json: Array(text.utf8)[...])
        case .string(let text): value(text)
        case .array(let elements):
            beginArray()
            for element in elements { value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                name(member.name)
                value(member.value)
            }
            endObject()
        }
    }
}
