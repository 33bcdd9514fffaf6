import HTTP
import Idempotency
import JSON
import Telemetry

extension StagedExecution {
    /// What a stage's result makes of the work; nil to go on with the next step.
    func take(
        _ result: Result, of step: StagePlan.Step, to point: String, _ call: StageCall
    ) async -> Ending? {
        guard case .stage(let index) = step else { return misfit() }
        let isFirst = claim.key.stages.isEmpty && !mayHaveActed
        // An earlier claim may have sent it, and left no mark.
        let mayBeRepeated = mayHaveActed || call.toleratesRepeats && claim.attempts > 1
        switch result {
        case .done(let answer):
            staged.counters.stages.increment()
            if staged.plan.isLast(index) { return .finished(answer) }
            mayHaveActed = false
            return await advance(to: point, answer.reply)
        case .failed(let answer): return await fail(index, at: point, answer.reply, answer)
        case .unsendable(let failure):
            let problem = Problem.stageFailed(point, failure, hasActed: !claim.key.stages.isEmpty)
            return await fail(index, at: point, problem.reply(for: claim.key), nil)
        case .refused(let answer):
            if isFirst { return .released(answer) }
            if mayBeRepeated { return .suspended(reached: nil, .stagePending(nil)) }
            var final = answer
            final.ruling = .keep
            return await fail(index, at: point, final.reply, final)
        case .unsent(let error):
            if isFirst, !mayBeRepeated { return .unreached(error) }
            return .suspended(reached: nil, .stagePending(error.reason))
        case .unknown(let answer, let reason):
            if call.toleratesRepeats { return .suspended(reached: nil, .stagePending(reason)) }
            return .unknown(answer, reason)
        case .unnoted: return .suspended(reached: nil, .stageUnsaved)
        case .lost: return .lost
        }
    }

    /// A stage failed for good: its answer is the answer, after all that can be taken back is.
    private func fail(
        _ index: Int, at point: String, _ reply: StoredReply, _ answer: ReceivedAnswer?
    ) async -> Ending? {
        guard staged.plan.hasCompensation(before: index) else { return .failed(reply, answer) }
        failure = answer
        return await advance(to: StagePlan.failure(of: point), reply)
    }

    /// What a compensation's result makes of the work; nil to go on with the next step.
    func take(
        _ result: Result, ofCompensation point: String, _ call: StageCall
    ) async -> Ending? {
        switch result {
        case .done(let answer):
            staged.counters.compensations.increment()
            mayHaveActed = false
            return await advance(to: point, answer.reply)
        case .unsent(let error):
            return .suspended(reached: nil, .stagePending(error.reason))
        case .unknown(_, let reason):
            if call.toleratesRepeats { return .suspended(reached: nil, .stagePending(reason)) }
            return .unknown(nil, reason)
        case .failed(let answer), .refused(let answer):
            return await stick(at: point, call, "status \(answer.head.status)")
        case .unsendable(let failure): return await stick(at: point, call, failure.detail)
        case .unnoted: return .suspended(reached: nil, .stageUnsaved)
        case .lost: return .lost
        }
    }

    /// Leaves to an operator what could not be taken back.
    private func stick(at point: String, _ call: StageCall, _ detail: String) async -> Ending {
        staged.services.log.write(.error, "compensation failed; the key is unknown") { line in
            line.member("key_id", claim.id.description)
            line.member("route", staged.route.name)
            line.member("stage", point)
            line.member("detail", detail)
        }
        // The mark says in the record what is to be seen to.
        guard claim.key.pendingStage != point, let obstacle = await begin(point) else {
            return .stuck
        }
        if case .lost = obstacle { return .lost }
        return .suspended(reached: nil, .stageUnsaved)
    }

    /// Records that a point is reached.
    private func advance(to point: String, _ reply: StoredReply?) async -> Ending? {
        let keys = staged.services.keys
        let obstacle = await storing { () async throws in
            self.claim = try await keys.advance(
                self.claim, to: point, reply: reply, policy: self.staged.rules.policy)
        }
        client?.recoveryPoint = claim.key.resumptionPoint
        switch obstacle {
        case nil: return nil
        // A record that was taken for lapsed meanwhile is settled by this, if the token still is
        // the last one.
        default:
            let record = StageRecord(
                recoveryPoint: point, reply: reply, reachedAt: claim.key.updatedAt)
            return .suspended(reached: record, .stageUnsaved)
        }
    }

    /// Has the store note something, trying again for a moment; nil when it has.
    func storing(_ body: () async throws -> Void) async -> Result? {
        let timers = staged.services.timers
        let startedAt = timers.now
        defer { client?.downstream.account.storeTime += timers.now - startedAt }
        for delay in Self.storePauses {
            do {
                try await body()
                return nil
            } catch let error as ClaimError {
                staged.conclusions.note("claim lost", error, claim)
                return .lost
            } catch {
                staged.conclusions.note("stage not saved", error, claim)
            }
            guard !isCancelled else { break }
            await pause(for: delay)
        }
        return .unnoted
    }

    /// Before the store is tried again.
    private static let storePauses: [Duration] = [
        .milliseconds(20), .milliseconds(100), .milliseconds(500),
    ]
}
