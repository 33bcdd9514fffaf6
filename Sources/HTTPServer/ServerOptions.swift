package import HTTP
import Transport

/// What a server allows its clients, and how it speaks to those that it refuses.
package struct ServerOptions {
    /// How large heads may be.
    package var limits = HTTPLimits()
    /// From the first byte of a head to its last; also from a connection's start to its first head.
    package var requestHead: Duration = .seconds(10)
    /// Between two receptions of a body.
    package var bodyIdle: Duration = .seconds(30)
    /// Between an answer and the next head.
    package var keepAlive: Duration = .seconds(75)
    /// How long a client may not read while there is something to send.
    package var writeIdle: Duration = .seconds(30)
    /// Whether connections are TLS.
    package var isSecure = false
    /// Who may speak for others in `X-Forwarded-*` and `Forwarded`.
    package var trustedPeers = TrustedPeers()
    /// The answer to what never reaches the handler: a status, and a reason for people.
    package var refusal: (UInt16, String) -> (head: ResponseHead, body: [UInt8])
    /// The answer to a request that has none when the server ends; nil cuts its connection.
    package var lastAnswer: (() -> (head: ResponseHead, body: [UInt8]))?
    /// Told of every refusal, for the log.
    package var onRefusal: (UInt16, String, Downstream) -> Void = { _, _, _ in }
    /// Told of every connection that was closed because no PROXY header stood at its start, and
    /// why; the peer is the socket's own.
    package var onBadProxyHeader: (String, Downstream) -> Void = { _, _ in }

    /// Options with their defaults.
    package init(refusal: @escaping (UInt16, String) -> (head: ResponseHead, body: [UInt8])) {
        self.refusal = refusal
    }
}
