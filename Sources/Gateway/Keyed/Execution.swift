import HTTP
import Idempotency
import JSON
import Telemetry

/// The work of one claim: forwards the request, once, concludes durably, then answers.
///
/// It never throws. Whatever happens, and whether the client is still there, it ends in one
/// conclusion.
final class Execution: Concluding {
    /// The client's side.
    let downstream: StreamedAnswer
    private let claim: Claim
    private let call: KeyedCall
    private let handler: KeyedRequestHandler
    private var exchange: (any UpstreamExchange)?
    private var isCancelled = false
    private var isDetached = false
    private var isConcluded = false

    init(_ claim: Claim, _ call: KeyedCall, _ handler: KeyedRequestHandler) {
        self.claim = claim
        self.call = call
        self.handler = handler
        downstream = StreamedAnswer(call)
    }

    /// Does the work. Whoever starts it has put it among the ongoing work.
    func run() async {
        defer { finish() }
        let timers = handler.services.timers
        let startedAt = timers.now
        let received = await forward()
        let upstreamTime = timers.now - startedAt
        downstream.account.upstreamTime = upstreamTime
        handler.services.metrics.record(
            upstreamTime: upstreamTime, upstream: handler.route.upstream)
        switch received {
        case .answer(let answer): await conclude(answer)
        case .failure(let error): await conclude(error)
        }
    }

    /// Ends the exchange, because the process is about to end.
    func cancel() {
        isCancelled = true
        exchange?.cancel()
    }

    /// Lets go of a client that was there too long or hung up, if there is a place for a transfer
    /// without one. The transfer goes on either way.
    func detach(_ reason: StreamedAnswer.End) {
        guard !isConcluded, downstream.ended == nil, reason == .gone || downstream.mayBeLate,
            handler.services.detached.enter()
        else { return }
        isDetached = true
        downstream.detach(reason)
    }

    private func finish() {
        handler.services.work.end(self)
        downstream.finish()
        if isDetached { handler.services.detached.leave() }
    }

    /// What came back.
    private enum Received {
        case answer(ReceivedAnswer)
        case failure(UpstreamError)
    }

    private func forward() async -> Received {
        let head = call.request.head
        let forwarding = RequestForwarding(
            upstream: handler.upstream, keyHeader: handler.rules.header,
            forwardedKey: handler.forwardedKey(call))
        var outgoing = UpstreamRequest(
            method: head.method, target: handler.route.target(of: head, path: call.path),
            fields: forwarding.fields(of: head, from: call.request.downstream),
            body: head.framing == .none ? .none : call.body.outgoing)
        // A process that slept through its lease must not do what another one may have done since.
        let keys = handler.services.keys
        if keys.isShared { outgoing.maySend = { [claim] in keys.isHeld(claim) } }
        do throws(UpstreamError) {
            guard !isCancelled else {
                throw UpstreamError(.unreachable, effect: .none, detail: "the gateway ends")
            }
            let exchange = try await handler.client.exchange(outgoing)
            defer { exchange.cancel() }
            self.exchange = exchange
            call.body.startUpload(to: exchange, handler.services)
            call.releaseBody()
            if isCancelled { exchange.cancel() }
            return .answer(try await receive(from: exchange))
        } catch {
            return .failure(error)
        }
    }

    /// Takes the answer in, and passes a long one on while it comes.
    private func receive(
        from exchange: any UpstreamExchange
    ) async throws(UpstreamError) -> ReceivedAnswer {
        let head = try await finalHead(of: exchange)
        do throws(UpstreamError) {
            var answer = ReceivedAnswer(head, handler.rules)
            var body = RecordedBody(limit: handler.rules.responseLimit, head.framing)
            let heldLimit = handler.rules.streams ? 0 : min(body.limit, Self.heldLimit)
            if heldLimit == 0 || head.framing.isLonger(than: heldLimit) {
                await downstream.begin(answer)
            }
            while let chunk = try await exchange.read() {
                if !downstream.hasBegun, body.count + chunk.count > heldLimit {
                    await downstream.begin(answer)
                    await downstream.pass(body.bytes[...])
                }
                if downstream.hasBegun { await downstream.pass(chunk) }
                body.append(chunk)
            }
            answer.body = body.kept
            answer.trailers = ResponseForwarding.trailers(exchange.trailers)
            ResponseForwarding.removeKeyLines(from: &answer.trailers)
            return answer
        } catch {
            // The upstream has answered, so it has acted, whatever the client says of its bytes.
            throw UpstreamError(error.reason, effect: .possible, detail: error.detail)
        }
    }

    private func finalHead(
        of exchange: any UpstreamExchange
    ) async throws(UpstreamError) -> ResponseHead {
        var head = try await exchange.head()
        while head.isInterim {
            if var interim = try ResponseForwarding.interim(head) {
                ResponseForwarding.removeKeyLines(from: &interim.fields)
                await downstream.pass(interim: interim)
            }
            head = try await exchange.head()
        }
        return head
    }

    /// Answers up to this long are whole before the client sees a byte of them.
    private static let heldLimit = 256 << 10
}

extension Execution {
    private func conclude(_ answer: ReceivedAnswer) async {
        let ending = outcome(of: answer)
        if case .unknown = ending { handler.counters.unknowns.increment() }
        let (status, expires) = await settle(ending)
        let outcome = RequestOutcome(status)
        noteEnd(outcome, answer.head.status)
        if downstream.hasBegun {
            downstream.account.begin(answer.head.status, outcome)
            return await downstream.end(trailers: answer.trailers)
        }
        await downstream.give(answer, status, expires: expires, as: outcome)
    }

    private func conclude(_ error: UpstreamError) async {
        handler.services.noteFailure(error, of: handler.upstream, at: handler.route.upstream)
        let isSafe = error.effect == .none && !followsUnknown
        if !isSafe { handler.counters.unknowns.increment() }
        let (status, _) = await settle(isSafe ? .released(nil) : .unknown(nil))
        // Nothing was sent, but the key is somebody else's now: what became of it is theirs to say.
        if isSafe, status == .unknown {
            noteEnd(.inFlight, nil)
            return await downstream.give(
                .inFlight(retryAfter: 1), .inFlight, as: .inFlight, at: .started)
        }
        noteEnd(isSafe ? .unreachable : .unknown, nil)
        if downstream.hasBegun { return downstream.abort() }
        if isSafe {
            await downstream.give(.unreachable(error.reason), status, as: .unreachable)
        } else {
            let problem = Problem.outcomeUnknown(error.reason, isKeyed: true)
            await downstream.give(problem, status, as: .unknown, at: .unknown)
        }
    }

    /// Says how a transfer ended whose client's line was written before.
    private func noteEnd(_ outcome: RequestOutcome, _ status: UInt16?) {
        guard isDetached else { return }
        handler.services.log.write(.info, "a detached transfer ended") { line in
            line.member("key_id", claim.id.description)
            line.member("route", handler.route.name)
            line.member("outcome", outcome.rawValue)
            line.member("status", status.map { Int($0) })
        }
    }

    /// Whether an earlier attempt at this key may have been executed: then nothing that comes of
    /// this one says that nothing was.
    private var followsUnknown: Bool {
        if case .retry = handler.rules.policy.unknown { claim.attempts > 1 } else { false }
    }

    private func outcome(of answer: ReceivedAnswer) -> Outcome {
        if followsUnknown, case .released(let reply) = answer.outcome { return .unknown(reply) }
        return answer.outcome
    }

    /// Makes the conclusion durable. If that fails, the answer goes out all the same, as unsaved.
    ///
    /// A claim that is no longer valid changes nothing: its lease was over and somebody else
    /// decided. The answer is the upstream's and goes out, but the key does not vouch for it, so
    /// it is called unknown.
    private func settle(_ outcome: Outcome) async -> (KeyStatus, expires: Timestamp?) {
        let timers = handler.services.timers
        let startedAt = timers.now
        defer {
            isConcluded = true
            downstream.account.storeTime += timers.now - startedAt
        }
        do {
            let settlement = try await handler.services.keys.workStage(
                claim, outcome, policy: handler.rules.policy)
            switch settlement {
            case .finished(let finished): return (.executed, finished.expiresAt)
            case .released: return (.released, nil)
            case .unknown: return (.unknown, nil)
            case .suspended: return (.inFlight, nil)
            case .refused, .failed: return (.unsaved, nil)
            }
        } catch let error as ClaimError {
            note("claim lost", error)
            return (.unknown, nil)
        } catch {
            note("conclusion not saved", error)
            return (.unsaved, nil)
        }
    }

    private func note(_ message: String, _ error: any Error) {
        handler.services.log.write(.error, message) { line in
            line.member("key_id", claim.id.description)
            line.member("route", handler.route.name)
            line.member("detail", "\(error)")
        }
    }
}

extension RequestOutcome {
    init(_ status: KeyStatus) {
        switch status {
        case .executed: self = .executed
        case .released: self = .released
        case .unknown: self = .unknown
        case .unsaved: self = .unsaved
        case .unprotected: self = .unprotected
        case .replayed: self = .replayed
        case .inFlight: self = .inFlight
        }
    }
}

extension BodyFraming {
    /// Whether the length is known, and more than that.
    fileprivate func isLonger(than limit: Int) -> Bool {
        if case .length(let length) = self { length > UInt64(limit) } else { false }
    }
}
