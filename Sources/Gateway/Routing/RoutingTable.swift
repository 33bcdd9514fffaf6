import HTTP
private import JSON

/// The routes and upstreams of one configuration; immutable, shared by all event loops.
package struct RoutingTable: Sendable {
    /// In the order in which they are tried.
    package let routes: [Route]
    package let upstreams: [Upstream]
    /// What holds for all of them.
    package let edges: Edges
    private let hasHosts: Bool

    /// A table. Traps when a route names an upstream that is not there.
    package init(routes: [Route], upstreams: [Upstream], edges: Edges = .plain) {
        precondition(routes.allSatisfy { upstreams.indices.contains($0.upstream) })
        self.routes = routes
        self.upstreams = upstreams
        self.edges = edges
        hasHosts = routes.contains { $0.host != nil }
    }

    /// What the table says of a request.
    enum Match {
        /// The position of the route, and the path if it had to be decoded to find it.
        case route(Int, DecodedPath?)
        case none
        /// The path cannot be decoded.
        case malformed
    }

    /// The first route whose host, path and method are the request's. A CORS preflight also goes
    /// where the request goes that it asks leave for.
    func match(_ head: borrowing RequestHead) -> Match {
        let path = head.path
        var decoded: DecodedPath?
        let host = hasHosts ? hostWithoutPort(head.fields[.host] ?? []) : []
        let preflighted = head.preflightMethod
        for index in routes.indices {
            if let methods = routes[index].methods, !methods.contains(head.method),
                !(preflighted.map(methods.contains) ?? false)
            {
                continue
            }
            if let pattern = routes[index].host, !pattern.matches(host) { continue }
            if !routes[index].path.takesEverything {
                if decoded == nil {
                    decoded = DecodedPath(path)
                    if decoded == nil { return .malformed }
                }
                if let decoded, !routes[index].path.matches(decoded) { continue }
            }
            if decoded == nil, !DecodedPath.isWellFormed(path) { return .malformed }
            return .route(index, decoded)
        }
        return decoded != nil || DecodedPath.isWellFormed(path) ? .none : .malformed
    }
}

extension Route {
    /// The path's captures as the text of a JSON object, for `request_params`.
    func parameters(of path: DecodedPath?) -> String {
        guard !self.path.captureNames.isEmpty, let path else { return "{}" }
        var json = JSONWriter(reserving: 64)
        json.beginObject()
        for (name, value) in zip(self.path.captureNames, self.path.captures(of: path)) {
            json.name(name)
            json.value(bytes: value)
        }
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self)
    }

    /// The target that a request leaves with.
    func target(of head: borrowing RequestHead, path: DecodedPath?) -> ArraySlice<UInt8> {
        guard let rewrite, head.target.first == UInt8(ascii: "/") else { return head.target }
        guard let path = path ?? DecodedPath(head.path) else { return head.target }
        return rewrite.target(for: path, of: self.path, query: head.query)
    }
}
