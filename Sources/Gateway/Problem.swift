import HTTP
import JSON

/// An answer that the gateway makes itself: a problem document (RFC 9457).
struct Problem {
    /// What went wrong, by the contract's names; the end of `type`.
    enum Name: String {
        case keyMissing = "key-missing"
        case keyInvalid = "key-invalid"
        case inFlight = "in-flight"
        case keyExpired = "key-expired"
        case responseNotKept = "response-not-kept"
        case keyReused = "key-reused"
        case bodyTooLarge = "body-too-large"
        case upstreamUnreachable = "upstream-unreachable"
        case outcomeUnknown = "outcome-unknown"
        case storeUnavailable = "store-unavailable"
        case stageFailed = "stage-failed"
        case noRoute = "no-route"
        case badRequest = "bad-request"
    }

    /// Whether the upstream has acted on the request.
    enum Executed: String {
        case no, yes, pending, unknown
    }

    let name: Name
    let status: UInt16
    /// What happened and what the client can do.
    let detail: String
    var executed: Executed?
    var key: ArraySlice<UInt8>?
    var recoveryPoint: String?
    /// The names of the parts in which two requests differ; never their values.
    var differs: [String] = []
    /// The status of an answer whose body is gone.
    var originalStatus: UInt16?
    /// Seconds, for `Retry-After`.
    var retryAfter: Int?
    /// What the request is called; empty where it has no id.
    var requestID: [UInt8] = []

    init(
        _ name: Name, _ status: UInt16, _ detail: String, executed: Executed? = nil,
        retryAfter: Int? = nil
    ) {
        self.name = name
        self.status = status
        self.detail = detail
        self.executed = executed
        self.retryAfter = retryAfter
    }

    /// The head of the answer.
    var head: ResponseHead {
        var fields = Fields()
        fields.append(.contentType, Self.mediaType)
        fields.append(.cacheControl, Self.noStore)
        if let retryAfter { fields.append(.retryAfter, String(retryAfter)) }
        return ResponseHead(status: status, fields: fields, framing: .length(0))
    }

    /// The document.
    var body: [UInt8] {
        var json = JSONWriter(reserving: 384)
        json.beginObject()
        json.member("type", "urn:oncegate:" + name.rawValue)
        json.member("title", name.title)
        json.member("status", Int(status))
        json.member("detail", detail)
        if let executed { json.member("executed", executed.rawValue) }
        if let key { json.member("idempotency_key", bytes: key) }
        if let recoveryPoint { json.member("recovery_point", recoveryPoint) }
        if !differs.isEmpty {
            json.name("differs")
            json.beginArray()
            for part in differs { json.value(part) }
            json.endArray()
        }
        if let originalStatus { json.member("original_status", Int(originalStatus)) }
        if !requestID.isEmpty { json.member("request_id", bytes: requestID[...]) }
        json.endObject()
        return json.bytes
    }

    private static let mediaType = Array("application/problem+json".utf8)
    private static let noStore = Array("no-store".utf8)
}

extension Problem.Name {
    /// A few words that are the same for every problem of this name.
    var title: String {
        switch self {
        case .keyMissing: "Idempotency key missing"
        case .keyInvalid: "Idempotency key invalid"
        case .inFlight: "Request in flight"
        case .keyExpired: "Idempotency key expired"
        case .responseNotKept: "Response not kept"
        case .keyReused: "Idempotency key reused"
        case .bodyTooLarge: "Request body too large"
        case .upstreamUnreachable: "Upstream unreachable"
        case .outcomeUnknown: "Outcome unknown"
        case .storeUnavailable: "Key store unavailable"
        case .stageFailed: "Stage failed"
        case .noRoute: "No route"
        case .badRequest: "Bad request"
        }
    }
}
