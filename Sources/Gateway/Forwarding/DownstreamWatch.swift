import HTTP

/// Ends an exchange whose client hung up while only the upstream was waited for.
///
/// It looks after 100 ms for the first time, then ever more rarely, down to once a second, so that
/// a quick answer costs one timer and a slow one almost nothing.
final class DownstreamWatch {
    private let writer: any ResponseWriter
    private let exchange: any UpstreamExchange
    private let timers: any Timers
    private var timer: (any ScheduledTimer)?
    private var delay = Duration.milliseconds(100)

    /// Watches until ``stop()``.
    init(_ writer: any ResponseWriter, over exchange: any UpstreamExchange, _ timers: any Timers) {
        self.writer = writer
        self.exchange = exchange
        self.timers = timers
        schedule()
    }

    func stop() {
        timer?.cancel()
        timer = nil
    }

    private func schedule() {
        timer = timers.after(delay) { [weak self] in self?.look() }
    }

    private func look() {
        timer = nil
        if writer.isDownstreamGone {
            exchange.cancel()
        } else {
            delay = min(delay * 2, .seconds(1))
            schedule()
        }
    }
}
