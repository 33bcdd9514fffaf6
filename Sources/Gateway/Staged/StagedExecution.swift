import HTTP
import Idempotency
import Telemetry

/// The work of one claim on a route with stages: one upstream call after the other, each recorded,
/// from wherever the record stands up to its end.
///
/// It never throws. Whatever happens, and whether there is a client, it ends in one conclusion.
final class StagedExecution: ClaimedWork {
    let staged: StagedRoute
    /// Nil for work that is gone on with without one.
    let client: AttachedClient?
    var claim: Claim
    /// Whether the record is left to be gone on with later.
    private(set) var isSuspended = false
    private let content: StageContent?
    /// What the request is called that it is done for; of work without a client, what this run is.
    private let edge: RequestEdge
    private var exchange: (any UpstreamExchange)?
    private var pausing: Promise<Void>?
    private(set) var isCancelled = false
    /// Whether the step that is made may have been executed already, in this run.
    var mayHaveActed = false
    /// The answer with which a stage failed in this run.
    var failure: ReceivedAnswer?

    /// - Parameter content: The request, if the record does not hold it.
    init(
        _ claim: Claim, _ content: StageContent?, _ client: AttachedClient?, _ staged: StagedRoute
    ) {
        self.claim = claim
        let content = staged.content(of: claim.key, or: content)
        self.content = content
        self.client = client
        edge =
            client?.downstream.account.edge
            ?? content.map { staged.services.receive($0.head, from: $0.downstream) }
            ?? RequestEdge(staged.services.edges)
        self.staged = staged
        client?.recoveryPoint = claim.key.resumptionPoint
    }

    func run() async {
        defer {
            staged.services.work.end(self)
            client?.finish()
        }
        if claim.key.resumptionPoint != .started || client == nil {
            staged.counters.resumptions.increment()
        }
        let ending = await work()
        if case .suspended = ending { isSuspended = true }
        await conclude(ending)
    }

    func cancel() {
        isCancelled = true
        exchange?.cancel()
        pausing?.give(())
    }

    /// How the work ends.
    enum Ending {
        /// The last stage is done.
        case finished(ReceivedAnswer)
        /// A stage failed for good, and nothing is left to be taken back.
        case failed(StoredReply, ReceivedAnswer?)
        /// Nothing was done.
        case released(ReceivedAnswer)
        case unreached(UpstreamError)
        /// Nobody knows what became of a stage.
        case unknown(ReceivedAnswer?, UpstreamError.Reason?)
        /// A stage could not be taken back: somebody has to see to it.
        case stuck
        /// It goes on later.
        case suspended(reached: StageRecord?, Problem)
        /// The claim may be somebody else's now, and nothing was sent under it that is not recorded.
        case lost
    }

    private func work() async -> Ending {
        guard let content, let key = ClientKey(of: claim.key) else { return misfit() }
        while true {
            let step = staged.plan.step(after: claim.key.stages.map(\.recoveryPoint))
            guard let call = staged.call(of: step), let point = staged.plan.point(of: step) else {
                guard case .fail(let index) = step, let reply = claim.key.stages[index].reply
                else { return misfit() }
                return .failed(reply, failure)
            }
            let result = await perform(step, call, to: point, content, key)
            let ending =
                switch step {
                case .compensation: await take(result, ofCompensation: point, call)
                default: await take(result, of: step, to: point, call)
                }
            if let ending { return ending }
        }
    }

    func misfit() -> Ending {
        staged.noteMisfit(claim.key)
        return .suspended(reached: nil, .stagesChanged)
    }
}

extension StagedExecution {
    /// What came of a step's call.
    enum Result {
        case done(ReceivedAnswer)
        /// A final answer that says that it is not done.
        case failed(ReceivedAnswer)
        /// It cannot be sent, and never will.
        case unsendable(TemplateFailure)
        /// The upstream says that it did not act.
        case refused(ReceivedAnswer)
        /// Nothing was sent.
        case unsent(UpstreamError)
        case unknown(ReceivedAnswer?, UpstreamError.Reason?)
        /// It could not be noted that it was to be sent, so it was not.
        case unnoted
        case lost
    }

    /// Makes a step's call, as often as it may be made.
    func perform(
        _ step: StagePlan.Step, _ call: StageCall, to point: String, _ content: StageContent,
        _ key: ClientKey
    ) async -> Result {
        var request: UpstreamRequest
        do throws(TemplateFailure) {
            request = try staged.request(
                call, to: point, content, key, staged.values(of: claim.key, content, key), edge)
        } catch {
            return .unsendable(error)
        }
        if !call.toleratesRepeats, let obstacle = await begin(point) { return obstacle }
        let keys = staged.services.keys
        if keys.isShared { request.maySend = { [claim] in keys.isHeld(claim) } }
        var backoff = StageBackoff(call.retry)
        while true {
            let result = await attempt(request, step, call)
            if case .unknown = result, call.toleratesRepeats { mayHaveActed = true }
            guard mayRepeat(result, call), let delay = backoff.next(jitter: staged.services.jitter)
            else { return result }
            await pause(for: delay)
            if isCancelled { return result }
        }
    }

    private func mayRepeat(_ result: Result, _ call: StageCall) -> Bool {
        // What the client has of an answer cannot be taken back.
        guard !isCancelled, client?.downstream.hasBegun != true else { return false }
        switch result {
        case .unsent, .refused: return true
        case .unknown: return call.toleratesRepeats
        case .done, .failed, .unsendable, .unnoted, .lost: return false
        }
    }

    /// Marks a step's call durably, before a byte of it is sent.
    func begin(_ point: String) async -> Result? {
        let keys = staged.services.keys
        return await storing { () async throws in
            self.claim = try await keys.begin(
                point, of: self.claim, policy: self.staged.rules.policy)
        }
    }

    /// One call.
    private func attempt(
        _ request: UpstreamRequest, _ step: StagePlan.Step, _ call: StageCall
    ) async -> Result {
        let services = staged.services
        let startedAt = services.timers.now
        defer {
            let time = services.timers.now - startedAt
            client?.downstream.account.upstreamTime += time
            services.metrics.record(upstreamTime: time, upstream: staged.upstream(of: call))
        }
        do throws(UpstreamError) {
            guard !isCancelled else {
                throw UpstreamError(.unreachable, effect: .none, detail: "the gateway ends")
            }
            let exchange = try await staged.exchange(request, of: call)
            defer { exchange.cancel() }
            self.exchange = exchange
            if isCancelled { exchange.cancel() }
            return try await receive(from: exchange, step, call)
        } catch {
            staged.note(error, of: call)
            if error.reason == .withdrawn { return .lost }
            return error.effect == .none ? .unsent(error) : .unknown(nil, error.reason)
        }
    }

    /// Takes an answer in. The one that the client gets goes on to it while it comes, if it is
    /// long.
    private func receive(
        from exchange: any UpstreamExchange, _ step: StagePlan.Step, _ call: StageCall
    ) async throws(UpstreamError) -> Result {
        var intake = AnswerIntake(rules: staged.rules)
        var answer = ReceivedAnswer(try await intake.finalHead(of: exchange), staged.rules)
        let judgement = call.judgement(of: answer)
        answer.ruling = judgement.ruling
        if case .stage(let index) = step, answer.ruling == .keep,
            judgement == .done
                ? staged.plan.isLast(index) : !staged.plan.hasCompensation(before: index)
        {
            intake.downstream = client?.downstream
        }
        answer = try await intake.answer(answer, from: exchange)
        return switch judgement {
        case .done: .done(answer)
        case .failed: .failed(answer)
        case .refused: .refused(answer)
        case .unknown: .unknown(answer, nil)
        }
    }

    func pause(for delay: Duration) async {
        let promise = Promise<Void>()
        pausing = promise
        let timer = staged.services.timers.after(delay) { promise.give(()) }
        if isCancelled { promise.give(()) }
        await promise.get()
        timer.cancel()
        pausing = nil
    }
}
