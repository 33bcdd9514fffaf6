import HTTP

/// A request as its stages need it, also when the client is gone and the process another one.
struct StageContent {
    var method: Method
    /// As received.
    var target: ArraySlice<UInt8>
    var version: Version
    var fields: Fields
    var downstream: Downstream
    /// Nil without one, which is not the same as one without bytes.
    var body: ArraySlice<UInt8>?

    /// Where the path ends and the query begins, as in a request's head.
    var head: RequestHead {
        RequestHead(
            method: method, target: target, version: version, fields: fields,
            framing: body == nil ? .none : .length(UInt64(body?.count ?? 0)))
    }
}

extension StageContent {
    /// What a call's stages need; nil when its body cannot be read.
    init?(_ call: KeyedCall) {
        let head = call.request.head
        guard let body = call.body.bytes else { return nil }
        self.init(
            method: head.method, target: head.target, version: head.version, fields: head.fields,
            downstream: call.request.downstream, body: head.framing == .none ? nil : body)
    }

    /// The most bytes of a body; more than a route with stages takes.
    static let longestBody = 64 << 20

    /// Reads what ``encoded`` wrote; nil for anything else, also of a later version.
    init?(decoding bytes: ArraySlice<UInt8>) {
        var reader = ContentReader(rest: bytes)
        guard reader.byte() == Self.layout, let flags = reader.byte(), flags & ~31 == 0,
            let method = reader.string(), let target = reader.string(), target.first != nil,
            let peer = reader.string().flatMap({ String(validating: $0, as: UTF8.self) }),
            let section = reader.string(), let body = reader.string(),
            flags & Self.hasPort == 0 ? reader.rest.isEmpty : reader.rest.count == 2,
            let token = String(validating: method, as: UTF8.self), FieldName(token).isToken,
            flags & Self.hasBody != 0 || body.isEmpty
        else { return nil }
        let fields = Fields(fieldSection: Array(section))
        // A line that is none would be left out; nothing is, or these are not the bytes.
        var written: [UInt8] = []
        let port = reader.rest.reduce(0) { $0 << 8 | UInt16($1) }
        fields.appendFieldSection(to: &written)
        guard written[...] == section else { return nil }
        self.init(
            method: Method(token), target: target,
            version: flags & Self.isHTTP10 != 0 ? .http10 : .http11,
            fields: fields,
            downstream: Downstream(
                peer: peer, port: flags & Self.hasPort != 0 ? port : nil,
                isSecure: flags & Self.isSecure != 0,
                isTrusted: flags & Self.isTrusted != 0),
            body: flags & Self.hasBody != 0 ? body : nil)
    }

    /// The bytes that ``init(decoding:)`` reads: the layout's number, a byte of flags, the parts,
    /// each after its length as four bytes, the highest first, and the port, if there is one, as two.
    /// Nil when a part is too long.
    var encoded: [UInt8]? {
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        let parts = [
            Array(method.token.utf8)[...], target, Array(downstream.peer.utf8)[...], section[...],
            body ?? [],
        ]
        guard parts.allSatisfy({ $0.count <= Self.longestBody }) else { return nil }
        var flags: UInt8 = version == .http10 ? Self.isHTTP10 : 0
        if downstream.isSecure { flags |= Self.isSecure }
        if downstream.isTrusted { flags |= Self.isTrusted }
        if body != nil { flags |= Self.hasBody }
        if downstream.port != nil { flags |= Self.hasPort }
        var bytes = [Self.layout, flags]
        bytes.reserveCapacity(2 + parts.reduce(0) { $0 + 4 + $1.count })
        for part in parts {
            for shift in [24, 16, 8, 0] {
                bytes.append(UInt8(truncatingIfNeeded: part.count >> shift))
            }
            bytes += part
        }
        if let port = downstream.port {
            bytes += [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
        }
        return bytes
    }

    private static let layout: UInt8 = 1
    private static let isHTTP10: UInt8 = 1
    private static let isSecure: UInt8 = 2
    private static let isTrusted: UInt8 = 4
    private static let hasBody: UInt8 = 8
    private static let hasPort: UInt8 = 16
}

/// Takes an encoded request apart.
private struct ContentReader {
    var rest: ArraySlice<UInt8>

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func string() -> ArraySlice<UInt8>? {
        guard rest.count >= 4 else { return nil }
        let length = rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        rest = rest.dropFirst(4)
        guard length <= StageContent.longestBody, length <= rest.count else { return nil }
        defer { rest = rest.dropFirst(length) }
        return rest.prefix(length)
    }
}
