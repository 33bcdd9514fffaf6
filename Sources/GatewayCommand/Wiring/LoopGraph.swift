import Admin
import Crypto
import CurlUpstream
import Gateway
import HTTP
import HTTPServer
import Idempotency
import JSON
import Telemetry
import Transport

/// What all event loops share, as long as the process runs.
struct Shared: Sendable {
    let loopCount: Int
    let keys: IdempotencyKeyService
    let log: Log
    let metrics: Metrics
    let places: ConnectionLimit
    let probes = ProbeLedger()
    let detached: DetachedTransfers
    let spool: SpoolSpace
    /// Copies the store to a new file; why it failed, if it did.
    let backup: @Sendable (_ path: String) async -> StoreError?
}

/// What all event loops share until the configuration is replaced; a request keeps the one that it
/// began with.
struct Rules: Sendable {
    /// Counts configurations since the start, from 1.
    let generation: Int
    let loaded: LoadedConfiguration
    let table: RoutingTable
    let metrics: GatewayMetrics
    /// How many requests upstreams may have at one time, by their names, where there is a bound. One
    /// that had a bound before keeps its count.
    let inFlight: [String: InFlightLimit]

    var configuration: Configuration { loaded.configuration }

    /// - Throws: ``StartError`` for a pattern that the router does not take.
    init(
        _ loaded: LoadedConfiguration, succeeding predecessor: Rules?, _ metrics: Metrics
    ) throws(StartError) {
        generation = (predecessor?.generation ?? 0) + 1
        self.loaded = loaded
        table = try loaded.configuration.routingTable()
        self.metrics = GatewayMetrics(metrics, table: table)
        var inFlight: [String: InFlightLimit] = [:]
        for upstream in loaded.configuration.upstreams {
            guard let limit = upstream.value.maxInFlight else { continue }
            inFlight[upstream.name] =
                predecessor?.inFlight[upstream.name] ?? InFlightLimit(limit)
        }
        self.inFlight = inFlight
    }

    /// Has bounds that were there before go by this configuration.
    func takeOverLimits() {
        for upstream in configuration.upstreams {
            guard let limit = upstream.value.maxInFlight else { continue }
            inFlight[upstream.name]?.change(limit)
        }
    }
}

/// What the end of draining had to cut.
struct DrainCuts: Sendable {
    var connections = 0
    /// Keyed transfers, whose records are unknown now.
    var transfers = 0

    static func + (a: DrainCuts, b: DrainCuts) -> DrainCuts {
        DrainCuts(
            connections: a.connections + b.connections, transfers: a.transfers + b.transfers)
    }
}

/// What the admin listener asks of the whole process.
struct AdminQuestions: Sendable {
    /// Whether the process is about to end.
    let isDraining: @Sendable () -> Bool
    /// Reads the configuration anew.
    let reload: @Sendable () async -> ReloadOutcome
}

/// Everything that lives on one event loop: its server, its handlers, its upstream connections.
final class LoopGraph {
    private let shared: Shared
    private let reactor: Reactor
    private let tasks: LoopTasks
    private let server: HTTPServer
    private var rules: Rules
    private var handler: GatewayHandler
    private var upstreams: UpstreamSet
    private var admin: Admin?
    private var maintenance: Maintenance?
    private var isDraining = false

    /// The admin listener, and what it asks the process.
    private struct Admin {
        let server: HTTPServer
        let questions: AdminQuestions
    }

    init(_ shared: Shared, _ rules: Rules, on loop: isolated EventLoop) {
        self.shared = shared
        self.rules = rules
        reactor = loop.reactor
        tasks = LoopTasks(loop)
        upstreams = UpstreamSet(loops: shared.loopCount, on: loop.reactor)
        let clients = upstreams.clients(for: rules.loaded, rules.inFlight)
        handler = Self.handler(shared, rules, clients, tasks, reactor, succeeding: nil)
        server = HTTPServer(
            handler: handler, options: Self.options(shared, rules), places: shared.places,
            reactor: loop.reactor)
    }

    /// Has requests that begin from now on go by new rules. What is under way keeps its own, idle
    /// connections to upstreams that are as they were are kept.
    func replace(_ rules: Rules) {
        guard !isDraining else { return }
        self.rules = rules
        let clients = upstreams.clients(for: rules.loaded, rules.inFlight)
        handler = Self.handler(shared, rules, clients, tasks, reactor, succeeding: handler)
        server.replace(handler: handler, options: Self.options(shared, rules))
        maintenance?.use(handler.prober, handler.completer)
        if let admin {
            admin.server.replace(
                handler: adminHandler(admin.questions), options: Self.adminOptions(rules))
        }
    }

    private static func handler(
        _ shared: Shared, _ rules: Rules, _ clients: [CurlClient], _ tasks: LoopTasks,
        _ reactor: Reactor, succeeding predecessor: GatewayHandler?
    ) -> GatewayHandler {
        GatewayHandler(
            table: rules.table, clients: clients, keys: shared.keys,
            timers: LoopTimers(reactor), log: shared.log, metrics: rules.metrics,
            detached: shared.detached, ledger: shared.probes, tasks: tasks,
            spool: FileSpool(shared.spool), succeeding: predecessor)
    }

    private static func options(_ shared: Shared, _ rules: Rules) -> ServerOptions {
        var options = rules.configuration.serverOptions
        let (log, metrics) = (shared.log, rules.metrics)
        options.onRefusal = { status, reason, downstream in
            // What the handler itself failed at was a request, and is counted as one.
            if status != 500 { metrics.countRefusedHead(status) }
            log.access { line in
                line.member("peer", downstream.peer)
                line.member("status", Int(status))
                line.member("outcome", "refused")
                line.member("reason", reason)
            }
        }
        options.onBadProxyHeader = { reason, downstream in
            metrics.countBadProxyHeader()
            log.access { line in
                line.member("peer", downstream.peer)
                line.member("outcome", "refused")
                line.member("reason", reason)
            }
        }
        return options
    }

    private static func adminOptions(_ rules: Rules) -> ServerOptions {
        var options = rules.configuration.serverOptions
        options.lastAnswer = nil
        return options
    }

    /// Serves clients on a listening socket.
    ///
    /// - Parameter takesProxyHeaders: Whether every connection begins with a PROXY header.
    func listen(
        _ socket: ListeningSocket, takesProxyHeaders: Bool, on loop: isolated EventLoop
    ) {
        server.listen(socket, takesProxyHeaders: takesProxyHeaders, on: loop)
    }

    /// Serves operators on a listening socket.
    func listenForAdmin(
        _ socket: ListeningSocket, _ questions: AdminQuestions, on loop: isolated EventLoop
    ) {
        let server = HTTPServer(
            handler: adminHandler(questions), options: Self.adminOptions(rules),
            places: ConnectionLimit(256), reactor: loop.reactor)
        server.listen(socket, on: loop)
        admin = Admin(server: server, questions: questions)
    }

    private func adminHandler(_ questions: AdminQuestions) -> AdminHandler {
        let keys = shared.keys
        let access = rules.configuration.adminAccess
        let policies = rules.table.policies
        let operations = KeyOperations(
            keys, access: access, log: shared.log, making: .withCrypto()
        ) { policies[$0] ?? KeyPolicy() }
        return AdminHandler([
            .health,
            .readiness([
                ReadinessCheck("store") { keys.isReady },
                ReadinessCheck("draining") { !questions.isDraining() },
            ]),
            .metrics(shared.metrics),
            .description,
            operations.resource,
            .backup(access, copy: shared.backup),
            .reload(access, questions.reload),
        ])
    }

    /// Has this loop see to all keys in the background, until it is drained.
    func maintain(on loop: isolated EventLoop) {
        let maintenance = Maintenance(
            shared.keys, handler.prober, handler.completer, log: shared.log, on: reactor)
        maintenance.begin(on: loop)
        self.maintenance = maintenance
    }

    /// Stops accepting and lets what runs end within `limit`: connections and keyed transfers, those
    /// too whose clients are gone. Transfers that do not are cut, and concluded before this returns,
    /// unless the store takes too long; their clients are told.
    func drain(within limit: Duration) async -> DrainCuts {
        isDraining = true
        let start = reactor.now
        var cuts = DrainCuts()
        let isQuiet = await server.drain(within: limit)
        let spent = reactor.now - start
        cuts.transfers = await handler.drain(
            within: isQuiet ? max(.zero, limit - spent) : .zero, grace: Self.grace,
            cutting: { self.upstreams.abort() })
        maintenance?.end()
        // Nothing is sent any more, so that whoever still waits to send gets to know it.
        upstreams.abort()
        return cuts
    }

    /// Ends the connections that are left after ``drain(within:)``.
    ///
    /// - Returns: how many these were.
    func cut() async -> Int {
        let cut = await server.cut(after: Self.lastAnswers)
        upstreams.close()
        if let admin {
            _ = await admin.server.drain(within: Self.lastAnswers)
            _ = await admin.server.cut(after: .zero)
        }
        return cut
    }

    /// How long the answers to what was cut may take.
    private static let lastAnswers = Duration.milliseconds(250)
    /// How long the store may take over what draining cut.
    private static let grace = Duration.seconds(5)
}

extension KeyMaking {
    /// Makes keys by libcrypto, on one thread.
    static func withCrypto() -> KeyMaking {
        let hasher = SHA256Hasher()
        return KeyMaking(newKey: randomUUID, digest: { hasher.digest($0).bytes })
    }
}
