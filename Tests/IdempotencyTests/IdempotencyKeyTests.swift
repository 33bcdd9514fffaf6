import TestSupport
import Testing

@testable import Idempotency

struct IdempotencyKeyTests {
    private let start = Timestamp(microseconds: 1_000_000_000)
    private let first = LockToken.random()
    private let second = LockToken.random()
    private let retention = Retention(answer: .seconds(100), tombstone: .seconds(1000))

    private func at(_ seconds: Int) -> Timestamp { start + .seconds(seconds) }

    private func lease(_ token: LockToken) -> Lease {
        Lease(owner: "here", token: token, duration: .seconds(30))
    }

    private func made() -> IdempotencyKey {
        .create(.sample(), id: KeyID(at: start), lease: lease(first), now: start)
    }

    @Test func `a new record is locked at started`() {
        let key = made()
        #expect(key.recoveryPoint == .started)
        #expect(key.isLocked)
        #expect(key.leaseUntil == at(30))
        #expect(key.attempts == 1)
        #expect(key.expiresAt == nil)
    }

    @Test func `its owner concludes it`() throws {
        var key = made()
        try key.conclude(.sample, token: first, retention: retention, now: at(5))
        #expect(key.recoveryPoint == .finished)
        #expect(!key.isLocked)
        #expect(key.lockToken == nil)
        #expect(key.expiresAt == at(105))
        #expect(key.tombstoneUntil == at(1105))
    }

    @Test func `nobody else concludes it`() {
        var key = made()
        #expect(throws: ClaimError.lost) {
            try key.conclude(.sample, token: second, retention: retention, now: at(5))
        }
        #expect(key.recoveryPoint == .started)
    }

    @Test func `nobody concludes it twice`() throws {
        var key = made()
        try key.conclude(.sample, token: first, retention: retention, now: at(5))
        #expect(throws: ClaimError.finished) {
            try key.conclude(.sample, token: first, retention: retention, now: at(6))
        }
    }

    @Test func `a late owner settles an unknown record`() throws {
        var key = made()
        key.lapse(retention: retention, now: at(31))
        #expect(key.recoveryPoint == .unknown)
        try key.conclude(.sample, token: first, retention: retention, now: at(40))
        #expect(key.recoveryPoint == .finished)
    }

    @Test func `a late owner does not touch a record that was claimed again`() throws {
        var key = made()
        key.lapse(retention: retention, now: at(31))
        key.reclaim(lease(second), now: at(32))
        #expect(key.attempts == 2)
        #expect(key.recoveryPoint == .started)
        #expect(throws: ClaimError.lost) {
            try key.conclude(.sample, token: first, retention: retention, now: at(40))
        }
        try key.conclude(.sample, token: second, retention: retention, now: at(41))
    }

    @Test func `a stage renews the lease and is where a reclaim goes on`() throws {
        var key = made()
        try key.advance(to: "paid", token: first, lease: .seconds(30), now: at(20))
        #expect(key.leaseUntil == at(50))
        #expect(!key.isLapsed(at: at(49)))
        try key.release(token: first, policy: KeyPolicy(), now: at(50))
        key.reclaim(lease(second), now: at(51))
        #expect(key.recoveryPoint == .stage("paid"))
    }

    @Test func `a stage needs a lock, not only a token`() {
        var key = made()
        key.lapse(retention: retention, now: at(31))
        #expect(throws: ClaimError.lost) {
            try key.advance(to: "paid", token: first, lease: .seconds(30), now: at(32))
        }
    }

    @Test func `every change makes another version`() throws {
        var key = made()
        var versions = [key.version]
        try key.advance(to: "paid", token: first, lease: .seconds(30), now: at(1))
        versions.append(key.version)
        key.lapse(retention: retention, now: at(50))
        versions.append(key.version)
        key.reclaim(lease(second), now: at(51))
        versions.append(key.version)
        try key.lose(nil, token: second, retention: retention, now: at(52))
        versions.append(key.version)
        try key.release(token: second, policy: KeyPolicy(), now: at(53))
        versions.append(key.version)
        key.expire(now: at(54))
        versions.append(key.version)
        #expect(Set(versions).count == versions.count)
    }

    @Test func `a tombstone keeps hashes only`() throws {
        var key = made()
        try key.conclude(.sample, token: first, retention: retention, now: at(5))
        let fingerprint = key.fingerprint
        key.expire(now: at(105))
        #expect(key.reply == nil)
        #expect(key.requestPath.isEmpty)
        #expect(key.requestParams == "{}")
        #expect(key.fingerprint == fingerprint)
        #expect(!key.isGone(at: at(1104)))
        #expect(key.isGone(at: at(1105)))
    }

    @Test func `tokens tell nothing of themselves`() {
        #expect("\(first)" == "LockToken")
        #expect(!String(reflecting: first).contains(first.hexadecimal))
        #expect(LockToken(hexadecimal: first.hexadecimal) == first)
    }

    @Test(arguments: [
        "", "0", String(repeating: "g", count: 32), String(repeating: "+", count: 32),
    ])
    func `what is no token makes none`(_ text: String) {
        #expect(LockToken(hexadecimal: text) == nil)
    }
}

struct KeyIDTests {
    @Test func `names rise, with the clock and against it`() {
        var last = KeyID(at: Timestamp(microseconds: 5_000_000_000))
        for step in 0..<100_000 {
            let moment = Timestamp(microseconds: 5_000_000_000 + Int64(step % 3 - 1) * 1_000_000)
            let next = KeyID(at: moment)
            #expect(last < next)
            #expect(last.sequence < next.sequence)
            last = next
        }
    }

    @Test func `a name is its text`() throws {
        let id = KeyID(at: .now())
        #expect(id.description.count == 31)
        #expect(id.description.hasPrefix("ikey_"))
        #expect(KeyID(id.description) == id)
        #expect(KeyID("ikey_" + id.description.dropFirst(5).lowercased()) == id)
    }

    @Test(arguments: [
        "", "ikey_", "ikey_0000000000000000000000000U", "ikey_80000000000000000000000000",
        "jkey_00000000000000000000000000", "ikey_0000000000000000000000000",
    ])
    func `what is no name makes none`(_ text: String) {
        #expect(KeyID(text) == nil)
    }
}

struct FingerprintTests {
    @Test func `parts that differ are named, those of one side too`() {
        var one = Fingerprint()
        one.append(.method, (1, 1))
        one.append(.body, (2, 2))
        one.append(.field("X-A"), (3, 3))
        var other = Fingerprint()
        other.append(.method, (1, 1))
        other.append(.body, (2, 3))
        other.append(.query, (4, 4))
        #expect(one.differences(from: other) == ["body", "field:X-A", "query"])
        #expect(one.differences(from: one) == [])
        #expect(one != other)
    }

    @Test func `bytes make the same fingerprint, cut ones make none`() {
        let fingerprint = KeyRequest.sample().fingerprint
        let bytes = fingerprint.encoded
        #expect(Fingerprint(encoded: bytes) == fingerprint)
        let ends = Set(
            (0...bytes.count).filter { Fingerprint(encoded: Array(bytes[..<$0])) != nil })
        let expected: Set<Int> = [0, 17, 34, 68, 85]
        #expect(ends == expected)
    }
}

struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400_000_001, "2000-02-29T00:00:00.000001Z"),
        (1_751_362_200_000_250, "2025-07-01T09:30:00.000250Z"),
    ])
    func `is written as RFC 3339 wants it`(_ microseconds: Int64, _ text: String) {
        #expect(Timestamp(microseconds: microseconds).description == text)
    }

    @Test func `sums that do not fit end at the edge`() {
        let last = Timestamp(microseconds: .max)
        #expect(last + .seconds(1) == last)
        #expect(Timestamp(microseconds: 0) + .seconds(Int64.max) == last)
        #expect(
            Timestamp(microseconds: 0) + .milliseconds(1500) == Timestamp(microseconds: 1_500_000))
    }
}
