/// All addresses that begin with the same bits: `10.0.0.0/8`.
package struct AddressBlock: Sendable, Hashable {
    /// The first address.
    package let address: IPAddress
    /// How many leading bits all of them share: at most 32, or 128 for IPv6.
    package let prefixLength: Int

    /// A block from its parts.
    package init(_ address: IPAddress, prefixLength: Int) {
        self.address = address
        self.prefixLength = prefixLength
    }

    /// Whether it holds an address. One of IPv4 is in no block of IPv6.
    package func contains(_ other: IPAddress) -> Bool {
        address.sharesPrefix(prefixLength, with: other)
    }
}

/// Who may speak for others: `trusted_proxies`.
package struct TrustedPeers: Sendable {
    private let blocks: [AddressBlock]
    private let trustsUnixSockets: Bool

    /// - Parameter unixSockets: Whether peers on Unix sockets are among them.
    package init(_ blocks: [AddressBlock] = [], unixSockets: Bool = false) {
        self.blocks = blocks
        trustsUnixSockets = unixSockets
    }

    /// Whether an address is among them; an IPv4 address may be written as an IPv6 one.
    package func contains(_ address: IPAddress) -> Bool {
        let address = address.unmapped
        return blocks.contains { $0.contains(address) }
    }

    /// Whether a connection's peer is among them, as ``Downstream/peer`` names it.
    package func contains(peer: String) -> Bool {
        if peer == Downstream.unixPeer { return trustsUnixSockets }
        return !blocks.isEmpty && IPAddress(peer).map(contains) ?? false
    }
}
