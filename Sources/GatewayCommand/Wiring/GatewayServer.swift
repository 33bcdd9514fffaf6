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
    private let file: String
    private let environment: Environment
    private let supervisor: Supervisor
    /// The sockets that the process was started with, by listener.
    private let inherited: [InheritedSocket?]
    private let inheritedAdmin: InheritedSocket?
    private let rules: Mutex<Rules>
    private let reloads: ReloadMetrics
    private let store: SQLiteStore
    private let journal: FileJournal?
    private let loops: [EventLoop]
    private let isDraining = Atomic<Bool>(false)
    /// The files of the Unix sockets that are listened on.
    private let socketFiles = Mutex<[SocketFile]>([])
    private let isDrained = Atomic<Bool>(false)

    /// Opens the store and starts the loops' threads; nothing listens yet. It blocks.
    ///
    /// - Parameter file: Where the configuration was read, and is read again at reloads.
    init(
        _ loaded: LoadedConfiguration, file: String, _ environment: Environment = .process
    ) throws(StartError) {
        let configuration = loaded.configuration
        let metrics = Metrics()
        let rules = try Rules(loaded, succeeding: nil, metrics)
        var sockets = try InheritedSockets(environment)
        InheritedSockets.forgetVariables()
        inherited = configuration.listeners.map { sockets.take($0.address.socketAddress) }
        inheritedAdmin = configuration.admin.flatMap { sockets.take($0.address.socketAddress) }
        try sockets.expectNone(of: configuration)
        supervisor = Supervisor(environment)
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
        options.routePolicies = rules.table.policies
        options.report = { log.write($0) }
        let coding = configuration.store.replyCoding
        shared = Shared(
            loopCount: configuration.loopCount,
            keys: IdempotencyKeyService(
                store: CodedStore(store, coding: coding), journal: journal, coding: coding,
                options: options),
            log: log, metrics: metrics,
            places: ConnectionLimit(configuration.limits.connections),
            detached: DetachedTransfers(limit: configuration.limits.detached, metrics),
            spool: spool,
            backup: { [store] path in
                do throws(StoreError) {
                    try await store.backup(to: path)
                    return nil
                } catch {
                    return error
                }
            })
        self.rules = Mutex(rules)
        self.file = file
        self.environment = environment
        reloads = ReloadMetrics(metrics)
        reloads.note(rules)
        metrics.observe(shared.keys)
        metrics.observe(shared.log)
        metrics.observeProcess(version: Oncegate.version)
        loops = (0..<shared.loopCount).map { EventLoop(name: "loop-\($0)") }
    }

    /// Settles what a dead process left behind, then listens everywhere.
    ///
    /// - Parameter reload: Reads the configuration anew.
    func start(reload: @escaping @Sendable () async -> ReloadOutcome) async throws {
        let rules = rules.withLock { $0 }
        warnOfRoutes(rules)
        warnOfMachine(rules.configuration)
        if let damage = journal?.damage { shared.log.write(damage) }
        supervisor.status("recovering")
        try await shared.keys.recover()
        for loop in loops {
            let shared = shared
            await loop.run { loop in loop.root = LoopGraph(shared, rules, on: loop) }
        }
        for (listener, socket) in zip(rules.configuration.listeners, inherited) {
            try await listen(listener, socket)
        }
        try await startAdmin(rules.configuration, reload)
        await loops[0].run { loop in loop.graph?.maintain(on: loop) }
        await watch()
        shared.log.write(.info, "ready") { line in
            line.member("generation", rules.generation)
            line.member("config", rules.loaded.hash)
        }
        tellReady(status(of: rules))
    }

    private func listen(
        _ listener: Configuration.Listener, _ inherited: InheritedSocket?
    ) async throws {
        var sockets = try Self.sockets(
            listener.address.socketAddress, inherited, count: loops.count,
            mode: listener.mode?.bits)
        note(sockets.file)
        let takesProxyHeaders = listener.proxyProtocol
        for loop in loops {
            let socket = sockets.take()
            await loop.run { loop in
                loop.graph?.listen(socket, takesProxyHeaders: takesProxyHeaders, on: loop)
            }
        }
        tell("listening", sockets.address, isInherited: sockets.isInherited)
    }

    private func note(_ file: SocketFile?) {
        if let file { socketFiles.withLock { $0.append(file) } }
    }

    private func startAdmin(
        _ configuration: Configuration, _ reload: @escaping @Sendable () async -> ReloadOutcome
    ) async throws {
        guard let admin = configuration.admin else { return }
        var sockets = try Self.sockets(admin.address.socketAddress, inheritedAdmin, count: 1)
        note(sockets.file)
        let socket = sockets.take()
        let questions = AdminQuestions(
            isDraining: { self.isDraining.load(ordering: .relaxed) }, reload: reload)
        await loops[0].run { loop in loop.graph?.listenForAdmin(socket, questions, on: loop) }
        tell("admin listening", sockets.address, isInherited: sockets.isInherited)
    }

    private static func sockets(
        _ address: SocketAddress, _ inherited: InheritedSocket?, count: Int,
        mode: UInt32? = nil
    ) throws(ListenError) -> ListeningSockets {
        if let inherited { return try ListeningSockets(inherited, count: count) }
        return try ListeningSockets(address, count: count, mode: mode)
    }

    private func tell(_ message: String, _ address: SocketAddress, isInherited: Bool) {
        shared.log.write(.info, message) { line in
            line.member("address", address.description)
            if isInherited { line.member("inherited", true) }
        }
    }

    private func status(of rules: Rules) -> String {
        "serving, configuration \(rules.loaded.hash) (generation \(rules.generation))"
    }

    // MARK: Signs of life

    /// Tells the service manager, where it wants to know, that all works.
    private func watch() async {
        guard let interval = supervisor.watchdog else { return }
        let watchdog = Watchdog(
            loops: loops, interval: interval, askStore: { [store] in await store.ping() },
            tell: { [supervisor] in supervisor.isAlive() },
            isOver: { self.isDrained.load(ordering: .relaxed) })
        await watchdog.begin()
    }

    /// Asks the service manager for time, again and again, until the process has drained.
    private func extend() async {
        await loops[0].run { loop in
            let reactor = loop.reactor
            loop.start {
                while !self.isDrained.load(ordering: .relaxed) {
                    self.supervisor.extend(by: Self.extensionPause * 3)
                    await reactor.sleep(for: Self.extensionPause)
                }
            }
        }
    }

    private static let extensionPause = Duration.seconds(5)

    // MARK: Reload

    /// Reads the configuration anew and has all loops go by it, or says why not and changes nothing.
    /// One at a time; it blocks while it reads.
    func reload() async -> ReloadOutcome {
        guard !isDraining.load(ordering: .relaxed) else {
            shared.log.write(.warning, "not reloaded") { $0.member("reason", "draining") }
            return .draining
        }
        supervisor.reloading()
        let current = rules.withLock { $0 }
        let result = Configuration.read(file: file, environment)
        guard let loaded = LoadedConfiguration(result) else {
            return refuse(
                result.mistakes.map {
                    ReloadOutcome.Mistake(
                        $0.path, $0.message, line: $0.place?.line, column: $0.place?.column)
                }, current)
        }
        let changes = loaded.changes(since: current.loaded)
        let fixed = changes.filter(\.needsRestart)
        guard fixed.isEmpty else {
            return refuse(
                fixed.map {
                    ReloadOutcome.Mistake(
                        $0.path, "differs from what runs, and takes effect at a restart only")
                }, current)
        }
        let next: Rules
        do throws(StartError) {
            next = try Rules(loaded, succeeding: current, shared.metrics)
        } catch {
            return refuse([ReloadOutcome.Mistake("", error.description)], current)
        }
        return await apply(next, changes)
    }

    private func apply(_ next: Rules, _ changes: [ConfigurationChange]) async -> ReloadOutcome {
        let configuration = next.configuration
        shared.log.change(
            level: Telemetry.Log.Level(rawValue: configuration.log.level.rawValue) ?? .info,
            access: configuration.log.access)
        shared.places.change(configuration.limits.connections)
        shared.detached.change(configuration.limits.detached)
        shared.keys.replaceRoutePolicies(next.table.policies)
        next.takeOverLimits()
        for loop in loops { await loop.run { loop in loop.graph?.replace(next) } }
        rules.withLock { $0 = next }
        reloads.note(next)
        reloads.count(isApplied: true)
        let told = changes.map { ReloadOutcome.Change($0.path, $0.kind) }
        shared.log.write(.info, "reloaded") { line in
            line.member("generation", next.generation)
            line.member("config", next.loaded.hash)
            line.name("changes")
            line.beginArray()
            // The log is bounded, and so are its lines.
            for change in told.prefix(100) { line.value("\(change.kind.rawValue) \(change.path)") }
            line.endArray()
            if told.count > 100 { line.member("changes_total", told.count) }
        }
        if !told.isEmpty { warnOfRoutes(next) }
        tellReady(status(of: next))
        return .applied(
            generation: next.generation, hash: next.loaded.hash, changes: told)
    }

    private func refuse(
        _ mistakes: [ReloadOutcome.Mistake], _ current: Rules
    ) -> ReloadOutcome {
        reloads.count(isApplied: false)
        shared.log.write(.error, "reload refused, nothing changed") { line in
            line.member("file", file)
            line.name("mistakes")
            line.beginArray()
            for mistake in mistakes.prefix(100) { line.value(mistake.description) }
            line.endArray()
            if mistakes.count > 100 { line.member("mistakes_total", mistakes.count) }
        }
        tellReady("reload refused, see the log; " + status(of: current))
        return .refused(file: file, mistakes)
    }

    /// Ends what ``Supervisor/reloading()`` began, unless the process is about to end by now.
    private func tellReady(_ status: String) {
        guard !isDraining.load(ordering: .relaxed) else { return }
        supervisor.ready(status)
    }

    // MARK: Warnings

    /// Says what an operator should have decided knowingly.
    private func warnOfRoutes(_ rules: Rules) {
        for route in rules.table.routes {
            if route.keys?.isShadow == true {
                shared.log.write(.info, "keys are only watched, and nothing is protected") {
                    $0.member("route", route.name)
                }
            }
            if route.keys?.stages != nil, rules.configuration.store.encryptionKeys.isEmpty {
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
    }

    /// Says what the machine, or the file, is too small for.
    private func warnOfMachine(_ configuration: Configuration) {
        if !store.canShrink {
            let path = configuration.store.path
            shared.log.write(.info, "the store's file cannot shrink") {
                $0.member("path", path)
                $0.member(
                    "remedy",
                    "stop the gateway and run: sqlite3 \(path)"
                        + " 'PRAGMA auto_vacuum = INCREMENTAL; VACUUM;'")
            }
        }
        let descriptors = raiseDescriptorLimit()
        let connections = configuration.limits.connections
        if descriptors < connections {
            shared.log.write(.warning, "fewer descriptors than limits.connections") {
                $0.member("descriptors", descriptors)
                $0.member("connections", connections)
            }
        }
    }

    // MARK: The end

    /// Says that the process ends, stops accepting after `timeouts.drain_delay`, and lets what runs
    /// end within `timeouts.drain`; what does not is cut, and its records are unknown, durably,
    /// before this returns. A start that is under way comes to its end before anything is closed.
    func drain(after start: Task<Void, Never>) async {
        isDraining.store(true, ordering: .relaxed)
        let timeouts = rules.withLock { $0 }.configuration.timeouts
        shared.log.write(.info, "draining")
        supervisor.stopping("draining")
        await extend()
        await start.value
        if timeouts.drainDelay > .zero {
            await loops[0].run { loop in await loop.reactor.sleep(for: timeouts.drainDelay) }
        }
        for file in socketFiles.withLock({ $0 }) { file.remove() }
        var cuts = await withTaskGroup(of: DrainCuts.self) { group in
            for loop in loops {
                group.addTask {
                    await loop.run { loop in
                        await loop.graph?.drain(within: timeouts.drain) ?? DrainCuts()
                    }
                }
            }
            return await group.reduce(DrainCuts(), +)
        }
        cuts.connections = await withTaskGroup(of: Int.self) { group in
            for loop in loops {
                group.addTask { await loop.run { loop in await loop.graph?.cut() ?? 0 } }
            }
            return await group.reduce(0, +)
        }
        _ = await shared.keys.retryUnsaved(isLast: true)
        isDrained.store(true, ordering: .relaxed)
        store.close()
        journal?.close()
        let isClean = cuts.connections == 0 && cuts.transfers == 0
        shared.log.write(isClean ? .info : .warning, "drained") {
            $0.member("connections_cut", cuts.connections)
            $0.member("transfers_cut", cuts.transfers)
        }
        shared.log.flush()
    }

    /// Serves until a signal ends the process: 0 after draining, 1 when it cannot start, 128 and
    /// the signal's number when a second one comes while it drains.
    static func run(_ loaded: LoadedConfiguration, file: String) -> Never {
        var signals = ServerSignals()
        let server: GatewayServer
        do throws(StartError) {
            server = try GatewayServer(loaded, file: file)
        } catch {
            fail(error)
        }
        let reloader = Reloader { await server.reload() }
        let start = Task {
            do { try await server.start(reload: reloader.reload) } catch { fail(error) }
            reloader.open()
        }
        var isEnding = false
        while true {
            let signal = signals.next()
            if signal == SIGHUP {
                Task { await reloader.reload() }
                continue
            }
            if isEnding { _exit(128 + signal) }
            isEnding = true
            Task {
                await server.drain(after: start)
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
