import HTTP
import Testing

@testable import Gateway

@Suite struct RecordedBodyTests {
    @Test(arguments: [BodyFraming.chunked, .length(3_000_000)])
    func `a long body is kept in little more than its own length`(_ framing: BodyFraming) throws {
        var body = RecordedBody(limit: 8 << 20, framing)
        let chunk = [UInt8](repeating: 1, count: 60_000)
        var moves = 0
        var address: UInt?
        for _ in 0..<50 {
            body.append(chunk[...])
            let now = body.bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
            if now != address { moves += 1 }
            address = now
        }
        #expect(moves <= (framing == .chunked ? 12 : 1), "the body was copied \(moves) times")
        let kept = try #require(body.kept)
        #expect(kept.count == 3_000_000)
        #expect(kept.capacity < 3_800_000)
    }

    @Test func `a body beyond the limit is not kept, whatever length was promised`() {
        var body = RecordedBody(limit: 100, .length(1 << 40))
        body.append([UInt8](repeating: 1, count: 60)[...])
        #expect(body.kept?.count == 60)
        body.append([UInt8](repeating: 1, count: 60)[...])
        #expect(body.kept == nil && body.count == 0)
    }
}
