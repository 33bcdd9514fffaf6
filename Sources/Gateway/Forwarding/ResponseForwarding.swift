import HTTP

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
        fields.append(.via, head.version == .http10 ? Via.http10 : Via.http11)
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
