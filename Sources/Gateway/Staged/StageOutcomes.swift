import HTTP
import Idempotency

extension StageCall {
    /// What an answer says of the call.
    enum Judgement {
        /// It is done.
        case done
        /// It is not done, and never will be.
        case failed
        /// The upstream did not act.
        case refused
        /// Nobody knows.
        case unknown

        /// What becomes of the record if the work ends with this answer.
        var ruling: UpstreamVerdict.Ruling {
            switch self {
            case .done, .failed: .keep
            case .refused: .release
            case .unknown: .unknown
            }
        }
    }

    /// The upstream's own verdict says whether the answer is final, else the route; `success`
    /// comes before both of the route's lists and says which final answers are good ones.
    func judgement(of answer: ReceivedAnswer) -> Judgement {
        let isSuccess = success.contains(answer.head.status)
        if answer.verdict == nil, isSuccess { return .done }
        return switch answer.ruling {
        case .keep: isSuccess ? .done : .failed
        case .release: .refused
        case .unknown: .unknown
        }
    }
}

/// The pauses before a call is made again: each twice as long as the one before, up to a minute,
/// and up to a quarter longer by chance.
struct StageBackoff {
    private var attempts: Int
    private var pause: Duration

    init(_ retry: StageCall.Retry) {
        attempts = retry.attempts - 1
        pause = retry.backoff
    }

    /// The next pause; nil when the call is not to be made again.
    mutating func next(
        jitter: (UInt64) -> UInt64 = { .random(in: 0...$0) }
    ) -> Duration? {
        guard attempts > 0 else { return nil }
        attempts -= 1
        let next = min(pause, Self.longest)
        pause = next * 2
        return next + next / 1000 * Int(jitter(250))
    }

    private static let longest = Duration.seconds(60)
}

extension TemplateFailure {
    /// What cannot be filled in and why, without any value.
    var detail: String {
        word.map { "{\($0)} cannot be filled in: \(reason)" } ?? "it cannot be filled in: \(reason)"
    }
}

extension Problem {
    /// A stage's call cannot be made: something that belongs in there is missing.
    static func stageFailed(_ point: String, _ failure: TemplateFailure, hasActed: Bool) -> Problem
    {
        Problem(
            .stageFailed, 502,
            "The stage \"\(point)\" could not be sent: \(failure.detail). The work under this key "
                + "ends here; a new request takes a new key.",
            executed: hasActed ? .yes : .no)
    }

    /// A stage could not be ended now. `reason` is nil where the upstream answered.
    static func stagePending(_ reason: UpstreamError.Reason?) -> Problem {
        var problem = Problem(
            .upstreamUnreachable, reason.map { Problem.unreachable($0).status } ?? 503,
            "A stage of this request could not be ended now. It is tried again without you; send "
                + "the request again, with the same key, to get its answer.",
            executed: .pending)
        problem.retryAfter = 1
        return problem
    }

    /// The store did not take down how far the work is.
    static var stageUnsaved: Problem {
        Problem(
            .storeUnavailable, 503,
            "The key store does not answer, so the stages of this request wait. They go on without "
                + "you; send the request again, with the same key, to get its answer.",
            executed: .pending, retryAfter: 1)
    }

    /// The record stands where the route's stages do not pass any more.
    static var stagesChanged: Problem {
        Problem(
            .stageFailed, 503,
            "The work under this key was begun with other stages than this route has now. It waits "
                + "for them, or for an operator.",
            executed: .pending, retryAfter: 60)
    }

    /// The document as an answer that is stored.
    func reply(for key: IdempotencyKey) -> StoredReply {
        var problem = self
        problem.key = Array(key.identity.idempotencyKey.utf8)[...]
        problem.recoveryPoint = key.resumptionPoint.description
        var section: [UInt8] = []
        problem.head.fields.appendFieldSection(to: &section)
        return StoredReply(
            responseCode: status, responseHeaders: section, responseBody: problem.body)
    }
}
