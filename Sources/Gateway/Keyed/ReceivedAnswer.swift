import HTTP
import Idempotency

/// An upstream's answer to a keyed request, and what it makes of the record.
struct ReceivedAnswer {
    /// The head as it goes to the client, but for the lines about the key.
    let head: ResponseHead
    /// Nil when the body was not kept.
    var body: [UInt8]? = []
    var trailers = Fields()

    /// What becomes of the record: the upstream's own verdict, else what the route says of the
    /// status. One that is neither kept nor released leaves the outcome unknown.
    var ruling: UpstreamVerdict.Ruling
    /// What the upstream said itself.
    let verdict: UpstreamVerdict?
    private let rules: KeyRules

    init(_ received: ResponseHead, _ rules: KeyRules) {
        var fields = ResponseForwarding.fields(of: received)
        verdict = UpstreamVerdict(fields)
        ResponseForwarding.removeKeyLines(from: &fields)
        head = ResponseHead(
            status: received.status, reason: received.reason, fields: fields,
            framing: received.framing)
        self.rules = rules
        if let verdict {
            ruling = verdict.ruling
        } else if rules.release.contains(received.status) {
            ruling = .release
        } else {
            ruling = rules.keep.contains(received.status) ? .keep : .unknown
        }
    }

    /// Whether the upstream itself says what becomes of the record.
    var hasVerdict: Bool { verdict != nil }

    /// The status that the client is told, if the conclusion can be saved.
    var status: KeyStatus {
        switch ruling {
        case .keep: .executed
        case .release: .released
        case .unknown: .unknown
        }
    }

    /// The conclusion.
    var outcome: Outcome { outcome(storing: reply) }

    /// The conclusion with another answer to be stored.
    func outcome(storing reply: StoredReply) -> Outcome {
        switch ruling {
        case .keep:
            let retention = verdict?.ttl.map { Duration.seconds($0) } ?? rules.policy.retention
            return .finished(reply, retention: retention)
        case .release: return .released(reply)
        case .unknown: return .unknown(reply)
        }
    }

    /// What is stored, and what those who wait get.
    var reply: StoredReply {
        var fields = head.fields
        let all = fields
        fields.removeAll { index in
            rules.replayWithout.contains { all.isLine(at: index, named: $0) }
        }
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        return StoredReply(
            responseCode: head.status, responseHeaders: section, responseBody: body)
    }
}

/// A body that is recorded up to a limit.
struct RecordedBody {
    let limit: Int
    private(set) var bytes: [UInt8] = []
    private var isKept = true

    /// - Parameter framing: How the body comes; one of known length gets as much room, no more.
    init(limit: Int, _ framing: BodyFraming) {
        self.limit = limit
        if case .length(let length) = framing, length <= UInt64(limit), length > Self.smallest {
            bytes.reserveCapacity(Int(length))
        }
    }

    /// Shorter ones mostly come in one chunk, which is taken as it is.
    private static let smallest: UInt64 = 64 << 10

    /// The number of bytes held.
    var count: Int { bytes.count }

    /// The bytes, in an array that is hardly longer than they are, since it may be kept for days;
    /// nil when there were too many.
    var kept: [UInt8]? {
        guard isKept else { return nil }
        guard bytes.capacity > bytes.count + bytes.count / 4 + 64 else { return bytes }
        var exact: [UInt8] = []
        exact.reserveCapacity(bytes.count)
        exact += bytes
        return exact
    }

    mutating func append(_ chunk: ArraySlice<UInt8>) {
        guard isKept else { return }
        if bytes.count + chunk.count > limit {
            isKept = false
            bytes = []
        } else if bytes.capacity == 0 {
            bytes = Array(chunk)
        } else {
            bytes += chunk
        }
    }
}
