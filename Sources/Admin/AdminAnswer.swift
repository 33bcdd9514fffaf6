package import HTTP
package import JSON

/// A whole answer of the admin listener. It is never to be stored by caches.
package struct AdminAnswer: Sendable {
    package internal(set) var head: ResponseHead
    package internal(set) var body: [UInt8]

    /// An answer of this media type.
    package init(_ status: UInt16 = 200, mediaType: String, body: [UInt8]) {
        head = ResponseHead(status: status)
        head.fields.append(.contentType, mediaType)
        head.fields.append(.cacheControl, "no-store")
        self.body = body
    }

    /// A JSON object, whose members `write` adds.
    package init(_ status: UInt16 = 200, json write: (inout JSONWriter) -> Void) {
        self.init(status, mediaType: "application/json", body: object(write))
    }

    /// A problem document (RFC 9457).
    package init(_ problem: AdminProblem) {
        self.init(
            problem.status, mediaType: "application/problem+json", body: object(problem.write))
        if let seconds = problem.retryAfter { head.fields.append(.retryAfter, String(seconds)) }
    }

    /// A refusal that says which methods there are (RFC 9110 section 15.5.6).
    init(_ problem: AdminProblem, allow methods: [Method]) {
        self.init(problem)
        let list = methods.map(\.token).joined(separator: ", ")
        head.fields.append(FieldName("Allow"), list)
    }
}

/// What is wrong with a request to the admin listener.
package struct AdminProblem: Sendable {
    /// What follows `urn:oncegate:` in the type.
    package let name: String
    package let status: UInt16
    package let title: String
    /// For people: what to do.
    package let detail: String
    /// The record that is in the way, and how far it has come.
    var keyID: String?
    var recoveryPoint: String?
    /// The names of the members in which two requests differ; never their values.
    var differs: [String] = []
    /// What is wrong with the body, or with the file that was to be read.
    var mistakes: [ReloadOutcome.Mistake] = []
    /// Seconds, for `Retry-After`.
    var retryAfter: Int?

    /// A problem from its parts.
    package init(_ name: String, status: UInt16, title: String, detail: String) {
        self.name = name
        self.status = status
        self.title = title
        self.detail = detail
    }

    static let notFound = AdminProblem(
        "not-found", status: 404, title: "Not found",
        detail: "The admin listener has nothing at this path.")
    static let methodNotAllowed = AdminProblem(
        "method-not-allowed", status: 405, title: "Method not allowed",
        detail: "The Allow field lists the methods of this resource.")

    /// Adds the document's members.
    func write(_ json: inout JSONWriter) {
        json.member("type", "urn:oncegate:\(name)")
        json.member("title", title)
        json.member("status", Int(status))
        json.member("detail", detail)
        if let keyID { json.member("id", keyID) }
        if let recoveryPoint { json.member("recovery_point", recoveryPoint) }
        if !differs.isEmpty { json.list("differs", differs) { $0.value($1) } }
        guard !mistakes.isEmpty else { return }
        json.list("mistakes", mistakes) { json, mistake in
            json.beginObject()
            json.member("path", mistake.path)
            json.member("message", mistake.message)
            if let line = mistake.line { json.member("line", line) }
            if let column = mistake.column { json.member("column", column) }
            json.endObject()
        }
    }
}

extension JSONWriter {
    /// Writes a member that is a list.
    mutating func list<Element>(
        _ name: String, _ elements: [Element], _ write: (inout JSONWriter, Element) -> Void
    ) {
        self.name(name)
        beginArray()
        for element in elements { write(&self, element) }
        endArray()
    }
}

extension ResponseWriter {
    /// Sends the answer.
    package func respond(_ answer: AdminAnswer) async throws(DownstreamError) {
        try await respond(answer.head, body: answer.body[...])
    }
}

private func object(_ write: (inout JSONWriter) -> Void) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    write(&json)
    json.endObject()
    return json.bytes + [UInt8(ascii: "\n")]
}
