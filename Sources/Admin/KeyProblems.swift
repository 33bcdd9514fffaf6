import HTTP
import Idempotency

extension AdminProblem: Error {
    static func badRequest(_ detail: String) -> AdminProblem {
        AdminProblem("bad-request", status: 400, title: "Bad request", detail: detail)
    }

    static let noSuchKey = AdminProblem(
        "not-found", status: 404, title: "Not found", detail: "There is no record of that id.")

    static func storeUnavailable(_ error: StoreError) -> AdminProblem {
        AdminProblem(
            "store-unavailable", status: 503, title: "Store unavailable",
            detail: "The key store failed; the change may or may not have been made: "
                + error.detail)
    }

    /// A key is to be made that is there.
    static func keyExists(_ id: KeyID?) -> AdminProblem {
        var problem = AdminProblem(
            "key-exists", status: 409, title: "Key exists",
            detail: "There is a record of that key in that scope already; "
                + "POST /v1/keys/initialize takes it up.")
        problem.keyID = id?.description
        return problem
    }

    private static func inFlight(_ detail: String) -> AdminProblem {
        AdminProblem("in-flight", status: 409, title: "In flight", detail: detail)
    }

    private static func conflict(_ detail: String) -> AdminProblem {
        AdminProblem("conflict", status: 409, title: "Conflict", detail: detail)
    }

    /// Why a change was not made.
    init(_ error: ClaimError) {
        switch error {
        case .locked:
            self = .inFlight(
                "Somebody is at work on it under a live lease; release it with "
                    + "{\"force\": true} only when that work is known to be dead.")
        case .finished:
            self.init(
                "key-finished", status: 409, title: "Key finished",
                detail: "It is finished; nothing was changed.")
        case .lost:
            self.init(
                "token-stale", status: 409, title: "Token stale",
                detail: "Its lock is no longer yours: it was claimed anew or settled meanwhile. "
                    + "Nothing was changed; stop the work.")
        case .exists(let id): self = .keyExists(id)
        case .absent: self = .conflict("It is gone, or there is nothing to be done to it.")
        case .tooManyStages: self = .conflict("It has as many stages as a record can have.")
        @unknown default: self = .conflict("\(error)")
        }
    }

    /// Why a request is not to be executed.
    init(_ refusal: Refusal) {
        switch refusal {
        case .reused(let differs, let id, let point):
            self.init(
                "key-reused", status: 422, title: "Key reused",
                detail: "This key was used for another request; a new request takes a new key.")
            self.differs = differs.map { KeyMaking.member($0) }
            keyID = id.description
            recoveryPoint = point.description
        case .inFlight(let id, let point, let retryAfter):
            self = .inFlight("Somebody is at work on it under a live lease. Ask again later.")
            keyID = id.description
            recoveryPoint = point.description
            let (seconds, attoseconds) = retryAfter.components
            self.retryAfter = max(1, Int(clamping: seconds) + (attoseconds > 0 ? 1 : 0))
        case .unknown(let id, _, _):
            self.init(
                "outcome-unknown", status: 409, title: "Outcome unknown",
                detail: "Nobody knows what became of the work under this key. Find out, then "
                    + "lock, complete or release it.")
            keyID = id.description
            recoveryPoint = RecoveryPoint.unknown.description
        case .expired(let id):
            self.init(
                "key-expired", status: 410, title: "Key expired",
                detail: "The answer under this key is no longer kept; a new request takes a new "
                    + "key.")
            keyID = id.description
        }
    }
}
