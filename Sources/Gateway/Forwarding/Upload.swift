import HTTP

/// Carries a streamed request body to the upstream, beside the answer.
final class Upload {
    /// How it ended.
    enum End {
        case complete
        /// The client's side failed; the exchange was cancelled.
        case downstream(DownstreamError)
        /// The body outgrew the route's limit; the exchange was cancelled.
        case tooLarge
        /// The upstream takes no more; whether it has answered is the answer's side to see.
        case upstream
    }

    /// Nil while it goes on.
    private(set) var end: End?

    private let body: any RequestBody
    private let exchange: any UpstreamExchange
    private let limit: Int?
    private let account: RequestAccount
    private var task: Task<Void, Never>?

    /// - Parameter limit: The most bytes of the whole body; `account.bytesIn` of them came already.
    init(
        _ body: any RequestBody, to exchange: any UpstreamExchange, limit: Int?,
        _ account: RequestAccount
    ) {
        self.body = body
        self.exchange = exchange
        self.limit = limit
        self.account = account
    }

    /// Starts carrying, on the caller's actor. `first` was read from the body before.
    func start(
        after first: ArraySlice<UInt8>, isolation: isolated (any Actor)? = #isolation
    ) {
        task = Task {
            _ = isolation
            await self.run(first)
        }
    }

    /// Gives up what is left: the upstream has answered without it. A read that is under way ends
    /// when the server closes the connection.
    func stop() {
        if end == nil { task?.cancel() }
    }

    private func run(_ first: ArraySlice<UInt8>) async {
        do {
            if !first.isEmpty { try await exchange.write(first) }
            while !Task.isCancelled, let chunk = try await body.read() {
                account.bytesIn += chunk.count
                if let limit, account.bytesIn > limit { return fail(.tooLarge) }
                try await exchange.write(chunk)
            }
            guard !Task.isCancelled else { return }
            try await exchange.finish(trailers: ResponseForwarding.trailers(body.trailers))
            end = .complete
        } catch let error as DownstreamError {
            fail(.downstream(error))
        } catch {
            end = .upstream
        }
    }

    private func fail(_ reason: End) {
        guard !Task.isCancelled else { return }
        end = reason
        exchange.cancel()
    }
}
