import Idempotency
import Testing

@testable import IdempotencySQLite

struct IdentityHashTests {
    /// The reference implementation's vectors: key 00…0f, input 00, 01, 02… of each length.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"), (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
        (16, "6ee2a4ca67b054bbfd3315bf85230577"),
    ])
    func `is SipHash-2-4-128`(_ length: Int, _ expected: String) {
        let hash = IdentityHash(key: Array(0..<16))(Array((0..<UInt8(length))))
        let bytes = [hash.0, hash.1].flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
        }
        let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        #expect(text == expected)
    }
}
