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

/// What all event loops share.
struct Shared: Sendable {
    let configuration: Configuration
    let table: RoutingTable
    let keys: IdempotencyKeyService
    let log: Log
    let metrics: Metrics
    let gatewayMetrics: GatewayMetrics
    let places: ConnectionLimit
    let probes = ProbeLedger()
    let detached: DetachedTransfers
    let spool: SpoolSpace
    /// How many requests each upstream may have at one time; nil for any number.
    let inFlight: [InFlightLimit?]
    /// Copies the store to a new file; why it failed, if it did.
    let backup: @Sendable (_ path: String) async -> StoreError?
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

/// Everything that lives on one event loop: its server, its handlers, its upstream connections.
final class LoopGraph {
    private let shared: Shared
    private let reactor: Reactor
    private let server: HTTPServer
    private let handler: GatewayHandler
    private let multi: CurlMulti
    private let clients: [CurlClient]
    private let prober: Prober
    private var admin: HTTPServer?
    private var maintenance: Maintenance?

    init(_ shared: Shared, on loop: isolated EventLoop) {
        self.shared = shared
        reactor = loop.reactor
        let multi = CurlMulti(on: loop.reactor)
        self.multi = multi
        let loops = shared.configuration.loopCount
        clients = zip(shared.configuration.upstreams, shared.inFlight).map { upstream, inFlight in
            CurlClient(upstream.value.options(loops: loops, inFlight), on: multi)
        }
        handler = GatewayHandler(
            table: shared.table, clients: clients, keys: shared.keys,
            timers: LoopTimers(loop.reactor), log: shared.log, metrics: shared.gatewayMetrics,
            detached: shared.detached, ledger: shared.probes,
            tasks: LoopTasks(loop), spool: FileSpool(shared.spool))
        prober = handler.prober
        var options = shared.configuration.serverOptions
        let log = shared.log
        let metrics = shared.gatewayMetrics
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
        server = HTTPServer(
            handler: handler, options: options, places: shared.places, reactor: loop.reactor)
    }

    /// Serves clients on a listening socket.
    ///
    /// - Parameter takesProxyHeaders: Whether every connection begins with a PROXY header.
    func listen(_ descriptor: Int32, takesProxyHeaders: Bool, on loop: isolated EventLoop) {
        server.listen(descriptor, takesProxyHeaders: takesProxyHeaders, on: loop)
    }

    /// Serves operators on a listening socket.
    func listenForAdmin(
        _ descriptor: Int32, isDraining: @escaping @Sendable () -> Bool, on loop: isolated EventLoop
    ) {
        let keys = shared.keys
        let access = shared.configuration.adminAccess
        let policies = shared.table.policies
        let operations = KeyOperations(
            keys, access: access, log: shared.log, making: .withCrypto()
        ) { policies[$0] ?? KeyPolicy() }
        let handler = AdminHandler([
            .health,
            .readiness([
                ReadinessCheck("store") { keys.isReady },
                ReadinessCheck("draining") { !isDraining() },
            ]),
            .metrics(shared.metrics),
            .description,
            operations.resource,
            .backup(access, copy: shared.backup),
        ])
        let server = HTTPServer(
            handler: handler, options: shared.configuration.serverOptions,
            places: ConnectionLimit(256), reactor: loop.reactor)
        server.listen(descriptor, on: loop)
        admin = server
    }

    /// Has this loop see to all keys in the background, until it is drained.
    func maintain(on loop: isolated EventLoop) {
        let maintenance = Maintenance(
            shared.keys, prober, handler.completer, log: shared.log, on: reactor)
        maintenance.begin(on: loop)
        self.maintenance = maintenance
    }

    /// Ends what runs, within `limit`: connections and keyed transfers, those too whose clients are
    /// gone. What is cut is concluded before this returns, unless the store takes too long.
    func drain(within limit: Duration) async -> DrainCuts {
        let start = reactor.now
        var cuts = DrainCuts()
        cuts.connections = await server.drain(within: limit)
        let spent = Duration.nanoseconds(Int64(reactor.now.nanoseconds - start.nanoseconds))
        let multi = multi
        cuts.transfers = await handler.drain(
            within: max(.zero, limit - spent), grace: Self.grace, cutting: { multi.abort() })
        maintenance?.end()
        for client in clients { client.close() }
        return cuts
    }

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
