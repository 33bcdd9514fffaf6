import HTTP
import Telemetry

/// Carries bytes between a client and an upstream that have switched protocols, in both directions
/// at once, until both have ended, one resets, or nothing moves for too long.
///
/// It holds at most one piece of 64 KiB per direction: a side that does not read stops the other.
final class Tunnel {
    private let near: any TunnelEnd
    private let far: any TunnelEnd
    private let account: RequestAccount
    private let counters: GatewayMetrics.TunnelCounters
    private let services: LoopServices
    private let idleLimit: Duration?
    private var lastMove: UInt64
    private var timer: (any ScheduledTimer)?
    /// Whether the client, and the upstream, have got all that the other one sent, and its end.
    private var isNearDone = false
    private var isFarDone = false
    private var isOver = false

    /// For how long nothing may move once one direction has ended. Who is done with one mostly is
    /// done with both, and has closed; the rest of an answer moves.
    static let halfClosedLimit: Duration = .seconds(60)

    /// - Parameters:
    ///   - near: The client.
    ///   - far: The upstream.
    ///   - idleLimit: For how long nothing may move; nil for ever.
    init(
        between near: any TunnelEnd, and far: any TunnelEnd, idleLimit: Duration?,
        _ account: RequestAccount, _ counters: GatewayMetrics.TunnelCounters,
        _ services: LoopServices
    ) {
        self.near = near
        self.far = far
        self.idleLimit = idleLimit
        self.account = account
        self.counters = counters
        self.services = services
        lastMove = services.timers.now
    }

    /// Carries until the end, then closes both connections.
    func run() async {
        let startedAt = services.timers.now
        counters.begin()
        near.onReset = { self.cut() }
        far.onReset = { self.cut() }
        watchForSilence()
        let ended = Promise<Void>()
        services.start {
            await self.carryDown()
            ended.give(())
        }
        await carryUp()
        await ended.get()
        end(resetting: false)
        account.tunnelTime = services.timers.now - startedAt
        counters.end()
    }

    private func carryUp() async {
        let isWhole = await carry(from: near, to: far) { count in
            account.bytesIn += count
            counters.bytesIn.increment(by: count)
        }
        guard isWhole else { return cut() }
        isFarDone = true
        watchForSilence()
    }

    private func carryDown() async {
        let isWhole = await carry(from: far, to: near) { count in
            account.bytesOut += count
            counters.bytesOut.increment(by: count)
        }
        guard isWhole else { return cut() }
        isNearDone = true
        watchForSilence()
    }

    /// Carries one direction to its end.
    /// - Returns: whether all of it arrived.
    private func carry(
        from source: any TunnelEnd, to sink: any TunnelEnd, counting count: (Int) -> Void
    ) async -> Bool {
        do throws(TunnelCut) {
            while true {
                let bytes = try await source.read()
                lastMove = services.timers.now
                guard !bytes.isEmpty else { break }
                count(bytes.count)
                try await sink.write(bytes)
                lastMove = services.timers.now
            }
            try await sink.endWriting()
            return true
        } catch {
            return false
        }
    }

    /// Ends what is under way. A side that has got everything is not told that it has not.
    private func cut() { end(resetting: true) }

    private func end(resetting: Bool) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        near.onReset = nil
        far.onReset = nil
        near.close(resetting: resetting && !isNearDone)
        far.close(resetting: resetting && !isFarDone)
    }

    /// Sets the timer to when it is too late if nothing moves until then.
    private func watchForSilence() {
        timer?.cancel()
        timer = nil
        guard !isOver, let limit = currentLimit else { return }
        let silence = Duration.nanoseconds(Int64(services.timers.now - lastMove))
        guard silence < limit else { return end(resetting: false) }
        timer = services.timers.after(limit - silence) { self.watchForSilence() }
    }

    private var currentLimit: Duration? {
        guard isNearDone || isFarDone else { return idleLimit }
        return min(idleLimit ?? Self.halfClosedLimit, Self.halfClosedLimit)
    }
}
