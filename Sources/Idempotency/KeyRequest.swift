/// What a caller knows of a request that bears a key.
public struct KeyRequest: Sendable {
    /// Who asks, and the key.
    public var identity: Identity
    /// What the request is, as digests.
    public var fingerprint: Fingerprint
    /// The method, as received.
    public var requestMethod: String
    /// The path as received, without query.
    public var requestPath: String
    /// A JSON object as text: the route's path captures, `{}` without any.
    public var requestParams: String
    /// The name of the route that took the request; empty where there are no routes.
    public var route: String
    /// The request target at which the upstream can be asked what became of the request; nil
    /// where it cannot be asked.
    public var probeTarget: String?
    /// Whether the work goes in stages and is taken up again at its recovery point when its owner
    /// is gone. A record of other work becomes unknown then.
    public var isResumable: Bool
    /// The request as its work needs it to go on without the client; nil where it does not go on
    /// by itself. Opaque to stores, sealed like answers, and dropped when the work is done.
    public var content: [UInt8]?

    /// A request from its parts.
    public init(
        identity: Identity, fingerprint: Fingerprint, requestMethod: String, requestPath: String,
        requestParams: String = "{}", route: String = "", probeTarget: String? = nil,
        isResumable: Bool = false, content: [UInt8]? = nil
    ) {
        self.identity = identity
        self.fingerprint = fingerprint
        self.requestMethod = requestMethod
        self.requestPath = requestPath
        self.requestParams = requestParams
        self.route = route
        self.probeTarget = probeTarget
        self.isResumable = isResumable
        self.content = content
    }
}

/// How a route wants its keys treated.
public struct KeyPolicy: Sendable {
    /// What happens to a request whose record is unknown.
    public enum Unknown: Sendable {
        /// It is refused with what was recorded; nothing executes.
        case hold
        /// It executes under a new token: this upstream tolerates repeats.
        case retry
    }

    /// What happens to a request whose record is unknown.
    public var unknown: Unknown = .hold
    /// How long a claim is taken for alive by those who cannot see its owner.
    public var lease: Duration = .seconds(30)
    /// How long a finished record is replayed, and a released one remembered.
    public var retention: Duration = .seconds(24 * 3600)
    /// How long an unknown record stays unknown.
    public var unknownRetention: Duration = .seconds(7 * 24 * 3600)
    /// How long a key is still refused after that.
    public var tombstone: Duration = .seconds(7 * 24 * 3600)
    /// How many may wait for one key's answer at a time; 0 refuses duplicates at once.
    public var waiters = 1000

    /// The contract's defaults.
    public init() {}
}
