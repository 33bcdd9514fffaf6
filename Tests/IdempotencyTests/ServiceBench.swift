import Idempotency
import TestSupport

/// A service around a store that can be made to fail, by a clock that stands.
struct ServiceBench: Sendable {
    let clock = ManualClock()
    let store: FaultyStore
    let journal = FaultyJournal()
    let events = Events()
    let service: IdempotencyKeyService
    var policy = KeyPolicy()
    private let options: IdempotencyKeyService.Options

    init(
        isExclusive: Bool = true,
        _ change: (inout IdempotencyKeyService.Options) -> Void = { _ in }
    ) {
        let clock = clock
        let events = events
        store = FaultyStore(InMemoryStore(now: { clock.now }), isExclusive: isExclusive)
        var options = IdempotencyKeyService.Options()
        options.report = { events.add($0) }
        change(&options)
        self.options = options
        service = IdempotencyKeyService(store: store, options: options, now: { clock.now })
    }

    /// A service of another process on the same store.
    ///
    /// - Parameter skew: How much its clock is ahead of the store's.
    func other(skew: Duration = .zero) -> IdempotencyKeyService {
        let clock = clock
        return IdempotencyKeyService(store: store, options: options, now: { clock.now + skew })
    }

    /// A service with the journal; another one stands for the process after a restart.
    func journaled(coding: (any ReplyCoding)? = nil) -> IdempotencyKeyService {
        let clock = clock
        return IdempotencyKeyService(
            store: store, journal: journal, coding: coding, options: options, now: { clock.now })
    }

    func ask(
        _ name: String = "k", body: UInt64 = 1, _ service: IdempotencyKeyService? = nil,
        _ policy: KeyPolicy? = nil
    ) async throws(StoreError) -> Admission {
        try await (service ?? self.service).initializeRequest(
            .sample(name, body: body), policy: policy ?? self.policy)
    }

    func claim(_ name: String = "k", _ service: IdempotencyKeyService? = nil) async throws -> Claim
    {
        try await ask(name, service).claim
    }

    @discardableResult
    func finish(
        _ claim: Claim, _ reply: StoredReply = .sample, _ service: IdempotencyKeyService? = nil
    ) async throws -> Settlement {
        try await (service ?? self.service).workStage(
            claim, .finished(reply, retention: policy.retention), policy: policy)
    }
}

struct Unexpected: Error {
    let what: String
    init(_ what: Any) { self.what = "\(what)" }
}

extension Admission {
    var claim: Claim {
        get throws { if case .proceed(let claim) = self { claim } else { throw Unexpected(self) } }
    }
    var waiter: Waiter {
        get throws { if case .wait(let waiter) = self { waiter } else { throw Unexpected(self) } }
    }
    var finished: Finished {
        get throws { if case .replay(let found) = self { found } else { throw Unexpected(self) } }
    }
    var refusal: Refusal {
        get throws { if case .refuse(let why) = self { why } else { throw Unexpected(self) } }
    }
    var isInFlight: Bool {
        if case .refuse(.inFlight) = self { true } else { false }
    }
    var isUnknown: Bool { if case .refuse(.unknown) = self { true } else { false } }
    var isExpired: Bool { if case .refuse(.expired) = self { true } else { false } }
}

extension Settlement? {
    var reply: StoredReply? {
        switch self {
        case .finished(let finished): finished.reply
        case .released(let reply, _), .unknown(let reply, _): reply
        default: nil
        }
    }
}

extension Refusal {
    var isReused: Bool { if case .reused = self { true } else { false } }
}
