import HTTP
import Idempotency
import JSON
import Telemetry

/// The work of one claim: forwards the request, once, concludes durably, then answers.
///
/// It never throws. Whatever happens, and whether the client is still there, it ends in one
/// conclusion.
final class Execution: ClaimedWork {
    private let client: AttachedClient
    let claim: Claim
    private let call: KeyedCall
    let handler: KeyedRequestHandler
    private var exchange: (any UpstreamExchange)?
    private var isCancelled = false

    init(
        _ claim: Claim, _ call: KeyedCall, _ client: AttachedClient, _ handler: KeyedRequestHandler
    ) {
        self.claim = claim
        self.call = call
        self.handler = handler
        self.client = client
    }

    /// The client's side.
    var downstream: StreamedAnswer { client.downstream }

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
        if handler.rules.hasBackendStages { return await concludeStages(received) }
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

    private func finish() {
        handler.services.work.end(self)
        client.finish()
    }

    /// What came back.
    enum Received {
        case answer(ReceivedAnswer)
        case failure(UpstreamError)
    }

    private func forward() async -> Received {
        let head = call.request.head
        let forwarding = RequestForwarding(
            upstream: handler.upstream, route: handler.route, keyHeader: handler.rules.header,
            forwardedKey: handler.forwardedKey(call))
        var outgoing = UpstreamRequest(
            method: head.method, target: handler.route.target(of: head, path: call.path),
            fields: forwarding.fields(
                of: head, call.path, from: call.request.downstream, call.account.edge),
            body: head.framing == .none ? .none : call.body.outgoing)
        if handler.rules.hasBackendStages { outgoing.tellStages(of: claim) }
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
            let intake = AnswerIntake(rules: handler.rules, downstream: downstream)
            return .answer(try await intake.answer(of: exchange))
        } catch {
            return .failure(error)
        }
    }
}

extension Execution {
    private func conclude(_ answer: ReceivedAnswer) async {
        let ending = outcome(of: answer)
        if case .unknown = ending { handler.counters.unknowns.increment() }
        let (status, expires) = await settle(ending)
        noteEnd(RequestOutcome(status), answer.head.status)
        await client.deliver(answer, status, expires: expires)
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
    func noteEnd(_ outcome: RequestOutcome, _ status: UInt16?) {
        client.noteEnd(of: claim.id, route: handler.route.name, outcome, status)
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

    private func settle(_ outcome: Outcome) async -> (KeyStatus, expires: Timestamp?) {
        let startedAt = handler.services.timers.now
        defer { noteConclusion(since: startedAt) }
        return await handler.conclusions.settle(claim, outcome)
    }

    /// Notes that the work is concluded, and how long that took.
    func noteConclusion(since startedAt: UInt64) {
        client.isConcluded = true
        downstream.account.storeTime += handler.services.timers.now - startedAt
    }

    func note(_ message: String, _ error: any Error) {
        handler.conclusions.note(message, error, claim)
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
