/// Sends requests to one upstream, each at most once.
///
/// A client belongs to one event loop, like the handlers that use it.
package protocol UpstreamClient: AnyObject {
    /// An exchange for a request. Nothing is done for it before ``UpstreamExchange/start()``.
    func exchange(for request: UpstreamRequest) -> any UpstreamExchange
}

extension UpstreamClient {
    /// An exchange that has started. Whoever may have to give it up meanwhile starts it itself.
    ///
    /// - Throws: ``UpstreamError``, whose effect says whether anything may have reached the upstream.
    package func exchange(
        _ request: UpstreamRequest
    ) async throws(UpstreamError) -> any UpstreamExchange {
        let exchange = exchange(for: request)
        try await exchange.start()
        return exchange
    }
}

/// A request as it is to leave: fields are sent as they are, framing fields are added.
package struct UpstreamRequest: Sendable {
    package var method: Method
    package var target: ArraySlice<UInt8>
    /// Without `Content-Length` and `Transfer-Encoding`, which follow from `body`.
    package var fields: Fields
    package var body: Body
    /// Asked right before the first byte is handed to a connection; a request that may not be sent
    /// any more fails as ``UpstreamError/Reason/withdrawn``. Nil lets it go in any case.
    package var maySend: (@Sendable () -> Bool)?

    /// How the body comes.
    package enum Body: Sendable {
        /// There is none, and no `Content-Length`.
        case none
        /// It is here, whole; also when it has no bytes (`Content-Length: 0`).
        case whole(ArraySlice<UInt8>)
        /// It follows by ``UpstreamExchange/write(_:)``, as many bytes as told, else chunked.
        case stream(length: UInt64?)
    }

    /// A request from its parts.
    package init(method: Method, target: ArraySlice<UInt8>, fields: Fields, body: Body) {
        self.method = method
        self.target = target
        self.fields = fields
        self.body = body
    }
}

/// One request under way on one upstream connection.
///
/// Call ``cancel()`` when done, however it ended; after a complete exchange it does nothing.
package protocol UpstreamExchange: AnyObject {
    /// Takes or opens a connection and sends the request's head, with the whole body where it is
    /// there already. To be called once, before anything else but ``cancel()``.
    ///
    /// - Throws: ``UpstreamError``, whose effect says whether anything may have reached the upstream.
    func start() async throws(UpstreamError)

    /// Does what ``start()`` does as far as that goes without waiting, for which no task has to be
    /// suspended: mostly all of it, where a connection is kept.
    ///
    /// - Returns: whether it was all; if not, ``start()`` goes on from there.
    func startAtOnce() throws(UpstreamError) -> Bool

    /// Sends the next bytes of a streamed body; waits while the upstream does not read.
    func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError)

    /// Notes that a streamed body will not come, so that no more allowance is made for the time that
    /// it takes: the upstream has answered, and the client was not asked for it.
    func forgoBody()

    /// Ends a streamed body.
    func finish(trailers: Fields) async throws(UpstreamError)

    /// The next head: any number of interim ones, then the final one, or a 101, after which there
    /// are no heads any more.
    func head() async throws(UpstreamError) -> ResponseHead

    /// The next bytes of the body, at least one; nil at the end.
    func read() async throws(UpstreamError) -> ArraySlice<UInt8>?

    /// The whole body, where its length is known and it came with the head; `read` is not called
    /// then. Nil where there is something to wait for, and nothing is taken.
    func wholeBody() throws(UpstreamError) -> ArraySlice<UInt8>?

    /// The answer's trailer fields, once `read` has returned nil.
    var trailers: Fields { get }

    /// The connection as a tunnel, after a 101: the exchange is over, and the connection is the
    /// caller's to close. Nil where there is no connection of its own to be had.
    func tunnel() -> (any TunnelEnd)?

    /// Gives the exchange up, whatever it is at: closes the connection, or ends the attempt to
    /// open one, and lets whoever waits for it fail. Does nothing when the exchange is complete.
    func cancel()
}

extension UpstreamExchange {
    package func startAtOnce() throws(UpstreamError) -> Bool { false }
    package func forgoBody() {}
    package func wholeBody() throws(UpstreamError) -> ArraySlice<UInt8>? { nil }
    package func tunnel() -> (any TunnelEnd)? { nil }
}

/// A failed exchange with the upstream.
package struct UpstreamError: Error, Sendable {
    /// What happened, as far as callers decide on it.
    package enum Reason: Sendable, Hashable {
        /// Refused, not resolved, TLS failed.
        case unreachable
        /// Connections or requests in flight are at their limit.
        case overloaded
        /// The connect timeout passed.
        case connectTimeout
        /// The idle or total timeout passed after the request was sent.
        case timeout
        /// The connection ended before the answer was complete.
        case cutShort
        /// The answer is not HTTP, or its framing contradicts itself.
        case malformed
        /// It was not to be sent any more when a connection was there.
        case withdrawn
    }

    /// Whether the upstream may have acted on the request.
    package enum Effect: Sendable, Hashable {
        /// Not a byte of the request was handed to a connection.
        case none
        /// Something was sent; nobody knows what came of it.
        case possible
    }

    package let reason: Reason
    /// Only `.none` frees a key.
    package let effect: Effect
    /// For the log, never for the client.
    package let detail: String

    /// An error from its parts.
    package init(_ reason: Reason, effect: Effect, detail: String) {
        self.reason = reason
        self.effect = effect
        self.detail = detail
    }
}
