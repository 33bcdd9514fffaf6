/// One row of the wire suite: what a client sends, what the origin answers, and what each of them
/// has to see.
struct WireCase: Sendable {
    /// A sentence about behaviour.
    let name: String
    /// Where the rule, or the attack, is from.
    let source: String
    /// The bytes that the client sends, in pieces. `{key}` and `{next}` stand for idempotency keys
    /// that no other run of a case has.
    var sends: [String]
    /// What the origin sends for each request; then plain answers.
    var answers: [StrictOrigin.Answer] = []
    /// What the client has to see, in order.
    var sees: [Answer] = []
    /// How the client's connection goes on.
    var end = End.alive
    /// The requests that the origin has to get whole, in order.
    var forwards: [Request] = []
    /// Whether the origin may see the beginning of a request that never becomes whole.
    var mayBegin = false
    /// Whether the result depends on what comes in one piece, so that it is not sent byte by byte.
    var isWhole = false
    /// The methods that the answers belong to, where it is not the one of the first line.
    var methods: [String]?
    /// Whether the client ends its direction after the last piece.
    var endsInput = false

    /// How a connection goes on after the last answer.
    enum End: Sendable {
        /// Another request is answered on it.
        case alive
        /// The gateway closes it after the last answer, which says so.
        case closed
        /// It breaks, in a way that the client can tell from an end.
        case cut
    }

    /// What has to be true of an answer.
    struct Answer: Sendable {
        var status: Int
        var reason: String?
        var body: String?
        /// Lines that are there, each once, `Name: value`.
        var has: [String] = []
        /// Names of fields that are not there.
        var lacks: [String] = []
        /// The statuses of the interim answers before it, without 100.
        var interims: [Int] = []
        var trailers: [String]?
        var framing: StrictMessage.Framing?
    }

    /// What has to be true of a request at the origin.
    struct Request: Sendable {
        /// Method and target.
        var line: String
        var body: String?
        var has: [String] = []
        var lacks: [String] = []
        /// Lines that follow each other in this order, though others may be between them.
        var inOrder: [String] = []
        var trailers: [String]?
        var framing: StrictMessage.Framing?
    }

    /// The method of the answer at a position.
    func method(_ index: Int) -> String {
        if let methods { return index < methods.count ? methods[index] : "GET" }
        let text = sends.joined()
        return String(text.drop { $0 == "\r\n" }.prefix { $0 != " " })
    }

    /// The client's version.
    var version: String {
        let line = sends.joined().drop { $0 == "\r\n" }.prefix { $0 != "\r\n" }
        return line.hasSuffix("HTTP/1.0") ? "HTTP/1.0" : "HTTP/1.1"
    }
}

// MARK: - Rows

/// A request that is refused, whatever follows it; nothing of it, nor of what follows, reaches the
/// origin whole.
func refused(
    _ name: String, _ source: String, _ status: Int, _ bytes: String..., mayBegin: Bool = false
) -> WireCase {
    var row = WireCase(name: name, source: source, sends: bytes)
    row.sees = [.init(status: status, lacks: ["Via"])]
    row.end = .closed
    row.mayBegin = mayBegin
    return row
}

/// A request that is forwarded, and answered by the origin with `200`.
func forwarded(
    _ name: String, _ source: String, _ bytes: String..., as line: String, body: String? = nil,
    has: [String] = [], lacks: [String] = [], inOrder: [String] = [],
    framing: StrictMessage.Framing? = nil, end: WireCase.End = .alive
) -> WireCase {
    var row = WireCase(name: name, source: source, sends: bytes)
    row.sees = [.init(status: 200, body: line.hasPrefix("HEAD ") ? "" : "ok")]
    row.forwards = [
        .init(
            line: line, body: body ?? "", has: has, lacks: lacks, inOrder: inOrder,
            framing: framing)
    ]
    row.end = end
    return row
}

/// An origin's answer and what becomes of it.
func answered(
    _ name: String, _ source: String, _ answer: String, to request: String? = nil,
    then origin: StrictOrigin.Answer.End = .keep, _ status: Int, body: String? = nil,
    has: [String] = [], lacks: [String] = [], interims: [Int] = [],
    framing: StrictMessage.Framing? = nil, reason: String? = nil, end: WireCase.End = .alive
) -> WireCase {
    let request = request ?? "GET /plain/a HTTP/1.1\r\nHost: a\r\n\r\n"
    var row = WireCase(name: name, source: source, sends: [request])
    row.answers = [.init(pieces: [wireBytes(answer)], end: origin)]
    row.sees = [
        .init(
            status: status, reason: reason, body: body, has: has, lacks: lacks,
            interims: interims, framing: framing)
    ]
    row.forwards = [.init(line: request.prefix(upTo: "HTTP/1."))]
    row.end = end
    return row
}

/// An origin's answer that is none: the client is told 502.
func badAnswer(
    _ name: String, _ source: String, _ answer: String, to request: String? = nil,
    then origin: StrictOrigin.Answer.End = .keep
) -> WireCase {
    var row = answered(name, source, answer, to: request, then: origin, 502)
    row.sees[0].lacks = ["Via"]
    row.isWhole = true
    return row
}

/// An origin's answer that turns out to be none when its head went on already: the client sees it
/// break off.
func brokenAnswer(
    _ name: String, _ source: String, _ answer: String, to request: String? = nil,
    then origin: StrictOrigin.Answer.End = .keep
) -> WireCase {
    var row = answered(name, source, answer, to: request, then: origin, 200, end: .cut)
    row.sees = []
    return row
}

extension WireCase {
    /// The row with changes.
    func with(_ change: (inout WireCase) -> Void) -> WireCase {
        var row = self
        change(&row)
        return row
    }
}

extension String {
    /// What stands before the first occurrence of a text, without the space before it.
    fileprivate func prefix(upTo end: String) -> String {
        var head = ""
        for piece in split(separator: " ", omittingEmptySubsequences: false) {
            if piece.hasPrefix(end) { break }
            head += head.isEmpty ? piece : " " + piece
        }
        return head
    }
}
