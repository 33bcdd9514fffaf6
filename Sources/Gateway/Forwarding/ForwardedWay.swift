import HTTP

/// What an upstream is told of a request's way here: what a trusted peer says of it, with the peer
/// itself at the end.
struct ForwardedWay {
    /// What is written.
    private let form: Edges.ForwardedForm
    private let downstream: Downstream
    private let edge: RequestEdge

    init(_ upstream: Upstream, _ downstream: Downstream, _ edge: RequestEdge) {
        form = upstream.forwardedForm ?? edge.rules.form
        self.downstream = downstream
        self.edge = edge
    }

    /// Whether what came passes as it is.
    var passesAll: Bool { form == .none && downstream.isTrusted }

    /// Whether `X-Forwarded-Proto`, `-Host` and `-Port` pass as they came.
    var keepsXForwarded: Bool {
        downstream.isTrusted
            && (form == .none || form.hasXForwarded && edge.chain?.isStandard != true)
    }

    /// Appends what is told.
    func append(_ received: Fields, to fields: inout Fields) {
        if form.hasXForwarded { appendXForwarded(received, to: &fields) }
        if form.hasStandard { appendStandard(received, to: &fields) }
    }

    private func appendXForwarded(_ received: Fields, to fields: inout Fields) {
        if let chain = edge.chain, !chain.hops.isEmpty {
            var value: [UInt8] = []
            for hop in chain.hops {
                value += chain.isStandard ? Self.xForwarded(hop) : hop.text
                value += Self.separator
            }
            fields.append(.xForwardedFor, value + peerName)
        } else {
            fields.append(.xForwardedFor, peerName)
        }
        let keeps = keepsXForwarded
        if !keeps || !fields.contains(.xForwardedProto) {
            let told = edge.chain.flatMap { $0.isStandard ? $0.scheme(received) : nil }
            fields.append(.xForwardedProto, told ?? scheme)
        }
        if !keeps || !fields.contains(.xForwardedHost),
            let host = edge.chain?.told.host ?? received[.host]
        {
            fields.append(.xForwardedHost, host)
        }
        if !keeps || !fields.contains(.xForwardedPort), downstream.port != nil {
            fields.append(.xForwardedPort, downstream.portText)
        }
    }

    private func appendStandard(_ received: Fields, to fields: inout Fields) {
        var value: [UInt8] = []
        if let chain = edge.chain {
            for (index, hop) in chain.hops.enumerated() {
                if chain.isStandard {
                    value += hop.text
                } else {
                    let host = index == chain.clientHop ? received[.xForwardedHost] : nil
                    let scheme = index == chain.clientHop ? chain.scheme(received) : nil
                    appendElement(Self.standard(hop), host, scheme?[...], to: &value)
                }
                value += Self.separator
            }
        }
        let peer = IPAddress(downstream.peer).map(ForwardedElement.node)
        appendElement(peer ?? ForwardedElement.unknown, received[.host], scheme[...], to: &value)
        fields.append(.forwarded, value)
    }

    private func appendElement(
        _ node: [UInt8], _ host: ArraySlice<UInt8>?, _ scheme: ArraySlice<UInt8>?,
        to value: inout [UInt8]
    ) {
        ForwardedElement.append("for", node[...], to: &value)
        if let host {
            value.append(UInt8(ascii: ";"))
            ForwardedElement.append("host", host, to: &value)
        }
        if let scheme {
            value.append(UInt8(ascii: ";"))
            ForwardedElement.append("proto", scheme, to: &value)
        }
    }

    /// A hop of `Forwarded` as `X-Forwarded-For` has it: the address alone.
    private static func xForwarded(_ hop: ForwardedChain.Hop) -> ArraySlice<UInt8> {
        if let address = hop.address { return Array(address.description.utf8)[...] }
        return hop.node.isEmpty || hop.node.contains(UInt8(ascii: ":"))
            ? ForwardedElement.unknown[...] : hop.node
    }

    /// A hop of `X-Forwarded-For` as `Forwarded` has it.
    private static func standard(_ hop: ForwardedChain.Hop) -> [UInt8] {
        hop.address.map(ForwardedElement.node) ?? Array(hop.node)
    }

    /// The peer in `X-Forwarded-For`; one on a Unix socket has no address.
    private var peerName: [UInt8] {
        downstream.peer == Downstream.unixPeer
            ? ForwardedElement.unknown : downstream.peerText
    }

    private var scheme: [UInt8] { downstream.isSecure ? Scheme.https : Scheme.http }

    private static let separator = Array(", ".utf8)
}
