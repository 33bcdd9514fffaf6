/// What a proxy says of a connection that it passes on, before anything else comes on it: the
/// PROXY protocol of HAProxy, version 1 or 2.
package struct ProxyHeader: Sendable, Hashable {
    /// Whose connection it is.
    package enum Origin: Sendable, Hashable {
        /// The proxy's own (`LOCAL`, `UNKNOWN`), or one that the protocol has no words for: the
        /// connection's own addresses count.
        case sender
        /// A client's, over TCP.
        case client(Endpoint, destination: Endpoint)
        /// A client's, on a Unix socket.
        case unix
    }

    package let origin: Origin
    /// Whether the client speaks TLS with the proxy (`PP2_TYPE_SSL`).
    package let isSecure: Bool

    /// A header from its parts.
    package init(_ origin: Origin, isSecure: Bool = false) {
        self.origin = origin
        self.isSecure = isSecure
    }
}

/// Why bytes are no PROXY header; what follows on them must not be read as anything else.
package struct ProxyHeaderError: Error, Sendable, Hashable {
    /// For the log.
    package let reason: String
}

/// Takes a PROXY header from the start of a connection, however its bytes are cut.
///
/// It holds no more than the header: 107 bytes of version 1, ``longest`` of version 2. The first
/// byte that cannot be part of one ends it.
package struct ProxyHeaderParser: Sendable {
    /// The most bytes of a header of version 2 that are taken, certificates and all.
    package static let longest = 16 + 4096

    private var bytes: [UInt8] = []

    /// A parser for one connection.
    package init() {}

    /// Whether nothing of a header has come.
    package var isIdle: Bool { bytes.isEmpty }

    /// Takes bytes in.
    ///
    /// - Returns: How many of them belong to the header, and the header once it is whole.
    /// - Throws: ``ProxyHeaderError``; the connection is to be closed.
    package mutating func parse(
        _ input: Span<UInt8>
    ) throws(ProxyHeaderError) -> (consumed: Int, header: ProxyHeader?) {
        var consumed = 0
        while consumed < input.count {
            bytes.append(input[consumed])
            consumed += 1
            if let header = try header() {
                bytes = []
                return (consumed, header)
            }
        }
        return (consumed, nil)
    }

    /// The header, if the last byte completed it.
    private func header() throws(ProxyHeaderError) -> ProxyHeader? {
        let last = bytes.count - 1
        if bytes[0] == ProxyHeaderV1.prefix[0] {
            guard last >= ProxyHeaderV1.prefix.count || bytes[last] == ProxyHeaderV1.prefix[last]
            else { throw ProxyHeaderError(reason: "no PROXY header") }
            return try ProxyHeaderV1.header(bytes)
        }
        guard last >= ProxyHeaderV2.signature.count || bytes[last] == ProxyHeaderV2.signature[last]
        else { throw ProxyHeaderError(reason: "no PROXY header") }
        return try ProxyHeaderV2.header(bytes)
    }
}

/// The line of version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 4711 80`.
private enum ProxyHeaderV1 {
    static let prefix = Array("PROXY ".utf8)
    private static let longest = 107
    private static let unknown = Array("UNKNOWN".utf8)

    static func header(_ bytes: [UInt8]) throws(ProxyHeaderError) -> ProxyHeader? {
        let last = bytes.count - 1
        let follows = last > 0 && bytes[last - 1] == 0x0D
        guard follows == (bytes[last] == 0x0A) else {
            throw ProxyHeaderError(reason: "a PROXY line ends with CR and LF")
        }
        guard follows else {
            guard bytes.count < longest else {
                throw ProxyHeaderError(reason: "a PROXY line has at most 107 bytes")
            }
            return nil
        }
        let line = bytes[prefix.count..<(last - 1)]
        if line.starts(with: unknown), line.count == 7 || line[line.startIndex + 7] == 0x20 {
            return ProxyHeader(.sender)
        }
        return try client(line)
    }

    private static func client(_ line: ArraySlice<UInt8>) throws(ProxyHeaderError) -> ProxyHeader {
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        let isV4 = words[0].elementsEqual("TCP4".utf8)
        guard isV4 || words[0].elementsEqual("TCP6".utf8), words.count == 5 else {
            throw ProxyHeaderError(reason: "a PROXY line has a protocol and four more words")
        }
        guard let source = IPAddress(words[1]), let destination = IPAddress(words[2]),
            source.isV4 == isV4, destination.isV4 == isV4
        else { throw ProxyHeaderError(reason: "a PROXY line has addresses of its protocol") }
        guard let port = decimal(words[3], upTo: 65535),
            let destinationPort = decimal(words[4], upTo: 65535)
        else { throw ProxyHeaderError(reason: "a PROXY line has ports up to 65535") }
        return ProxyHeader(
            .client(
                Endpoint(source.unmapped, port: UInt16(port)),
                destination: Endpoint(destination.unmapped, port: UInt16(destinationPort))))
    }
}

/// The block of version 2: sixteen bytes, addresses, and type-length-value triples.
private enum ProxyHeaderV2 {
    static let signature: [UInt8] = [
        0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A,
    ]

    static func header(_ bytes: [UInt8]) throws(ProxyHeaderError) -> ProxyHeader? {
        switch bytes.count {
        case 13 where bytes[12] != 0x20 && bytes[12] != 0x21:
            throw ProxyHeaderError(reason: "a PROXY header of no known version and command")
        case 14 where bytes[13] >> 4 > 3 || bytes[13] & 15 > 2:
            throw ProxyHeaderError(reason: "a PROXY header of no known address family")
        case ..<16: return nil
        default: break
        }
        let length = Int(bytes[14]) << 8 | Int(bytes[15])
        guard 16 + length <= ProxyHeaderParser.longest else {
            throw ProxyHeaderError(reason: "a PROXY header of more than 4 KiB")
        }
        let isLocal = bytes[12] & 15 == 0
        guard isLocal || length >= addressLength(bytes[13]) else {
            throw ProxyHeaderError(reason: "a PROXY header shorter than its addresses")
        }
        guard bytes.count == 16 + length else { return nil }
        // What stands in a header of this kind is nobody's address.
        guard !isLocal, bytes[13] >> 4 != 0, bytes[13] & 15 != 0 else {
            return ProxyHeader(.sender)
        }
        let isSecure = try isSecure(bytes, from: 16 + addressLength(bytes[13]))
        return ProxyHeader(origin(bytes), isSecure: isSecure)
    }

    /// Bytes of both addresses, with their ports.
    private static func addressLength(_ family: UInt8) -> Int {
        switch family >> 4 {
        case 1: 12
        case 2: 36
        case 3: 216
        default: 0
        }
    }

    private static func origin(_ bytes: [UInt8]) -> ProxyHeader.Origin {
        // A datagram's addresses have nothing to do with this connection.
        guard bytes[13] & 15 == 1 else { return .sender }
        guard bytes[13] >> 4 != 3 else { return .unix }
        let size = bytes[13] >> 4 == 1 ? 4 : 16
        let ports = 16 + 2 * size
        func endpoint(_ start: Int, _ port: Int) -> Endpoint? {
            IPAddress(bytes: bytes[start..<(start + size)]).map {
                Endpoint($0.unmapped, port: UInt16(bytes[port]) << 8 | UInt16(bytes[port + 1]))
            }
        }
        guard let source = endpoint(16, ports),
            let destination = endpoint(16 + size, ports + 2)
        else { return .sender }
        return .client(source, destination: destination)
    }

    /// Goes through what follows the addresses: checks the checksum, if there is one, and finds
    /// whether the client speaks TLS. All else is skipped.
    private static func isSecure(
        _ bytes: [UInt8], from start: Int
    ) throws(ProxyHeaderError) -> Bool {
        var isSecure = false
        var hasChecksum = false
        var index = start
        while index < bytes.count {
            guard bytes.count - index >= 3 else { throw cut }
            let value = index + 3
            let end = value + (Int(bytes[index + 1]) << 8 | Int(bytes[index + 2]))
            guard end <= bytes.count else { throw cut }
            switch bytes[index] {
            case checksumType:
                guard end - value == 4, !hasChecksum else { throw cut }
                hasChecksum = true
                guard checksum(of: bytes, zeroing: value..<end) == bytes[value..<end] else {
                    throw ProxyHeaderError(reason: "a PROXY header with a wrong checksum")
                }
            case tlsType:
                guard end - value >= 5 else { throw cut }
                isSecure = isSecure || bytes[value] & 1 != 0
            default: break
            }
            index = end
        }
        return isSecure
    }

    private static let checksumType: UInt8 = 0x03
    private static let tlsType: UInt8 = 0x20
    private static let cut = ProxyHeaderError(reason: "a PROXY header with a malformed extension")

    /// The CRC32c (RFC 4960 appendix B) of a header whose own checksum counts as zeros.
    private static func checksum(of bytes: [UInt8], zeroing own: Range<Int>) -> ArraySlice<UInt8> {
        var register: UInt32 = 0xFFFF_FFFF
        for index in bytes.indices {
            register ^= own.contains(index) ? 0 : UInt32(bytes[index])
            for _ in 0..<8 {
                register = register & 1 == 0 ? register >> 1 : register >> 1 ^ 0x82F6_3B78
            }
        }
        let sum = ~register
        return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: sum >> $0) }[...]
    }
}
