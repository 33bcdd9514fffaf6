import HTTP
import Idempotency
import JSON
import Telemetry

/// A route whose work is done in stages: what its executions, its probes and the completer share.
/// One for each event loop.
final class StagedRoute {
    let route: Route
    let rules: KeyRules
    let plan: StagePlan
    let services: LoopServices
    let counters: GatewayMetrics.KeyCounters
    let conclusions: Conclusions
    private let stages: [StageRules]
    private let upstreams: [Upstream]
    private let clients: [any UpstreamClient]
    /// Records of which it was said that they do not fit.
    private var misfits: Set<KeyID> = []

    /// Nil for a route without stages.
    init?(
        _ route: Route, in table: RoutingTable, through clients: [any UpstreamClient],
        _ counters: GatewayMetrics.KeyCounters, _ services: LoopServices
    ) {
        guard let rules = route.keys, let stages = rules.stages, !stages.isEmpty else { return nil }
        self.route = route
        self.rules = rules
        self.stages = stages
        plan = StagePlan(stages)
        upstreams = table.upstreams
        self.clients = clients
        self.counters = counters
        self.services = services
        conclusions = Conclusions(route: route, rules: rules, services: services)
    }

    /// Whether any stage's outcome can be asked for.
    var probes: Bool {
        stages.contains { $0.call.probe != nil || $0.compensation?.probe != nil }
    }

    /// The call of a step; nil where there is nothing to be called.
    func call(of step: StagePlan.Step) -> StageCall? {
        switch step {
        case .stage(let index): stages[index].call
        case .compensation(let index): stages[index].compensation
        case .fail, .misfit: nil
        }
    }

    /// The call that leads to a recovery point, and whether it is the last stage's.
    func call(to point: String) -> (call: StageCall, isLast: Bool)? {
        guard let step = plan.step(to: point), let call = call(of: step) else { return nil }
        return (call, point == stages.last?.recoveryPoint)
    }

    /// The request of a record: as it was stored, or else as somebody has it who sends it again.
    func content(of key: IdempotencyKey, or retry: StageContent? = nil) -> StageContent? {
        key.content.flatMap { StageContent(decoding: $0[...]) } ?? retry
    }

    /// Whether the work of a record can go on here.
    func fits(_ key: IdempotencyKey) -> Bool {
        if case .misfit = plan.step(after: key.stages.map(\.recoveryPoint)) { return false }
        return content(of: key) != nil && ClientKey(of: key) != nil
    }

    /// Says of a record, once, that its work cannot go on here.
    func noteMisfit(_ key: IdempotencyKey) {
        if misfits.count >= Self.notedMisfits { misfits.removeAll() }
        guard misfits.insert(key.id).inserted else { return }
        services.log.write(.error, "stages do not fit the route; the key is held") { line in
            line.member("key_id", key.id.description)
            line.member("route", route.name)
            line.member("recovery_point", key.resumptionPoint.description)
        }
    }

    private static let notedMisfits = 10_000
}

extension StagedRoute {
    /// The position of a call's upstream.
    func upstream(of call: StageCall) -> Int { call.upstream ?? route.upstream }

    /// Opens the exchange of a call.
    func exchange(
        _ request: UpstreamRequest, of call: StageCall
    ) async throws(UpstreamError) -> any UpstreamExchange {
        try await clients[upstream(of: call)].exchange(request)
    }

    /// Notes a failed exchange.
    func note(_ error: UpstreamError, of call: StageCall) {
        let position = upstream(of: call)
        services.noteFailure(error, of: upstreams[position], at: position)
    }

    /// The request of a call that leads to a recovery point.
    ///
    /// - Throws: ``TemplateFailure`` when something that belongs in there is missing.
    func request(
        _ call: StageCall, to point: String, _ content: StageContent, _ key: ClientKey,
        _ values: TemplateValues, _ edge: RequestEdge
    ) throws(TemplateFailure) -> UpstreamRequest {
        let target = try call.path.target(values)
        let forwarding = RequestForwarding(
            upstream: upstreams[upstream(of: call)], route: route, keyHeader: rules.header,
            forwardedKey: rules.forwardedName.map { ($0, key.fieldValue(at: point)) })
        let keep = StageFields(
            hasContent: { if case .original = call.body { true } else { false } }(),
            isForClient: point == stages.last?.recoveryPoint)
        var fields = keep.filtered(
            forwarding.fields(of: content.head, nil, from: content.downstream, edge))
        var body = UpstreamRequest.Body.none
        switch call.body {
        case .none: if call.method.usuallyHasBody { body = .whole([]) }
        case .original: body = content.body.map { .whole($0) } ?? .none
        case .json(let template):
            fields.append(.contentType, "application/json")
            body = .whole(try template.body(values)[...])
        }
        for field in call.fields {
            let value = try field.value.fieldValue(values)
            let all = fields
            fields.removeAll { all.isLine(at: $0, named: field.name) }
            fields.append(field.name, value)
        }
        return UpstreamRequest(method: call.method, target: target[...], fields: fields, body: body)
    }

    /// What words stand for in the templates of a record.
    func values(
        of key: IdempotencyKey, _ content: StageContent, _ clientKey: ClientKey
    ) -> TemplateValues {
        let head = content.head
        let path = DecodedPath(head.path).flatMap { route.path.matches($0) ? $0 : nil }
        var answers: [String: TemplateValues.StageAnswer] = [:]
        for stage in key.stages {
            guard let reply = stage.reply else { continue }
            answers[stage.recoveryPoint] = TemplateValues.StageAnswer(
                status: reply.responseCode,
                content: {
                    reply.responseBody.flatMap {
                        decoded($0[...], Fields(fieldSection: reply.responseHeaders))
                    }
                })
        }
        return TemplateValues(
            key: clientKey.bytes, captures: path.map { route.path.captures(of: $0) } ?? [],
            query: head.query, fields: content.fields,
            content: { decoded(content.body ?? [], content.fields) }, answers: answers)
    }

    /// The target at which a call's upstream is asked what became of it.
    func probeTarget(_ probe: ProbeRules, of key: IdempotencyKey) -> String? {
        guard let content = content(of: key), let clientKey = ClientKey(of: key) else { return nil }
        return probe.template.target(values(of: key, content, clientKey))
    }
}

/// A body without its codings; nil where they cannot be taken off.
private func decoded(_ body: ArraySlice<UInt8>, _ fields: Fields) -> ArraySlice<UInt8>? {
    ContentCodings(fields).flatMap {
        IdentityReader.content(of: .memory(body), $0, limit: IdentityReader.comparedByPointers)
    }
}

extension Method {
    /// Whether a request without a body says so with `Content-Length: 0` (RFC 9110 section 8.6).
    fileprivate var usuallyHasBody: Bool {
        switch self {
        case .post, .put, .patch: true
        default: false
        }
    }
}

/// Which of the client's fields a stage's call bears.
private struct StageFields {
    /// Whether the client's own body goes along.
    let hasContent: Bool
    /// Whether the answer is meant for the client, in a coding that only it may know.
    let isForClient: Bool

    func filtered(_ fields: Fields) -> Fields {
        var kept = fields
        kept.removeAll { index in
            let name = fields.name(at: index)
            if !isForClient, equalsIgnoringCase(name, Self.acceptEncoding) { return true }
            return !hasContent && Self.isOfContent(name)
        }
        return kept
    }

    private static func isOfContent(_ name: ArraySlice<UInt8>) -> Bool {
        if equalsIgnoringCase(name.prefix(prefix.count), prefix) { return true }
        return others.contains { equalsIgnoringCase(name, $0) }
    }

    private static let acceptEncoding = Array("Accept-Encoding".utf8)[...]
    private static let prefix = Array("Content-".utf8)[...]
    /// What describes the client's body, or makes its request a part or a condition.
    private static let others = [
        "Digest", "Repr-Digest", "If-Match", "If-None-Match", "If-Modified-Since",
        "If-Unmodified-Since", "If-Range", "Range", "Expect",
    ].map { Array($0.utf8)[...] }
}
