import HTTP

/// Which scripts of other origins may read the problems that the gateway makes: `cors` of a route in
/// `gateway.json`. What upstreams answer says itself who may read it.
package struct CrossOrigin: Sendable {
    /// Nil for all.
    private let origins: [[UInt8]]?
    private let allowsCredentials: Bool

    /// - Parameters:
    ///   - origins: As in `Origin` (RFC 6454 section 7); nil for all.
    ///   - credentials: Whether they may send cookies along.
    package init(origins: [String]?, credentials: Bool) {
        self.origins = origins.map { $0.map { Array($0.utf8) } }
        allowsCredentials = credentials
    }

    /// Lets a request's origin read an answer, if it is one of them.
    func allow(_ origin: ArraySlice<UInt8>, in fields: inout Fields) {
        if let origins {
            fields.append(Self.vary, "Origin")
            guard origins.contains(where: { $0[...] == origin }) else { return }
        }
        fields.append(.accessControlAllowOrigin, origins == nil ? Self.any : origin)
        if allowsCredentials { fields.append(Self.allowCredentials, "true") }
    }

    static let origin = FieldName("Origin")
    private static let vary = FieldName("Vary")
    private static let allowCredentials = FieldName("Access-Control-Allow-Credentials")
    private static let any = Array("*".utf8)[...]
}

extension RequestHead {
    /// The method that a browser asks leave for, if the request is a CORS preflight.
    var preflightMethod: Method? {
        guard case .options = method, fields.contains(CrossOrigin.origin),
            let method = fields.text(Self.requestedMethod)
        else { return nil }
        return Method(method)
    }

    private static let requestedMethod = FieldName("Access-Control-Request-Method")
}
