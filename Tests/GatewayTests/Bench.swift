import HTTP
import Idempotency
import JSON
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// The actor that stands for an event loop.
@globalActor actor Loop {
    static let shared = Loop()
}

/// A gateway with one route and one scripted upstream, without sockets.
@Loop final class Bench {
    let upstream: ScriptedUpstream
    let timers = ManualTimers()
    let store: FaultyStore
    let clock = ManualClock(at: Timestamp(microseconds: 1_800_000_000_000_000))
    let metrics = Metrics()
    let gateway: GatewayHandler
    let keys: IdempotencyKeyService
    let log: Log
    /// Another gateway on the same store, kept alive as long as this one.
    var foreign: Bench?

    /// - Parameters:
    ///   - keys: How the route treats keys; nil for a plain route.
    ///   - host: What becomes of `Host`.
    ///   - detached: How many transfers may go on without a client.
    ///   - service: Another bench's keys, instead of new ones.
    init(
        _ upstream: ScriptedUpstream, keys rules: KeyRules?, path: String = "/**",
        host: Upstream.HostField = .keep, bodyLimit: Int? = 10 << 20, rewrite: String? = nil,
        spool: (any BodySpool)? = nil,
        log: Log = Log(level: .error, access: false, to: -1, accessTo: -1), detached: Int = 100,
        journal: (any ConclusionJournal)? = nil, keys service: IdempotencyKeyService? = nil
    ) throws {
        self.log = log
        self.upstream = upstream
        let pattern = try PathPattern(path)
        let route = Route(
            name: "orders", path: pattern,
            rewrite: try rewrite.map { try PathRewrite($0, for: pattern) },
            bodyLimit: bodyLimit, keys: rules)
        let table = RoutingTable(
            routes: [route], upstreams: [Upstream(name: "api", authority: "api:9", host: host)])
        let clock = clock
        store = FaultyStore(InMemoryStore(now: { clock.now }))
        keys =
            service
            ?? IdempotencyKeyService(store: store, journal: journal, now: { clock.now })
        gateway = GatewayHandler(
            table: table, clients: [upstream], keys: keys, timers: timers, log: log,
            metrics: GatewayMetrics(metrics, table: table),
            detached: DetachedTransfers(limit: detached, metrics), spool: spool)
    }

    /// Sends a request and returns the answer.
    @discardableResult func send(
        _ request: Request, to writer: RecordingResponseWriter = RecordingResponseWriter()
    ) async throws -> RecordingResponseWriter {
        try await gateway.respond(to: request, through: writer)
        return writer
    }

    /// Something about the answer to a request.
    func answer<Result: Sendable>(
        to request: Request, _ body: (RecordingResponseWriter) -> Result
    ) async throws -> Result {
        body(try await send(request))
    }

    /// What the answer to a request says of its key.
    func keyStatus(of request: Request) async throws -> String? {
        try await send(request).field("Idempotency-Status")
    }

    /// Sends a request that is answered later.
    func begin(
        _ request: Request, to writer: RecordingResponseWriter = RecordingResponseWriter()
    ) -> (RecordingResponseWriter, Task<Void, any Error>) {
        let gateway = gateway
        return (writer, Task { try await gateway.respond(to: request, through: writer) })
    }

    /// Lets everything run that can run: tasks of the loop take turns, so those that wait for
    /// nothing but the loop are done after a few.
    func settle() async {
        for _ in 0..<100 { await Task.yield() }
    }
}

extension Request {
    /// A request as tests send it: a POST with a key and a JSON body.
    static func order(
        key: String? = "k-1", _ body: String = #"{"n":1}"#, method: HTTP.Method = .post,
        target: String = "/orders", fields: Fields = [:], version: Version = .http11,
        downstream: Downstream = Downstream(peer: "192.0.2.1")
    ) -> Request {
        var all: Fields = ["Host": "shop.example", "Content-Type": "application/json"]
        if let key { all.append(.idempotencyKey, key) }
        for line in fields.indices { all.append(line: line, of: fields) }
        let head = RequestHead(
            method: method, target: Array(target.utf8)[...], version: version, fields: all,
            framing: body.isEmpty ? .none : .length(UInt64(body.utf8.count)))
        return Request(
            head: head, body: ScriptedBody(body.isEmpty ? [] : [body]), downstream: downstream)
    }
}

extension KeyRules {
    /// The defaults, by `Authorization`.
    static var plain: KeyRules { KeyRules(scope: .fields([.authorization])) }

    /// The defaults but for a change.
    static func with(_ change: (inout KeyRules) -> Void) -> KeyRules {
        var rules = plain
        change(&rules)
        return rules
    }
}

extension Bench {
    /// Ends everything as at the end of the process; the number of transfers that were cut short.
    func drain(within limit: Duration, grace: Duration = .seconds(5)) -> Task<Int, Never> {
        let gateway = gateway
        return Task { await gateway.drain(within: limit, grace: grace, cutting: {}) }
    }

    /// What the store has of a key of callers without `Authorization`: its recovery point, and
    /// whether somebody has it; nil without a record.
    func state(of key: String = "k-1") async throws -> String? {
        let scope = IdentityReader().scope(.fields([.authorization]), of: Fields())
        let record = try await store.find(Identity(scope: scope, idempotencyKey: key)).key
        return record.map { $0.recoveryPoint.description + ($0.isLocked ? ", locked" : "") }
    }

    /// Whether the metrics have this line.
    func counts(_ line: String) -> Bool {
        String(decoding: metrics.prometheusText(), as: UTF8.self).contains(line + "\n")
    }

    /// Changes that the store was asked for so far.
    var rowsWritten: Int { store.statistics.rows }
}

extension RecordingResponseWriter {
    /// Checks that the answer is this problem document.
    func expectProblem(
        _ name: String, _ status: UInt16, executed: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(self.status == status, sourceLocation: sourceLocation)
        #expect(field("Content-Type") == "application/problem+json", sourceLocation: sourceLocation)
        #expect(field("Cache-Control") == "no-store", sourceLocation: sourceLocation)
        let document = try? JSON.parse(body[...])
        #expect(document?["type"]?.string == "urn:oncegate:\(name)", sourceLocation: sourceLocation)
        #expect(document?["status"]?.integer == Int(status), sourceLocation: sourceLocation)
        #expect(document?["executed"]?.string == executed, sourceLocation: sourceLocation)
        #expect(document?["title"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
        #expect(document?["detail"]?.string?.isEmpty == false, sourceLocation: sourceLocation)
    }
}

extension ScriptedUpstream.Script {
    /// An answer that is cut within its body.
    static func cutBody(_ reason: UpstreamError.Reason) -> ScriptedUpstream.Script {
        var script = ScriptedUpstream.Script(200, body: "half")
        script.head.framing = .length(8)
        script.cut = UpstreamError(reason, effect: .possible, detail: "scripted")
        return script
    }
}
