import TestSupport
import Testing

@testable import Idempotency

struct SteadyClockTests {
    private static let second: Int128 = 1_000_000_000
    private static let start: Int128 = 1_751_362_200 * second

    /// Readings of a wall clock that is set by so much after the start, second by second.
    private func readings(jump: Int, count: Int) -> [Duration] {
        var clock = SteadyClock(wall: Self.start, reference: 0)
        let from = Timestamp(microseconds: Int64(Self.start / 1000))
        return (1...count).map { second in
            let wall = Self.start + Int128(second + jump) * Self.second
            return clock.read(wall: wall, reference: Int128(second) * Self.second) - from
        }
    }

    @Test func `it is the wall clock while nobody sets that`() {
        #expect(readings(jump: 0, count: 5) == (1...5).map { .seconds($0) })
    }

    @Test func `a clock set forward is caught up with at twice the speed`() {
        let shown = readings(jump: 3600, count: 3700)
        #expect(shown[9] == .seconds(20))
        #expect(shown[3599] == .seconds(7200))
        #expect(shown[3699] == .seconds(7300))
    }

    @Test func `a clock set back is waited for at half the speed`() {
        let shown = readings(jump: -3600, count: 7300)
        #expect(shown[9] == .seconds(5))
        #expect(shown[7299] == .seconds(3700))
    }

    @Test func `time for which the machine slept is no leap`() {
        var clock = SteadyClock(wall: Self.start, reference: 0)
        let hour = 3600 * Self.second
        let shown = clock.read(wall: Self.start + hour, reference: hour)
        #expect(shown.microseconds == Int64((Self.start + hour) / 1000))
    }

    @Test func `whatever the clocks do, it never goes back and never runs away`() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var random = SplitMix(seed: seed)
        var clock = SteadyClock(wall: Self.start, reference: 0)
        var reference: Int128 = 0
        var last = Timestamp(microseconds: Int64(Self.start / 1000))
        for _ in 0..<10_000 {
            let elapsed = Int128(random.next() % 2_000_000_000) - 100_000_000
            reference += elapsed
            let wall = Int128(truncatingIfNeeded: random.next()) * 4
            let shown = clock.read(wall: wall, reference: reference)
            let passed = (shown - last) / .microseconds(1)
            #expect(passed >= 0, "seed \(seed)")
            #expect(passed <= Double(max(0, elapsed)) * 2 / 1000 + 1, "seed \(seed)")
            last = shown
        }
    }

    @Test func `clocks far out of range are borne`() {
        for wall in [Int128.min / 4, Int128.max / 4] {
            var clock = SteadyClock(wall: wall, reference: 0)
            _ = clock.read(wall: -wall, reference: Self.second)
        }
    }
}

struct StoreClockTests {
    private let local = ManualClock()

    @Test func `answers that agree change nothing, others set it as little as they must`() {
        let local = local
        let clock = StoreClock(local: { local.now })
        #expect(!clock.isSet)
        let start = clock.localNow
        local.advance(by: .seconds(2))
        clock.learn(start + .seconds(1), since: start)
        #expect(clock.isSet)
        #expect(clock.now == local.now)
        let next = clock.localNow
        local.advance(by: .seconds(2))
        clock.learn(next + .seconds(100), since: next)
        #expect(clock.now == local.now + .seconds(98))
        clock.learn(local.now + .seconds(-50), since: local.now)
        #expect(clock.now == local.now + .seconds(-50))
    }

    @Test func `it follows a local clock that is set`() {
        let local = local
        let clock = StoreClock(local: { local.now })
        let store = local.now
        clock.learn(store, since: local.now)
        local.advance(by: .seconds(1000))
        clock.learn(store, since: local.now)
        #expect(clock.now == store)
    }

    @Test(arguments: [1, -1])
    func `a duration that a moment cannot hold ends at the edge of time`(_ sign: Int) {
        let edge = Timestamp(microseconds: sign > 0 ? .max : .min)
        let longest = Duration(secondsComponent: 9_223_372_036_854, attosecondsComponent: 0)
        for beyond in [.seconds(1), .milliseconds(999), .microseconds(775_809)] as [Duration] {
            #expect(Timestamp(microseconds: 0) + (longest + beyond) * sign == edge)
        }
        #expect(edge + .zero == edge)
        #expect(edge + .seconds(sign) == edge)
    }

    @Test func `the edges of time can be written down`() {
        #expect(Timestamp(microseconds: .max).description == "294247-01-10T04:00:54.775807Z")
        #expect(Timestamp(microseconds: .min).description.hasSuffix("T19:59:05.224192Z"))
        #expect(Timestamp(microseconds: -1).description == "1969-12-31T23:59:59.999999Z")
    }
}
