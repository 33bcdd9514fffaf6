import HTTP
package import Idempotency
import JSON
import Telemetry

/// Asks upstreams what became of requests whose outcome is unknown, and settles their records. One
/// for each event loop; one of them looks for records on its own.
///
/// A 2xx answer to the probe becomes the record's answer. A 404 frees the record when it came
/// twice, at least ``ProbeRules/spacing`` apart and as long after the record was found unknown.
/// Anything else, and no answer, changes nothing.
package final class Prober {
    private let table: RoutingTable
    private let clients: [any UpstreamClient]
    private let services: LoopServices
    private let ledger: ProbeLedger
    /// The routes with stages, and who goes on with what is learnt of them.
    private let staged: [String: StagedRoute]
    private let completer: Completer
    /// The positions of the routes that probe, by their names.
    private let routes: [String: Int]
    private let progress: Progress

    /// How far the probers of a loop are, one after the other, so that the limit holds over all.
    private final class Progress {
        var last: KeyID?
        var underWay = 0
    }

    /// Probes that are under way on the loop.
    var underWay: Int { progress.underWay }

    /// Probes under way on one loop that no client asked for.
    static let concurrency = 16
    /// Records that one round looks at.
    static let page = 256

    init(
        _ table: RoutingTable, through clients: [any UpstreamClient], _ services: LoopServices,
        _ ledger: ProbeLedger, staged: [String: StagedRoute], _ completer: Completer,
        succeeding predecessor: Prober? = nil
    ) {
        progress = predecessor?.progress ?? Progress()
        self.staged = staged
        self.completer = completer
        self.table = table
        self.clients = clients
        self.services = services
        self.ledger = ledger
        var routes: [String: Int] = [:]
        for (index, route) in table.routes.enumerated()
        where route.keys?.probe != nil || staged[route.name]?.probes == true {
            routes[route.name] = index
        }
        self.routes = routes
    }

    /// Looks at the next unknown records and begins the probes that are due. To be called about
    /// once a second, on one loop; it does not wait for the probes.
    ///
    /// - Throws: When the store failed.
    package func round() async throws(StoreError) {
        guard !routes.isEmpty else { return }
        let page = try await services.keys.unknown(after: progress.last, limit: Self.page)
        progress.last = page.count < Self.page ? nil : page.last?.id
        let now = services.timers.now
        for key in page { discover(key, now: now) }
        let due = ledger.withSchedule { schedule in
            schedule.takeDue(now: now, limit: max(0, Self.concurrency - self.underWay))
        }
        for id in due { start(id) }
    }

    /// Asks for a record because a client came back for it.
    ///
    /// - Parameter limit: How long the client waits; the probe goes on.
    /// - Returns: Whether the record is not unknown any more, as far as is known.
    func ask(for id: KeyID, atMost limit: Duration) async -> Bool {
        guard let key = try? await services.keys.retrieve(id) else { return false }
        let now = services.timers.now
        discover(key, now: now)
        guard ledger.withSchedule({ $0.take(atWishOfClient: id, now: now) }) else { return false }
        let wait = Promise<Bool>()
        start(id, telling: wait)
        let timer = services.timers.after(limit) { wait.give(false) }
        defer { timer.cancel() }
        return await wait.get()
    }

    private func discover(_ key: IdempotencyKey, now: UInt64) {
        guard let rules = rules(for: key) else { return }
        ledger.withSchedule { schedule in
            _ = schedule.discover(
                key.id, claim: key.attempts, spacing: rules.spacing, attempts: rules.attempts,
                now: now)
        }
    }

    /// How the upstream of an unknown record is asked; nil where it is not.
    private func rules(for key: IdempotencyKey) -> ProbeRules? {
        guard key.recoveryPoint == .unknown, let route = routes[key.route] else { return nil }
        if let staged = staged[key.route] {
            return key.pendingStage.flatMap { staged.call(to: $0)?.call.probe }
        }
        return key.probeTarget == nil ? nil : table.routes[route].keys?.probe
    }

    private func start(_ id: KeyID, telling wait: Promise<Bool>? = nil) {
        progress.underWay += 1
        services.start {
            let isSettled = await self.probe(id)
            self.progress.underWay -= 1
            wait?.give(isSettled)
        }
    }
}

extension Prober {
    /// Asks for a record that was taken; whether it is not unknown any more.
    private func probe(_ id: KeyID) async -> Bool {
        let claim = ledger.withSchedule { $0.claim(of: id) } ?? 0
        do {
            let key = try await services.keys.retrieve(id)
            guard let key, let probe = self.rules(for: key), let index = routes[key.route],
                let rules = table.routes[index].keys, key.attempts == claim
            else {
                ledger.withSchedule { $0.forget(id) }
                return true
            }
            let answer = await ask(about: key, probe, rules)
            services.metrics.probes.count(answer.finding)
            let now = services.timers.now
            let ruling = ledger.withSchedule {
                $0.end(id, claim: claim, answer.finding, now: now)
            }
            return try await settle(key, ruling, answer.reply, rules)
        } catch {
            let now = services.timers.now
            _ = ledger.withSchedule { $0.end(id, claim: claim, .inconclusive, now: now) }
            services.log.write(.warning, "probe failed") { line in
                line.member("key_id", id.description)
                line.member("detail", "\(error)")
            }
            return false
        }
    }

    private func settle(
        _ key: IdempotencyKey, _ ruling: ProbeSchedule.Ruling, _ reply: StoredReply?,
        _ rules: KeyRules
    ) async throws -> Bool {
        let outcome: Outcome
        switch (ruling, reply) {
        case (.finish, let reply?): outcome = self.outcome(of: key, found: reply, rules)
        case (.release, _): outcome = self.outcome(of: key, found: nil, rules)
        case (.giveUp, _):
            tell(.warning, "outcome stays unknown", key, "the probes were inconclusive")
            return false
        case (.hold, _), (.finish, nil): return false
        }
        do {
            _ = try await services.keys.settle(key, outcome, policy: rules.policy)
        } catch is ClaimError {
            // Somebody else settled it, or claimed it anew.
            return true
        }
        tell(.info, "outcome found by probe", key, outcome.name)
        if case .suspended = outcome { completer.resume(key) }
        return true
    }

    /// What a probe's finding makes of a record: the answer that was found, or nil where the
    /// upstream does not know the request. Stages go on after the one that was asked for, or with
    /// it.
    private func outcome(
        of key: IdempotencyKey, found reply: StoredReply?, _ rules: KeyRules
    ) -> Outcome {
        let pending = key.pendingStage.flatMap { staged[key.route]?.call(to: $0) }
        guard let reply else { return pending == nil ? .released(nil) : .suspended(reached: nil) }
        guard let pending, !pending.isLast, let point = key.pendingStage else {
            return .finished(reply, retention: rules.policy.retention)
        }
        return .suspended(
            reached: StageRecord(recoveryPoint: point, reply: reply, reachedAt: key.updatedAt))
    }

    private func tell(
        _ level: Log.Level, _ message: String, _ key: IdempotencyKey, _ detail: String
    ) {
        services.log.write(level, message) { line in
            line.member("key_id", key.id.description)
            line.member("route", key.route)
            line.member("detail", detail)
        }
    }

    /// One GET. Its time is limited by the upstream's own timeouts.
    private func ask(
        about key: IdempotencyKey, _ probe: ProbeRules, _ rules: KeyRules
    ) async -> (finding: ProbeSchedule.Finding, reply: StoredReply?) {
        guard let (target, upstream) = place(of: probe, key) else { return (.inconclusive, nil) }
        var fields = Fields()
        fields.append(.host, table.upstreams[upstream].probeHost)
        for index in probe.fields.indices { fields.append(line: index, of: probe.fields) }
        let request = UpstreamRequest(
            method: .get, target: Array(target.utf8)[...], fields: fields, body: .none)
        do throws(UpstreamError) {
            let exchange = try await clients[upstream].exchange(request)
            defer { exchange.cancel() }
            let intake = AnswerIntake(rules: rules)
            let head = try await intake.finalHead(of: exchange)
            guard head.status != 404 else { return (.absent, nil) }
            guard 200...299 ~= head.status else { return (.inconclusive, nil) }
            let answer = try await intake.answer(ReceivedAnswer(head, rules), from: exchange)
            return (.executed, answer.reply)
        } catch {
            return (.inconclusive, nil)
        }
    }

    /// Which upstream is asked, and at which target; nil where the target cannot be filled in.
    private func place(
        of probe: ProbeRules, _ key: IdempotencyKey
    ) -> (target: String, upstream: Int)? {
        guard let staged = staged[key.route] else {
            guard let target = key.probeTarget, let route = routes[key.route] else { return nil }
            return (target, table.routes[route].upstream)
        }
        guard let target = staged.probeTarget(probe, of: key),
            let call = key.pendingStage.flatMap({ staged.call(to: $0)?.call })
        else { return nil }
        return (target, staged.upstream(of: call))
    }
}

extension Outcome {
    /// For the log.
    fileprivate var name: String {
        switch self {
        case .finished: "finished"
        case .unknown: "unknown"
        case .released: "released"
        case .suspended(nil): "the stage did not happen"
        case .suspended: "the stage is done"
        }
    }
}
