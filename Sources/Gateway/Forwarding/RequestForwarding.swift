import HTTP

/// How a request's fields become those of the request to the upstream.
///
/// Hop-by-hop fields and `Expect` stay behind, `Via` and `X-Forwarded-*` are added at the end, and
/// everything else keeps its bytes and its order. What a client says about those before it
/// (`X-Forwarded-*`, `Forwarded`) is believed only from a trusted peer, and what only this gateway
/// tells a backend of its stages from nobody.
struct RequestForwarding {
    /// Where the request goes.
    let upstream: Upstream
    /// The field that carries keys, where the route guards the request. It stays behind, and so
    /// does `Idempotency-Key`, which some proxies take as leave to send a request again.
    var keyHeader: FieldName?
    /// What the key is forwarded as; nil keeps it here.
    var forwardedKey: (name: FieldName, value: ArraySlice<UInt8>)?

    /// The fields that the request leaves with.
    func fields(of head: borrowing RequestHead, from downstream: Downstream) -> Fields {
        let received = head.fields
        let hopByHop = HopByHop(received)
        let isTrusted = downstream.isTrusted
        var fields = received
        fields.removeAll { index in
            switch received.id(at: index) {
            case .expect, .xForwardedFor: return true
            case .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken:
                return true
            case .host: return upstream.replacedHost != nil
            case .xForwardedHost, .xForwardedProto, .forwarded: if !isTrusted { return true }
            default: break
            }
            return isKey(index, of: received) || hopByHop.drops(index, of: received)
        }
        appendHost(received, to: &fields)
        appendForwarded(received, downstream, to: &fields)
        fields.append(.via, head.version == .http10 ? via10 : via11)
        if let forwardedKey { fields.append(forwardedKey.name, forwardedKey.value) }
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

    private func appendForwarded(
        _ received: Fields, _ downstream: Downstream, to fields: inout Fields
    ) {
        var chain: [UInt8] = []
        if downstream.isTrusted {
            for index in received.indices where received.id(at: index) == .xForwardedFor {
                chain += received.value(at: index)
                chain += [UInt8(ascii: ","), UInt8(ascii: " ")]
            }
        }
        chain += downstream.peer.utf8
        fields.append(.xForwardedFor, chain)
        if !fields.contains(.xForwardedProto) {
            fields.append(.xForwardedProto, downstream.isSecure ? https : http)
        }
        if !fields.contains(.xForwardedHost), let host = received[.host] {
            fields.append(.xForwardedHost, host)
        }
    }
}

/// How an answer's fields become those of the answer to the client.
enum ResponseForwarding {
    /// The fields that an answer leaves with. `Content-Length` stays only where the answer has no
    /// body of its own, as for HEAD; what a backend was told of its stages is nobody else's.
    static func fields(of head: borrowing ResponseHead) -> Fields {
        let received = head.fields
        let hopByHop = HopByHop(received)
        let keepsLength = head.framing == .none && !head.isInterim
        var fields = received
        fields.removeAll { index in
            switch received.id(at: index) {
            case .contentLength: if keepsLength { return false }
            case .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken:
                return true
            default: break
            }
            return hopByHop.drops(index, of: received)
        }
        fields.append(.via, head.version == .http10 ? via10 : via11)
        return fields
    }

    /// Takes out what only this gateway says of keys, and what an upstream says to it alone.
    static func removeKeyLines(from fields: inout Fields) {
        let all = fields
        fields.removeAll { index in
            switch all.id(at: index) {
            case .idempotencyKey, .idempotencyStatus, .idempotencyExpires, .idempotentReplayed:
                true
            case .other: all.isLine(at: index, named: UpstreamVerdict.fieldName)
            default: false
            }
        }
    }

    /// The trailer fields that may go on: none that frames, routes or belongs to the connection
    /// (RFC 9110 section 6.5.1).
    static func trailers(_ received: Fields) -> Fields {
        guard received.count > 0 else { return received }
        let hopByHop = HopByHop(received)
        var fields = received
        fields.removeAll { index in
            switch received.id(at: index) {
            case .host, .authorization, .contentType, .contentEncoding, .expect, .cacheControl,
                .idempotencyKey, .idempotencyStatus, .idempotencyExpires, .idempotentReplayed,
                .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken:
                true
            default: hopByHop.drops(index, of: received)
            }
        }
        return fields
    }
}

private let via11 = Array("1.1 oncegate".utf8)
private let via10 = Array("1.0 oncegate".utf8)
private let http = Array("http".utf8)
private let https = Array("https".utf8)
