import HTTP
import Idempotency
import Telemetry

// Backends with stages of their own: `backend_stages` in `gateway.json`.
//
// Such a backend is told which record it works on, how far that has come, and the token under which
// it may advance it over the HTTP service. Its work can be taken up again, so that an exchange that
// comes to nothing leaves it suspended where it is: the next request with the key is forwarded with
// the point that was reached, under a new token. A backend that ended its record itself has given
// the answer; what it says afterwards on its connection counts no more.

extension UpstreamRequest {
    /// Tells the backend which record it works on, and from where on.
    mutating func tellStages(of claim: Claim) {
        fields.append(.idempotencyRecordID, claim.id.description)
        fields.append(.idempotencyRecoveryPoint, claim.recoveryPoint.description)
        fields.append(.idempotencyStageToken, claim.lockToken.hexadecimal)
    }
}

extension Execution {
    /// Concludes an exchange with a backend that has stages of its own.
    func concludeStages(_ received: Received) async {
        switch received {
        case .answer(let answer): await concludeStages(answer)
        case .failure(let error): await concludeStages(error)
        }
    }

    private func concludeStages(_ answer: ReceivedAnswer) async {
        let (status, expires): (KeyStatus, Timestamp?)
        switch await settleStages(answer.stagesOutcome) {
        case .overtaken: return await giveStored(after: answer)
        case .executed(let end): (status, expires) = (.executed, end)
        case .suspended: (status, expires) = (.inFlight, nil)
        case .released: (status, expires) = (.released, nil)
        case .unsaved: (status, expires) = (.unsaved, nil)
        case .unknown, .lost: (status, expires) = (.unknown, nil)
        }
        let outcome = RequestOutcome(status)
        noteEnd(outcome, answer.head.status)
        if downstream.hasBegun {
            downstream.account.begin(answer.head.status, outcome)
            return await downstream.end(trailers: answer.trailers)
        }
        await downstream.give(answer, status, expires: expires, as: outcome)
    }

    private func concludeStages(_ error: UpstreamError) async {
        handler.services.noteFailure(error, of: handler.upstream, at: handler.route.upstream)
        // Nothing was ever sent for this key: it is as free as it was.
        let isUntouched =
            error.effect == .none && claim.attempts == 1 && claim.recoveryPoint == .started
        switch await settleStages(isUntouched ? .released(nil) : .suspended(reached: nil)) {
        case .overtaken: await giveStored(after: nil)
        case .released:
            await give(.unreachable(error.reason), .released, as: .unreachable)
        case .unknown:
            handler.counters.unknowns.increment()
            let problem = Problem.outcomeUnknown(error.reason, isKeyed: true)
            await give(problem, .unknown, as: .unknown, at: .unknown)
        case .suspended(let point):
            await give(.suspended(error.reason), .inFlight, as: .inFlight, at: point)
        case .lost, .executed: await give(.suspended(error.reason), .inFlight, as: .inFlight)
        case .unsaved: await give(.suspended(error.reason), .unsaved, as: .inFlight)
        }
    }

    /// Gives a problem instead of an answer, or cuts the answer that was begun.
    private func give(
        _ problem: Problem, _ status: KeyStatus, as outcome: RequestOutcome,
        at point: RecoveryPoint? = nil
    ) async {
        noteEnd(outcome, nil)
        if downstream.hasBegun { return downstream.abort() }
        await downstream.give(problem, status, as: outcome, at: point)
    }

    /// What became of the record at the end of an exchange.
    private enum StagesEnd {
        case executed(expires: Timestamp)
        case released
        case unknown
        case suspended(RecoveryPoint)
        /// The store did not take it.
        case unsaved
        /// The backend ended it before, with an answer.
        case overtaken
        /// It is somebody else's by now.
        case lost
    }

    private func settleStages(_ outcome: Outcome) async -> StagesEnd {
        let startedAt = handler.services.timers.now
        defer { noteConclusion(since: startedAt) }
        do {
            switch try await handler.services.keys.workStage(
                claim, await respecting(outcome), policy: handler.rules.policy)
            {
            case .finished(let finished): return .executed(expires: finished.expiresAt)
            case .released: return .released
            case .unknown: return .unknown
            case .suspended(_, let point): return .suspended(point)
            case .refused, .failed: return .unsaved
            }
        } catch ClaimError.finished {
            return .overtaken
        } catch let error as ClaimError {
            note("claim lost", error)
            return .lost
        } catch {
            note("conclusion not saved", error)
            return .unsaved
        }
    }

    /// The conclusion, unless the backend has said itself that nobody knows the outcome: then it is
    /// not gone on with. Where the store does not say, its failure shows in what follows.
    private func respecting(_ outcome: Outcome) async -> Outcome {
        guard case .suspended = outcome,
            let key = try? await handler.services.keys.retrieve(claim.id),
            key.recoveryPoint == .unknown
        else { return outcome }
        return .unknown(key.reply)
    }

    /// Gives the answer with which the backend ended its record. Of another one that is on its way
    /// to the client already, the rest is not sent.
    private func giveStored(after answer: ReceivedAnswer?) async {
        let key: IdempotencyKey?
        do throws(StoreError) {
            key = try await handler.services.keys.retrieve(claim.id)
        } catch {
            note("stored answer not read", error)
            key = nil
        }
        guard let reply = key?.reply else {
            noteEnd(.executed, nil)
            if downstream.hasBegun { return downstream.abort() }
            return await downstream.give(.storeUnavailable, nil, as: .storeUnavailable)
        }
        noteEnd(.executed, reply.responseCode)
        guard downstream.hasBegun else {
            return await downstream.give(reply, .executed, expires: key?.expiresAt)
        }
        guard let answer, answer.head.status == reply.responseCode, answer.body != nil,
            answer.body == reply.responseBody
        else { return downstream.abort() }
        downstream.account.begin(reply.responseCode, .executed)
        await downstream.end(trailers: answer.trailers)
    }
}

extension ReceivedAnswer {
    /// The conclusion where the backend can go on: only its own verdict makes the outcome unknown.
    fileprivate var stagesOutcome: Outcome {
        if case .unknown = outcome, !hasVerdict { .suspended(reached: nil) } else { outcome }
    }
}

extension Problem {
    /// The work stopped on its way, and goes on with the next request.
    static func suspended(_ reason: UpstreamError.Reason) -> Problem {
        Problem(
            .inFlight, reason == .timeout ? 504 : 502,
            "The work under this key stopped on its way. Send the request again, with the same "
                + "key: it goes on from what is done.",
            executed: .pending, retryAfter: 1)
    }
}
