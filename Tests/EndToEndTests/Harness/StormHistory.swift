/// What clients saw of a storm and what the origin did, and whether the two keep the promise.
struct StormHistory: Sendable {
    /// One request as its client saw it.
    struct Observation: Sendable {
        let key: String
        let start: ContinuousClock.Instant
        let end: ContinuousClock.Instant
        let outcome: Outcome
    }

    enum Outcome: Sendable {
        case answer(status: Int, body: [UInt8], isReplayed: Bool, problem: String?)
        /// The client hung up, or lost its connection.
        case none
    }

    var observations: [Observation] = []
    /// What came after the storm, one per key.
    var finals: [Observation] = []
    /// The bodies with which the origin answered, by key, one per execution; empty ones stand for
    /// answers that were lost.
    var executions: [String: [[UInt8]]] = [:]
    /// How many requests reached the origin, by key.
    var arrivals: [String: Int] = [:]
    /// The problems that the storm's faults permit while it blows, beside unknown outcomes.
    var permitted: Set<String> = ["urn:oncegate:in-flight"]

    /// The broken promises, in words; none if all were kept.
    var violations: [String] {
        let seen = Dictionary(grouping: observations, by: \.key)
        let last = Dictionary(grouping: finals, by: \.key)
        let keys = Set(seen.keys).union(last.keys).union(executions.keys).union(arrivals.keys)
        return keys.sorted().flatMap { key in
            let (seen, last) = (seen[key] ?? [], last[key] ?? [])
            return once(key) + sameAnswer(key, seen + last) + knownStatuses(key, seen + last)
                + successStays(key, seen + last) + settled(key, last.first)
        }
    }

    /// How many keys have their answer, and how many are held as unknown.
    var summary: String {
        let unknown = finals.filter { isUnknown($0.outcome) }.count
        return "\(finals.count - unknown) keys answered, \(unknown) held as unknown"
    }

    private func once(_ key: String) -> [String] {
        let count = executions[key]?.count ?? 0
        let sent = arrivals[key] ?? 0
        return (count > 1 ? ["\(key) was executed \(count) times"] : [])
            + (sent > 1 ? ["\(key) left the gateway \(sent) times"] : [])
    }

    private func sameAnswer(_ key: String, _ all: [Observation]) -> [String] {
        all.compactMap { observation in
            guard case .answer(let status, let body, _, _) = observation.outcome,
                (200..<300).contains(status)
            else { return nil }
            if executions[key]?.first == body { return nil }
            return "\(key) was answered \(String(decoding: body, as: UTF8.self)), not as executed"
        }
    }

    private func knownStatuses(_ key: String, _ all: [Observation]) -> [String] {
        all.compactMap { observation in
            guard case .answer(let status, _, _, let problem) = observation.outcome else {
                return nil
            }
            if status == 201 || problem == "urn:oncegate:outcome-unknown" { return nil }
            if let problem, permitted.contains(problem) { return nil }
            return "\(key) was answered \(status) \(problem ?? "")"
        }
    }

    /// Once a client has seen the result, no later request is told anything else; one that the
    /// faults kept from an answer is told nothing of the result.
    private func successStays(_ key: String, _ all: [Observation]) -> [String] {
        guard let first = all.filter({ isSuccess($0.outcome) }).map(\.end).min() else { return [] }
        return all.compactMap { observation in
            guard observation.start > first,
                case .answer(let status, _, let isReplayed, let problem) = observation.outcome
            else { return nil }
            if problem == "urn:oncegate:store-unavailable", permitted.contains(problem!) {
                return nil
            }
            if status != 201 { return "\(key) was answered \(status) after its success" }
            return isReplayed ? nil : "\(key) was said to be executed after its success"
        }
    }

    private func settled(_ key: String, _ final: Observation?) -> [String] {
        guard let final else { return ["\(key) was not asked for after the storm"] }
        if isUnknown(final.outcome) || isSuccess(final.outcome) { return [] }
        return ["\(key) is neither answered nor unknown after the storm: \(final.outcome)"]
    }

    private func isSuccess(_ outcome: Outcome) -> Bool {
        if case .answer(201, _, _, _) = outcome { true } else { false }
    }

    private func isUnknown(_ outcome: Outcome) -> Bool {
        if case .answer(_, _, _, "urn:oncegate:outcome-unknown") = outcome { true } else { false }
    }
}
