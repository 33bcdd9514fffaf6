/// What came of one way of sending the storm.
struct DemoResult {
    /// Orders that the API placed, by key.
    let orders: [String: Int]
    let answers: [DemoStorm.Answer]

    var placed: Int { orders.values.reduce(0, +) }

    /// Keys that ran more than once.
    var repeated: Int { orders.values.filter { $0 > 1 }.count }

    /// Requests for which an order was placed and that got it first.
    var executed: Int { firsts.count }

    /// Requests that came while their key was at work, and got its answer.
    var waited: Int { later.filter { $0.start < firsts[$0.key] ?? $0.start }.count }

    /// Requests that came afterwards, and got the stored answer.
    var replayed: Int { later.count - waited }

    var unknown: Int { answers.filter { $0.result == .unknown }.count }

    /// Keys whose requests were told that nobody knows.
    var unknownKeys: Set<Int> { Set(answers.filter { $0.result == .unknown }.map(\.key)) }

    /// What went wrong, one of each.
    var failures: Set<String> {
        Set(
            answers.compactMap {
                if case .failed(let text) = $0.result { text } else { nil }
            })
    }

    /// The orders that were named in answers, by key; more than one means a changed answer.
    var named: [Int: Set<[UInt8]>] {
        var named: [Int: Set<[UInt8]>] = [:]
        for answer in answers {
            if case .order(let body) = answer.result { named[answer.key, default: []].insert(body) }
        }
        return named
    }

    /// The time, in milliseconds, within which this share of the requests was answered.
    func percentile(_ share: Double) -> Double {
        let times = answers.map(\.milliseconds).sorted()
        guard !times.isEmpty else { return 0 }
        let rank = Int((share * Double(times.count)).rounded(.up)) - 1
        return times[min(max(rank, 0), times.count - 1)]
    }

    /// When each key was answered first.
    private var firsts: [Int: ContinuousClock.Instant] {
        var firsts: [Int: ContinuousClock.Instant] = [:]
        for answer in answers where isOrder(answer) {
            firsts[answer.key] = min(firsts[answer.key] ?? answer.end, answer.end)
        }
        return firsts
    }

    /// Answers with an order that another request had got first.
    private var later: [DemoStorm.Answer] {
        let firsts = firsts
        return answers.filter { isOrder($0) && $0.end != firsts[$0.key] }
    }

    private func isOrder(_ answer: DemoStorm.Answer) -> Bool {
        if case .order = answer.result { true } else { false }
    }
}
