package import HTTP
package import Idempotency
import JSON
package import Telemetry

/// `/v1/keys`: the HTTP service for callers that are not behind the gateway, the backends' way to
/// their own stages, and the operators' way to look at records and to settle them by hand.
///
/// Whoever shows the admin token may do all of it. Whoever shows a record's own stage token, and
/// nothing else, may look at that one record, update it and advance it.
package struct KeyOperations {
    let keys: IdempotencyKeyService
    let access: AdminAccess
    let making: KeyMaking
    /// How the route of that name keeps its records.
    let policy: (_ route: String) -> KeyPolicy
    let log: Log

    /// Operations on a service's records.
    package init(
        _ keys: IdempotencyKeyService, access: AdminAccess, log: Log, making: KeyMaking,
        policy: @escaping (_ route: String) -> KeyPolicy
    ) {
        self.keys = keys
        self.access = access
        self.log = log
        self.making = making
        self.policy = policy
    }

    /// `/v1/keys` and what is below it.
    package var resource: AdminResource {
        AdminResource(.tree("/v1/keys")) { request, response in
            try await response.respond(await answer(request))
        }
    }

    /// The answer to a request whose path is `/v1/keys` or below it.
    ///
    /// - Throws: When the request's body does not come whole.
    package func answer(_ request: Request) async throws(DownstreamError) -> AdminAnswer {
        do {
            return try await perform(request)
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

    private func perform(_ request: Request) async throws -> AdminAnswer {
        let place = KeyPlace(request.head.path)
        let caller: KeyCaller
        switch try await admit(request.head, to: place) {
        case .caller(let admitted): caller = admitted
        case .refusal(let answer): return answer
        }
        guard let place else { return AdminAnswer(.notFound) }
        let method = request.head.method
        guard place.methods.contains(method) else {
            return AdminAnswer(.methodNotAllowed, allow: place.methods)
        }
        let call = KeyCall(request: request, caller: caller)
        switch place {
        case .keys where method == .post: return try await create(call)
        case .keys: return try await list(KeyQuery(text: request.head.query ?? []))
        case .initialize: return try await initialize(call)
        case .key(let id) where method == .patch: return try await advance(id, .update, call)
        case .key(let id): return await .record(try await key(id))
        case .action(let id, .lock): return try await lock(id, call)
        case .action(let id, .stages): return try await advance(id, .stages, call)
        case .action(let id, .release): return try await settle(id, .release, call)
        case .action(let id, .complete): return try await settle(id, .complete, call)
        case .action(let id, .erase): return try await settle(id, .erase, call)
        }
    }

    /// The record whose id is this text.
    func key(_ text: String) async throws -> IdempotencyKey {
        guard let id = KeyID(text), let key = try await keys.retrieve(id) else {
            throw AdminProblem.noSuchKey
        }
        return key
    }

    private func list(_ query: KeyQuery) async throws -> AdminAnswer {
        await .page(try await keys.list(query))
    }
}

/// A request to a resource of keys, and who makes it.
struct KeyCall {
    let request: Request
    let caller: KeyCaller
}

/// What a path below `/v1/keys` names.
enum KeyPlace {
    case keys
    case initialize
    case key(String)
    case action(String, KeyAction)

    /// Nil for a path that names nothing.
    init?(_ path: ArraySlice<UInt8>) {
        let names = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropFirst(3).map { String(decoding: $0, as: UTF8.self) }
        switch names.count {
        case 0: self = .keys
        case 1 where names[0] == "initialize": self = .initialize
        case 1: self = .key(names[0])
        case 2:
            guard let action = KeyAction(rawValue: names[1]) else { return nil }
            self = .action(names[0], action)
        default: return nil
        }
    }

    /// The methods that the resource has.
    var methods: [Method] {
        switch self {
        case .keys: [.get, .head, .post]
        case .key: [.get, .head, .patch]
        case .initialize, .action: [.post]
        }
    }
}

/// What can be done to one record by `POST`.
enum KeyAction: String, CaseIterable {
    case lock, stages, release, complete, erase
}

extension AdminAnswer {
    /// One record; `token` is shown to the caller that has just locked it. A long one is written on
    /// the threads of Swift's own pool, so that the event loop goes on.
    static func record(
        _ record: IdempotencyKey, _ status: UInt16 = 200, token: LockToken? = nil
    ) async -> AdminAnswer {
        record.isLong
            ? await withTaskExecutorPreference(globalConcurrentExecutor) {
                await recordElsewhere(record, status, token)
            }
            : AdminAnswer(status, record: record, token: token)
    }

    /// A page of records, written where the caller runs, or elsewhere if one of them is long.
    static func page(_ page: KeyPage) async -> AdminAnswer {
        page.keys.contains { $0.isLong } || page.keys.count > 50
            ? await withTaskExecutorPreference(globalConcurrentExecutor) {
                await pageElsewhere(page)
            }
            : AdminAnswer(page: page)
    }

    @concurrent private static func recordElsewhere(
        _ record: IdempotencyKey, _ status: UInt16, _ token: LockToken?
    ) async -> AdminAnswer {
        AdminAnswer(status, record: record, token: token)
    }

    @concurrent private static func pageElsewhere(_ page: KeyPage) async -> AdminAnswer {
        AdminAnswer(page: page)
    }

    private init(_ status: UInt16, record: IdempotencyKey, token: LockToken?) {
        var json = JSONWriter()
        json.value(record, token: token)
        self.init(status, mediaType: "application/json", body: json.bytes + [UInt8(ascii: "\n")])
    }

    private init(page: KeyPage) {
        self.init { json in
            json.list("keys", page.keys) { $0.value($1) }
            json.member("next", page.next?.description)
        }
    }
}

extension IdempotencyKey {
    /// Whether its answer takes so long to write that an event loop should not wait for it.
    fileprivate var isLong: Bool { reply?.responseBody?.count ?? 0 > 16_384 }
}
