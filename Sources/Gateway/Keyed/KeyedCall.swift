import HTTP
import Idempotency

/// One keyed request on its way.
final class KeyedCall {
    let request: Request
    let path: DecodedPath?
    let key: ClientKey
    /// What the request is, as digests.
    let fingerprint: Fingerprint
    /// The whole body, until it is sent.
    private(set) var body: KeyedBody
    let writer: any ResponseWriter
    let account: RequestAccount
    /// Whether the upstream was asked for an unknown outcome on behalf of this request.
    var hasProbed = false

    init(
        _ request: Request, _ path: DecodedPath?, _ key: ClientKey, _ fingerprint: Fingerprint,
        body: KeyedBody, _ writer: any ResponseWriter, _ account: RequestAccount
    ) {
        self.request = request
        self.path = path
        self.key = key
        self.fingerprint = fingerprint
        self.body = body
        self.writer = writer
        self.account = account
        account.isKeyed = true
    }

    /// The request as its stages need it, where there are some.
    var stageContent: StageContent?

    /// Lets go of the body, so that a transfer that goes on does not hold it.
    func releaseBody() {
        body = .memory([])
        stageContent = nil
    }
}

/// What an answer says of its key in `Idempotency-Status`.
enum KeyStatus: String {
    case executed, replayed, unknown, released, unprotected, unsaved
    case inFlight = "in-flight"
}

extension KeyedCall {
    /// Appends the lines that every keyed answer gets: the key, its status, for a finished one
    /// when it expires (an IMF-fixdate, RFC 9110 section 5.6.7), and whether it is a replay.
    func appendLines(
        _ status: KeyStatus?, expires: Timestamp? = nil, isReplay: Bool = false,
        to section: inout [UInt8]
    ) {
        section += Self.keyName
        section += key.fieldValue
        if let status {
            section += Self.statusName
            section += status.rawValue.utf8
        }
        if let expires {
            section += Self.expiresName
            HTTPDate.append(secondsSince1970: expires.microseconds / 1_000_000, to: &section)
        }
        if isReplay { section += Self.replayedLine }
        section += Self.lineEnd
    }

    /// The fields of an answer whose own lines are `section`.
    func fields(
        _ section: [UInt8], _ status: KeyStatus?, expires: Timestamp? = nil, isReplay: Bool = false
    ) -> Fields {
        var lines: [UInt8] = []
        lines.reserveCapacity(section.count + key.fieldValue.count + 160)
        lines += section
        appendLines(status, expires: expires, isReplay: isReplay, to: &lines)
        return Fields(fieldSection: lines)
    }

    private static let keyName = Array("Idempotency-Key: ".utf8)
    private static let statusName = Array("\r\nIdempotency-Status: ".utf8)
    private static let expiresName = Array("\r\nIdempotency-Expires: ".utf8)
    private static let replayedLine = Array("\r\nIdempotent-Replayed: true".utf8)
    private static let lineEnd = Array("\r\n".utf8)
}

extension KeyedCall {
    /// Gives a stored answer, or says that its body is gone.
    func give(
        _ reply: StoredReply, _ status: KeyStatus, as outcome: RequestOutcome,
        expires: Timestamp? = nil, isReplay: Bool
    ) async throws(DownstreamError) {
        guard let body = reply.responseBody else {
            return try await giveNotKept(reply, status, as: outcome)
        }
        let fields = fields(reply.responseHeaders, status, expires: expires, isReplay: isReplay)
        try await give(
            ResponseHead(status: reply.responseCode, fields: fields), body[...], as: outcome)
    }

    /// Gives a whole answer. One that has no body for its request or its status keeps its
    /// `Content-Length`; of any other, nobody would send the bytes that it promises.
    func give(
        _ head: ResponseHead, _ body: ArraySlice<UInt8>, as outcome: RequestOutcome
    ) async throws(DownstreamError) {
        account.begin(head.status, outcome)
        var head = head
        account.dress(&head.fields)
        let hasNoBody = head.status == 304 || request.head.method == .head
        if body.isEmpty, hasNoBody, head.status == 304 || head.fields.contains(.contentLength) {
            head.framing = .none
            try await writer.begin(head)
            return try await writer.end(trailers: Fields())
        }
        account.bytesOut += body.count
        head.framing = head.status == 204 ? .none : .length(UInt64(body.count))
        try await writer.respond(head, body: body)
    }

    /// Gives a problem document.
    func give(
        _ problem: Problem, _ status: KeyStatus?, as outcome: RequestOutcome,
        at recoveryPoint: RecoveryPoint? = nil
    ) async throws(DownstreamError) {
        var problem = problem
        problem.key = key.bytes
        problem.recoveryPoint = recoveryPoint?.description
        var lines: [UInt8] = []
        problem.head.fields.appendFieldSection(to: &lines)
        let head = ResponseHead(
            status: problem.status, fields: fields(lines, status), framing: .length(0))
        try await writer.respond(problem: problem, head, as: outcome, account)
    }

    private func giveNotKept(
        _ reply: StoredReply, _ status: KeyStatus, as outcome: RequestOutcome
    ) async throws(DownstreamError) {
        switch status {
        case .unknown:
            var problem = Problem.outcomeUnknown(nil, isKeyed: true)
            problem.originalStatus = reply.responseCode
            try await give(problem, .unknown, as: outcome, at: .unknown)
        default:
            let problem = Problem.responseNotKept(originalStatus: reply.responseCode)
            try await give(problem, .executed, as: outcome, at: .finished)
        }
    }
}
