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
        /// The upstream takes no more, or nobody wants it to; the answer's side knows why.
        case upstream
    }

    /// Nil while it goes on.
    private(set) var end: End?

    private let body: any RequestBody
    private let exchange: any UpstreamExchange
    private let limit: Int?
    private let account: RequestAccount
    /// Given when nothing is carried any more; nil before it begins.
    private var ended: Promise<Void>?
    private var isStopped = false

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

    /// Starts carrying. `first` was read from the body before.
    func start(after first: ArraySlice<UInt8>, _ services: LoopServices) {
        let promise = Promise<Void>()
        ended = promise
        services.start {
            await self.run(first)
            promise.give(())
        }
    }

    /// Gives up what is left, after the exchange was cancelled or is complete.
    ///
    /// A read from the client that is under way is waited for, because the connection is about to
    /// be used for other things. It ends with the next bytes, or as a body that stalls.
    func stop() async {
        isStopped = true
        await ended?.get()
    }

    private func run(_ first: ArraySlice<UInt8>) async {
        do {
            if !first.isEmpty { try await exchange.write(first) }
            while !isStopped, let chunk = try await body.read() {
                guard !isStopped else { break }
                account.bytesIn += chunk.count
                if let limit, account.bytesIn > limit { return fail(.tooLarge) }
                try await exchange.write(chunk)
            }
            guard !isStopped else { return end = .upstream }
            try await exchange.finish(trailers: ResponseForwarding.trailers(body.trailers))
            end = .complete
        } catch let error as DownstreamError {
            fail(.downstream(error))
        } catch {
            end = .upstream
        }
    }

    private func fail(_ reason: End) {
        end = reason
        exchange.cancel()
    }
}
