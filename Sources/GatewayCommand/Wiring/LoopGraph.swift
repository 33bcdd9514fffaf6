import Admin
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
}

/// Everything that lives on one event loop: its server, its handlers, its upstream connections.
final class LoopGraph {
    private let shared: Shared
    private let reactor: Reactor
    private let server: HTTPServer
    private let clients: [CurlClient]
    private var admin: HTTPServer?

    init(_ shared: Shared, on loop: isolated EventLoop) {
        self.shared = shared
        reactor = loop.reactor
        let multi = CurlMulti(on: loop.reactor)
        let loops = shared.configuration.loopCount
        clients = shared.configuration.upstreams.map { upstream in
            CurlClient(upstream.value.options(loops: loops), on: multi)
        }
        let handler = GatewayHandler(
            table: shared.table, clients: clients, keys: shared.keys,
            timers: LoopTimers(loop.reactor), log: shared.log, metrics: shared.gatewayMetrics)
        var options = shared.configuration.serverOptions
        let log = shared.log
        options.onRefusal = { status, reason, downstream in
            log.access { line in
                line.member("peer", downstream.peer)
                line.member("status", Int(status))
                line.member("outcome", "refused")
                line.member("reason", reason)
            }
        }
        server = HTTPServer(
            handler: handler, options: options, places: shared.places, reactor: loop.reactor)
    }

    /// Serves clients on a listening socket.
    func listen(_ descriptor: Int32, on loop: isolated EventLoop) {
        server.listen(descriptor, on: loop)
    }

    /// Serves operators on a listening socket.
    func listenForAdmin(
        _ descriptor: Int32, isDraining: @escaping @Sendable () -> Bool, on loop: isolated EventLoop
    ) {
        let keys = shared.keys
        let handler = AdminHandler([
            .health,
            .readiness([
                ReadinessCheck("store") { keys.isReady },
                ReadinessCheck("draining") { !isDraining() },
            ]),
            .metrics(shared.metrics),
        ])
        let server = HTTPServer(
            handler: handler, options: shared.configuration.serverOptions,
            places: ConnectionLimit(256), reactor: loop.reactor)
        server.listen(descriptor, on: loop)
        admin = server
    }

    /// Renews leases, delivers what the store refused before, lapses what is overdue and expires
    /// records, for as long as the loop runs.
    func maintain(on loop: isolated EventLoop) {
        let keys = shared.keys
        let log = shared.log
        let reactor = loop.reactor
        loop.start {
            while true {
                // Often enough for a lease of a second.
                await reactor.sleep(for: .milliseconds(100))
                await keys.renewLeases()
            }
        }
        loop.start {
            while true {
                await reactor.sleep(for: .milliseconds(250))
                await keys.retryUnsaved()
            }
        }
        loop.start {
            while true {
                await reactor.sleep(for: .seconds(5))
                do {
                    try await keys.lapseOverdue()
                    try await keys.noteOldestUnknown()
                } catch {
                    log.write(.warning, "overdue records not seen to") {
                        $0.member("reason", "\(error)")
                    }
                }
            }
        }
        loop.start {
            while true {
                await reactor.sleep(for: .seconds(1))
                do {
                    // Small batches, with a pause for everybody else after each.
                    while try await keys.reap() > 0 { await reactor.sleep(for: .milliseconds(20)) }
                } catch {
                    log.write(.warning, "reaper failed") { $0.member("reason", "\(error)") }
                    await reactor.sleep(for: .seconds(10))
                }
            }
        }
    }

    /// Ends what runs, within `limit`.
    /// - Returns: how many connections had to be cut.
    func drain(within limit: Duration) async -> Int {
        let cut = await server.drain(within: limit)
        for client in clients { client.close() }
        return cut
    }
}
