import HTTP
import Idempotency
import JSON
import Telemetry

extension StagedExecution {
    /// Makes the ending durable, and tells the client.
    func conclude(_ ending: Ending) async {
        let policy = staged.rules.policy
        switch ending {
        case .finished(let answer), .released(let answer):
            let (status, expires) = await settle(answer.outcome)
            await deliver(answer, status, expires)
        case .failed(let reply, let answer):
            var outcome = Outcome.finished(reply, retention: policy.retention)
            if case .finished(_, let retention) = answer?.outcome {
                outcome = .finished(reply, retention: retention)
            }
            let (status, expires) = await settle(outcome)
            if let answer { return await deliver(answer, status, expires) }
            noteEnd(RequestOutcome(status), reply.responseCode)
            await client?.downstream.give(reply, status, expires: expires)
        case .unreached(let error):
            let (status, _) = await settle(.released(nil))
            if status == .unknown { return await giveLost() }
            await give(.unreachable(error.reason), status, as: .unreachable, at: nil)
        case .unknown(let answer, let reason):
            staged.counters.unknowns.increment()
            let (status, expires) = await settle(.unknown(answer?.reply))
            if let answer { return await deliver(answer, status, expires) }
            await give(.outcomeUnknown(reason, isKeyed: true), status, as: .unknown, at: .unknown)
        case .stuck:
            staged.counters.unknowns.increment()
            let (status, _) = await settle(.unknown(nil))
            await give(.outcomeUnknown(nil, isKeyed: true), status, as: .unknown, at: .unknown)
        case .suspended(let reached, let problem):
            let (status, _) = await settle(.suspended(reached: reached))
            if status == .unknown { return await giveLost() }
            let point = reached.map { RecoveryPoint.stage($0.recoveryPoint) }
            await give(
                problem, .inFlight, as: .suspended, at: point ?? claim.key.resumptionPoint)
        case .lost:
            // Whether it really is somebody else's shows here; else its work goes on later.
            _ = await settle(.suspended(reached: nil))
            await giveLost()
        }
    }

    private func settle(_ outcome: Outcome) async -> (KeyStatus, Timestamp?) {
        let timers = staged.services.timers
        let startedAt = timers.now
        let ended = await staged.conclusions.settle(claim, outcome)
        client?.isConcluded = true
        client?.downstream.account.storeTime += timers.now - startedAt
        switch outcome {
        case .finished: client?.recoveryPoint = .finished
        case .unknown: client?.recoveryPoint = .unknown
        case .released, .suspended: break
        }
        return ended
    }

    private func deliver(
        _ answer: ReceivedAnswer, _ status: KeyStatus, _ expires: Timestamp?
    ) async {
        noteEnd(RequestOutcome(status), answer.head.status)
        await client?.deliver(answer, status, expires: expires)
    }

    private func give(
        _ problem: Problem, _ status: KeyStatus, as outcome: RequestOutcome,
        at point: RecoveryPoint?
    ) async {
        noteEnd(outcome, nil)
        guard let downstream = client?.downstream else { return }
        if downstream.hasBegun { return downstream.abort() }
        await downstream.give(problem, status, as: outcome, at: point)
    }

    /// Somebody else has the key: what becomes of it is theirs to say.
    private func giveLost() async {
        await give(
            .inFlight(retryAfter: 1), .inFlight, as: .inFlight, at: claim.key.resumptionPoint)
    }

    private func noteEnd(_ outcome: RequestOutcome, _ status: UInt16?) {
        client?.noteEnd(of: claim.id, route: staged.route.name, outcome, status)
        guard client == nil else { return }
        staged.services.log.write(.info, "stages gone on with") { line in
            line.member("key_id", claim.id.description)
            line.member("route", staged.route.name)
            line.member("outcome", outcome.rawValue)
            line.member("status", status.map { Int($0) })
            line.member("recovery_point", claim.key.resumptionPoint.description)
        }
    }
}
