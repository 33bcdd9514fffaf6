import HTTP
import Idempotency
import JSON
import Telemetry

/// What became of a request, as logs and metrics name it.
enum RequestOutcome: String, CaseIterable {
    /// Forwarded without a key.
    case forwarded
    case executed, released, unknown, unsaved, unprotected
    case replayed
    /// Answered with what another request was waiting for.
    case joined
    /// 409: somebody is at it.
    case inFlight = "in-flight"
    /// Refused for what it is: its key, its size, its form, its route.
    case refused
    /// Nothing could be sent.
    case unreachable
    /// No key could be claimed.
    case storeUnavailable = "store-unavailable"
    /// The client went away before anything was decided.
    case abandoned
    /// Its stages are not done yet and go on later.
    case suspended
    /// The client hung up, or was told to come back (504), while its request is being executed.
    case detached
}

/// What is known of one request by its end.
final class RequestAccount {
    /// On the loop's monotonic clock, in nanoseconds.
    let startedAt: UInt64
    /// The position of its route; nil without one.
    var route: Int?
    var outcome = RequestOutcome.abandoned
    /// The status of the final answer; 0 when none was begun.
    var status: UInt16 = 0
    /// Bytes of the bodies, without framing.
    var bytesIn = 0
    var bytesOut = 0
    var keyID: KeyID?
    /// How often the key was claimed.
    var attempts: Int?
    /// How far its stages have come; nil where there are none.
    var recoveryPoint: RecoveryPoint?
    /// Nanoseconds that were spent waiting for the store, and for the upstream.
    var storeTime: UInt64 = 0
    var upstreamTime: UInt64 = 0

    /// What keys would have done with it, where they are only watched.
    var shadow: ShadowDecision?
    /// Nanoseconds for which a tunnel was open; nil without one. The other times end with the 101.
    var tunnelTime: UInt64?
    /// When it was answered, if that was before its line is written.
    var endedAt: UInt64?
    /// Where it comes from, and what it is called.
    var edge: RequestEdge
    /// What its answer gets beside its own fields and its id; nil for nothing.
    var dress: AnswerDress?
    /// Whether its answer says something of a key.
    var isKeyed = false

    init(startedAt: UInt64, _ edge: RequestEdge = RequestEdge()) {
        self.edge = edge
        self.startedAt = startedAt
    }

    /// Notes that a final answer begins.
    func begin(_ status: UInt16, _ outcome: RequestOutcome) {
        self.status = status
        self.outcome = outcome
    }
}

extension RequestAccount {
    /// Writes the access line. The query stays out: it may hold secrets.
    func log(_ request: borrowing Request, route: String?, totalTime: UInt64, to log: Log) {
        let head = request.head
        let downstream = request.downstream
        log.access { line in
            line.member("method", head.method.token)
            line.member("path", bytes: head.path)
            if let host = head.fields[.host] { line.member("host", bytes: host) }
            line.member("route", route)
            line.member("status", status == 0 ? nil : Int(status))
            line.member("outcome", outcome.rawValue)
            line.member("bytes_in", bytesIn)
            line.member("bytes_out", bytesOut)
            if let shadow { line.member("shadow", shadow.rawValue) }
            if let keyID { line.member("key_id", keyID.description) }
            if let attempts { line.member("attempts", attempts) }
            if let recoveryPoint { line.member("recovery_point", recoveryPoint.description) }
            line.member("total_ms", milliseconds(totalTime), decimals: 3)
            line.member("store_ms", milliseconds(storeTime), decimals: 3)
            line.member("upstream_ms", milliseconds(upstreamTime), decimals: 3)
            if let tunnelTime {
                line.member("tunnel_ms", milliseconds(tunnelTime), decimals: 3)
            }
            line.member("client", edge.client(of: downstream))
            line.member("peer", downstream.peer)
            if !edge.requestID.isEmpty { line.member("request_id", bytes: edge.requestID[...]) }
            if let traceID = edge.trace.traceID { line.member("trace_id", bytes: traceID) }
        }
    }

    private func milliseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e6 }
}
