import HTTP

/// How a request's fields become those of the request to the upstream.
///
/// Hop-by-hop fields and `Expect` stay behind; `Via`, what the upstream is told of the way here, the
/// request's id and the route's own lines are added at the end, and everything else keeps its bytes
/// and its order. What a client says of the way before it (`X-Forwarded-*`, `Forwarded`) is believed
/// only from a trusted peer, and what only this gateway tells a backend of its stages from nobody.
struct RequestForwarding {
    /// Where the request goes.
    let upstream: Upstream
    /// Whose rules of fields hold; nil for none.
    var route: Route?
    /// The field that carries keys, where the route guards the request. It stays behind, and so
    /// does `Idempotency-Key`, which some proxies take as leave to send a request again.
    var keyHeader: FieldName?
    /// What the key is forwarded as; nil keeps it here.
    var forwardedKey: (name: FieldName, value: ArraySlice<UInt8>)?

    /// The fields that the request leaves with.
    func fields(
        of head: borrowing RequestHead, _ path: DecodedPath?, from downstream: Downstream,
        _ edge: RequestEdge
    ) -> Fields {
        let received = head.fields
        let hopByHop = HopByHop(received)
        let way = ForwardedWay(upstream, downstream, edge)
        let keepsXForwarded = way.keepsXForwarded
        let passesAll = way.passesAll
        let requestID = edge.requestIDField
        let keepsTrace = if case .made = edge.trace { false } else { true }
        var fields = received
        fields.removeAll { index in
            let id = received.id(at: index)
            switch id {
            case .expect: return true
            case .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken:
                return true
            case .host: return upstream.replacedHost != nil
            case .xForwardedFor, .forwarded: if !passesAll { return true }
            case .xForwardedHost, .xForwardedProto, .xForwardedPort:
                if !keepsXForwarded { return true }
            case .traceparent, .tracestate: if !keepsTrace { return true }
            default: break
            }
            if let requestID, id == requestID.id, received.isLine(at: index, named: requestID) {
                return true
            }
            return isKey(index, of: received) || hopByHop.drops(index, of: received)
        }
        appendHost(received, to: &fields)
        way.append(received, to: &fields)
        fields.append(.via, head.version == .http10 ? Via.http10 : Via.http11)
        if let requestID { fields.append(requestID, edge.requestID) }
        if case .made(let trace) = edge.trace { fields.append(.traceparent, trace) }
        if let rules = route?.requestFields, let route {
            let values = EdgeValues(copy head, path, route.path, from: downstream, edge)
            rules.apply(to: &fields, values)
        }
        if let forwardedKey { fields.append(forwardedKey.name, forwardedKey.value) }
        return fields
    }

    /// The trailer fields that go along: none of a name that only the gateway or the route's rules
    /// give, since some servers take trailers for fields.
    func trailers(_ received: Fields, _ edge: RequestEdge) -> Fields {
        var fields = ResponseForwarding.trailers(received)
        guard fields.count > 0 else { return fields }
        let all = fields
        let requestID = edge.requestIDField
        fields.removeAll { index in
            if let requestID, all.isLine(at: index, named: requestID) { return true }
            return isKey(index, of: all) || route?.requestFields?.drops(index, of: all) ?? false
        }
        return fields
    }

    private func isKey(_ index: Int, of fields: borrowing Fields) -> Bool {
        guard let keyHeader else { return false }
        if fields.id(at: index) == .idempotencyKey { return true }
        if fields.isLine(at: index, named: keyHeader) { return true }
        guard let forwardedKey else { return false }
        return fields.isLine(at: index, named: forwardedKey.name)
    }

    private func appendHost(_ received: Fields, to fields: inout Fields) {
        if let host = upstream.replacedHost {
            fields.append(.host, host)
        } else if !received.contains(.host) {
            fields.append(.host, upstream.ownHost)
        }
    }
}

/// What a message's `Via` gets, by the version in which it came (RFC 9110 section 7.6.3).
enum Via {
    static let http11 = Array("1.1 oncegate".utf8)
    static let http10 = Array("1.0 oncegate".utf8)
}
