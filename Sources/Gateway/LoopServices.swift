import Idempotency
import Telemetry

/// What all routes of one event loop share.
final class LoopServices {
    let keys: IdempotencyKeyService
    let timers: any Timers
    let log: Log
    let metrics: GatewayMetrics
    /// Nil keeps bodies in memory.
    let spool: (any BodySpool)?
    let identities = IdentityReader()

    init(
        keys: IdempotencyKeyService, timers: any Timers, log: Log, metrics: GatewayMetrics,
        spool: (any BodySpool)?
    ) {
        self.spool = spool
        self.keys = keys
        self.timers = timers
        self.log = log
        self.metrics = metrics
    }
}
