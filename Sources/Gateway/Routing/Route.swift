import HTTP

/// One entry of `routes`: which requests it takes, where they go and how they are treated.
///
/// A class, so that a request that keeps its route retains one thing.
package final class Route: Sendable {
    /// What logs and metrics call it; unique in its table.
    package let name: String
    /// Nil for any host.
    package let host: HostPattern?
    package let path: PathPattern
    /// Nil for all methods.
    package let methods: MethodSet?
    /// The position of its upstream in ``RoutingTable/upstreams``.
    package let upstream: Int
    /// Nil forwards the target as it was received.
    package let rewrite: PathRewrite?
    /// The most bytes of a request's body; nil for as many as come.
    package let bodyLimit: Int?
    /// Nil makes the route a plain proxy.
    package let keys: KeyRules?
    /// What becomes of the fields of requests that leave, and of answers; nil for nothing.
    package let requestFields: FieldRules?
    package let answerFields: FieldRules?
    /// Who may read the gateway's own problems; nil for same-origin scripts alone.
    package let crossOrigin: CrossOrigin?

    /// A route from its parts.
    package init(
        name: String, host: HostPattern? = nil, path: PathPattern, methods: MethodSet? = nil,
        upstream: Int = 0, rewrite: PathRewrite? = nil, bodyLimit: Int? = 10 << 20,
        keys: KeyRules? = nil, requestFields: FieldRules? = nil, answerFields: FieldRules? = nil,
        crossOrigin: CrossOrigin? = nil
    ) {
        self.name = name
        self.host = host
        self.path = path
        self.methods = methods
        self.upstream = upstream
        self.rewrite = rewrite
        self.bodyLimit = bodyLimit
        self.keys = keys
        self.requestFields = requestFields
        self.answerFields = answerFields
        self.crossOrigin = crossOrigin
    }

    /// Whether requests with this method are given a key.
    func guards(_ method: Method) -> Bool {
        keys?.methods.contains(method) ?? false
    }
}

/// What forwarding has to know of an upstream; its connections are an `UpstreamClient`'s.
package struct Upstream: Sendable {
    /// Which `Host` a request leaves with.
    package enum HostField: Sendable, Hashable {
        /// The client's own.
        case keep
        /// ``Upstream/authority``.
        case upstream
        case text(String)
    }

    /// Its name in the configuration, for logs and metrics.
    package let name: String
    /// `host`, or `host:port` where the port is not the scheme's own.
    package let authority: String
    /// For how long nothing may move in a tunnel to it; nil for ever.
    let tunnelIdle: Duration?
    /// The value that `Host` is given; nil keeps the client's.
    let replacedHost: [UInt8]?
    /// What a client's request without `Host` is given.
    let ownHost: [UInt8]
    /// What a request of the gateway's own is given.
    var probeHost: [UInt8] { replacedHost ?? ownHost }
    /// In which form it is told who asks; nil for the one of all upstreams.
    let forwardedForm: Edges.ForwardedForm?

    /// An upstream from its parts.
    package init(
        name: String, authority: String, host: HostField = .keep,
        tunnelIdle: Duration? = .seconds(3600), forwardedForm: Edges.ForwardedForm? = nil
    ) {
        self.name = name
        self.forwardedForm = forwardedForm
        self.authority = authority
        self.tunnelIdle = tunnelIdle
        ownHost = Array(authority.utf8)
        switch host {
        case .keep: replacedHost = nil
        case .upstream: replacedHost = ownHost
        case .text(let text): replacedHost = Array(text.utf8)
        }
    }
}
