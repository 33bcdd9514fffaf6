/// An address with the port that belongs to it, if one is known.
package struct Endpoint: Sendable, Hashable {
    package let address: IPAddress
    package let port: UInt16?

    /// An endpoint from its parts.
    package init(_ address: IPAddress, port: UInt16?) {
        self.address = address
        self.port = port
    }

    /// The endpoint that a text writes: an address, `192.0.2.1:80` or `[2001:db8::1]:80`; an IPv6
    /// address may stand without its brackets where there is no port. Nil for anything else.
    package init?(_ text: ArraySlice<UInt8>) {
        if let address = IPAddress(text) {
            self.init(address, port: nil)
            return
        }
        guard let (host, port) = Self.split(text), let address = IPAddress(host) else { return nil }
        self.init(address, port: port)
    }

    private static func split(
        _ text: ArraySlice<UInt8>
    ) -> (host: ArraySlice<UInt8>, port: UInt16?)? {
        if text.first == UInt8(ascii: "[") {
            guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let host = text[(text.startIndex + 1)..<end]
            guard host.contains(UInt8(ascii: ":")) else { return nil }
            let rest = text[(end + 1)...]
            if rest.isEmpty { return (host, nil) }
            guard rest.first == UInt8(ascii: ":"), let port = decimal(rest.dropFirst(), upTo: 65535)
            else { return nil }
            return (host, UInt16(port))
        }
        guard let colon = text.firstIndex(of: UInt8(ascii: ":")),
            let port = decimal(text[(colon + 1)...], upTo: 65535)
        else { return nil }
        return (text[..<colon], UInt16(port))
    }
}
