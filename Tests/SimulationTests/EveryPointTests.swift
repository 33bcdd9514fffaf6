import Testing

/// Small worlds, each with one fault at one point, for every point that there is.
@Suite struct EveryPointTests {
    /// What happens in a world without the fault.
    static let scenarios: [Scenario] = [
        Scenario("one order"), Scenario("one order, no journal") { $0.hasJournal = false },
        Scenario("an order and its duplicate") { $0.clients = [[order], [order]] },
        Scenario("two orders under one key") { plan in
            plan.clients = [[order], [Order(scope: "alice", key: "k1", variant: 1)]]
        },
        Scenario("an answer that is cut") { $0.upstream = [(1, .cutAfter)] },
        Scenario("a refusal, then an answer") { $0.upstream = [(1, .refuses), (1, .answers)] },
        Scenario("an upstream that is away") { $0.upstream = [(1, .unreachable), (1, .answers)] },
        Scenario("a slow upstream") { plan in
            plan.upstream = [(1, .slow)]
            plan.lease = .seconds(2)
        },
        Scenario("two gateways") { plan in
            plan.hosts = 2
            plan.clients = [[order], [order]]
            plan.lease = .seconds(2)
            plan.upstream = [(1, .slow), (1, .answers)]
        },
        Scenario("an upstream that tolerates repeats") { plan in
            plan.repeatsUnknown = true
            plan.upstream = [(1, .cutAfter), (1, .answers), (1, .unreachable)]
        },
        Scenario("a stream") { $0.streams = true },
        Scenario("stages that are held") { $0.stages = stages(.hold) },
        Scenario("stages that are asked for") { $0.stages = stages(.probe) },
        Scenario("stages that are repeated") { $0.stages = stages(.retry) },
        Scenario("stages and a duplicate, two gateways") { plan in
            plan.stages = stages(.probe)
            plan.hosts = 2
            plan.clients = [[order], [order]]
            plan.lease = .seconds(2)
            plan.upstream = [(1, .slow), (2, .answers)]
        },
        Scenario("stages that are taken back") { plan in
            plan.stages = stages(.probe, back: .probe)
            plan.declinedStage = 2
        },
    ]

    private static func stages(
        _ way: PlannedStage.Way, back: PlannedStage.Way? = nil
    ) -> [PlannedStage] {
        (0..<3).map { PlannedStage(unknown: way, back: $0 < 2 ? back : nil) }
    }

    private static let order = Order(scope: "alice", key: "k1")

    @Test(arguments: scenarios)
    func `a crash at any step breaks no promise`(_ scenario: Scenario) async {
        let steps = Simulation(scenario.plan(0)).busySteps
        let limit = scenario.plan(0).isStaged ? 300 : 100
        for step in 1...min(steps, limit) {
            var plan = scenario.plan(0)
            plan.crashAt = step
            let violations = Simulation(plan).violations
            #expect(violations == [], "\(scenario), crash at step \(step)")
            await Task.yield()
        }
    }

    @Test(arguments: scenarios)
    func `a failure of any call of the store breaks no promise`(_ scenario: Scenario) async {
        let limit = scenario.plan(0).isStaged ? 20 : 12
        for call in 0..<min(Simulation(scenario.plan(0)).storeCalls, limit) {
            for fault in StoreFault.allCases {
                var plan = scenario.plan(0)
                plan.storeFaultAt = [call: fault]
                let violations = Simulation(plan).violations
                #expect(violations == [], "\(scenario), call \(call) \(fault)")
                await Task.yield()
            }
        }
    }

    /// A failure of the store and a crash soon after it: what the journal is for.
    @Test(arguments: scenarios)
    func `a crash after a failure of the store breaks no promise`(_ scenario: Scenario) async {
        let steps = min(Simulation(scenario.plan(0)).busySteps, 40)
        for fault in [StoreFault.before, .after] {
            for step in 8...max(steps, 8) {
                var plan = scenario.plan(0)
                for call in 2..<8 { plan.storeFaultAt[call] = fault }
                plan.crashAt = step
                let violations = Simulation(plan).violations
                #expect(violations == [], "\(scenario), \(fault), crash at step \(step)")
                await Task.yield()
            }
        }
    }

    /// A small world.
    struct Scenario: Sendable, CustomTestStringConvertible {
        let testDescription: String
        private let change: @Sendable (inout Plan) -> Void

        init(_ name: String, _ change: @escaping @Sendable (inout Plan) -> Void = { _ in }) {
            testDescription = name
            self.change = change
        }

        func plan(_ seed: UInt64) -> Plan {
            var plan = Plan(seed: seed)
            plan.clients = [[EveryPointTests.order]]
            plan.upstreamDelay = 200
            plan.retryDelay = 3000
            plan.patience = 20_000
            change(&plan)
            return plan
        }
    }
}
