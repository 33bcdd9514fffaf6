import HTTP
import Idempotency
import Telemetry

/// What enforcing would have done with a request.
enum ShadowDecision: String, CaseIterable {
    /// Forward it: as now.
    case execute
    /// Forward it without a key: as now.
    case pass
    case replay, wait
    case inFlight = "in-flight"
    case unknown
    case keyMissing = "key-missing"
    case keyInvalid = "key-invalid"
    case keyReused = "key-reused"
    case keyExpired = "key-expired"
    case bodyTooLarge = "body-too-large"
    /// The body did not come whole, so that nothing can be said.
    case bodyIncomplete = "body-incomplete"
    case storeUnavailable = "store-unavailable"

    /// Its place among all cases.
    var position: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// The watched way of one route: requests are forwarded as on a plain route, without any limit of
/// this one, and beside that it is decided and counted what keys would have done.
///
/// Nothing that is decided here holds a request up: it is decided when the body has gone by, and
/// concluded when the answer has. Records are kept, without fields and bodies of answers, so that
/// duplicates are recognised.
final class ShadowHandler {
    let route: Route
    let rules: KeyRules
    let services: LoopServices
    private let counters: [Counter]
    private let relay: Relay

    init(
        _ route: Route, _ rules: KeyRules, _ counters: [Counter], relay: Relay,
        _ services: LoopServices
    ) {
        self.route = route
        self.rules = rules
        self.counters = counters
        self.relay = relay
        self.services = services
    }

    /// Forwards a request. `finish` is called when it is answered and all is decided about it,
    /// which may be after this has returned.
    ///
    /// - Throws: ``DownstreamError`` when the client is gone; the exchange is cancelled then.
    func respond(
        to request: Request, _ path: DecodedPath?, through writer: any ResponseWriter,
        _ account: RequestAccount, finish: @escaping () -> Void
    ) async throws {
        let watch = ShadowWatch(request, path, account, self, finish: finish)
        services.work.begin(watch)
        services.start { await watch.run() }
        defer { watch.endRelay() }
        let watched = Request(
            head: request.head, body: watch.body, downstream: request.downstream)
        let call = Relay.Call(watched, path, writer, account)
        call.isUnlimited = true
        call.witness = watch.witness
        try await relay.relay(call)
    }

    /// Counts a decision.
    func count(_ decision: ShadowDecision) { counters[decision.position].increment() }
}

/// A request's body on its way, of which a copy is kept up to a limit.
final class WatchedBody: RequestBody {
    /// What there was of it.
    enum Whole {
        case bytes(ArraySlice<UInt8>)
        case tooLarge
        case incomplete
    }

    /// Given when the body has gone by, or will not.
    let whole = Promise<Whole>()
    private let body: any RequestBody
    private let limit: Int
    private var bytes: ArraySlice<UInt8> = []
    private var isTooLarge: Bool

    /// - Parameter limit: The most bytes of the copy; none at all are kept of a longer body.
    init(_ body: any RequestBody, _ framing: BodyFraming, limit: Int) {
        self.body = body
        self.limit = limit
        switch framing {
        case .none, .length(0):
            isTooLarge = false
            whole.give(.bytes([]))
        case .length(let length): isTooLarge = length > UInt64(limit)
        case .chunked, .untilClose: isTooLarge = false
        }
    }

    func read() async throws(DownstreamError) -> ArraySlice<UInt8>? {
        guard let chunk = try await body.read() else {
            whole.give(isTooLarge ? .tooLarge : .bytes(bytes))
            return nil
        }
        if isTooLarge || bytes.count + chunk.count > limit {
            isTooLarge = true
            bytes = []
        } else if bytes.isEmpty {
            bytes = chunk
        } else {
            bytes += chunk
        }
        return chunk
    }

    var trailers: Fields { body.trailers }

    func abandon() { body.abandon() }

    /// Notes that nobody reads any further.
    func close() { whole.give(isTooLarge ? .tooLarge : .incomplete) }
}
