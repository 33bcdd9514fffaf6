import Transport

/// Tells, twice in the time that is given, that all of the process works: every loop and the
/// store's thread must have answered since it was told last. Where one hangs, nothing is told.
struct Watchdog: Sendable {
    let loops: [EventLoop]
    /// How long nothing may be told.
    let interval: Duration
    /// Returns when the store's thread has had its turn.
    let askStore: @Sendable () async -> Void
    /// Tells it; called on the first loop.
    let tell: @Sendable () -> Void
    /// Whether the process is about to end, and nobody waits any more.
    let isOver: @Sendable () -> Bool

    /// Begins; it goes on until it is over.
    func begin() async {
        await loops[0].run { loop in
            let reactor = loop.reactor
            loop.start {
                while !self.isOver() {
                    let start = reactor.now
                    for loop in self.loops { await loop.run { _ in } }
                    await self.askStore()
                    let spent = reactor.now - start
                    if spent < self.interval / 2 {
                        await reactor.sleep(for: self.interval / 2 - spent)
                    }
                    self.tell()
                }
            }
        }
    }
}
