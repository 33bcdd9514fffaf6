import HTTP

/// What a request asks of its connection that a plain route passes on, made anew for the connection
/// to the upstream.
struct RelayedOptions {
    /// The protocols that the upstream may switch to (RFC 9110 section 7.8), as the client wrote
    /// them; empty where it did not ask, or must not be heard.
    private(set) var protocols: [ArraySlice<UInt8>] = []
    /// Whether the client takes trailer fields (RFC 9110 section 10.1.4).
    private var takesTrailers = false
    /// Whether the client waits to be asked for its body (RFC 9110 section 10.1.1).
    private(set) var expectsContinue = false
    /// Lines that announce trailer fields (RFC 9110 section 6.6.2).
    private var announcements: [ArraySlice<UInt8>] = []
    private var hasUpgrade = false

    /// Nothing is asked.
    init() {}

    /// What the head of a request asks.
    init(_ head: borrowing RequestHead) {
        guard head.version == .http11 else { return }
        let fields = head.fields
        for index in fields.indices {
            switch fields.id(at: index) {
            case .upgrade: hasUpgrade = true
            case .te: noteCodings(fields.value(at: index))
            case .expect: expectsContinue = head.expectsContinue
            case .trailer where head.framing == .chunked:
                announcements.append(fields.value(at: index))
            default: break
            }
        }
        if hasUpgrade, HopByHop.hasOption("upgrade", fields) { noteProtocols(fields) }
    }

    private mutating func noteCodings(_ codings: ArraySlice<UInt8>) {
        forEachMember(of: codings) { coding in
            if equalsIgnoringCase(coding, "trailers") { takesTrailers = true }
        }
    }

    private mutating func noteProtocols(_ fields: borrowing Fields) {
        var index = fields.firstIndex(of: .upgrade)
        while let found = index {
            forEachMember(of: fields.value(at: found)) { name in
                if !Self.isHTTP(name) { protocols.append(name) }
            }
            index = fields.firstIndex(of: .upgrade, from: found + 1)
        }
    }

    /// Whether a protocol carries requests, which would then go by unseen: HTTP/2 over TCP, an
    /// HTTP version by name, and TLS, in which they could be.
    private static func isHTTP(_ name: ArraySlice<UInt8>) -> Bool {
        let bare = name.prefix { $0 != UInt8(ascii: "/") }
        return ["h2c", "h2", "http", "tls"].contains { equalsIgnoringCase(bare, $0) }
    }

    /// Adds what is asked to the fields of the request to the upstream.
    ///
    /// - Parameter body: How the request's body leaves: trailer fields need chunks.
    func append(to fields: inout Fields, _ body: UpstreamRequest.Body) {
        // Said to a server that would take it, it is half of an upgrade to HTTP/2.
        if hasUpgrade { fields.removeAll(Self.http2Settings) }
        if !protocols.isEmpty {
            fields.append(.upgrade, Array(protocols.joined(separator: Array(", ".utf8))))
        }
        switch (protocols.isEmpty, takesTrailers) {
        case (true, false): break
        case (false, false): fields.append(.connection, "upgrade")
        case (true, true): fields.append(.connection, "TE")
        case (false, true): fields.append(.connection, "upgrade, TE")
        }
        if takesTrailers { fields.append(.te, "trailers") }
        if expectsContinue { fields.append(.expect, "100-continue") }
        if case .stream(nil) = body {
            for names in announcements { fields.append(.trailer, names) }
        }
    }

    /// Adds what an upstream that wants an upgrade says that it should be to (RFC 9110
    /// section 15.5.22).
    static func append(upgradesOf head: borrowing ResponseHead, to fields: inout Fields) {
        var names: [ArraySlice<UInt8>] = []
        let received = head.fields
        for index in received.indices where received.id(at: index) == .upgrade {
            forEachMember(of: received.value(at: index)) { if !isHTTP($0) { names.append($0) } }
        }
        guard !names.isEmpty else { return }
        fields.append(.upgrade, Array(names.joined(separator: Array(", ".utf8))))
        fields.append(.connection, "upgrade")
    }

    /// The answer that switches protocols as the client gets it; nil when the upstream switches to
    /// something that was not offered to it, or does not say to what.
    func answer(switching head: borrowing ResponseHead) -> ResponseHead? {
        var chosen: [ArraySlice<UInt8>] = []
        let fields = head.fields
        for index in fields.indices where fields.id(at: index) == .upgrade {
            forEachMember(of: fields.value(at: index)) { chosen.append($0) }
        }
        let areOffered = chosen.allSatisfy { name in
            protocols.contains { equalsIgnoringCase($0, name) }
        }
        guard !chosen.isEmpty, areOffered else { return nil }
        var answer = ResponseHead(
            status: head.status, reason: head.reason, fields: ResponseForwarding.fields(of: head))
        answer.fields.append(.upgrade, Array(chosen.joined(separator: Array(", ".utf8))))
        answer.fields.append(.connection, "upgrade")
        return answer
    }

    private static let http2Settings = FieldName("HTTP2-Settings")
}
