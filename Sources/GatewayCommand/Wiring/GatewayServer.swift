import Admin
import CurlUpstream
import Gateway
import Glibc
import Idempotency
import IdempotencySQLite
import JSON
import Synchronization
import Telemetry
import Transport

/// Why the gateway does not start; printed as it is.
struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The running gateway: the store, the event loops, and what happens at signals.
final class GatewayServer: Sendable {
    private let shared: Shared
    private let store: SQLiteStore
    private let journal: FileJournal?
    private let loops: [EventLoop]
    private let isDraining = Atomic<Bool>(false)
    /// The files of the Unix sockets that are listened on.
    private let socketFiles = Mutex<[SocketFile]>([])

    /// Opens the store and starts the loops' threads; nothing listens yet. It blocks.
    init(_ configuration: Configuration) throws(StartError) {
        let table = try configuration.routingTable()
        let spool = try configuration.openSpool()
        do throws(StoreError) {
            store = try configuration.store.open()
            journal = try configuration.store.openJournal()
        } catch {
            throw StartError(error.detail)
        }
        let log = configuration.log.open()
        var options = IdempotencyKeyService.Options()
        options.replyCacheBytes = configuration.store.cache
        options.unsavedBytes = configuration.store.journal ?? options.unsavedBytes
        options.owner = "oncegate-\(getpid())"
        options.routePolicies = table.policies
        options.report = { log.write($0) }
        let metrics = Metrics()
        let coding = configuration.store.replyCoding
        shared = Shared(
            configuration: configuration, table: table,
            keys: IdempotencyKeyService(
                store: CodedStore(store, coding: coding), journal: journal, coding: coding,
                options: options),
            log: log, metrics: metrics,
            gatewayMetrics: GatewayMetrics(metrics, table: table),
            places: ConnectionLimit(configuration.limits.connections),
            detached: DetachedTransfers(limit: configuration.limits.detached, metrics),
            spool: spool,
            inFlight: configuration.upstreams.map { $0.value.maxInFlight.map(InFlightLimit.init) },
            backup: { [store] path in
                do throws(StoreError) {
                    try await store.backup(to: path)
                    return nil
                } catch {
                    return error
                }
            })
        metrics.observe(shared.keys)
        metrics.observe(shared.log)
        metrics.observeProcess(version: Oncegate.version)
        loops = (0..<configuration.loopCount).map { EventLoop(name: "loop-\($0)") }
    }

    /// Settles what a dead process left behind, then listens everywhere.
    func start() async throws {
        warn()
        if let damage = journal?.damage { shared.log.write(damage) }
        try await shared.keys.recover()
        for loop in loops {
            let shared = shared
            await loop.run { loop in loop.root = LoopGraph(shared, on: loop) }
        }
        for listener in shared.configuration.listeners {
            var sockets = try ListeningSockets(
                listener.address.socketAddress, count: loops.count, mode: listener.mode?.bits)
            note(sockets.file)
            let takesProxyHeaders = listener.proxyProtocol
            for loop in loops {
                let descriptor = sockets.take()
                await loop.run { loop in
                    loop.graph?.listen(descriptor, takesProxyHeaders: takesProxyHeaders, on: loop)
                }
            }
            let address = sockets.address.description
            shared.log.write(.info, "listening") { $0.member("address", address) }
        }
        try await startAdmin()
        await loops[0].run { loop in loop.graph?.maintain(on: loop) }
    }

    private func startAdmin() async throws {
        guard let admin = shared.configuration.admin else { return }
        var sockets = try ListeningSockets(admin.address.socketAddress, count: 1)
        note(sockets.file)
        let descriptor = sockets.take()
        await loops[0].run { loop in
            loop.graph?.listenForAdmin(
                descriptor, isDraining: { self.isDraining.load(ordering: .relaxed) }, on: loop)
        }
        let address = sockets.address.description
        shared.log.write(.info, "admin listening") { $0.member("address", address) }
    }

    private func note(_ file: SocketFile?) {
        if let file { socketFiles.withLock { $0.append(file) } }
    }

    /// Says what an operator should have decided knowingly.
    private func warn() {
        for route in shared.table.routes {
            if route.keys?.isShadow == true {
                shared.log.write(.info, "keys are only watched, and nothing is protected") {
                    $0.member("route", route.name)
                }
            }
            if route.keys?.stages != nil, shared.configuration.store.encryptionKeys.isEmpty {
                let text = "requests in work are stored as they came, with their credentials"
                shared.log.write(.info, text) {
                    $0.member("route", route.name)
                    $0.member("remedy", "set store.encryption_key")
                }
            }
            if case .shared? = route.keys?.scope {
                shared.log.write(.info, "answers are shared between all callers") {
                    $0.member("route", route.name)
                }
            }
        }
        if !store.canShrink {
            let path = shared.configuration.store.path
            shared.log.write(.info, "the store's file cannot shrink") {
                $0.member("path", path)
                $0.member(
                    "remedy",
                    "stop the gateway and run: sqlite3 \(path)"
                        + " 'PRAGMA auto_vacuum = INCREMENTAL; VACUUM;'")
            }
        }
        let descriptors = raiseDescriptorLimit()
        let connections = shared.configuration.limits.connections
        if descriptors < connections {
            shared.log.write(.warning, "fewer descriptors than limits.connections") {
                $0.member("descriptors", descriptors)
                $0.member("connections", connections)
            }
        }
    }

    /// Stops accepting and lets what runs end within `timeouts.drain`; what does not is cut, and
    /// its records are unknown, durably, before this returns.
    func drain() async {
        isDraining.store(true, ordering: .relaxed)
        let limit = shared.configuration.timeouts.drain
        shared.log.write(.info, "draining")
        for file in socketFiles.withLock({ $0 }) { file.remove() }
        let cuts = await withTaskGroup(of: DrainCuts.self) { group in
            for loop in loops {
                group.addTask {
                    await loop.run { loop in await loop.graph?.drain(within: limit) ?? DrainCuts() }
                }
            }
            return await group.reduce(DrainCuts(), +)
        }
        _ = await shared.keys.retryUnsaved(isLast: true)
        store.close()
        journal?.close()
        let isClean = cuts.connections == 0 && cuts.transfers == 0
        shared.log.write(isClean ? .info : .warning, "drained") {
            $0.member("connections_cut", cuts.connections)
            $0.member("transfers_cut", cuts.transfers)
        }
        shared.log.flush()
    }

    /// Serves until a signal ends the process.
    static func run(_ configuration: Configuration) -> Never {
        var signals = ServerSignals()
        let server: GatewayServer
        do throws(StartError) {
            server = try GatewayServer(configuration)
        } catch {
            fail(error)
        }
        Task {
            do { try await server.start() } catch { fail(error) }
        }
        var isEnding = false
        while true {
            let signal = signals.next()
            if signal == SIGHUP {
                server.shared.log.write(.warning, "reload is not supported by this version")
                continue
            }
            if isEnding { _exit(128 + signal) }
            isEnding = true
            Task {
                await server.drain()
                exit(0)
            }
        }
    }

    private static func fail(_ error: any Error) -> Never {
        let reason = (error as? StoreError)?.detail ?? "\(error)"
        Report(errors: "oncegate: \(reason)\n", status: 1).finish()
    }
}

extension EventLoop {
    /// What ``GatewayServer`` made on this loop.
    fileprivate var graph: LoopGraph? { root as? LoopGraph }
}
