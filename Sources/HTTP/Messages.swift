/// A request method (RFC 9110 section 9), case-sensitive.
package enum Method: Sendable, Hashable {
    case get, head, post, put, patch, delete, options, trace, connect
    /// Any other token.
    case other(String)

    /// The method that this token names.
    package init(_ token: String) {
        switch token {
        case "GET": self = .get
        case "HEAD": self = .head
        case "POST": self = .post
        case "PUT": self = .put
        case "PATCH": self = .patch
        case "DELETE": self = .delete
        case "OPTIONS": self = .options
        case "TRACE": self = .trace
        case "CONNECT": self = .connect
        default: self = .other(token)
        }
    }

    /// The token, as it stands in the request line.
    package var token: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .patch: "PATCH"
        case .delete: "DELETE"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .connect: "CONNECT"
        case .other(let token): token
        }
    }
}

/// The versions that this gateway speaks.
package enum Version: Sendable, Hashable {
    case http10, http11
}

/// How a message's body is delimited (RFC 9112 section 6.3), decided once by the parser.
package enum BodyFraming: Sendable, Hashable {
    /// There is no body.
    case none
    /// As many bytes as `Content-Length` says.
    case length(UInt64)
    /// `Transfer-Encoding: chunked`.
    case chunked
    /// A response's body that ends with the connection.
    case untilClose
}

/// The head of a request as it was received.
package struct RequestHead: Sendable {
    package var method: Method
    /// The request target as received: origin-form, or `*` for `OPTIONS`. Of absolute-form it is
    /// what follows the authority, which stands in `Host`.
    package var target: ArraySlice<UInt8>
    package var version: Version
    package var fields: Fields
    /// How the body is delimited.
    package var framing: BodyFraming
    /// Whether the sender lets the connection live on after this message (RFC 9112 section 9.3).
    package var isPersistent: Bool

    /// A head from its parts.
    package init(
        method: Method, target: ArraySlice<UInt8>, version: Version = .http11,
        fields: Fields = Fields(), framing: BodyFraming = .none, isPersistent: Bool = true
    ) {
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.framing = framing
        self.isPersistent = isPersistent
    }

    /// The target up to the first `?`, as received.
    package var path: ArraySlice<UInt8> {
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return target }
        return target[..<mark]
    }

    /// What follows the first `?`; nil without one.
    package var query: ArraySlice<UInt8>? {
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        return target[(mark + 1)...]
    }
}

/// The head of a response.
package struct ResponseHead: Sendable {
    /// 100–999.
    package var status: UInt16
    /// The reason phrase as received; empty lets the serializer choose the registered one.
    package var reason: ArraySlice<UInt8>
    package var version: Version
    package var fields: Fields
    /// How the body is delimited; the parser knows the request's method.
    package var framing: BodyFraming
    /// Whether the sender lets the connection live on after this message.
    package var isPersistent: Bool

    /// A head from its parts.
    package init(
        status: UInt16, reason: ArraySlice<UInt8> = [], version: Version = .http11,
        fields: Fields = Fields(), framing: BodyFraming = .none, isPersistent: Bool = true
    ) {
        self.status = status
        self.reason = reason
        self.version = version
        self.fields = fields
        self.framing = framing
        self.isPersistent = isPersistent
    }

    /// Whether this is an interim answer (1xx); another head follows it.
    package var isInterim: Bool { status < 200 }
}
