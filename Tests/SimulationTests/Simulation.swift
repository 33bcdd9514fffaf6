import Idempotency
import TestSupport

/// One world from its beginning to its end.
struct Simulation {
    let history: History
    /// What was wrong; nothing, if all promises were kept.
    let violations: [String]
    /// Steps of the first machine while clients had orders, and calls of the store.
    let busySteps: Int
    let storeCalls: Int
    /// Jobs that left the world's thread.
    let strangers: Int

    init(_ plan: Plan) {
        let world = World(plan)
        var violations = world.jobs.onThisThread {
            defer { world.close() }
            return world.live()
        }
        busySteps = world.hosts[0].steps
        storeCalls = world.disk.calls
        history = world.history
        strangers = world.jobs.strangers
        violations +=
            plan.isStaged
            ? StageChecker(plan, history, world.disk.resting).violations
            : Checker(plan, history).violations
        if strangers > 0 { violations.append("\(strangers) jobs left the simulation's thread") }
        self.violations = violations
        world.fallApart()
    }
}

extension World {
    /// Runs to the end; what did not come to rest.
    fileprivate func live() -> [String] {
        for host in hosts { host.start() }
        startClients()
        guard run(until: { busyClients == 0 }) else { return ["the clients never end"] }
        heal()
        guard run(for: plan.rest) else { return ["time does not pass"] }
        askForAll()
        guard run(until: { busyClients == 0 }) else { return ["the last requests never end"] }
        guard run(for: .seconds(10)) else { return ["time does not pass"] }
        return remains()
    }

    /// What is still held when nothing is left to do.
    private func remains() -> [String] {
        disk.countLocked()
        guard run(until: { disk.locked != nil }) else { return ["the store is lost"] }
        var found = disk.locked == 0 ? [] : ["records are locked for ever"]
        for process in hosts.compactMap(\.process) {
            let held = process.keys.statistics
            if held.claims != 0 { found.append("\(held.claims) claims are held for ever") }
            if held.waiters != 0 { found.append("\(held.waiters) waiters are counted for ever") }
            if held.unsaved != 0 { found.append("\(held.unsaved) conclusions are never saved") }
        }
        return found
    }
}
