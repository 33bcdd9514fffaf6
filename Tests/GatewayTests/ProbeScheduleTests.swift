import Idempotency
import Testing

@testable import Gateway

@Suite struct ProbeScheduleTests {
    private let id = KeyID(at: Timestamp(microseconds: 1_800_000_000_000_000))
    private let spacing: UInt64 = 10_000_000_000
    private let second: UInt64 = 1_000_000_000

    private func schedule(attempts: Int = 20) -> Schedule {
        let schedule = Schedule()
        _ = schedule.discover(id, spacing: .seconds(10), attempts: attempts)
        return schedule
    }

    @Test func `the first probe waits for the spacing`() {
        let schedule = schedule()
        #expect(schedule.takeDue(now: spacing - 1, limit: 9).isEmpty)
        #expect(schedule.takeDue(now: spacing, limit: 9) == [id])
    }

    @Test func `two negatives, spaced, free the record`() {
        let schedule = schedule()
        _ = schedule.takeDue(now: spacing, limit: 9)
        #expect(schedule.end(id, .absent, now: spacing + second) == .hold)
        #expect(schedule.takeDue(now: 2 * spacing, limit: 9).isEmpty)
        #expect(schedule.takeDue(now: 2 * spacing + second, limit: 9) == [id])
        #expect(schedule.end(id, .absent, now: 2 * spacing + second) == .release)
        #expect(schedule.count == 0)
    }

    @Test func `a negative that comes too early does not count`() {
        let schedule = schedule()
        for moment in stride(from: second, to: spacing, by: Int(second)) {
            #expect(schedule.take(atWishOfClient: id, now: moment))
            #expect(schedule.end(id, .absent, now: moment) == .hold)
        }
        #expect(schedule.take(atWishOfClient: id, now: spacing))
        #expect(schedule.end(id, .absent, now: spacing) == .hold)
        for moment in stride(from: spacing + second, to: 2 * spacing, by: Int(second)) {
            #expect(schedule.take(atWishOfClient: id, now: moment))
            #expect(schedule.end(id, .absent, now: moment) == .hold)
        }
        #expect(schedule.take(atWishOfClient: id, now: 2 * spacing))
        #expect(schedule.end(id, .absent, now: 2 * spacing) == .release)
    }

    @Test func `the pause doubles, up to an hour and a quarter`() {
        let schedule = schedule(attempts: 1000)
        var now = spacing
        var last: UInt64 = 0
        for attempt in 1...20 {
            #expect(schedule.takeDue(now: now, limit: 9) == [id])
            #expect(schedule.end(id, .inconclusive, now: now) == .hold)
            let least = min(spacing << UInt64(attempt - 1), 3600 * second)
            #expect(schedule.takeDue(now: now + least - 1, limit: 9).isEmpty)
            last = now
            now += least + least / 4 + 1
        }
        #expect(now - last <= 3600 * second / 4 * 5 + 1)
    }

    @Test func `after the last attempt only clients ask`() {
        let schedule = schedule(attempts: 2)
        var now = spacing
        _ = schedule.takeDue(now: now, limit: 9)
        #expect(schedule.end(id, .inconclusive, now: now) == .hold)
        now += 10 * spacing
        _ = schedule.takeDue(now: now, limit: 9)
        #expect(schedule.end(id, .inconclusive, now: now) == .giveUp)
        now += 10_000 * spacing
        #expect(schedule.takeDue(now: now, limit: 9).isEmpty)
        #expect(schedule.take(atWishOfClient: id, now: now))
        #expect(schedule.end(id, .inconclusive, now: now) == .hold)
        #expect(schedule.take(atWishOfClient: id, now: now + second))
        #expect(schedule.end(id, .executed, now: now + second) == .finish)
    }

    @Test func `a record is asked for once at a time, and not twice within a second`() {
        let schedule = schedule()
        #expect(schedule.take(atWishOfClient: id, now: spacing))
        #expect(!schedule.take(atWishOfClient: id, now: spacing + 9 * second))
        #expect(schedule.takeDue(now: spacing + 9 * second, limit: 9).isEmpty)
        #expect(schedule.end(id, .inconclusive, now: spacing + 9 * second) == .hold)
        #expect(schedule.take(atWishOfClient: id, now: spacing + 9 * second))
        #expect(schedule.end(id, .inconclusive, now: spacing + 9 * second) == .hold)
        #expect(!schedule.take(atWishOfClient: id, now: spacing + 10 * second - 1))
    }

    @Test func `what is said of one claim does not count for the next`() {
        let schedule = schedule()
        _ = schedule.takeDue(now: spacing, limit: 9)
        #expect(schedule.end(id, .absent, now: spacing) == .hold)
        // An operator freed it; it was claimed again, and its outcome is unknown again.
        let now = 3 * spacing
        #expect(schedule.discover(id, claim: 2, spacing: .seconds(10), attempts: 9, now: now))
        #expect(schedule.takeDue(now: now + spacing - 1, limit: 9).isEmpty)
        #expect(schedule.takeDue(now: now + spacing, limit: 9) == [id])
        #expect(schedule.end(id, claim: 1, .absent, now: now + spacing) == .hold)
        #expect(schedule.end(id, claim: 2, .absent, now: now + spacing) == .hold)
        #expect(schedule.takeDue(now: now + 2 * spacing, limit: 9) == [id])
        #expect(schedule.end(id, claim: 2, .absent, now: now + 2 * spacing) == .release)
    }

    @Test func `no more records are followed than the limit`() {
        let schedule = Schedule()
        for index in 0..<ProbeSchedule.limit {
            let id = KeyID(at: Timestamp(microseconds: 1_800_000_000_000_000 + Int64(index)))
            #expect(schedule.discover(id, spacing: .seconds(1), attempts: 1))
        }
        #expect(!schedule.discover(id, spacing: .seconds(1), attempts: 1))
        #expect(schedule.takeDue(now: .max / 2, limit: 16).count == 16)
    }
}

/// A schedule that is changed in place.
private final class Schedule {
    private var schedule = ProbeSchedule(seed: 7)

    var count: Int { schedule.count }

    func discover(
        _ id: KeyID, claim: Int = 1, spacing: Duration, attempts: Int, now: UInt64 = 0
    ) -> Bool {
        schedule.discover(id, claim: claim, spacing: spacing, attempts: attempts, now: now)
    }

    func takeDue(now: UInt64, limit: Int) -> [KeyID] { schedule.takeDue(now: now, limit: limit) }

    func take(atWishOfClient id: KeyID, now: UInt64) -> Bool {
        schedule.take(atWishOfClient: id, now: now)
    }

    func end(
        _ id: KeyID, claim: Int = 1, _ finding: ProbeSchedule.Finding, now: UInt64
    ) -> ProbeSchedule.Ruling {
        schedule.end(id, claim: claim, finding, now: now)
    }
}
