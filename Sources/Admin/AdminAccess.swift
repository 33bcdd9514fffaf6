import HTTP

/// Who may change something through the admin listener: whoever shows the token. Without one in the
/// configuration nobody may, from wherever the request comes.
package struct AdminAccess {
    private let matches: ((_ shown: [UInt8]) -> Bool)?

    /// - Parameter matches: Compares what a client shows with the token, in constant time; nil if
    ///   there is no token.
    package init(_ matches: ((_ shown: [UInt8]) -> Bool)?) { self.matches = matches }

    /// Why a request is refused; nil if it is allowed.
    func refusal(of head: RequestHead) -> AdminAnswer? {
        guard let matches else { return AdminAnswer(.noToken) }
        if let shown = bearer(head.fields), matches(shown) { return nil }
        var answer = AdminAnswer(.unauthorized)
        answer.head.fields.append(FieldName("WWW-Authenticate"), "Bearer")
        return answer
    }

    /// The token of an `Authorization` field (RFC 6750), if there is exactly one.
    private func bearer(_ fields: Fields) -> [UInt8]? {
        guard fields.count(of: .authorization) == 1, let text = fields.text(.authorization)
        else { return nil }
        let parts = text.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        return Array(parts[1].utf8)
    }
}

extension AdminProblem {
    fileprivate static let noToken = AdminProblem(
        "forbidden", status: 403, title: "Forbidden",
        detail: "Set admin.token in the configuration: without one, nothing can be changed here.")
    fileprivate static let unauthorized = AdminProblem(
        "unauthorized", status: 401, title: "Unauthorized",
        detail: "Send Authorization: Bearer with the token of admin.token.")
}
