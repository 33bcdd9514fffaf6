package import HTTP
package import Idempotency
package import Telemetry

/// Answers requests as a routing table says: the keyed way or the plain way. One for each event
/// loop.
package final class GatewayHandler: Handler {
    private let table: RoutingTable
    private let services: LoopServices
    private let relays: [Relay]
    /// For each route the keyed way, where it has one.
    private let keyed: [KeyedRequestHandler?]

    /// A handler for one event loop.
    ///
    /// - Parameters:
    ///   - table: The routes.
    ///   - clients: This loop's clients, in the order of the table's upstreams.
    ///   - keys: Shared by all loops.
    ///   - timers: This loop's timers.
    ///   - log: Gets an access line for each request, where those are on.
    ///   - metrics: Made for the same table.
    ///   - spool: Where this loop puts keyed bodies that are too long for memory; nil keeps them
    ///     there.
    package init(
        table: RoutingTable, clients: [any UpstreamClient], keys: IdempotencyKeyService,
        timers: any Timers, log: Log, metrics: GatewayMetrics, spool: (any BodySpool)? = nil
    ) {
        precondition(clients.count == table.upstreams.count, "each upstream needs its client")
        let services = LoopServices(
            keys: keys, timers: timers, log: log, metrics: metrics, spool: spool)
        let relays = table.routes.map { route in
            Relay(
                route, to: table.upstreams[route.upstream], through: clients[route.upstream],
                services)
        }
        self.table = table
        self.services = services
        self.relays = relays
        keyed = table.routes.indices.map { index in
            let route = table.routes[index]
            return route.keys.map { rules in
                KeyedRequestHandler(
                    route, rules, to: table.upstreams[route.upstream],
                    through: clients[route.upstream], metrics.keys[index], relay: relays[index],
                    services)
            }
        }
    }

    package func respond(
        to request: Request, through response: any ResponseWriter
    ) async throws {
        let account = RequestAccount(startedAt: services.timers.now)
        defer { finish(account, request) }
        switch table.match(request.head) {
        case .route(let index, let path):
            account.route = index
            if let keyed = keyed[index], keyed.rules.methods.contains(request.head.method) {
                try await keyed.respond(to: request, path, through: response, account)
            } else {
                var call = Relay.Call(
                    request: request, path: path, writer: response, account: account)
                call.keyHeader = keyed[index]?.rules.header
                try await relays[index].relay(call)
            }
        case .none: try await refuse(.noRoute, response, account)
        case .malformed: try await refuse(.malformedPath, response, account)
        }
    }

    private func refuse(
        _ problem: Problem, _ response: any ResponseWriter, _ account: RequestAccount
    ) async throws(DownstreamError) {
        try await response.respond(problem: problem, problem.head, as: .refused, account)
    }

    private func finish(_ account: RequestAccount, _ request: Request) {
        let totalTime = services.timers.now - account.startedAt
        services.metrics.count(account, totalTime: totalTime)
        guard services.log.isAccessOn else { return }
        let route = account.route.map { table.routes[$0].name }
        account.log(request, route: route, totalTime: totalTime, to: services.log)
    }
}
