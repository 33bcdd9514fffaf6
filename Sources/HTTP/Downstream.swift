/// What is known of the connection on which a request came. An object, which all of the connection's
/// requests share.
package final class Downstream: Sendable {
    /// The peer's address without port, as in `192.0.2.1` or `2001:db8::1`, and ``unixPeer`` for a
    /// Unix socket. Where a PROXY header came first, the address that it gives.
    package let peer: String
    /// The port that the peer connected to; nil for a Unix socket.
    package let port: UInt16?
    /// Both as they are written into fields; no bytes without a port.
    package let peerText: [UInt8]
    package let portText: [UInt8]
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
        peerText = Array(peer.utf8)
        portText = port.map { Array(String($0).utf8) } ?? []
        self.isSecure = isSecure
        self.isTrusted = isTrusted
    }

    /// What peers on Unix sockets are called.
    package static let unixPeer = "unix"
}
