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
    private let forwarding: RequestForwarding
    private let limit: Int?
    private let account: RequestAccount
    /// Given when nothing is carried any more; nil before it begins.
    private var ended: Promise<Void>?
    private var isStopped = false

    /// - Parameter limit: The most bytes of the whole body; `account.bytesIn` of them came already.
    init(
        _ body: any RequestBody, to exchange: any UpstreamExchange,
        _ forwarding: RequestForwarding, limit: Int?, _ account: RequestAccount
    ) {
        self.body = body
        self.exchange = exchange
        self.forwarding = forwarding
        self.limit = limit
        self.account = account
    }

    /// Starts carrying, unless it did so before or is not to any more. `first` was read from the
    /// body before.
    func start(after first: ArraySlice<UInt8>, _ services: LoopServices) {
        guard ended == nil, !isStopped else { return }
        let promise = Promise<Void>()
        ended = promise
        services.start {
            await self.run(first)
            promise.give(())
        }
    }

    /// Keeps it from starting: the answer came before the body was asked for.
    func forgo() {
        guard ended == nil else { return }
        isStopped = true
        exchange.forgoBody()
    }

    /// Waits until nothing is carried any more.
    func wait() async { await ended?.get() }

    /// Gives up what is left, after the exchange was cancelled or is complete. A read that waits
    /// for the client ends at once; the connection is about to be used for other things.
    func stop() async {
        isStopped = true
        if end == nil { body.abandon() }
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
            try await exchange.finish(trailers: forwarding.trailers(body.trailers, account.edge))
            end = .complete
        } catch let error as DownstreamError {
            guard !isStopped else { return end = .upstream }
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
