import Idempotency
import IdempotencySQLite
import TestSupport
import Testing

/// The stores that have no server.
enum LocalStore: String, Sendable, CaseIterable, CustomTestStringConvertible {
    case memory, sqlite

    var testDescription: String { rawValue }
}

/// A service over a fresh store that can be made to fail, by a clock that stands.
struct MedusaScene: Sendable {
    let kind: LocalStore
    let clock: ManualClock
    let store: FaultyStore
    let keys: IdempotencyKeyService
    let policy = KeyPolicy()

    /// Hands a scene out, and leaves nothing of it.
    static func with(
        _ kind: LocalStore, _ body: (MedusaScene) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        let memory = InMemoryStore(now: { clock.now })
        guard kind == .sqlite else {
            return try await body(MedusaScene(kind, FaultyStore(memory), clock))
        }
        try await TemporaryDirectory.with { directory in
            var options = SQLiteStore.Options()
            options.now = { clock.now }
            let store = try SQLiteStore(path: directory + "/keys.db", options: options)
            defer { store.close() }
            try await body(MedusaScene(kind, FaultyStore(store), clock))
        }
    }

    private init(_ kind: LocalStore, _ store: FaultyStore, _ clock: ManualClock) {
        self.kind = kind
        self.store = store
        self.clock = clock
        keys = IdempotencyKeyService(store: store, now: { clock.now })
    }

    /// The service of the process that comes after this one, which is dead.
    func afterCrash() async throws -> IdempotencyKeyService {
        let next = IdempotencyKeyService(store: store, now: { [clock] in clock.now })
        try await next.recover()
        return next
    }

    func request(
        _ key: String? = "k", scope: String = "", cart: String = "1", inStages: Bool = true
    ) -> KeyRequest {
        KeyRequest(
            idempotencyKey: key, scope: scope, requestMethod: "POST",
            requestPath: "/carts/\(cart)/complete", requestParams: #"{"id":"\#(cart)"}"#,
            isResumable: inStages)
    }

    func initialize(
        _ key: String = "k", scope: String = "", cart: String = "1", inStages: Bool = true,
        by service: IdempotencyKeyService? = nil
    ) async throws -> Admission {
        try await (service ?? keys).initializeRequest(
            request(key, scope: scope, cart: cart, inStages: inStages), policy: policy)
    }

    func claim(
        _ key: String = "k", inStages: Bool = true, by service: IdempotencyKeyService? = nil
    ) async throws -> Claim {
        let admission = try await initialize(key, inStages: inStages, by: service)
        guard case .proceed(let claim) = admission else { throw Unexpected(what: "\(admission)") }
        return claim
    }

    /// Works a new key to its end, in one stage.
    func finish(_ key: String = "k") async throws -> StoredReply {
        try await keys.work(
            try await claim(key), through: Stages([Stage("finished") { _, _ in .done }]))
    }

    /// The record as the store has it.
    func record(_ id: KeyID) async throws -> IdempotencyKey {
        try #require(try await keys.retrieve(id))
    }
}

struct Unexpected: Error { let what: String }

/// What a stage throws in tests.
struct Declined: Error, Equatable {}

extension StageResult {
    static var done: StageResult { .finished(201, json: #"{"order":7}"#) }
}

extension StoredReply {
    var text: String { String(decoding: responseBody ?? [], as: UTF8.self) }
}

extension Admission {
    /// The claim, the answer and so on by one word.
    var word: String {
        switch self {
        case .proceed(let claim): "proceed at \(claim.recoveryPoint)"
        case .wait: "wait"
        case .replay(let finished): "replay \(finished.reply.responseCode)"
        case .refuse(.reused(let differs, _, _)): "reused \(differs.joined(separator: " "))"
        case .refuse(.inFlight): "in flight"
        case .refuse(.unknown): "unknown"
        case .refuse(.expired): "expired"
        }
    }
}
