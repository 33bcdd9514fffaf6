package import HTTP

/// What holds at the edges of every request, whatever its route: whom a proxy may speak for, what
/// a request is called, and which trace it belongs to. Immutable, shared by all event loops.
package final class Edges: Sendable {
    /// In which fields proxies tell for whom they speak: `forwarded` in `gateway.json`.
    package enum ForwardedForm: Sendable, Hashable {
        /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`.
        case xForwarded
        /// `Forwarded` (RFC 7239).
        case standard
        /// Both are written. Of what comes, `X-Forwarded-For` counts, and `Forwarded` where there
        /// is none.
        case both
        /// Nothing is written; what a trusted peer says passes as it is.
        case none

        var hasXForwarded: Bool { self == .xForwarded || self == .both }
        var hasStandard: Bool { self == .standard || self == .both }
    }

    /// How requests get their ids: `request_id` in `gateway.json`.
    package struct RequestIDRules: Sendable {
        /// Whose ids are passed on.
        package enum Acceptance: Sendable {
            case trusted, all, none
        }

        /// The field that carries them.
        package let name: FieldName
        let acceptance: Acceptance

        /// Rules from their parts.
        package init(_ name: FieldName, accepting acceptance: Acceptance = .trusted) {
            self.name = name
            self.acceptance = acceptance
        }
    }

    /// What becomes of `traceparent`: `trace` in `gateway.json`.
    package enum Tracing: Sendable {
        /// A valid one passes, a malformed one is replaced.
        case pass
        /// A request without one is given one, too.
        case make
    }

    let trusted: TrustedPeers
    let form: ForwardedForm
    /// Nil gives no ids.
    package let requestIDs: RequestIDRules?
    let tracing: Tracing
    /// What scripts of other origins may read of a keyed answer, beside what its origin says.
    let exposedOfKeyed: [UInt8]

    /// - Parameters:
    ///   - trusted: Whose chains of proxies are followed.
    ///   - form: In which form they are read, and written where an upstream has none of its own.
    package init(
        trusted: TrustedPeers = TrustedPeers(), form: ForwardedForm = .xForwarded,
        requestIDs: RequestIDRules? = nil, tracing: Tracing = .pass
    ) {
        self.trusted = trusted
        self.form = form
        self.requestIDs = requestIDs
        self.tracing = tracing
        let names =
            ["Idempotency-Key", "Idempotency-Status", "Idempotency-Expires", "Idempotent-Replayed"]
            + (requestIDs.map { [$0.name.description] } ?? [])
        exposedOfKeyed = Array(names.joined(separator: ", ").utf8)
    }

    /// Nobody is trusted, and nothing is given a name.
    package static let plain = Edges()

    /// What is known of a request when it comes.
    func receive(
        _ head: borrowing RequestHead, from downstream: Downstream, _ words: inout RandomWords
    ) -> RequestEdge {
        let edge = RequestEdge(self)
        if let requestIDs {
            edge.requestID =
                requestIDs.received(head.fields, isTrusted: downstream.isTrusted)
                ?? words.hexadecimal()
        }
        edge.trace = TraceContext(head.fields, tracing, &words)
        if downstream.isTrusted {
            edge.chain = ForwardedChain(head.fields, form, to: downstream.peer, trusting: trusted)
        }
        return edge
    }
}

extension Edges.RequestIDRules {
    /// The id that came with a request, if it is one and its sender may give it: one line of 1 to
    /// ``longest`` visible ASCII characters.
    fileprivate func received(_ fields: borrowing Fields, isTrusted: Bool) -> [UInt8]? {
        switch acceptance {
        case .none: return nil
        case .trusted: if !isTrusted { return nil }
        case .all: break
        }
        guard let index = fields.firstIndex(of: name) else { return nil }
        let value = fields.value(at: index)
        guard (1...Self.longest).contains(value.count),
            value.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            fields.firstIndex(of: name, from: index + 1) == nil
        else { return nil }
        return Array(value)
    }

    private static let longest = 128
}

/// What is known of one request's way here, and what it is called from now on.
final class RequestEdge {
    let rules: Edges
    /// Empty where requests are given none.
    var requestID: [UInt8] = []
    var trace = TraceContext.none
    /// Nil where the peer speaks for nobody.
    var chain: ForwardedChain?

    init(_ rules: Edges = .plain) { self.rules = rules }

    /// The field that carries the request's id; nil where it has none.
    var requestIDField: FieldName? { requestID.isEmpty ? nil : rules.requestIDs?.name }

    /// The client's address, as far as those who are trusted tell.
    func client(of downstream: Downstream) -> String { chain?.client ?? downstream.peer }

    /// What the client speaks, `http` or `https`, as far as those who are trusted tell.
    func scheme(of head: borrowing RequestHead, from downstream: Downstream) -> [UInt8] {
        chain?.scheme(head.fields) ?? (downstream.isSecure ? Scheme.https : Scheme.http)
    }
}

/// The schemes' names.
enum Scheme {
    static let http = Array("http".utf8)
    static let https = Array("https".utf8)
}
