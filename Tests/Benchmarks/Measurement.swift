import Glibc

/// What one slice of load cost one candidate.
struct Sample {
    var load: LoadResult
    /// User and system time of the candidate per answered request.
    var cpuMicroseconds: Double
    var memoryBytes: Int
    /// Keys that were executed when they should not have been, or executed again.
    var wrongExecutions: Int
    /// How much of the machine everything else used meanwhile, from 0 to 1.
    var disturbance: Double
}

/// Loads candidates in turns, so that whatever else the machine does meets all of them.
struct Measurement {
    let site: Site
    let candidates: [Candidate]
    let rounds: Int
    let seconds: Double

    /// The samples of each candidate, round by round.
    func run(_ scenario: Scenario, seriesNumber: Int) throws -> [[Sample]] {
        var firstKey = (seriesNumber + 1) * 1_000_000_000
        for candidate in candidates {
            if scenario.stored > 0 { try store(scenario, on: candidate) }
            _ = try slice(scenario, candidate, seconds: 0.3, first: firstKey)
            firstKey += 10_000_000
        }
        var samples = candidates.map { _ in [Sample]() }
        for round in 0..<rounds {
            for turn in candidates.indices {
                let index = (turn + round) % candidates.count
                let sample = try slice(
                    scenario, candidates[index], seconds: seconds, first: firstKey)
                samples[index].append(sample)
                firstKey += 10_000_000
            }
        }
        return samples
    }

    /// Bytes of memory for each of so many idle connections, measured on fresh candidates.
    func idle(connections: Int) throws -> [Double] {
        try candidates.map { candidate in
            var plan = LoadPlan(port: candidate.port)
            plan.seconds = 0.3
            _ = try LoadGenerator(plan).run()
            let before = candidate.processes.memoryBytes()
            plan.connections = connections
            plan.count = connections
            plan.isOnePerConnection = true
            let generator = try LoadGenerator(plan)
            let result = generator.run()
            let after = candidate.processes.memoryBytes()
            guard result.completed == connections, result.refused == 0 else {
                throw Failure("\(candidate.name) held \(result.completed) connections only")
            }
            return withExtendedLifetime(generator) {
                Double(after - before) / Double(connections)
            }
        }
    }

    private func store(_ scenario: Scenario, on candidate: Candidate) throws {
        var plan = scenario.load(on: candidate, seconds: 0, first: 0)
        plan.keys = .new(first: 0)
        plan.count = scenario.stored
        let result = try LoadGenerator(plan).run()
        guard result.completed == scenario.stored, result.refused == 0 else {
            throw Failure("\(candidate.name) did not store \(scenario.stored) answers")
        }
    }

    private func slice(
        _ scenario: Scenario, _ candidate: Candidate, seconds: Double, first: Int
    ) throws -> Sample {
        // Nobody pays for another's dirty pages.
        if scenario.executions == .onceEach { sync() }
        try site.resetCounts()
        let generator = try LoadGenerator(
            scenario.load(on: candidate, seconds: seconds, first: first))
        let before = Reading(candidate, site)
        let load = generator.run()
        let after = Reading(candidate, site)
        let used = after.candidate - before.candidate
        let elsewhere = after.elsewhere - before.elsewhere
        let counts = try site.counts()
        let wrong = scenario.executions == .none ? counts.keyed : max(0, counts.most - 1)
        return Sample(
            load: load, cpuMicroseconds: Double(used) / 1000 / Double(max(1, load.completed)),
            memoryBytes: candidate.processes.memoryBytes(), wrongExecutions: wrong,
            disturbance: min(
                1, max(0, Double(elsewhere)) / (load.seconds * 1e9 * Double(site.cores))))
    }
}

/// Processor time so far, in nanoseconds.
private struct Reading {
    let candidate: Int
    /// Of everything that does not belong to this measurement.
    let elsewhere: Int

    init(_ measured: Candidate, _ site: Site) {
        var own = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own)
        candidate = measured.processes.cpuNanoseconds()
        elsewhere =
            machineBusyNanoseconds() - candidate - site.originProcesses.cpuNanoseconds()
            - own.tv_sec * 1_000_000_000 - own.tv_nsec
    }
}
