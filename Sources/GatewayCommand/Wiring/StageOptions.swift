import Gateway
import HTTP

// What the configuration says of stages, in the words of the gateway.

extension Configuration {
    /// The stages of a route; nil where its requests are forwarded.
    ///
    /// - Parameter upstream: The position of the route's own upstream.
    func stages(
        of keys: Idempotency, on path: PathPattern, from upstream: Int
    ) throws(PatternError) -> [StageRules]? {
        guard let stages = keys.stages else { return nil }
        let names = stages.map(\.recoveryPoint)
        var rules: [StageRules] = []
        for (index, stage) in stages.enumerated() {
            func compile(
                _ call: Idempotency.StageCall, _ earlier: ArraySlice<String>
            ) throws(PatternError) -> StageCall {
                try self.call(call, path, Array(earlier), of: keys, from: upstream)
            }
            var compensation: StageCall?
            if let call = stage.compensate { compensation = try compile(call, names[...index]) }
            rules.append(
                StageRules(
                    recoveryPoint: stage.recoveryPoint,
                    call: try compile(stage.call, names[..<index]), compensation: compensation))
        }
        return rules
    }

    private func call(
        _ written: Idempotency.StageCall, _ path: PathPattern, _ earlier: [String],
        of keys: Idempotency, from routeUpstream: Int
    ) throws(PatternError) -> StageCall {
        let words = Template.Words.ofStage(after: earlier)
        var call = StageCall(
            method: HTTP.Method(written.method),
            path: try Template(path: written.path, for: path, words: words))
        let upstream = written.upstream.flatMap { name in
            upstreams.firstIndex { $0.name == name }
        }
        call.upstream = upstream
        for header in written.headers {
            call.fields.append(
                (header.name, try Template(header.value, for: path, words: words)))
        }
        switch written.body {
        case .none: call.body = .none
        case .original: call.body = .original
        case .json(let value):
            call.body = .json(try JSONTemplate(value, for: path, words: words))
        }
        call.success = StatusSet(written.success)
        if let retry = written.retry {
            call.retry = StageCall.Retry(attempts: retry.attempts, backoff: retry.backoff)
        }
        switch written.unknown ?? keys.unknown {
        case .hold: call.unknown = .hold
        case .retry: call.unknown = .retry
        case .probe:
            let asked = upstreams[upstream ?? routeUpstream].value
            if let probe = written.probe {
                call.unknown = .probe(try probe.rules(for: path, of: asked, words: words))
            }
        }
        return call
    }
}

extension Configuration.Idempotency.Probe {
    /// How an upstream is asked.
    func rules(
        for path: PathPattern, of upstream: Configuration.Upstream,
        words: Template.Words = .ofProbe
    ) throws(PatternError) -> ProbeRules {
        var fields = Fields()
        for header in headers { fields.append(header.name, header.value) }
        // A negative means nothing while the upstream may still be at work.
        let limit = upstream.timeouts.total ?? upstream.timeouts.idle
        return ProbeRules(
            template: try ProbeTemplate(self.path, for: path, words: words),
            spacing: max(spacing, limit), attempts: attempts, fields: fields)
    }
}
