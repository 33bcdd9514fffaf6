import HTTP

/// Who may see and change keys: callers that show the admin token (RFC 6750 section 2.1).
package struct AdminAccess {
    private let isToken: (([UInt8]) -> Bool)?

    /// - Parameter isToken: Compares in constant time; nil where no token is configured, and then
    ///   nobody is let in.
    package init(isToken: (([UInt8]) -> Bool)?) {
        self.isToken = isToken
    }

    /// Why the caller is not let in; nil for one that is.
    func refusal(of head: borrowing RequestHead) -> AdminAnswer? {
        guard let isToken else { return AdminAnswer(.noToken) }
        let scheme = Array("bearer ".utf8)
        guard let value = head.fields[.authorization], head.fields.count(of: .authorization) == 1,
            value.count > scheme.count,
            zip(value, scheme).allSatisfy({ byte, letter in
                byte == letter || letter >= UInt8(ascii: "a") && byte | 0x20 == letter
            }), isToken(Array(value.dropFirst(scheme.count)))
        else {
            var answer = AdminAnswer(.unauthorized)
            answer.head.fields.append(FieldName("WWW-Authenticate"), "Bearer realm=\"oncegate\"")
            return answer
        }
        return nil
    }
}

extension AdminProblem {
    fileprivate static let noToken = AdminProblem(
        "forbidden", status: 403, title: "Forbidden",
        detail: "Set admin.token in gateway.json to let operators see and change keys.")
    fileprivate static let unauthorized = AdminProblem(
        "unauthorized", status: 401, title: "Unauthorized",
        detail: "Send Authorization: Bearer and the admin token.")
}
