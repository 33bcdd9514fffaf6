import HTTP
import Idempotency

/// One request on a route in shadow mode, beside its forwarding: the decision, and what becomes of
/// the record if it made one.
final class ShadowWatch: Concluding {
    let body: WatchedBody
    let witness = ExchangeWitness()
    private let head: RequestHead
    private let path: DecodedPath?
    private let account: RequestAccount
    private let handler: ShadowHandler
    private let finish: () -> Void
    /// What its head alone decides: a key, or none.
    private let reading: Reading
    private let relayEnd = Promise<Void>()
    private var claim: Claim?

    /// What a head says of the key.
    private enum Reading {
        case decided(ShadowDecision)
        case key(ClientKey)
        /// The body says it.
        case open
    }

    /// The most of a body that is copied where the route has no limit.
    private static let copyLimit = 64 << 20

    init(
        _ request: Request, _ path: DecodedPath?, _ account: RequestAccount,
        _ handler: ShadowHandler, finish: @escaping () -> Void
    ) {
        head = request.head
        self.path = path
        self.account = account
        self.handler = handler
        self.finish = finish
        let reading = Self.read(request.head.fields, handler)
        var limit = handler.route.bodyLimit ?? Self.copyLimit
        if case .decided = reading { limit = 0 }
        self.reading = reading
        body = WatchedBody(request.body, request.head.framing, limit: limit)
    }

    /// Decides, waits for the end of the forwarding, and concludes.
    func run() async {
        let decision = await decide()
        handler.count(decision)
        account.shadow = decision
        await relayEnd.get()
        if let claim {
            // What the store does not take is kept by the service, and of no concern to traffic.
            _ = try? await handler.services.keys.workStage(
                claim, witness.outcome(handler.rules), policy: handler.rules.policy)
        }
        finish()
        handler.services.work.end(self)
    }

    /// Notes that the request was forwarded, as far as it could be.
    func endRelay() {
        account.endedAt = handler.services.timers.now
        body.close()
        relayEnd.give(())
    }

    func cancel() { endRelay() }

    private static func read(_ fields: borrowing Fields, _ handler: ShadowHandler) -> Reading {
        let rules = handler.rules
        switch ClientKey.read(from: fields, named: rules.header) {
        case .key(let key): return .key(key)
        case .invalid: return .decided(.keyInvalid)
        case .absent:
            if let key = handler.services.derivedKeys.key(rules.source, of: fields) {
                return .key(key)
            }
            return rules.source?.needsBody == true ? .open : .decided(rules.keyless)
        }
    }

    private func decide() async -> ShadowDecision {
        if case .decided(let decision) = reading { return decision }
        let bytes: ArraySlice<UInt8>
        switch await body.whole.get() {
        case .bytes(let whole): bytes = whole
        case .tooLarge: return .bodyTooLarge
        case .incomplete: return .bodyIncomplete
        }
        let (rules, services) = (handler.rules, handler.services)
        let fingerprint = services.identities.fingerprint(rules.fingerprint, of: head, body: bytes)
        let key: ClientKey
        if case .key(let found) = reading {
            key = found
        } else if let found = services.derivedKeys.key(
            rules.source, of: .memory(bytes), head.fields, fingerprint)
        {
            key = found
        } else {
            return rules.keyless
        }
        return await admit(key, fingerprint)
    }

    private func admit(_ key: ClientKey, _ fingerprint: Fingerprint) async -> ShadowDecision {
        let (rules, services) = (handler.rules, handler.services)
        let identity = Identity(
            scope: services.identities.scope(rules.scope, of: head.fields), keyBytes: key.bytes)
        let request = KeyRequest(
            identity: identity, fingerprint: fingerprint, requestMethod: head.method.token,
            requestPath: String(decoding: head.path, as: UTF8.self),
            requestParams: handler.route.parameters(of: path), route: handler.route.name)
        // Nobody waits in shadow mode.
        var policy = rules.policy
        policy.waiters = 0
        guard !services.work.isOver else { return .storeUnavailable }
        do throws(StoreError) {
            return decision(
                on: try await services.keys.initializeRequest(request, policy: policy))
        } catch {
            return .storeUnavailable
        }
    }

    private func decision(on admission: Admission) -> ShadowDecision {
        switch admission {
        case .proceed(let claim):
            self.claim = claim
            account.keyID = claim.id
            return .execute
        case .replay(let finished):
            account.keyID = finished.id
            return .replay
        case .wait(let waiter):
            waiter.giveUp()
            return .wait
        case .refuse(.inFlight):
            let waits = if case .wait = handler.rules.inFlight { true } else { false }
            return waits && waitPreference(head.fields) != 0 ? .wait : .inFlight
        case .refuse(.reused): return .keyReused
        case .refuse(.unknown): return .unknown
        case .refuse(.expired): return .keyExpired
        }
    }
}

extension KeyRules {
    /// What is decided of a request without a key. One that gets a key of its own has no
    /// duplicates.
    fileprivate var keyless: ShadowDecision {
        switch absentKey {
        case .create: .execute
        case .required: .keyMissing
        case .pass: .pass
        }
    }
}

/// What was seen of a forwarded request's exchange.
final class ExchangeWitness {
    /// Whether something may have been sent.
    var wasSent = false
    var head: ResponseHead?
    /// Whether the answer came to its end.
    var isComplete = false

    /// What becomes of a record, without the answer's fields and body.
    func outcome(_ rules: KeyRules) -> Outcome {
        guard wasSent else { return .released(nil) }
        guard isComplete, let head else { return .unknown(nil) }
        let reply = StoredReply(responseCode: head.status, responseHeaders: [], responseBody: nil)
        return ReceivedAnswer(head, rules).outcome(storing: reply)
    }
}
