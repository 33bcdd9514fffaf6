import Idempotency
import JSON
import Telemetry

/// Makes the conclusions of one route's work durable.
struct Conclusions {
    let route: Route
    let rules: KeyRules
    let services: LoopServices

    /// Concludes. If that fails, the answer goes out all the same, as unsaved.
    ///
    /// A claim that is no longer valid changes nothing: its lease was over and somebody else
    /// decided. The answer is the upstream's and goes out, but the key does not vouch for it, so
    /// it is called unknown.
    func settle(
        _ claim: Claim, _ outcome: Outcome
    ) async -> (KeyStatus, expires: Timestamp?) {
        do {
            let settlement = try await services.keys.workStage(
                claim, outcome, policy: rules.policy)
            switch settlement {
            case .finished(let finished): return (.executed, finished.expiresAt)
            case .released: return (.released, nil)
            case .unknown: return (.unknown, nil)
            case .suspended: return (.inFlight, nil)
            case .refused, .failed: return (.unsaved, nil)
            }
        } catch let error as ClaimError {
            note("claim lost", error, claim)
            return (.unknown, nil)
        } catch {
            note("conclusion not saved", error, claim)
            return (.unsaved, nil)
        }
    }

    /// Writes what went wrong with a claim.
    func note(_ message: String, _ error: any Error, _ claim: Claim) {
        services.log.write(.error, message) { line in
            line.member("key_id", claim.id.description)
            line.member("route", route.name)
            line.member("detail", "\(error)")
        }
    }
}
