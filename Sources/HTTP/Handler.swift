/// Answers requests, one call per request.
///
/// A handler belongs to one event loop and is never entered from two threads, though calls
/// interleave at every `await`.
package protocol Handler: AnyObject {
    /// Answers `request` through `response`, which takes one final answer.
    ///
    /// The server turns a return without an answer, or a thrown error that is no
    /// ``DownstreamError``, into a 500 or, once an answer has begun, into an abrupt close.
    func respond(to request: Request, through response: any ResponseWriter) async throws
}

/// A request as a handler gets it: the head, and a body to be pulled.
package struct Request {
    package let head: RequestHead
    package let body: any RequestBody
    package let downstream: Downstream

    /// A request from its parts.
    package init(head: RequestHead, body: any RequestBody, downstream: Downstream) {
        self.head = head
        self.body = body
        self.downstream = downstream
    }
}

/// A request's body, pulled chunk by chunk; what is not pulled stays in the kernel.
package protocol RequestBody: AnyObject {
    /// The next bytes, at least one; nil at the end. The first call asks a client that expects it
    /// to continue (`100 Continue`).
    ///
    /// - Throws: ``DownstreamError`` when the body is malformed, too slow, or cut short.
    func read() async throws(DownstreamError) -> ArraySlice<UInt8>?

    /// The whole body, where its length is known and it came with the head; `read` is not called
    /// then. Nil where there is something to wait for, and nothing is taken.
    func whole() throws(DownstreamError) -> ArraySlice<UInt8>?

    /// The trailer fields, once `read` has returned nil.
    var trailers: Fields { get }

    /// Notes that the rest is not wanted any more: a read that waits for the client fails at once,
    /// and so does every later one. What the client still sends is for the server to see to.
    func abandon()
}

extension RequestBody {
    package func whole() throws(DownstreamError) -> ArraySlice<UInt8>? { nil }
    package func abandon() {}
}

/// Takes the answer to one request: either ``respond(_:body:)``, or ``begin(_:)``, any number of
/// ``write(_:)`` and ``end(trailers:)``. Interim answers may go before.
///
/// The writer adds `Date` where it is missing and `Connection` where it is due, chooses the framing
/// that the client's version allows, and leaves the body out where the request or the status
/// forbids one. Every function waits until the bytes fit the bounded write buffer.
///
/// - Throws: ``DownstreamError`` once the client is gone or stuck.
package protocol ResponseWriter: AnyObject {
    /// Whether a final answer was begun.
    var hasBegun: Bool { get }

    /// Whether the client hung up; work already done for it goes on.
    var isDownstreamGone: Bool { get }

    /// Called once when the client turns out to be gone while the request is answered, so that
    /// work nobody else waits for can be given up at once.
    var onDownstreamGone: (() -> Void)? { get set }

    /// Passes on an interim answer (1xx); left out for HTTP/1.0.
    func interim(_ head: ResponseHead) async throws(DownstreamError)

    /// Sends a whole answer, its length known.
    func respond(_ head: ResponseHead, body: ArraySlice<UInt8>) async throws(DownstreamError)

    /// Does what ``respond(_:body:)`` does as far as that goes without waiting, for which no task has
    /// to be suspended: mostly all of it.
    func respondAtOnce(
        _ head: ResponseHead, body: ArraySlice<UInt8>
    ) throws(DownstreamError) -> ImmediateAnswer

    /// Sends the rest of an answer of which ``respondAtOnce(_:body:)`` sent a part.
    func finishResponding() async throws(DownstreamError)

    /// Begins an answer whose body follows. `head.framing` says how: `.length`, or `.chunked` and
    /// `.untilClose` for a body that ends when it ends; `.none` where there is no body, then with
    /// the `Content-Length` in `head.fields` kept (HEAD, 304).
    func begin(_ head: ResponseHead) async throws(DownstreamError)

    /// Sends the next bytes of the body.
    func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError)

    /// Completes the answer.
    func end(trailers: Fields) async throws(DownstreamError)

    /// Sends a 101 as the final answer, and gives the client's connection to the caller: what the
    /// client sent behind its request comes first. `head` says `Connection` and `Upgrade` itself.
    /// The server closes the connection when the handler returns, if the caller has not.
    func upgrade(_ head: ResponseHead) async throws(DownstreamError) -> any TunnelEnd

    /// Gives an answer up in the middle: the connection closes so that the client sees it cut.
    func abort()
}

/// How much of an answer was sent at once.
package enum ImmediateAnswer: Sendable {
    case whole
    /// The rest is to be sent by ``ResponseWriter/finishResponding()``.
    case part
    /// The answer was not taken: it is to be given by ``ResponseWriter/respond(_:body:)``.
    case nothing
}

extension ResponseWriter {
    package func respondAtOnce(
        _ head: ResponseHead, body: ArraySlice<UInt8>
    ) throws(DownstreamError) -> ImmediateAnswer { .nothing }

    package func finishResponding() async throws(DownstreamError) {}

    /// A writer without a connection has none to give.
    package func upgrade(_ head: ResponseHead) async throws(DownstreamError) -> any TunnelEnd {
        throw .closed
    }
}

/// Why a client's request or its connection came to nothing.
package enum DownstreamError: Error, Sendable, Hashable {
    /// The peer closed or reset the connection.
    case closed
    /// The body stalled longer than `timeouts.body_idle`: 408.
    case bodyTimeout
    /// The body's framing is wrong; the reason is for people: 400.
    case malformed(String)
    /// The peer did not read for longer than `timeouts.write_idle`.
    case writeTimeout
}
