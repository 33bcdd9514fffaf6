import Glibc
import TestSupport
import Testing

/// A storm that goes on for as long as it is told, with every fault that a machine can do to a
/// process, judged by the storm's checker.
///
/// A short run is part of the tests. A long one is a command:
///
///     TORTURE_FAULTS=60 swift test --filter Torture
///
/// `TORTURE_SEED` repeats a run's choices; the kernel's own choices remain.
@Suite(.ownThread) struct TortureTests {
    @Test func `no key runs twice through kills, stops beyond the lease, cuts and disk faults`()
        throws
    {
        let seed = number("TORTURE_SEED") ?? UInt64.random(in: 1..<1_000_000)
        let faults = Int(number("TORTURE_FAULTS") ?? 6)
        print("torture seed \(seed) (TORTURE_SEED=\(seed) TORTURE_FAULTS=\(faults) repeats it)")
        let disk = try Faults()
        let configuration = Torture.configuration(on: disk)
        try Site.run(configuration) { site in
            let torture = Torture(on: site.gateway.port, disk: disk, seed: seed, faults: faults)
            let history = try torture.run(over: site)
            print("torture seed \(seed): \(torture.summary(history))")
            #expect(history.violations == [], "seed \(seed)")
        }
    }

    private func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}

/// Clients that send new keys and old ones for as long as faults are done to the gateway.
private final class Torture: Sendable {
    /// A lease that a stopped process outlasts.
    static func configuration(on disk: Faults) -> Configuration {
        Configuration {
            $0.faults = disk
            $0.idempotency["lease"] = #""1s""#
            $0.idempotency["wait_limit"] = #""2s""#
            $0.upstream["timeouts"] = #"{"connect": "1s", "idle": "2s"}"#
        }
    }

    private static let clients = 24

    private let port: UInt16
    private let disk: Faults
    private let seed: UInt64
    private let faults: Int
    private let state = Monitor(State())

    private struct State {
        var observations: [StormHistory.Observation] = []
        var nextKey = 0
        var isOver = false
        var done: [String: Int] = [:]
    }

    /// What is done to the gateway.
    enum Fault: String, CaseIterable {
        case kill = "kills"
        case stop = "stops beyond the lease"
        case restart = "orderly restarts"
        case full = "full disks"
        case broken = "failing disks"
        case killOnBrokenDisk = "kills on failing disks"
    }

    init(on port: UInt16, disk: Faults, seed: UInt64, faults: Int) {
        self.port = port
        self.disk = disk
        self.seed = seed
        self.faults = faults
    }

    func run(over site: Site) throws -> StormHistory {
        site.origin.on("/orders") { exchange in try Self.serve(exchange) }
        let clients = Background { [self] in
            try concurrently(Self.clients, within: .seconds(3600)) { try self.play($0) }
        }
        var random = SplitMix(seed: seed)
        for _ in 0..<faults {
            // A fault comes after some requests, so that every one finds work under way.
            let goal =
                state.with { $0.observations.count } + Int.random(in: 30..<120, using: &random)
            try state.wait(for: "\(goal) requests", within: .seconds(60)) {
                $0.observations.count >= goal ? true : nil
            }
            try commit(Fault.allCases.randomElement(using: &random)!, on: site, &random)
        }
        state.with { $0.isOver = true }
        _ = try clients.value(within: .seconds(120))
        return try judge(site)
    }

    private func commit(_ fault: Fault, on site: Site, _ random: inout SplitMix) throws {
        state.with { $0.done[fault.rawValue, default: 0] += 1 }
        switch fault {
        case .kill:
            try site.gateway.kill()
            try site.gateway.restart()
        case .stop:
            site.gateway.process.signal(SIGSTOP)
            _ = poll(nil, 0, 1500)
            site.gateway.process.signal(SIGCONT)
        case .restart:
            site.gateway.terminate()
            try site.gateway.restart()
        case .full:
            // The store's log alone, or the journal beside it too.
            try disk.set(
                "write -wal ENOSPC",
                Bool.random(using: &random) ? "write .conclusions ENOSPC" : "seed 1")
            try mend(site, after: .random(in: 50..<400, using: &random))
        case .broken:
            let journal = [
                "sync .conclusions EIO chance=0.2", "write .conclusions SHORT chance=0.2",
            ]
            try breakDisk(&random, journal)
            try mend(site, after: .random(in: 50..<400, using: &random))
        case .killOnBrokenDisk:
            // The journal works, so that what was answered as unsaved is not lost.
            try breakDisk(&random)
            _ = poll(nil, 0, .random(in: 10..<200, using: &random))
            try site.gateway.kill()
            try disk.clear()
            try site.gateway.restart()
        }
    }

    /// Has some of the calls on the store's files fail, each by itself.
    private func breakDisk(_ random: inout SplitMix, _ more: [String] = []) throws {
        let seed = "seed \(UInt32.random(in: 1..<1000, using: &random))"
        let rules = [
            seed, "sync -wal EIO chance=0.3", "write -wal SHORT chance=0.1",
            "write -wal EIO chance=0.2",
        ]
        try disk.set(rules + more)
    }

    /// Mends the disk, and waits until what it did not take is stored.
    private func mend(_ site: Site, after milliseconds: Int32) throws {
        _ = poll(nil, 0, milliseconds)
        try disk.clear()
        _ = try site.pollAdmin("/metrics") { $0.contains("\noncegate_unsaved 0\n") }
    }

    /// Executes most orders and answers them; loses some answers, and some requests.
    private static func serve(_ exchange: OriginExchange) throws {
        try exchange.readBody()
        var random = SplitMix(seed: UInt64(truncatingIfNeeded: exchange.order.hashValue))
        switch Int.random(in: 0..<40, using: &random) {
        case 0: exchange.reset()
        case 1:
            exchange.executeSilently()
            exchange.reset()
        case 2:
            exchange.executeSilently()
            exchange.pause(milliseconds: 3000)
            exchange.close()
        case 3...6:
            exchange.pause(milliseconds: Int32.random(in: 20..<1200, using: &random))
            try exchange.execute()
        default:
            exchange.pause(milliseconds: Int32.random(in: 0..<5, using: &random))
            try exchange.execute()
        }
    }

    /// One client: new keys, duplicates of recent ones, and some impatience.
    private func play(_ client: Int) throws {
        var random = SplitMix(seed: seed &* 1_000_003 &+ UInt64(client))
        while !state.with({ $0.isOver }) {
            let key = state.with { state in
                if Int.random(in: 0..<4, using: &random) == 0 { state.nextKey += 1 }
                let last = state.nextKey
                return max(0, last - Int.random(in: 0..<12, using: &random))
            }
            let isCut = Int.random(in: 0..<8, using: &random) == 0
            let observation = try StormHistory.observe("torture-\(key)", on: port, cut: isCut)
            state.with { $0.observations.append(observation) }
        }
    }

    private func judge(_ site: Site) throws -> StormHistory {
        var history = StormHistory(observations: state.with { $0.observations })
        history.permitted.insert("urn:oncegate:store-unavailable")
        for key in Set(history.observations.map(\.key)).sorted() {
            history.finals.append(try StormHistory.observe(key, on: port, cut: false))
        }
        history.executions = site.origin.executions
        history.arrivals = Dictionary(
            site.origin.requests.map { ($0.fields["X-Order"] ?? "", 1) }, uniquingKeysWith: +)
        return history
    }

    /// One line for people.
    func summary(_ history: StormHistory) -> String {
        let done = state.with { $0.done }
        let faults = done.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        let executions = history.executions.values.reduce(0) { $0 + $1.count }
        let lost = history.observations.count { if case .none = $0.outcome { true } else { false } }
        return """
            \(history.observations.count) requests, \(history.finals.count) keys, \
            \(executions) executions, \(lost) answers lost to clients, \(history.summary); \
            \(faults.joined(separator: ", ")); \(history.violations.count) violations
            """
    }
}
