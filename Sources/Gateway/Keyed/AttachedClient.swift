import HTTP
import Idempotency
import JSON
import Telemetry

/// The work of one claim, up to its durable conclusion.
protocol ClaimedWork: Concluding {
    /// Does the work. Whoever starts it has put it among the ongoing work. It never throws.
    func run() async
}

/// The client that some work is done for, until it is let go of.
final class AttachedClient {
    let downstream: StreamedAnswer
    /// Whether the work is concluded: its client is not let go of any more.
    var isConcluded = false
    /// How far work in stages has come for it.
    var recoveryPoint: RecoveryPoint? {
        didSet { downstream.account.recoveryPoint = recoveryPoint }
    }
    private let services: LoopServices
    private var isDetached = false

    init(_ call: KeyedCall, _ services: LoopServices) {
        downstream = StreamedAnswer(call)
        self.services = services
    }

    /// Lets go of a client that was there too long or hung up, if there is a place for a transfer
    /// without one. The transfer goes on either way.
    func detach(_ reason: StreamedAnswer.End) {
        guard !isConcluded, downstream.ended == nil, reason == .gone || downstream.mayBeLate,
            services.detached.enter()
        else { return }
        isDetached = true
        downstream.detach(reason)
    }

    /// Gives the upstream's answer, or the end of one that was begun.
    func deliver(_ answer: ReceivedAnswer, _ status: KeyStatus, expires: Timestamp?) async {
        let outcome = RequestOutcome(status)
        if downstream.hasBegun {
            downstream.account.begin(answer.head.status, outcome)
            return await downstream.end(trailers: answer.trailers)
        }
        await downstream.give(answer, status, expires: expires, as: outcome)
    }

    /// Notes that the work is over.
    func finish() {
        downstream.finish()
        if isDetached { services.detached.leave() }
    }

    /// Says how a transfer ended whose client's line was written before.
    func noteEnd(of id: KeyID, route: String, _ outcome: RequestOutcome, _ status: UInt16?) {
        guard isDetached else { return }
        services.log.write(.info, "a detached transfer ended") { line in
            line.member("key_id", id.description)
            line.member("route", route)
            line.member("outcome", outcome.rawValue)
            line.member("status", status.map { Int($0) })
        }
    }
}
