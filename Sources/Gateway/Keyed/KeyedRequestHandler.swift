import Crypto
import HTTP
import Idempotency
import JSON
import Telemetry

/// The keyed way of one route: each key's request is executed at most once, and every repetition
/// gets the stored answer.
final class KeyedRequestHandler {
    let route: Route
    let rules: KeyRules
    let upstream: Upstream
    let client: any UpstreamClient
    let services: LoopServices
    let counters: GatewayMetrics.KeyCounters
    let conclusions: Conclusions
    private let relay: Relay
    /// Nil where requests are forwarded.
    private let staged: StagedRoute?
    /// The policy, with nobody waiting where duplicates are rejected.
    private let policy: KeyPolicy

    init(
        _ route: Route, _ rules: KeyRules, to upstream: Upstream,
        through client: any UpstreamClient, _ counters: GatewayMetrics.KeyCounters, relay: Relay,
        _ services: LoopServices, staged: StagedRoute? = nil
    ) {
        self.staged = staged
        conclusions = Conclusions(route: route, rules: rules, services: services)
        self.route = route
        self.rules = rules
        self.upstream = upstream
        self.client = client
        self.services = services
        self.counters = counters
        self.relay = relay
        var policy = rules.policy
        if case .reject = rules.inFlight { policy.waiters = 0 }
        self.policy = policy
    }

    /// Answers a request: replays, refuses, joins, or does the work once.
    ///
    /// - Throws: ``DownstreamError`` when the client is gone. Work that was begun goes on.
    func respond(
        to request: Request, _ path: DecodedPath?, through writer: any ResponseWriter,
        _ account: RequestAccount
    ) async throws {
        var found: ClientKey?
        switch ClientKey.read(from: request.head.fields, named: rules.header) {
        case .key(let key): found = key
        case .invalid(let reason):
            return try await refuse(.keyInvalid(rules.header, reason), writer, account)
        case .absent: found = services.derivedKeys.key(rules.source, of: request.head.fields)
        }
        let relayed = Relay.Call(request, path, writer, account)
        if found == nil, rules.source?.needsBody != true {
            found = try await keyOfKeyless(relayed)
            guard found != nil else { return }
        }
        let body: KeyedBody
        do {
            body = try await readBody(of: request, account)
        } catch {
            if case .spool(let error) = error { return try await refuse(error, writer, account) }
            guard let problem = error.problem else { throw error.downstream }
            return try await refuse(problem, writer, account)
        }
        let fingerprint = services.identities.fingerprint(
            rules.fingerprint, of: request.head, body: body)
        relayed.body = body
        var key =
            found
            ?? services.derivedKeys.key(
                rules.source, of: body, request.head.fields, fingerprint)
        if key == nil { key = try await keyOfKeyless(relayed) }
        guard let key else { return }
        try await admit(
            KeyedCall(request, path, key, fingerprint, body: body, writer, account))
    }

    /// A key for a request without one; nil when the request was answered, refused or forwarded.
    private func keyOfKeyless(_ call: Relay.Call) async throws -> ClientKey? {
        switch rules.absentKey {
        case .create: return ClientKey(generated: randomUUID())
        case .required:
            try await refuse(.keyMissing(rules.header, or: rules.source), call.writer, call.account)
        case .pass: try await relay.relay(call)
        }
        return nil
    }

    private func admit(_ call: KeyedCall) async throws {
        let head = call.request.head
        let identity = Identity(
            scope: services.identities.scope(rules.scope, of: head.fields),
            keyBytes: call.key.bytes)
        if let admission = services.keys.recall(identity, call.fingerprint) {
            return try await act(on: admission, call, waitingAtMost: rules.waitLimit)
        }
        let wait = waitPreference(head.fields).map { Duration.seconds($0) } ?? rules.waitLimit
        var policy = policy
        if wait == .zero { policy.waiters = 0 }
        var keyRequest = KeyRequest(
            identity: identity, fingerprint: call.fingerprint, requestMethod: head.method.token,
            requestPath: String(decoding: head.path, as: UTF8.self),
            requestParams: route.parameters(of: call.path), route: route.name,
            probeTarget: probeTarget(call), isResumable: rules.hasBackendStages)
        if staged != nil {
            guard let content = StageContent(call) else {
                let error = BodySpoolError("the spooled body cannot be read")
                return try await refuse(error, call.writer, call.account)
            }
            call.stageContent = content
            keyRequest.isResumable = true
            keyRequest.content = content.encoded
        }
        guard !services.work.isOver else { throw DownstreamError.closed }
        let admission: Admission
        let startedAt = services.timers.now
        do throws(StoreError) {
            admission = try await services.work.claiming { () async throws(StoreError) in
                try await services.keys.initializeRequest(keyRequest, policy: policy)
            }
        } catch {
            return try await withoutStore(call, error)
        }
        call.account.storeTime = services.timers.now - startedAt
        try await act(on: admission, call, waitingAtMost: min(wait, rules.waitLimit))
    }

    private func act(
        on admission: Admission, _ call: KeyedCall, waitingAtMost limit: Duration
    ) async throws {
        switch admission {
        case .replay(let finished): try await replay(finished, call, as: .replayed)
        case .refuse(let refusal): try await refuse(refusal, call)
        case .wait(let waiter): try await join(waiter, call, atMost: limit)
        case .proceed(let claim): try await execute(claim, call)
        }
    }

    /// Waits for another request's answer, no longer than the route and the client allow.
    private func join(_ waiter: Waiter, _ call: KeyedCall, atMost limit: Duration) async throws {
        call.account.keyID = waiter.id
        counters.waits.increment()
        let timer = services.timers.after(limit) { waiter.giveUp() }
        call.writer.onDownstreamGone = { waiter.giveUp() }
        let settlement = await waiter.outcome()
        timer.cancel()
        call.writer.onDownstreamGone = nil
        if call.writer.isDownstreamGone { throw DownstreamError.closed }
        switch settlement {
        case .finished(let finished): try await replay(finished, call, as: .joined)
        case .released(let reply?, let id):
            call.account.keyID = id
            try await call.give(reply, .released, as: .joined, isReplay: true)
        case .released(nil, let id):
            call.account.keyID = id
            try await call.give(.unreachable(.unreachable), .released, as: .unreachable)
        case .unknown(let reply, let id): try await giveUnknown(reply, id, call)
        case .suspended(let id, let recoveryPoint):
            let refusal = Refusal.inFlight(
                id: id, recoveryPoint: recoveryPoint, retryAfter: .seconds(1))
            try await refuse(refusal, call)
        case .refused(let refusal): try await refuse(refusal, call)
        case .failed(let error):
            note(error, call)
            var problem = Problem.storeUnavailable
            if case .pass = rules.storeDown { problem = .claimedWithoutStore }
            try await call.give(problem, nil, as: .storeUnavailable)
        case nil:
            counters.conflicts.increment()
            try await call.give(
                .inFlight(retryAfter: 1), .inFlight, as: .inFlight, at: .started)
        }
    }

    private func replay(
        _ finished: Finished, _ call: KeyedCall, as outcome: RequestOutcome
    ) async throws(DownstreamError) {
        call.account.keyID = finished.id
        call.account.attempts = finished.attempts
        counters.replays.increment()
        let isSaved = finished.isSaved
        try await call.give(
            finished.reply, isSaved ? .replayed : .unsaved, as: outcome,
            expires: isSaved ? finished.expiresAt : nil, isReplay: true)
    }
}

extension KeyedRequestHandler {
    /// Does the work in a task of its own, which outlives the client's wait: that ends with the
    /// answer, when the client hangs up, or after `answer_within`, counted from here.
    private func execute(_ claim: Claim, _ call: KeyedCall) async throws {
        call.account.keyID = claim.id
        call.account.attempts = claim.attempts
        guard !isMisfit(claim) else { return try await leave(claim, call) }
        counters.executions.increment()
        let client = AttachedClient(call, services)
        let work: any ClaimedWork =
            if let staged {
                StagedExecution(claim, call.stageContent, client, staged)
            } else {
                Execution(claim, call, client, self)
            }
        if staged != nil { call.releaseBody() }
        let timer = rules.answerWithin.map { limit in
            services.timers.after(limit) { client.detach(.late) }
        }
        services.work.begin(work)
        services.start { await work.run() }
        call.writer.onDownstreamGone = { client.detach(.gone) }
        let end = await client.downstream.end()
        call.writer.onDownstreamGone = nil
        timer?.cancel()
        switch end {
        case .answered: break
        case .late:
            call.account.recoveryPoint = client.recoveryPoint
            try await call.give(
                .stillInFlight, .inFlight, as: .detached, at: client.recoveryPoint ?? .started)
        case .gone:
            call.account.outcome = .detached
            // One that is cut within its answer has nothing else to be told.
            if !call.writer.hasBegun { throw DownstreamError.closed }
        }
    }
}

extension KeyedRequestHandler {
    /// Whether some stages of a claim's work may be done that this route does not have any more.
    private func isMisfit(_ claim: Claim) -> Bool {
        guard staged == nil else { return false }
        if claim.key.content != nil { return true }
        return claim.recoveryPoint != .started && !rules.hasBackendStages
    }

    /// Leaves a record to the stages that it was begun with, or to an operator.
    private func leave(_ claim: Claim, _ call: KeyedCall) async throws {
        services.log.write(.error, "the route lost its stages; the key is held") { line in
            line.member("key_id", claim.id.description)
            line.member("route", route.name)
            line.member("recovery_point", claim.recoveryPoint.description)
        }
        let (status, _) = await conclusions.settle(claim, .suspended(reached: nil))
        try await call.give(.stagesChanged, status, as: .suspended, at: claim.recoveryPoint)
    }

    private func refuse(_ refusal: Refusal, _ call: KeyedCall) async throws {
        switch refusal {
        case .reused(let differs, let id, let recoveryPoint):
            call.account.keyID = id
            counters.mismatches.increment()
            try await call.give(
                .keyReused(differs: differs), KeyStatus(of: recoveryPoint), as: .refused,
                at: recoveryPoint)
        case .inFlight(let id, let recoveryPoint, let retryAfter):
            call.account.keyID = id
            counters.conflicts.increment()
            try await call.give(
                .inFlight(retryAfter: secondsRoundedUp(retryAfter)), .inFlight, as: .inFlight,
                at: recoveryPoint)
        case .unknown(let id, let recorded, let attempts):
            call.account.attempts = attempts
            if try await isSettledByProbe(id, call) { return try await admit(call) }
            try await giveUnknown(recorded, id, call)
        case .expired(let id):
            call.account.keyID = id
            try await call.give(.keyExpired, .unknown, as: .refused)
        }
    }

    /// Asks the upstream, once for a request, where the route says how.
    private func isSettledByProbe(_ id: KeyID, _ call: KeyedCall) async throws -> Bool {
        guard rules.probe != nil || staged?.probes == true, !call.hasProbed,
            let prober = services.prober
        else {
            return false
        }
        call.hasProbed = true
        let isSettled = await prober.ask(for: id, atMost: rules.waitLimit)
        if call.writer.isDownstreamGone { throw DownstreamError.closed }
        return isSettled
    }

    /// Where the upstream can be asked later what became of the request.
    private func probeTarget(_ call: KeyedCall) -> String? {
        guard let probe = rules.probe else { return nil }
        let head = call.request.head
        let path = call.path ?? DecodedPath(head.path)
        return probe.template.target(
            key: call.key.bytes, captures: path.map { route.path.captures(of: $0) } ?? [],
            fields: head.fields)
    }

    /// Gives what was recorded of an unknown outcome, or says that there is nothing.
    private func giveUnknown(
        _ reply: StoredReply?, _ id: KeyID, _ call: KeyedCall
    ) async throws(DownstreamError) {
        call.account.keyID = id
        counters.unknowns.increment()
        if let reply {
            try await call.give(reply, .unknown, as: .unknown, isReplay: true)
        } else {
            let problem = Problem.outcomeUnknown(nil, isKeyed: true)
            try await call.give(problem, .unknown, as: .unknown, at: .unknown)
        }
    }

    /// Refuses, or forwards without protection, as the route says. Those who waited for a claim
    /// that failed are always refused: where anything is forwarded, their request is already. So are
    /// those whose record is there and cannot be read: it may have been executed.
    private func withoutStore(_ call: KeyedCall, _ error: StoreError) async throws {
        note(error, call)
        guard case .pass = rules.storeDown, error.reason != .corrupt, error.reason != .newer else {
            return try await call.give(.storeUnavailable, nil, as: .storeUnavailable)
        }
        let relayed = Relay.Call(call.request, call.path, call.writer, call.account)
        relayed.keyHeader = rules.header
        relayed.forwardedKey = forwardedKey(call)
        relayed.body = call.body
        relayed.mark = call.fields([], .unprotected)
        relayed.outcome = .unprotected
        try await relay.relay(relayed)
    }

    /// The key as the upstream is told it; nil where it is not.
    func forwardedKey(_ call: KeyedCall) -> (name: FieldName, value: ArraySlice<UInt8>)? {
        rules.forwardedName.map { ($0, call.key.fieldValue) }
    }

    private func note(_ error: StoreError, _ call: KeyedCall) {
        services.log.write(.error, "claim failed") { line in
            line.member("route", route.name)
            line.member("detail", error.description)
        }
    }

    /// Refuses a request whose body there is no room for.
    private func refuse(
        _ error: BodySpoolError, _ writer: any ResponseWriter, _ account: RequestAccount
    ) async throws(DownstreamError) {
        services.log.write(.error, "request body not kept") { line in
            line.member("route", route.name)
            line.member("detail", error.detail)
        }
        let problem = Problem.spoolUnavailable
        try await writer.respond(problem: problem, problem.head, as: .storeUnavailable, account)
    }

    private func refuse(
        _ problem: Problem, _ writer: any ResponseWriter, _ account: RequestAccount
    ) async throws(DownstreamError) {
        try await writer.respond(problem: problem, problem.head, as: .refused, account)
    }

    private func secondsRoundedUp(_ duration: Duration) -> Int {
        let (seconds, attoseconds) = duration.components
        return Int(clamping: seconds) + (attoseconds > 0 ? 1 : 0)
    }
}

extension KeyStatus {
    /// What a record's recovery point says of its request.
    init(of recoveryPoint: RecoveryPoint) {
        switch recoveryPoint {
        case .finished: self = .executed
        case .unknown: self = .unknown
        case .started, .stage: self = .inFlight
        }
    }
}
