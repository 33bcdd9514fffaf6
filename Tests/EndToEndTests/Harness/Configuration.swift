/// A `gateway.json` for tests: members are named, their values are JSON text.
///
/// The upstream `api` is the origin. `/plain/**` is a route without keys; everything else is
/// guarded, with the caller's `Authorization` as the scope.
struct Configuration: Sendable {
    /// Members of the guarded route's `idempotency`.
    var idempotency = ["scope": #"["header:Authorization"]"#]
    /// Further members of the guarded route.
    var route: [String: String] = [:]
    /// Further members of the upstream.
    var upstream: [String: String] = [:]
    /// Further upstreams: objects by their names.
    var upstreams: [String: String] = [:]
    /// Whole routes that come before all others.
    var routes: [String] = []
    /// Further members of the whole.
    var members: [String: String] = [:]
    /// Members of `store` beside its type; `path` is set unless it is given.
    var store: [String: String] = [:]
    /// Makes the gateway's calls on files fail.
    var faults: Faults?
    /// A command that starts the gateway, with arguments to go before the gateway's path.
    var launcher: [String] = []
    /// Variables of the gateway's environment.
    var environment: [String: String] = [:]
    /// What the gateway finds at its descriptors from 3 on.
    var sockets: [Socket] = []

    init(_ change: (inout Configuration) -> Void = { _ in }) { change(&self) }

    /// The document.
    func text(
        upstreamURL: String, directory: String, port: UInt16 = 0, adminPort: UInt16 = 0
    ) -> String {
        var store = self.store
        store["type"] = #""sqlite""#
        store["path"] = store["path"] ?? #""\#(directory)/oncegate.db""#
        var upstream = self.upstream
        upstream["url"] = upstream["url"] ?? #""\#(upstreamURL)""#
        var guarded = route
        guarded["path"] = #""/**""#
        guarded["upstream"] = #""api""#
        guarded["idempotency"] = Self.object(idempotency)
        let routes =
            self.routes + [
                #"{"path": "/plain/**", "upstream": "api", "limits": {"body": "none"}}"#,
                Self.object(guarded),
            ]
        var top = members
        top["listeners"] = top["listeners"] ?? #"[{"address": "127.0.0.1:\#(port)"}]"#
        top["admin"] = top["admin"] ?? #"{"address": "127.0.0.1:\#(adminPort)"}"#
        top["store"] = Self.object(store)
        var upstreams = self.upstreams
        upstreams["api"] = Self.object(upstream)
        top["upstreams"] = Self.object(upstreams)
        top["routes"] = "[\(routes.joined(separator: ", "))]"
        return Self.object(top)
    }

    private static func object(_ members: [String: String]) -> String {
        let lines = members.sorted { $0.key < $1.key }.map { #""\#($0.key)": \#($0.value)"# }
        return "{\(lines.joined(separator: ",\n "))}"
    }
}
