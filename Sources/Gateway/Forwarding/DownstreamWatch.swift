import HTTP

/// Ends an exchange at once when its client hangs up while only the upstream is waited for.
struct DownstreamWatch {
    private let writer: any ResponseWriter

    /// Watches until ``stop()``.
    init(_ writer: any ResponseWriter, over exchange: any UpstreamExchange) {
        self.writer = writer
        writer.onDownstreamGone = { exchange.cancel() }
    }

    func stop() { writer.onDownstreamGone = nil }
}
