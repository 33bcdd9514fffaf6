package import HTTP
package import Idempotency
package import JSON

/// How a route treats its keys: the `idempotency` of a route in `gateway.json`.
package struct KeyRules: Sendable {
    /// What a request without a key gets.
    package enum AbsentKey: Sendable {
        /// 400 `key-missing`.
        case required
        /// A key that the gateway makes and tells in the answer.
        case create
        /// Plain forwarding.
        case pass
    }

    /// Who asks: whose keys are told apart, and who may see whose answers.
    package enum Scope: Sendable {
        /// Everybody shares the keys.
        case shared
        /// Requests that agree in these fields.
        case fields([FieldName])
    }

    /// What a duplicate gets while the first request is at work.
    package enum InFlight: Sendable {
        /// The same answer, when it is there.
        case wait
        /// 409 at once.
        case reject
    }

    /// What a request gets when no key can be claimed.
    package enum StoreDown: Sendable {
        /// 503, and nothing is forwarded.
        case refuse
        /// Forwarding without protection.
        case pass
    }

    /// Whether it is only decided and counted what would be done.
    package var isShadow = false
    package var absentKey: AbsentKey = .create
    /// Where the key comes from when its field is not there; nil for nowhere. A request without a
    /// value there is one without a key.
    package var source: KeySource?
    /// The field that carries the key. A client's own key comes before ``source``.
    package var header: FieldName = .idempotencyKey
    /// The name under which the key is forwarded; nil keeps it here.
    package var forwardedName: FieldName?
    /// The methods that are guarded.
    package var methods = MethodSet([.post, .put, .patch, .delete])
    package var scope: Scope
    package var fingerprint = FingerprintRules()
    package var inFlight: InFlight = .wait
    package var waitLimit: Duration = .seconds(30)
    /// How long the client that has its request executed waits for the answer, from the claim on;
    /// nil for as long as it takes. An answer that has begun is not cut.
    package var answerWithin: Duration?
    /// Statuses that are final answers; ``release`` wins.
    package var keep = StatusSet([200...499])
    /// Statuses by which the upstream says that it did not act.
    package var release = StatusSet(KeyRules.refusals.map { $0...$0 })
    /// Fields that are not stored, beside the hop-by-hop ones.
    package var replayWithout = KeyRules.momentaryFields
    /// The most bytes of an answer's body that are kept.
    package var responseLimit = 8 << 20
    /// Whether answers of any length reach the client while they are recorded.
    package var streams = false
    package var storeDown: StoreDown = .refuse
    /// Whether the upstream has stages of its own, which it advances under the record's token.
    package var hasBackendStages = false
    /// How to find out about unknown outcomes; nil where the upstream cannot be asked.
    package var probe: ProbeRules?
    /// The calls that do the work, one after the other, the last one's recovery point being
    /// `finished`; nil for a request that is forwarded. With stages, `policy.unknown` is `hold`: each
    /// stage has its own way.
    package var stages: [StageRules]?
    /// Lease, lifetimes, waiters and what becomes of unknown records.
    package var policy = KeyPolicy()

    /// The defaults, for a scope, which has none.
    package init(scope: Scope) {
        self.scope = scope
    }

    /// Statuses that say "I did not do it": the default of `release`.
    package static let refusals: [UInt16] = [
        401, 403, 405, 406, 407, 408, 409, 411, 412, 413, 414, 415, 417, 421, 423, 425, 426, 428,
        429, 431, 501, 503, 505,
    ]

    /// Fields that mean something for one client at one moment: the default of `replay_without`.
    package static let momentaryFields: [FieldName] = [
        "Set-Cookie", "WWW-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Age",
        "Alt-Svc", "Retry-After", "Server-Timing",
    ].map { FieldName($0) }
}

/// What makes two requests with one key the same request: `fingerprint` in `gateway.json`.
package struct FingerprintRules: Sendable {
    /// How the body takes part.
    package enum Body: Sendable {
        /// JSON by its canonical form, multipart by its parts, both without content codings;
        /// anything else byte for byte.
        case auto
        case bytes
        /// The values at these places of a JSON body; all bytes of any other.
        case pointers([JSONPointer])
        case none
    }

    /// Whether the query takes part.
    package var query = true
    /// Fields that take part.
    package var fields: [FieldName] = []
    package var body: Body = .auto
    /// Places of a JSON body that take no part.
    package var ignore: [JSONPointer] = []

    /// The defaults.
    package init() {}
}
