import Gateway
import Idempotency
import JSON
import Telemetry
import Transport

/// What is done for all keys in the background, on one loop, until ``end()``: leases are renewed,
/// unsaved conclusions delivered, overdue records lapsed, unknown outcomes asked for, suspended work
/// gone on with, expired records removed.
final class Maintenance {
    private let keys: IdempotencyKeyService
    private var prober: Prober
    private var completer: Completer
    private let log: Log
    private let reactor: Reactor
    private var hasEnded = false

    init(
        _ keys: IdempotencyKeyService, _ prober: Prober, _ completer: Completer, log: Log,
        on reactor: Reactor
    ) {
        self.completer = completer
        self.keys = keys
        self.prober = prober
        self.log = log
        self.reactor = reactor
    }

    /// Begins; `loop` is the one that it was made for.
    func begin(on loop: isolated EventLoop) {
        let keys = keys
        // Often enough for a lease of a second.
        every(.milliseconds(100), "leases not renewed", on: loop) { await keys.renewLeases() }
        every(.milliseconds(250), "unsaved not delivered", on: loop) { await keys.retryUnsaved() }
        every(.seconds(5), "overdue records not seen to", on: loop) {
            try await keys.lapseOverdue()
        }
        every(.seconds(5), "unknown records not looked at", on: loop) {
            try await keys.noteOldestUnknown()
        }
        every(.seconds(1), "unknown outcomes not seen to", on: loop) {
            try await self.prober.round()
        }
        every(.seconds(1), "suspended keys not gone on with", atOnce: true, on: loop) {
            try await self.completer.round()
        }
        every(.seconds(1), "expired records not removed", on: loop) { try await self.reap() }
    }

    /// Goes on with those of a new routing table.
    func use(_ prober: Prober, _ completer: Completer) {
        self.prober = prober
        self.completer = completer
    }

    /// Nothing is begun any more; what is under way ends by itself.
    func end() { hasEnded = true }

    private func every(
        _ pause: Duration, _ failure: String, atOnce: Bool = false, on loop: isolated EventLoop,
        _ body: @escaping () async throws -> Void
    ) {
        loop.start {
            var isFirst = atOnce
            while true {
                if !isFirst { await self.reactor.sleep(for: pause) }
                isFirst = false
                guard !self.hasEnded else { return }
                do {
                    try await body()
                } catch {
                    guard !self.hasEnded else { return }
                    self.log.write(.warning, failure) { $0.member("reason", "\(error)") }
                    await self.reactor.sleep(for: .seconds(10))
                }
            }
        }
    }

    /// Small batches, with as long a pause for everybody else after each.
    private func reap() async throws {
        var start = reactor.now
        while !hasEnded, try await keys.reap() > 0 {
            await reactor.sleep(
                for: min(max(reactor.now - start, .milliseconds(2)), .milliseconds(5)))
            start = reactor.now
        }
    }
}
