import TestSupport
import Testing

@testable import Idempotency

struct ConclusionCodecTests {
    static let outcomes: [Outcome] = [
        .finished(.sample, retention: .seconds(60)),
        .finished(
            StoredReply(responseCode: 200, responseHeaders: [], responseBody: nil),
            retention: .milliseconds(1)),
        .unknown(nil), .unknown(.sample), .released(nil), .released(.sample),
    ]

    private func conclusion(_ outcome: Outcome, stage: Bool = false) throws
        -> ConclusionCodec.Conclusion
    {
        let token = LockToken.random()
        let now = Timestamp(microseconds: 1_751_362_200_000_000)
        let lease = Lease(owner: "gateway-\u{e4}", token: token, duration: .seconds(30))
        var key = IdempotencyKey.create(.sample(), id: KeyID(at: now), lease: lease, now: now)
        if stage { try key.advance(to: "paid", token: token, lease: .seconds(9), now: now) }
        var policy = KeyPolicy()
        policy.unknown = stage ? .retry : .hold
        policy.waiters = 7
        return .init(
            claim: Claim(key, token, 0), outcome: outcome, policy: policy,
            moment: now + .seconds(3), position: nil)
    }

    @Test(arguments: outcomes, [false, true])
    func `a conclusion is what its bytes say`(_ outcome: Outcome, _ stage: Bool) throws {
        let conclusion = try conclusion(outcome, stage: stage)
        let bytes = try ConclusionCodec.encode(conclusion)
        let again = try ConclusionCodec.decode(bytes)
        // What was done before is not in it.
        var key = conclusion.claim.key
        key.setProgress([])
        #expect(again.claim.key.isEqual(to: key))
        #expect(again.claim.lockToken == conclusion.claim.lockToken)
        #expect(again.outcome.reply == outcome.reply)
        #expect(again.moment == conclusion.moment)
        #expect(again.policy.unknownRetention == conclusion.policy.unknownRetention)
        #expect(again.policy.waiters == 7)
        #expect(try ConclusionCodec.encode(again) == bytes)
    }

    @Test(arguments: [nil, StoredReply.sample])
    func `a suspension is what its bytes say, and no older version takes it`(
        _ reply: StoredReply?
    ) throws {
        let record = StageRecord(
            recoveryPoint: "paid", reply: reply, reachedAt: Timestamp(microseconds: 7))
        for outcome in [Outcome.suspended(reached: nil), .suspended(reached: record)] {
            var bytes = try ConclusionCodec.encode(try conclusion(outcome))
            let again = try ConclusionCodec.decode(bytes)
            #expect(again.claim.key.isResumable)
            #expect(again.outcome.reply == outcome.reply)
            #expect(try ConclusionCodec.encode(again) == bytes)
            for end in bytes.indices {
                #expect(throws: StoreError.self) {
                    try ConclusionCodec.decode(Array(bytes[..<end]))
                }
            }
            bytes[0] = 1
            #expect(throws: StoreError.self) { try ConclusionCodec.decode(bytes) }
        }
    }

    @Test(arguments: outcomes)
    func `bytes that are cut or too many make none`(_ outcome: Outcome) throws {
        let bytes = try ConclusionCodec.encode(try conclusion(outcome))
        for end in bytes.indices {
            #expect(throws: StoreError.self) { try ConclusionCodec.decode(Array(bytes[..<end])) }
        }
        #expect(throws: StoreError.self) { try ConclusionCodec.decode(bytes + [0]) }
    }

    @Test(arguments: outcomes)
    func `a flipped bit makes none, or another one with exactly these bytes`(
        _ outcome: Outcome
    ) throws {
        let bytes = try ConclusionCodec.encode(try conclusion(outcome))
        for bit in 0..<(bytes.count * 8) {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            guard let other = try? ConclusionCodec.decode(flipped) else { continue }
            #expect(try ConclusionCodec.encode(other) == flipped)
        }
    }

    @Test func `a later version is told apart from damage`() throws {
        var bytes = try ConclusionCodec.encode(try conclusion(.unknown(nil)))
        bytes[0] = 3
        let error = #expect(throws: StoreError.self) { try ConclusionCodec.decode(bytes) }
        #expect(error?.reason == .newer)
        bytes[0] = 0
        let other = #expect(throws: StoreError.self) { try ConclusionCodec.decode(bytes) }
        #expect(other?.reason == .corrupt)
    }

    @Test func `durations that do not fit are written as the longest that do`() throws {
        var long = try conclusion(.finished(.sample, retention: .seconds(Int64.max)))
        long.policy.tombstone = .seconds(Int64.max)
        let again = try ConclusionCodec.decode(try ConclusionCodec.encode(long))
        #expect(again.key != nil)
    }
}
