/// What is known of the connection on which a request came.
package struct Downstream: Sendable {
    /// The peer's address without port, as in `192.0.2.1` or `2001:db8::1`, and ``unixPeer`` for a
    /// Unix socket. Where a PROXY header came first, the address that it gives.
    package let peer: String
    /// The port that the peer connected to; nil for a Unix socket.
    package let port: UInt16?
    /// Whether the connection is TLS.
    package let isSecure: Bool
    /// Whether the peer is one of `trusted_proxies`.
    package let isTrusted: Bool

    /// Facts about a connection.
    package init(
        peer: String, port: UInt16? = nil, isSecure: Bool = false, isTrusted: Bool = false
    ) {
        self.peer = peer
        self.port = port
        self.isSecure = isSecure
        self.isTrusted = isTrusted
    }

    /// What peers on Unix sockets are called.
    package static let unixPeer = "unix"
}
