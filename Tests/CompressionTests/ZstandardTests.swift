import TestSupport
import Testing

@testable import Compression

@Suite struct ZstandardTests {
    @Test(arguments: [100, 5000, 1 << 20])
    func `what repeats itself becomes shorter, and comes back`(_ count: Int) throws {
        let bytes = (0..<count).map { UInt8($0 % 7) }
        let compressed = try #require(Zstandard.compress(bytes))
        #expect(compressed.count < count)
        #expect(ContentCoding.zstandard.decode(compressed.span, limit: count) == bytes)
    }

    @Test(arguments: [0, 1, 16, 100_000])
    func `noise does not become shorter`(_ count: Int) {
        var random = SplitMix(seed: 7)
        let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(Zstandard.compress(bytes) == nil)
    }
}
