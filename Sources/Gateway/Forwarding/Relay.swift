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
    struct Call {
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
        var outcome = RequestOutcome.forwarded
    }

    /// Answers a request with what the upstream says.
    ///
    /// - Throws: ``DownstreamError`` when the client is gone; the exchange is cancelled then.
    func relay(_ call: Call) async throws {
        let head = call.request.head
        if case .length(let length) = head.framing, let limit = limit(of: call), length > limit {
            return try await refuse(.bodyTooLarge(limit: limit), .refused, call)
        }
        let forwarding = RequestForwarding(
            upstream: upstream, route: route, keyHeader: call.keyHeader,
            forwardedKey: call.forwardedKey)
        var outgoing = UpstreamRequest(
            method: head.method, target: route.target(of: head, path: call.path),
            fields: forwarding.fields(
                of: head, call.path, from: call.request.downstream, call.account.edge),
            body: .none)
        let first: ArraySlice<UInt8>
        let exchange: any UpstreamExchange
        do {
            first = try await openBody(call, &outgoing.body)
        } catch {
            return try await refuseBody(error, call, executed: .no)
        }
        let startedAt = services.timers.now
        do throws(UpstreamError) {
            exchange = try await client.exchange(outgoing)
            call.witness?.wasSent = true
        } catch {
            call.witness?.wasSent = error.effect != .none
            return try await report(error, call)
        }
        defer { noteTime(since: startedAt, call) }
        try await carry(exchange, outgoing.body, first, call)
    }

    private func limit(of call: Call) -> Int? { call.isUnlimited ? nil : route.bodyLimit }

    private func noteTime(since start: UInt64, _ call: Call) {
        call.account.upstreamTime = services.timers.now - start
        services.metrics.record(upstreamTime: call.account.upstreamTime, upstream: route.upstream)
    }

    /// Decides how the body goes out. A short one of known length is read first, because it mostly
    /// came with the head, and then goes out with the head too; what was read of a longer one is
    /// given back.
    private func openBody(
        _ call: Call, _ body: inout UpstreamRequest.Body
    ) async throws(DownstreamError) -> ArraySlice<UInt8> {
        if let whole = call.body {
            body = call.request.head.framing == .none ? .none : whole.outgoing
            return []
        }
        switch call.request.head.framing {
        case .none: body = .none
        case .length(0): body = .whole([])
        case .length(let length) where length <= 64 << 10:
            let first = try await call.request.body.read() ?? []
            call.account.bytesIn += first.count
            if first.count == length, try await call.request.body.read() == nil {
                body = .whole(first)
                return []
            }
            body = .stream(length: length)
            return first
        case .length(let length): body = .stream(length: length)
        case .chunked, .untilClose: body = .stream(length: nil)
        }
        return []
    }

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
                call.request.body, to: exchange, limit: limit(of: call), call.account)
        }
        call.writer.onDownstreamGone = { exchange.cancel() }
        upload?.start(after: first, services)
        var failure: (any Error)?
        do {
            do {
                try await answer(from: exchange, call)
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

    private func answer(from exchange: any UpstreamExchange, _ call: Call) async throws {
        let head = try await finalHead(of: exchange, interimTo: call)
        var answer = ResponseHead(
            status: head.status, reason: head.reason,
            fields: ResponseForwarding.fields(of: head), framing: head.framing)
        if call.mark.count > 0 { ResponseForwarding.removeKeyLines(from: &answer.fields) }
        call.witness?.head = head
        for line in call.mark.indices { answer.fields.append(line: line, of: call.mark) }
        call.account.dress(&answer.fields)
        call.account.begin(head.status, call.outcome)
        try await call.writer.begin(answer)
        while let chunk = try await exchange.read() { try await write(chunk, call) }
        call.witness?.isComplete = true
        try await call.writer.end(trailers: ResponseForwarding.trailers(exchange.trailers))
    }

    private func write(_ chunk: ArraySlice<UInt8>, _ call: Call) async throws(DownstreamError) {
        call.account.bytesOut += chunk.count
        try await call.writer.write(chunk)
    }

    /// Passes interim answers on until the final one comes.
    private func finalHead(
        of exchange: any UpstreamExchange, interimTo call: Call
    ) async throws -> ResponseHead {
        var head = try await exchange.head()
        while head.isInterim {
            if let interim = try ResponseForwarding.interim(head) {
                if call.request.head.version != .http10 { try await call.writer.interim(interim) }
            }
            head = try await exchange.head()
        }
        return head
    }
}

extension Relay {
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
