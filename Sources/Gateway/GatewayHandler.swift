package import HTTP
package import Idempotency
package import Telemetry

/// Answers requests as a routing table says: the keyed way or the plain way. One for each event
/// loop.
package final class GatewayHandler: Handler {
    private let table: RoutingTable
    private let services: LoopServices
    private let relays: [Relay]
    /// For each route how it treats the requests that it guards.
    private let ways: [Way]

    /// Settles unknown outcomes. One loop's is to be given a ``Prober/round()`` every second.
    package let prober: Prober
    /// Goes on with stages. One loop's is to be given a ``Completer/round()`` every second.
    package let completer: Completer

    private enum Way {
        case plain
        case keyed(KeyedRequestHandler)
        case watched(ShadowHandler)
    }

    /// A handler for one event loop.
    ///
    /// - Parameters:
    ///   - table: The routes.
    ///   - clients: This loop's clients, in the order of the table's upstreams.
    ///   - keys: Shared by all loops.
    ///   - timers: This loop's timers.
    ///   - log: Gets an access line for each request, where those are on.
    ///   - metrics: Made for the same table.
    ///   - detached: The places of transfers without a client, shared by all loops.
    ///   - ledger: The probes of all loops.
    ///   - tasks: Starts this loop's tasks; nil starts them on the caller's actor.
    ///   - spool: Where this loop puts keyed bodies that are too long for memory; nil keeps them
    ///     there.
    ///   - predecessor: The handler whose place this one takes on the loop, after a reload. What is
    ///     under way there goes on by the rules that it began with, and is drained by this one.
    ///   - jitter: By how much a pause is longer than it has to be, up to the number given.
    package init(
        table: RoutingTable, clients: [any UpstreamClient], keys: IdempotencyKeyService,
        timers: any Timers, log: Log, metrics: GatewayMetrics, detached: DetachedTransfers,
        ledger: ProbeLedger = ProbeLedger(), tasks: (any TaskStarter)? = nil,
        spool: (any BodySpool)? = nil, succeeding predecessor: GatewayHandler? = nil,
        jitter: @escaping (UInt64) -> UInt64 = { .random(in: 0...$0) }
    ) {
        precondition(clients.count == table.upstreams.count, "each upstream needs its client")
        let services = LoopServices(
            keys: keys, timers: timers, tasks: tasks, log: log, metrics: metrics,
            detached: detached, spool: spool, edges: table.edges,
            work: predecessor?.services.work ?? OngoingWork(), jitter: jitter)
        let relays = table.routes.map { route in
            Relay(
                route, to: table.upstreams[route.upstream], through: clients[route.upstream],
                services)
        }
        var staged: [String: StagedRoute] = [:]
        for (index, route) in table.routes.enumerated() {
            staged[route.name] = StagedRoute(
                route, in: table, through: clients, metrics.keys[index], services)
        }
        completer = Completer(staged, services, succeeding: predecessor?.completer)
        prober = Prober(
            table, through: clients, services, ledger, staged: staged, completer,
            succeeding: predecessor?.prober)
        services.prober = prober
        self.table = table
        self.services = services
        self.relays = relays
        ways = table.routes.indices.map { index in
            let route = table.routes[index]
            guard let rules = route.keys else { return .plain }
            let counters = metrics.keys[index]
            guard !rules.isShadow else {
                return .watched(
                    ShadowHandler(route, rules, counters.shadow, relay: relays[index], services))
            }
            return .keyed(
                KeyedRequestHandler(
                    route, rules, to: table.upstreams[route.upstream],
                    through: clients[route.upstream], counters, relay: relays[index], services,
                    staged: staged[route.name]))
        }
    }

    package func respond(
        to request: Request, through response: any ResponseWriter
    ) async throws {
        let account = RequestAccount(
            startedAt: services.timers.now,
            services.receive(request.head, from: request.downstream))
        if case .options = request.head.method {
            return try await limit(request, response, account)
        }
        if case .trace = request.head.method { return try await limit(request, response, account) }
        try await route(request, response, account)
    }

    /// Answers OPTIONS and TRACE, which may go so far and no further.
    private func limit(
        _ request: Request, _ response: any ResponseWriter, _ account: RequestAccount
    ) async throws {
        if request.head.method == .trace, ![.none, .length(0)].contains(request.head.framing) {
            defer { finish(account, request) }
            return try await refuse(.contentInTrace, response, account)
        }
        switch MaxForwards(request.head) {
        case .unlimited: try await route(request, response, account)
        case .remaining(let fields):
            var head = request.head
            head.fields = fields
            let limited = Request(head: head, body: request.body, downstream: request.downstream)
            try await route(limited, response, account)
        case .exhausted:
            defer { finish(account, request) }
            var (head, body) = MaxForwards.answer(to: request.head)
            account.dress(&head.fields)
            account.begin(head.status, .refused)
            account.bytesOut = body.count
            try await response.respond(head, body: body[...])
        case .malformed:
            defer { finish(account, request) }
            try await refuse(.malformedMaxForwards, response, account)
        }
    }

    private func route(
        _ request: Request, _ response: any ResponseWriter, _ account: RequestAccount
    ) async throws {
        let problem: Problem
        switch table.match(request.head) {
        case .route(let index, let path):
            account.route = index
            return try await take(request, path, response, account, on: index)
        case .none: problem = .noRoute
        case .malformed: problem = .malformedPath
        }
        defer { finish(account, request) }
        try await refuse(problem, response, account)
    }

    private func take(
        _ request: Request, _ path: DecodedPath?, _ response: any ResponseWriter,
        _ account: RequestAccount, on route: Int
    ) async throws {
        let rules = table.routes[route]
        if rules.answerFields != nil || rules.crossOrigin != nil {
            account.dress = AnswerDress(rules, request, path, account.edge)
        }
        // A preflight asks for leave and does nothing, whatever the route guards.
        let isGuarded =
            rules.guards(request.head.method) && request.head.preflightMethod == nil
        if isGuarded, case .watched(let shadow) = ways[route] {
            return try await shadow.respond(to: request, path, through: response, account) {
                self.finish(account, request)
            }
        }
        defer { finish(account, request) }
        if isGuarded, case .keyed(let keyed) = ways[route] {
            return try await keyed.respond(to: request, path, through: response, account)
        }
        let call = Relay.Call(request, path, response, account)
        if case .keyed(let keyed) = ways[route] { call.keyHeader = keyed.rules.header }
        try await relays[route].relay(call)
    }

    /// Waits until all that was claimed on this loop is concluded, by this handler or by those
    /// before it, and cuts short what is not by `limit`: what may have reached an upstream becomes
    /// unknown, durably.
    ///
    /// To be called when no requests come any more.
    ///
    /// - Parameters:
    ///   - grace: How long the store may take over the last conclusions.
    ///   - others: Called at the limit; ends what waits for an upstream without an exchange.
    /// - Returns: how many transfers were cut short.
    package func drain(
        within limit: Duration, grace: Duration, cutting others: @escaping () -> Void
    ) async -> Int {
        completer.end()
        return await services.work.drain(
            within: limit, grace: grace, services.timers, cutting: others)
    }

    private func refuse(
        _ problem: Problem, _ response: any ResponseWriter, _ account: RequestAccount
    ) async throws(DownstreamError) {
        try await response.respond(problem: problem, problem.head, as: .refused, account)
    }

    private func finish(_ account: RequestAccount, _ request: Request) {
        let totalTime = (account.endedAt ?? services.timers.now) - account.startedAt
        services.metrics.count(account, totalTime: totalTime)
        guard services.log.isAccessOn else { return }
        let route = account.route.map { table.routes[$0].name }
        account.log(request, route: route, totalTime: totalTime, to: services.log)
    }
}
