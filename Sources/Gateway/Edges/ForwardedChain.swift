import HTTP

/// What a trusted peer says of the way that a request came, the farthest hop first.
///
/// The chain is read from its near end. It ends at the first member that is malformed, and what
/// stands before that is neither believed nor passed on: a client can write there what it likes,
/// while each trusted proxy writes at the end.
final class ForwardedChain {
    /// One member.
    struct Hop {
        /// Nil where it is no address: `unknown`, `_hidden`, or nothing said.
        let address: IPAddress?
        /// `for` as it was written, without quotes; empty where nothing is said.
        let node: ArraySlice<UInt8>
        /// The member as it was written.
        let text: ArraySlice<UInt8>
        /// Nil where nothing is said; `X-Forwarded-For` never says anything of these.
        var scheme: ArraySlice<UInt8>?
        var host: ArraySlice<UInt8>?
    }

    /// The form in which it came.
    let isStandard: Bool
    let hops: [Hop]
    /// The address nearest to here that is not trusted; the farthest one if all are, the peer's if
    /// there is none.
    let client: String
    /// The position of the hop that the nearest trusted proxy saw, whose word on scheme and host
    /// is believed; nil where the peer is the client.
    let clientHop: Int?

    /// The most hops that are looked at.
    private static let longest = 100

    /// - Parameters:
    ///   - form: In which form trusted peers tell.
    ///   - peer: Who tells.
    init(
        _ fields: borrowing Fields, _ form: Edges.ForwardedForm, to peer: String,
        trusting trusted: TrustedPeers
    ) {
        // Of both, the one that is there; a proxy may tell the scheme alone, by X-Forwarded-Proto.
        isStandard =
            form == .standard
            || form == .both && !fields.contains(.xForwardedFor) && fields.contains(.forwarded)
        hops =
            isStandard
            ? Self.members(of: .forwarded, in: fields, Self.lastElement, ForwardedElement.hop)
            : Self.members(of: .xForwardedFor, in: fields, Self.lastMember, Self.hop)
        var client: IPAddress?
        var clientHop: Int?
        for (index, hop) in hops.enumerated().reversed() {
            guard let address = hop.address else { break }
            client = address
            clientHop = index
            if !trusted.contains(address) { break }
        }
        self.client = client?.unmapped.description ?? peer
        self.clientHop = clientHop
    }

    /// What the client speaks, if the proxy that saw it says so.
    func scheme(_ fields: borrowing Fields) -> [UInt8]? {
        let told = isStandard ? told.scheme : fields[.xForwardedProto]
        guard let told else { return nil }
        return [Scheme.http, Scheme.https].first { equalsIgnoringCase($0[...], told) }
    }

    /// What the proxy that saw the client says of the scheme and the host.
    var told: (scheme: ArraySlice<UInt8>?, host: ArraySlice<UInt8>?) {
        guard let clientHop else { return (nil, nil) }
        return (hops[clientHop].scheme, hops[clientHop].host)
    }

    /// The members of all lines, from the last to the first that is malformed, in their order.
    private static func members(
        of name: FieldName, in fields: borrowing Fields,
        _ start: (ArraySlice<UInt8>) -> Int, _ hop: (ArraySlice<UInt8>) -> Hop?
    ) -> [Hop] {
        var hops: [Hop] = []
        for index in fields.indices.reversed() where fields.isLine(at: index, named: name) {
            var rest = fields.value(at: index)
            while true {
                let start = start(rest)
                let member = trimmed(rest[start...])
                // Empty members count for nothing (RFC 9110 section 5.6.1).
                if !member.isEmpty {
                    guard hops.count < longest, let hop = hop(member) else {
                        return hops.reversed()
                    }
                    hops.append(hop)
                }
                guard start > rest.startIndex else { break }
                rest = rest[..<(start - 1)]
            }
        }
        return hops.reversed()
    }

    /// Where the last member of a list without quoted strings begins.
    private static func lastMember(_ list: ArraySlice<UInt8>) -> Int {
        list.lastIndex(of: UInt8(ascii: ",")).map { $0 + 1 } ?? list.startIndex
    }

    /// Where the last element of `Forwarded` begins. A list is taken apart from its end, since what
    /// a client wrote at its start may have a quote that nothing closes.
    private static func lastElement(_ list: ArraySlice<UInt8>) -> Int {
        var isQuoted = false
        for index in list.indices.reversed() {
            switch list[index] {
            case UInt8(ascii: "\""):
                // Within quotes, one after an odd number of backslashes is a character.
                let before = list[..<index].reversed().prefix { $0 == UInt8(ascii: "\\") }
                if !isQuoted || before.count % 2 == 0 { isQuoted.toggle() }
            case UInt8(ascii: ",") where !isQuoted: return index + 1
            default: break
            }
        }
        return list.startIndex
    }

    /// A member of `X-Forwarded-For`: an address, with or without a port, or a word for none.
    private static func hop(_ member: ArraySlice<UInt8>) -> Hop? {
        let endpoint = Endpoint(member)
        guard endpoint != nil || ForwardedElement.isHidden(member) else { return nil }
        return Hop(address: endpoint?.address, node: member, text: member)
    }
}
