import Testing

@testable import IdempotencySQLite

struct ReapingPaceTests {
    /// Turns of a machine that takes so many microseconds for a record.
    private func settle(_ pace: inout ReapingPace, _ cost: Int) {
        for _ in 0..<100 { pace.note(pace.size, in: .microseconds(pace.size * cost)) }
    }

    @Test(arguments: [2, 10, 50, 200])
    func `as many are taken as can be done in time`(_ cost: Int) {
        var pace = ReapingPace(.milliseconds(5))
        settle(&pace, cost)
        #expect(pace.size * cost <= 5000)
        #expect(pace.size * cost >= 2000)
    }

    @Test func `a machine that becomes slow is heeded at once`() {
        var pace = ReapingPace(.milliseconds(5))
        settle(&pace, 2)
        let size = pace.size
        for _ in 0..<6 { pace.note(pace.size, in: .microseconds(pace.size * 500)) }
        #expect(pace.size <= size / 16)
        settle(&pace, 500)
        #expect(pace.size == 16 || pace.size * 500 <= 5000)
    }

    @Test func `few that expire say nothing about the pace`() {
        var pace = ReapingPace(.milliseconds(5))
        settle(&pace, 10)
        let size = pace.size
        for _ in 0..<1000 { pace.note(3, in: .microseconds(30)) }
        #expect(pace.size == size)
    }
}
