package import HTTP
package import JSON

/// A whole answer of the admin listener. It is never to be stored by caches.
package struct AdminAnswer: Sendable {
    var head: ResponseHead
    var body: [UInt8]

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

    /// A problem document (RFC 9457); `members` adds what is peculiar to the problem.
    package init(
        _ problem: AdminProblem, members: (inout JSONWriter) -> Void = { _ in }
    ) {
        let body = object { json in
            json.member("type", "urn:oncegate:\(problem.name)")
            json.member("title", problem.title)
            json.member("status", Int(problem.status))
            json.member("detail", problem.detail)
            members(&json)
        }
        self.init(problem.status, mediaType: "application/problem+json", body: body)
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
