import Glibc
import Testing

/// Worlds drawn from seeds. `SIMULATION_SEEDS` says how many; `SIMULATION_SEED` runs that one
/// alone and prints what happens in it.
@Suite struct SimulationTests {
    @Test func `the promises are kept in every world`() async {
        if let seed = number("SIMULATION_SEED") {
            let simulation = Simulation(Plan(drawnFrom: UInt64(seed), isTraced: true))
            #expect(simulation.violations == [])
            return
        }
        for seed in 0..<UInt64(number("SIMULATION_SEEDS") ?? 1000) {
            let simulation = Simulation(Plan(drawnFrom: seed))
            #expect(simulation.violations == [], "replay with SIMULATION_SEED=\(seed)")
            if !simulation.violations.isEmpty, getenv("SIMULATION_ALL") == nil { return }
            await Task.yield()
        }
    }

    @Test func `a seed has one history`() async {
        for seed in 0..<UInt64(50) {
            let first = Simulation(Plan(drawnFrom: seed))
            let second = Simulation(Plan(drawnFrom: seed))
            let isSame = first.history.moments == second.history.moments
            #expect(isSame, "seed \(seed)")
            #expect(first.strangers == 0, "a job left the simulation's thread")
            await Task.yield()
        }
    }

    private func number(_ name: String) -> Int? {
        getenv(name).flatMap { Int(String(cString: $0)) }
    }
}
