import HTTP
import JSON
import Telemetry

/// The plain way of one route: forwards and streams, in both directions at once.
final class Relay {
    private let route: Route
    private let upstream: Upstream
    private let client: any UpstreamClient
    private let services: LoopServices

    init(
        _ route: Route, to upstream: Upstream, through client: any UpstreamClient,
        _ services: LoopServices
    ) {
        self.route = route
        self.upstream = upstream
        self.client = client
        self.services = services
    }

    /// A request that is being relayed.
    final class Call {
        let request: Request
        let path: DecodedPath?
        let writer: any ResponseWriter
        let account: RequestAccount
        /// The key's field, its forwarded form, where the route guards this method.
        var keyHeader: FieldName?
        var forwardedKey: (name: FieldName, value: ArraySlice<UInt8>)?
        /// The body, where it was read already.
        var body: KeyedBody?
        /// Lines that every answer gets; with them, it loses what an upstream says of keys.
        var mark = Fields()
        /// Whether the body may be longer than the route allows.
        var isUnlimited = false
        /// Sees what comes back.
        var witness: ExchangeWitness?
        /// What the request asks of its connection, where that is passed on.
        var options = RelayedOptions()
        var outcome = RequestOutcome.forwarded

        init(
            _ request: Request, _ path: DecodedPath?, _ writer: any ResponseWriter,
            _ account: RequestAccount
        ) {
            self.request = request
            self.path = path
            self.writer = writer
            self.account = account
        }
    }

    /// Answers a request with what the upstream says.
    ///
    /// A client that is gone ends the exchange at once, whatever that is at.
    ///
    /// - Throws: ``DownstreamError`` when the client is gone.
    func relay(_ call: Call) async throws {
        // A body that was read already is that of a request which a key was to guard.
        if call.body == nil { call.options = RelayedOptions(call.request.head) }
        let head = call.request.head
        if case .length(let length) = head.framing, let limit = limit(of: call), length > limit {
            return try await refuse(.bodyTooLarge(limit: limit), .refused, call)
        }
        let forwarding = forwarding(of: call)
        var outgoing = UpstreamRequest(
            method: head.method, target: route.target(of: head, path: call.path),
            fields: forwarding.fields(
                of: head, call.path, from: call.request.downstream, call.account.edge),
            body: .none)
        var first: ArraySlice<UInt8> = []
        do {
            if let body = try bodyAtOnce(call) {
                outgoing.body = body
            } else {
                first = try await readShortBody(call, &outgoing.body)
            }
        } catch {
            return try await refuseBody(error, call, executed: .no)
        }
        call.options.append(to: &outgoing.fields, outgoing.body)
        let startedAt = services.timers.now
        let exchange = client.exchange(for: outgoing)
        call.writer.onDownstreamGone = { exchange.cancel() }
        do throws(UpstreamError) {
            if try !exchange.startAtOnce() { try await exchange.start() }
            call.witness?.wasSent = true
        } catch {
            call.writer.onDownstreamGone = nil
            call.witness?.wasSent = error.effect != .none
            return try await report(error, call)
        }
        defer { noteTime(since: startedAt, call) }
        try await carry(exchange, outgoing.body, first, call)
    }

    private func forwarding(of call: Call) -> RequestForwarding {
        RequestForwarding(
            upstream: upstream, route: route, keyHeader: call.keyHeader,
            forwardedKey: call.forwardedKey)
    }

    private func limit(of call: Call) -> Int? { call.isUnlimited ? nil : route.bodyLimit }

    private func noteTime(since start: UInt64, _ call: Call) {
        call.account.upstreamTime = (call.account.endedAt ?? services.timers.now) - start
        services.metrics.record(upstreamTime: call.account.upstreamTime, upstream: route.upstream)
    }

    /// Decides how the body goes out; nil where a short one is to be read first.
    private func bodyAtOnce(_ call: Call) throws(DownstreamError) -> UpstreamRequest.Body? {
        let framing = call.request.head.framing
        if let whole = call.body {
            return framing == .none ? UpstreamRequest.Body.none : whole.outgoing
        }
        switch framing {
        case .none: return UpstreamRequest.Body.none
        case .length(0): return .whole([])
        // It is not asked for before the upstream does.
        case .length(let length) where call.options.expectsContinue: return .stream(length: length)
        case .length(let length) where length <= Self.shortBody:
            guard let whole = try call.request.body.whole() else { return nil }
            call.account.bytesIn += whole.count
            return .whole(whole)
        case .length(let length): return .stream(length: length)
        case .chunked, .untilClose: return .stream(length: nil)
        }
    }

    /// Reads a short body, which goes out with the head then. Where not all of it is there, what was
    /// read is given back.
    private func readShortBody(
        _ call: Call, _ body: inout UpstreamRequest.Body
    ) async throws(DownstreamError) -> ArraySlice<UInt8> {
        guard case .length(let length) = call.request.head.framing else { return [] }
        let first = try await call.request.body.read() ?? []
        call.account.bytesIn += first.count
        if first.count == length, try await call.request.body.read() == nil {
            body = .whole(first)
            return []
        }
        body = .stream(length: length)
        return first
    }

    /// Bodies of a known length up to this are sent together with their head.
    private static let shortBody: UInt64 = 64 << 10

    /// Carries the answer down, and beside it what is left of the body up.
    private func carry(
        _ exchange: any UpstreamExchange, _ body: UpstreamRequest.Body,
        _ first: ArraySlice<UInt8>, _ call: Call
    ) async throws {
        var upload: Upload?
        if let whole = call.body {
            whole.startUpload(to: exchange, services)
        } else if case .stream = body {
            upload = Upload(
                call.request.body, to: exchange, forwarding(of: call), limit: limit(of: call),
                call.account)
        }
        var timer: (any ScheduledTimer)?
        if let upload {
            let (services, begin) = (services, { upload.start(after: first, self.services) })
            if call.options.expectsContinue {
                timer = services.timers.after(Self.expectationLimit, begin)
            } else {
                begin()
            }
        }
        defer { timer?.cancel() }
        var failure: (any Error)?
        do {
            do {
                try await answer(from: exchange, beside: upload, call)
            } catch let error as UpstreamError {
                exchange.cancel()
                try await report(error, after: upload?.end, call)
            }
        } catch {
            failure = error
        }
        call.writer.onDownstreamGone = nil
        exchange.cancel()
        await upload?.stop()
        if let failure { throw failure }
    }

    /// How long a client that waits to be asked for its body is kept waiting for the upstream to do
    /// so. Many upstreams never do, and curl sends after a second too.
    private static let expectationLimit: Duration = .seconds(1)

    private func answer(
        from exchange: any UpstreamExchange, beside upload: Upload?, _ call: Call
    ) async throws {
        var head = try await exchange.head()
        if head.isInterim { head = try await finalHead(after: head, exchange, upload, call) }
        guard head.status != 101 else {
            return try await switchProtocols(as: head, exchange, upload, call)
        }
        upload?.forgo()
        var answer = ResponseHead(
            status: head.status, reason: head.reason,
            fields: ResponseForwarding.fields(of: head), framing: head.framing)
        if call.mark.count > 0 { ResponseForwarding.removeKeyLines(from: &answer.fields) }
        call.witness?.head = head
        if call.request.head.version == .http11 {
            if head.framing == .chunked {
                for line in head.fields.indices where head.fields.id(at: line) == .trailer {
                    answer.fields.append(line: line, of: head.fields)
                }
            }
            if head.status == 426, call.body == nil {
                RelayedOptions.append(upgradesOf: head, to: &answer.fields)
            }
        }
        for line in call.mark.indices { answer.fields.append(line: line, of: call.mark) }
        call.account.dress(&answer.fields)
        call.account.begin(head.status, call.outcome)
        if case .length = head.framing, let body = try exchange.wholeBody() {
            call.account.bytesOut += body.count
            call.witness?.isComplete = true
            return try await give(answer, body, call)
        }
        try await call.writer.begin(answer)
        while let chunk = try await exchange.read() { try await write(chunk, call) }
        call.witness?.isComplete = true
        let trailers = ResponseForwarding.trailers(exchange.trailers)
        try await call.writer.end(trailers: call.account.trailers(trailers))
    }

    private func give(
        _ answer: ResponseHead, _ body: ArraySlice<UInt8>, _ call: Call
    ) async throws(DownstreamError) {
        switch try call.writer.respondAtOnce(answer, body: body) {
        case .whole: break
        case .part: try await call.writer.finishResponding()
        case .nothing: try await call.writer.respond(answer, body: body)
        }
    }

    private func write(_ chunk: ArraySlice<UInt8>, _ call: Call) async throws(DownstreamError) {
        call.account.bytesOut += chunk.count
        try await call.writer.write(chunk)
    }

    /// Passes interim answers on until the final one, or a 101, comes. The upstream's `100` has the
    /// client asked for the body that it holds back.
    private func finalHead(
        after first: ResponseHead, _ exchange: any UpstreamExchange, _ upload: Upload?,
        _ call: Call
    ) async throws -> ResponseHead {
        var head = first
        while head.isInterim, head.status != 101 {
            if head.status == 100 { upload?.start(after: [], services) }
            if let interim = try ResponseForwarding.interim(head) {
                if call.request.head.version != .http10 { try await call.writer.interim(interim) }
            }
            head = try await exchange.head()
        }
        return head
    }
}

extension Relay {
    /// Joins the client's connection with the upstream's, once the request was sent whole.
    private func switchProtocols(
        as head: ResponseHead, _ exchange: any UpstreamExchange, _ upload: Upload?, _ call: Call
    ) async throws {
        guard var answer = call.options.answer(switching: head) else {
            throw UpstreamError(
                .malformed, effect: .possible,
                detail: "101 with a protocol that was not offered to the upstream")
        }
        if let upload {
            upload.start(after: [], services)
            await upload.wait()
            guard case .complete = upload.end else {
                throw UpstreamError(
                    .cutShort, effect: .possible, detail: "101 in the middle of the request")
            }
        }
        guard let far = exchange.tunnel() else {
            throw UpstreamError(.cutShort, effect: .possible, detail: "closed after a 101")
        }
        call.account.dress(&answer.fields)
        let near: any TunnelEnd
        do {
            near = try await call.writer.upgrade(answer)
        } catch {
            far.close(resetting: true)
            throw error
        }
        call.writer.onDownstreamGone = nil
        call.witness?.head = head
        call.account.begin(head.status, call.outcome)
        call.account.endedAt = services.timers.now
        let tunnel = Tunnel(
            between: near, and: far, idleLimit: upstream.tunnelIdle, call.account,
            services.metrics.tunnels[route.upstream], services)
        await tunnel.run()
        call.witness?.isComplete = true
    }

    /// Tells the client of a failed exchange, by a problem, or by cutting an answer that began.
    /// Where the request's own body is the reason, that is what it is told.
    private func report(
        _ error: UpstreamError, after end: Upload.End? = nil, _ call: Call
    ) async throws {
        if call.writer.isDownstreamGone { throw DownstreamError.closed }
        switch end {
        case .tooLarge:
            let problem = Problem.bodyTooLarge(limit: route.bodyLimit ?? 0)
            return try await refuse(problem, .refused, call, executed: .unknown)
        case .downstream(let error):
            return try await refuseBody(error, call, executed: .unknown)
        case .complete, .upstream, nil: break
        }
        services.noteFailure(error, of: upstream, at: route.upstream)
        if error.effect == .none {
            try await refuse(.unreachable(error.reason), .unreachable, call)
        } else {
            let problem = Problem.outcomeUnknown(error.reason, isKeyed: false)
            try await refuse(problem, .unknown, call)
        }
    }

    private func refuseBody(
        _ error: DownstreamError, _ call: Call, executed: Problem.Executed
    ) async throws {
        guard let problem = Problem.brokenBody(error, executed: executed) else { throw error }
        try await refuse(problem, .refused, call)
    }

    private func refuse(
        _ problem: Problem, _ outcome: RequestOutcome, _ call: Call,
        executed: Problem.Executed? = nil
    ) async throws(DownstreamError) {
        guard !call.writer.hasBegun else { return call.writer.abort() }
        var problem = problem
        if let executed { problem.executed = executed }
        var head = problem.head
        for line in call.mark.indices { head.fields.append(line: line, of: call.mark) }
        try await call.writer.respond(
            problem: problem, head, as: outcome, call.account)
    }
}

extension ResponseForwarding {
    /// An interim answer as it is passed on; nil for `100 Continue`, which this gateway gives
    /// itself.
    ///
    /// - Throws: ``UpstreamError`` for `101`: no upgrade was asked for.
    static func interim(_ head: ResponseHead) throws(UpstreamError) -> ResponseHead? {
        switch head.status {
        case 100: return nil
        case 101:
            throw UpstreamError(
                .malformed, effect: .possible, detail: "101 without an upgrade asked for")
        default:
            return ResponseHead(status: head.status, reason: head.reason, fields: fields(of: head))
        }
    }
}

extension LoopServices {
    /// Logs and counts a failed exchange.
    func noteFailure(_ error: UpstreamError, of upstream: Upstream, at position: Int) {
        metrics.count(error, upstream: position)
        log.write(.warning, "upstream failed") { line in
            line.member("upstream", upstream.name)
            line.member("reason", "\(error.reason)")
            line.member("effect", "\(error.effect)")
            line.member("detail", error.detail)
        }
    }
}

extension ResponseWriter {
    /// Sends a problem document.
    func respond(
        problem: Problem, _ head: ResponseHead, as outcome: RequestOutcome,
        _ account: RequestAccount
    ) async throws(DownstreamError) {
        var (problem, head) = (problem, head)
        problem.requestID = account.edge.requestID
        account.dress(&head.fields, isProblem: true)
        let body = problem.body
        account.begin(problem.status, outcome)
        account.bytesOut = body.count
        try await respond(head, body: body[...])
    }
}
