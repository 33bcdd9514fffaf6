import Glibc
import TestSupport
import Testing

/// Duplicates from all sides, cut connections and sudden deaths; a checker of its own judges.
@Suite(.ownThread) struct StormTests {
    @Test func `no key runs twice and no answer changes through cuts and kill -9`() throws {
        let seed =
            getenv("ONCEGATE_SEED").flatMap { UInt64(String(cString: $0)) }
            ?? UInt64.random(in: 1..<1_000_000)
        print("storm seed \(seed) (ONCEGATE_SEED=\(seed) repeats its choices)")
        try Site.run { site in
            let history = try Storm(seed: seed).blow(over: site)
            print("storm seed \(seed): \(history.summary)")
            #expect(history.violations == [], "seed \(seed)")
            #expect(history.observations.count == Storm.requests)
        }
    }

    @Test func `the checker sees an execution too many, a changed answer and a lost success`() {
        let now = ContinuousClock.now
        func saw(_ body: String, _ status: Int = 201, at second: Int) -> StormHistory.Observation {
            .init(
                key: "k", start: now + .seconds(second),
                end: now + .milliseconds(second * 1000 + 1),
                outcome: .answer(
                    status: status, body: Array(body.utf8), isReplayed: second > 0, problem: nil))
        }
        var history = StormHistory()
        history.executions = ["k": [Array("1".utf8)]]
        history.arrivals = ["k": 1]
        history.observations = [saw("1", at: 0), saw("1", at: 1)]
        history.finals = [saw("1", at: 2)]
        #expect(history.violations == [])
        var twice = history
        twice.executions["k"]?.append(Array("2".utf8))
        #expect(twice.violations.count == 1)
        var changed = history
        changed.observations[1] = saw("2", at: 1)
        #expect(changed.violations.count == 1)
        var lost = history
        lost.finals[0] = saw("oops", 500, at: 2)
        #expect(!lost.violations.isEmpty)
        var resent = history
        resent.arrivals["k"] = 2
        #expect(resent.violations.count == 1)
    }
}

/// A thousand requests over fifty keys by fifty clients, some of whom hang up, while the gateway
/// is killed three times.
private struct Storm {
    static let requests = 1000
    static let keys = 50
    static let clients = 50
    static let kills = 3

    let seed: UInt64

    func blow(over site: Site) throws -> StormHistory {
        let seen = Monitor<[StormHistory.Observation]>([])
        let port = site.gateway.port
        site.origin.on("/orders") { exchange in
            try exchange.readBody()
            exchange.pause(milliseconds: Int32(exchange.order.utf8.last ?? 0) % 4)
            try exchange.execute()
        }
        let clients = Background {
            try concurrently(Self.clients, within: .seconds(300)) { client in
                var random = SplitMix(seed: seed &* 1_000_003 &+ UInt64(client))
                let count = Self.requests / Self.clients
                for number in 0..<count {
                    // New keys come up until the end, so that every kill finds some at work.
                    let key = number * Self.keys / count + Int.random(in: 0..<8, using: &random)
                    let isCut = Int.random(in: 0..<6, using: &random) == 0
                    let observation = try StormHistory.observe(
                        "storm-\(key % Self.keys)", on: port, cut: isCut)
                    seen.with { $0.append(observation) }
                }
            }
        }
        var random = SplitMix(seed: seed)
        let moments = (0..<Self.kills).map { _ in
            Int.random(in: 20..<(Self.requests - 100), using: &random)
        }
        for moment in moments.sorted() {
            try seen.wait(for: "\(moment) requests", within: .seconds(120)) {
                $0.count >= moment ? true : nil
            }
            try site.gateway.kill()
            try site.gateway.restart()
        }
        _ = try clients.value(within: .seconds(300))
        var history = StormHistory(observations: seen.with { $0 })
        for key in 0..<Self.keys {
            history.finals.append(try StormHistory.observe("storm-\(key)", on: port, cut: false))
        }
        history.executions = site.origin.executions
        history.arrivals = Dictionary(
            site.origin.requests.map { ($0.fields["X-Order"] ?? "", 1) }, uniquingKeysWith: +)
        return history
    }
}
