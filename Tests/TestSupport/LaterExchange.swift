package import HTTP

/// An exchange that is made when it starts.
package final class LaterExchange: UpstreamExchange {
    private let open: () async throws(UpstreamError) -> any UpstreamExchange
    private var exchange: (any UpstreamExchange)?
    private var isCancelled = false

    package init(_ open: @escaping () async throws(UpstreamError) -> any UpstreamExchange) {
        self.open = open
    }

    package func start() async throws(UpstreamError) {
        let exchange = try await open()
        self.exchange = exchange
        if isCancelled { exchange.cancel() }
    }

    package func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {
        try await started().write(bytes)
    }

    package func finish(trailers: Fields) async throws(UpstreamError) {
        try await started().finish(trailers: trailers)
    }

    package func head() async throws(UpstreamError) -> ResponseHead { try await started().head() }

    package func read() async throws(UpstreamError) -> ArraySlice<UInt8>? {
        try await started().read()
    }

    package var trailers: Fields { exchange?.trailers ?? Fields() }

    package func tunnel() -> (any TunnelEnd)? { exchange?.tunnel() }

    package func cancel() {
        isCancelled = true
        exchange?.cancel()
    }

    private func started() throws(UpstreamError) -> any UpstreamExchange {
        guard let exchange else {
            throw UpstreamError(.cutShort, effect: .none, detail: "it has not started")
        }
        return exchange
    }
}
