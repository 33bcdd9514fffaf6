import HTTP
package import Idempotency
import JSON
package import Telemetry

/// The operators' part of `/v1/keys`: looking at records, and settling them by hand.
package struct KeyOperations {
    let keys: IdempotencyKeyService
    let access: AdminAccess
    /// How the route of that name keeps its records.
    let policy: (_ route: String) -> KeyPolicy
    let log: Log

    /// Operations on a service's records.
    package init(
        _ keys: IdempotencyKeyService, access: AdminAccess, log: Log,
        policy: @escaping (_ route: String) -> KeyPolicy
    ) {
        self.keys = keys
        self.access = access
        self.log = log
        self.policy = policy
    }

    /// `/v1/keys` and what is below it.
    package var resource: AdminResource {
        AdminResource(.tree("/v1/keys")) { request, response in
            try await response.respond(await answer(request))
        }
    }

    private func answer(_ request: Request) async throws(DownstreamError) -> AdminAnswer {
        if let refusal = access.refusal(of: request.head) { return refusal }
        let names = request.head.path.split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false
        ).dropFirst(3).map { String(decoding: $0, as: UTF8.self) }
        do {
            switch (names.first, names.dropFirst().first, names.count) {
            case (nil, _, _):
                if let refusal = readOnly(request.head.method) { return refusal }
                return try await list(try ListQuery(request.head.query ?? []))
            case (let id?, nil, _):
                if let refusal = readOnly(request.head.method) { return refusal }
                return AdminAnswer(record: try await key(id))
            case (let id?, let verb?, 2): return try await change(id, verb, request)
            default: return AdminAnswer(.notFound)
            }
        } catch let error as StoreError {
            return AdminAnswer(.storeUnavailable(error))
        } catch let error as ClaimError {
            return AdminAnswer(AdminProblem(error))
        } catch let problem as AdminProblem {
            return AdminAnswer(problem)
        } catch let error as DownstreamError {
            throw error
        } catch {
            return AdminAnswer(.badRequest("\(error)"))
        }
    }

    private func key(_ text: String) async throws -> IdempotencyKey {
        guard let id = KeyID(text), let key = try await keys.retrieve(id) else {
            throw AdminProblem.noSuchKey
        }
        return key
    }

    /// Why a method that changes something is refused where nothing is to be changed.
    private func readOnly(_ method: Method) -> AdminAnswer? {
        guard method != .get, method != .head else { return nil }
        return AdminAnswer(.methodNotAllowed, allow: [.get, .head])
    }

    /// Unknown records, the oldest first, so that somebody can settle them.
    private func list(_ query: ListQuery) async throws -> AdminAnswer {
        let page = try await keys.unknown(after: query.after, limit: query.limit)
        return AdminAnswer { json in
            json.name("keys")
            json.beginArray()
            for key in page { json.value(key) }
            json.endArray()
            json.member("next", page.count == query.limit ? page.last?.id.description : nil)
        }
    }

    private func change(
        _ id: String, _ verb: String, _ request: Request
    ) async throws -> AdminAnswer {
        guard let verb = Verb(rawValue: verb) else { return AdminAnswer(.notFound) }
        guard request.head.method == .post else {
            return AdminAnswer(.methodNotAllowed, allow: [.post])
        }
        let body = try await OperatorRequest(request.body)
        let key = try await key(id)
        let policy = policy(key.route)
        let changed =
            switch verb {
            case .release:
                try await keys.release(key.id, force: try body.isForced, policy: policy)
            case .complete: try await keys.complete(key.id, with: try body.reply, policy: policy)
            case .erase: try await keys.erase(key.id)
            }
        audit(verb, changed, from: key, request.downstream.peer)
        return AdminAnswer(record: changed)
    }

    private enum Verb: String {
        case release, complete, erase
    }

    private func audit(
        _ verb: Verb, _ key: IdempotencyKey, from former: IdempotencyKey, _ peer: String
    ) {
        log.write(.info, "operator changed a key") { line in
            line.member("operation", verb.rawValue)
            line.member("key_id", key.id.description)
            line.member("route", key.route)
            line.member("from", former.recoveryPoint.description)
            line.member("to", key.recoveryPoint.description)
            line.member("was_locked", former.isLocked)
            line.member("peer", peer)
        }
    }
}

/// Which records a list is to hold.
private struct ListQuery {
    var after: KeyID?
    var limit = 100

    init(_ query: ArraySlice<UInt8>) throws {
        for pair in query.split(separator: UInt8(ascii: "&")) {
            let sides = pair.split(
                separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false
            ).map { String(decoding: $0, as: UTF8.self) }
            let value = sides.count > 1 ? sides[1] : ""
            switch sides[0] {
            case "state" where value == "unknown": break
            case "after":
                guard let id = KeyID(value) else {
                    throw AdminProblem.badRequest("after is the id of a record.")
                }
                after = id
            case "limit":
                guard let count = Int(value), 1...1000 ~= count else {
                    throw AdminProblem.badRequest("limit is a number from 1 to 1000.")
                }
                limit = count
            default:
                throw AdminProblem.badRequest(
                    "A list takes state=unknown, after and limit; \"\(sides[0])=\(value)\" is "
                        + "none of them.")
            }
        }
    }
}

extension AdminAnswer {
    /// One record.
    init(record: IdempotencyKey) {
        var json = JSONWriter()
        json.value(record)
        self.init(mediaType: "application/json", body: json.bytes + [UInt8(ascii: "\n")])
    }
}

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

    init(_ error: ClaimError) {
        let detail =
            switch error {
            case .locked:
                "Somebody is at work on it under a live lease; release it with "
                    + "{\"force\": true} only when that work is known to be dead."
            case .finished: "It is finished; nothing was changed."
            case .lost: "It was changed by somebody else meanwhile; nothing was changed."
            case .exists: "There is such a record already."
            case .absent: "It is gone."
            case .tooManyStages: "It has as many stages as a record can have."
            @unknown default: "\(error)"
            }
        self.init("conflict", status: 409, title: "Conflict", detail: detail)
    }
}
