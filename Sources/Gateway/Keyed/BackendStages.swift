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
        case .answer(let answer):
            switch await settleStages(answer.stagesOutcome) {
            case .overtaken: await giveStored(after: answer)
            case .settled(let status, let expires):
                let outcome = RequestOutcome(status)
                noteEnd(outcome, answer.head.status)
                if downstream.hasBegun {
                    downstream.account.begin(answer.head.status, outcome)
                    return await downstream.end(trailers: answer.trailers)
                }
                await downstream.give(answer, status, expires: expires, as: outcome)
            }
        case .failure(let error):
            handler.services.noteFailure(error, of: handler.upstream, at: handler.route.upstream)
            // Nothing was ever sent for this key: it is as free as it was.
            let isUntouched =
                error.effect == .none && claim.attempts == 1 && claim.recoveryPoint == .started
            switch await settleStages(isUntouched ? .released(nil) : .suspended(reached: nil)) {
            case .overtaken: await giveStored(after: nil)
            case .settled(.released, _):
                noteEnd(.unreachable, nil)
                await downstream.give(
                    .unreachable(error.reason), .released, as: .unreachable)
            case .settled(let status, _): await giveSuspended(error, status)
            }
        }
    }

    /// What became of the record at the end of an exchange.
    private enum StagesEnd {
        case settled(KeyStatus, expires: Timestamp?)
        /// The backend ended it before, with an answer.
        case overtaken
    }

    private func settleStages(_ outcome: Outcome) async -> StagesEnd {
        let startedAt = handler.services.timers.now
        defer { noteConclusion(since: startedAt) }
        do {
            switch try await handler.services.keys.workStage(
                claim, outcome, policy: handler.rules.policy)
            {
            case .finished(let finished): return .settled(.executed, expires: finished.expiresAt)
            case .released: return .settled(.released, expires: nil)
            case .unknown: return .settled(.unknown, expires: nil)
            case .suspended: return .settled(.inFlight, expires: nil)
            case .refused, .failed: return .settled(.unsaved, expires: nil)
            }
        } catch ClaimError.finished {
            return .overtaken
        } catch let error as ClaimError {
            note("claim lost", error)
            return .settled(.unknown, expires: nil)
        } catch {
            note("conclusion not saved", error)
            return .settled(.unsaved, expires: nil)
        }
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
            return await downstream.give(reply, expires: key?.expiresAt, as: .executed)
        }
        guard let answer, answer.head.status == reply.responseCode, answer.body != nil,
            answer.body == reply.responseBody
        else { return downstream.abort() }
        downstream.account.begin(reply.responseCode, .executed)
        await downstream.end(trailers: answer.trailers)
    }

    private func giveSuspended(_ error: UpstreamError, _ status: KeyStatus) async {
        noteEnd(.inFlight, nil)
        if downstream.hasBegun { return downstream.abort() }
        await downstream.give(.suspended(error.reason), status, as: .inFlight)
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
