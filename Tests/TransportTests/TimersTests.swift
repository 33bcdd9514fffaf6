import TestSupport
import Testing

@testable import Transport

@Suite struct TimersTests {
    private func moment(_ nanoseconds: UInt64) -> Instant { Instant(nanoseconds: nanoseconds) }

    @Test func `timers come up in the order of their moments`() {
        var timers = Timers()
        let all = [30, 10, 20].map { at in (at: UInt64(at), timer: LoopTimer {}) }
        for entry in all { timers.arm(entry.timer, at: moment(entry.at)) }
        var order: [UInt64] = []
        for now: UInt64 in [5, 15, 25, 35] {
            while let due = timers.popDue(at: moment(now)) {
                order.append(all.first { $0.timer === due }?.at ?? 0)
            }
        }
        #expect(order == [10, 20, 30])
    }

    @Test func `a timer armed for later comes up once, at the later moment`() {
        var timers = Timers()
        let timer = LoopTimer {}
        timers.arm(timer, at: moment(10))
        timers.arm(timer, at: moment(50))
        #expect(timers.popDue(at: moment(40)) == nil)
        #expect(timers.popDue(at: moment(50)) === timer)
        #expect(timers.popDue(at: moment(99)) == nil)
    }

    @Test func `a timer armed for earlier comes up once, at the earlier moment`() {
        var timers = Timers()
        let timer = LoopTimer {}
        timers.arm(timer, at: moment(50))
        timers.arm(timer, at: moment(10))
        #expect(timers.popDue(at: moment(10)) === timer)
        #expect(timers.popDue(at: moment(60)) == nil)
    }

    @Test func `a disarmed timer does not come up, and can be armed again`() {
        var timers = Timers()
        let timer = LoopTimer {}
        timers.arm(timer, at: moment(10))
        timers.disarm(timer)
        #expect(timers.popDue(at: moment(20)) == nil)
        timers.arm(timer, at: moment(30))
        #expect(timers.popDue(at: moment(30)) === timer)
    }

    @Test func `disarmed timers do not pile up`() {
        var timers = Timers()
        for index in 0..<10_000 {
            let timer = LoopTimer {}
            timers.arm(timer, at: moment(1_000_000 + UInt64(index)))
            timers.disarm(timer)
        }
        #expect(timers.count < 200)
    }

    @Test func `random arming and disarming agrees with a plain list`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SplitMix(seed: seed)
        var timers = Timers()
        let all = (0..<50).map { _ in LoopTimer {} }
        var expected = [UInt64?](repeating: nil, count: all.count)
        var now: UInt64 = 0
        for _ in 0..<20_000 {
            let index = Int.random(in: all.indices, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0:
                timers.disarm(all[index])
                expected[index] = nil
            case 1:
                now += UInt64.random(in: 0..<20, using: &random)
                var due = Set<Int>()
                while let timer = timers.popDue(at: moment(now)) {
                    due.insert(all.firstIndex { $0 === timer } ?? -1)
                }
                let should = Set(all.indices.filter { expected[$0].map { $0 <= now } ?? false })
                #expect(due == should, "seed \(seed)")
                for index in should { expected[index] = nil }
            default:
                let at = now + UInt64.random(in: 1..<100, using: &random)
                timers.arm(all[index], at: moment(at))
                expected[index] = at
            }
        }
    }
}
