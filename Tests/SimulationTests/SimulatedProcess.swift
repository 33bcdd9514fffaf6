import Gateway
import HTTP
import Idempotency
import Telemetry
import TestSupport

/// One run of the gateway on a machine: its memory, its loop, its clocks. A restart makes another.
///
/// As in `LoopGraph` and `GatewayServer`, but for sockets.
actor SimulatedProcess {
    let number: Int
    nonisolated let host: Host
    nonisolated let world: World
    nonisolated let executor: SeededExecutor
    nonisolated(unsafe) private(set) var isDead = false
    nonisolated(unsafe) private(set) var isServing = false
    /// The calls that were not answered yet.
    nonisolated(unsafe) private var calls: [Call] = []
    nonisolated(unsafe) private(set) var keys: IdempotencyKeyService!
    private var gateway: GatewayHandler?

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        executor.asUnownedSerialExecutor()
    }

    init(_ host: Host, _ world: World, number: Int) {
        self.host = host
        self.world = world
        self.number = number
        executor = SeededExecutor(world.jobs)
    }

    /// Settles what a dead process left, then serves, and maintains the keys for ever.
    func run() async {
        let plan = world.plan
        let skew = plan.skews[host.index]
        var options = IdempotencyKeyService.Options()
        options.owner = "process-\(number)"
        options.replyCacheBytes = plan.caches ? 64 << 20 : 0
        keys = IdempotencyKeyService(
            store: StoreConnection(self),
            journal: host.journal.map { JournalConnection(self, $0) }, options: options,
            now: { [world] in world.time + skew })
        do {
            try await keys.recover()
        } catch {
            return host.crash()
        }
        gateway = GatewayHandler(
            table: plan.table, clients: [OriginClient(self)], keys: keys,
            timers: SimulatedTimers(self), log: Self.log, metrics: Self.metrics,
            detached: DetachedTransfers(limit: 1000, Metrics()),
            ledger: ProbeLedger(seed: plan.seed), jitter: { $0 / 3 })
        isServing = true
        maintain()
        guard plan.isStaged else { return }
        Task(executorPreference: executor) { await self.goOn() }
    }

    /// Looks for work that goes on without its clients, as `Maintenance` does, at once at first.
    private func goOn() async {
        while !world.isClosed, let gateway {
            do {
                try await gateway.completer.round()
                try await gateway.prober.round()
            } catch {
                await world.sleep(.seconds(5), of: self)
            }
            await world.sleep(.seconds(1), of: self)
        }
    }

    /// Maintains the keys, as `LoopGraph` does, if not quite as often.
    private func maintain() {
        repeatedly(every: world.plan.lease / 6) { keys in _ = await keys.renewLeases() }
        repeatedly(every: .milliseconds(2500)) { keys in _ = await keys.retryUnsaved() }
        repeatedly(every: .seconds(9)) { keys in _ = try? await keys.lapseOverdue() }
        repeatedly(every: .seconds(20)) { keys in _ = try? await keys.reap() }
    }

    private func repeatedly(
        every pause: Duration, _ body: @escaping @Sendable (IdempotencyKeyService) async -> Void
    ) {
        Task(executorPreference: executor) { [world, keys = keys!] in
            while true {
                await world.sleep(pause, of: self)
                guard !world.isClosed else { return }
                await body(keys)
            }
        }
    }

    /// Answers a call, as a connection of the server does.
    func serve(_ call: Call) async {
        guard let gateway else { return }
        do {
            try await gateway.respond(to: call.request, through: call.writer)
            if !call.writer.hasBegun { call.drop() }
        } catch is DownstreamError {
            if !call.writer.isDownstreamGone { call.drop() }
        } catch {
            call.drop()
        }
    }

    /// Takes a call that came from a client.
    nonisolated func take(_ call: Call) {
        calls.append(call)
        Task(executorPreference: executor) { await self.serve(call) }
    }

    nonisolated func forget(_ call: Call) { calls.removeAll { $0 === call } }

    /// Never does anything again.
    nonisolated func die() {
        isDead = true
        isServing = false
        executor.hold()
        let cut = calls
        calls = []
        for call in cut { call.cut() }
    }

    private static let log = Log(level: .error, access: false, to: -1, accessTo: -1)
    private static let metrics = GatewayMetrics(Metrics(), table: Plan(seed: 0).table)
}

/// A process's timers, in the world's time.
private final class SimulatedTimers: Timers {
    private let process: SimulatedProcess

    init(_ process: SimulatedProcess) { self.process = process }

    var now: UInt64 { process.world.now }

    func after(_ delay: Duration, _ action: @escaping () -> Void) -> any ScheduledTimer {
        process.world.after(delay, of: process, action)
    }
}

extension Event: ScheduledTimer {}

extension Plan {
    /// The route.
    var table: RoutingTable {
        var rules = KeyRules(scope: .fields([.authorization]))
        rules.inFlight = rejects ? .reject : .wait
        rules.waitLimit = waitLimit
        rules.streams = streams
        rules.policy.lease = lease
        rules.policy.unknown = repeatsUnknown ? .retry : .hold
        rules.stages = stageRules
        guard let everything = try? PathPattern("/**") else { preconditionFailure("a path") }
        return RoutingTable(
            routes: [Route(name: "orders", path: everything, keys: rules)],
            upstreams: [Upstream(name: "api", authority: "api:9")])
    }
}
