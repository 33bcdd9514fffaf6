import HTTP
import Idempotency
import Telemetry

/// What all routes of one event loop share.
final class LoopServices {
    let keys: IdempotencyKeyService
    let timers: any Timers
    private let tasks: (any TaskStarter)?
    let log: Log
    let metrics: GatewayMetrics
    let detached: DetachedTransfers
    /// Nil keeps bodies in memory.
    let spool: (any BodySpool)?
    let identities = IdentityReader()
    let derivedKeys = DerivedKeys()
    let edges: Edges
    private var words = RandomWords()
    let work: OngoingWork
    /// By how much a pause is longer than it has to be, up to the number given.
    let jitter: (UInt64) -> UInt64
    /// Set once all routes' clients are there. It holds these services, and the handler holds it:
    /// when a reload has replaced the handler and its last request is over, all of them go.
    weak var prober: Prober?

    init(
        keys: IdempotencyKeyService, timers: any Timers, tasks: (any TaskStarter)?, log: Log,
        metrics: GatewayMetrics, detached: DetachedTransfers, spool: (any BodySpool)?,
        edges: Edges, work: OngoingWork, jitter: @escaping (UInt64) -> UInt64
    ) {
        self.edges = edges
        self.jitter = jitter
        self.work = work
        self.tasks = tasks
        self.spool = spool
        self.keys = keys
        self.timers = timers
        self.log = log
        self.metrics = metrics
        self.detached = detached
    }

    /// What is known of a request when it comes.
    func receive(_ head: borrowing RequestHead, from downstream: Downstream) -> RequestEdge {
        edges.receive(head, from: downstream, &words)
    }

    /// Starts a task that nothing cancels, on the caller's actor.
    func start(
        _ body: @escaping () async -> Void, isolation: isolated (any Actor)? = #isolation
    ) {
        if let tasks { return tasks.start(body) }
        Task {
            _ = isolation
            await body()
        }
    }
}
