/// One of the two connections that a tunnel joins: after a 101 they no longer speak HTTP, and only
/// bytes go by.
///
/// Belongs to one event loop; one task may read and one may write at a time. No function has a
/// time limit of its own: the tunnel has one for both connections.
package protocol TunnelEnd: AnyObject {
    /// The next bytes; none at all when the peer sends no more. What was received before the
    /// tunnel began comes first.
    func read() async throws(TunnelCut) -> ArraySlice<UInt8>

    /// Sends bytes, waiting while the peer does not read.
    func write(_ bytes: ArraySlice<UInt8>) async throws(TunnelCut)

    /// Tells the peer that nothing more comes; it may go on sending.
    func endWriting() async throws(TunnelCut)

    /// Called once when the peer resets the connection, also while nobody reads or writes.
    var onReset: (() -> Void)? { get set }

    /// Closes the connection and lets whoever waits on it fail. Does nothing the second time.
    ///
    /// - Parameter resetting: Whether the peer is to see that it did not get all.
    func close(resetting: Bool)
}

/// A tunnel's connection is gone.
package struct TunnelCut: Error, Sendable, Hashable {
    /// The one way to be gone.
    package init() {}
}
