import TestSupport
import Testing

@testable import Compression

@Suite struct ContentCodingTests {
    private static let text = Array("hello hello hello hello\n".utf8)

    /// The text as other programs encoded it.
    private static let samples: [(ContentCoding, String)] = [
        (.gzip, "1f8b0800000000000203cb48cdc9c957c84027b9000088590b18000000"),
        (.deflate, "789ccb48cdc9c957c84027b90070be08bb"),
        (.brotli, "1b1700f88d946ede445586d60a206c6f4a1179e280ae16"),
        (.zstandard, "28b52ffd04586d00003868656c6c6f200a0100994b11a87c2ea8"),
    ]

    @Test(arguments: ["gzip", "GZip", "x-gzip", "deflate", "br", "zstd"])
    func `a coding has its registered name, in whatever case`(_ name: String) {
        #expect(ContentCoding(name: name.utf8) != nil)
    }

    @Test(arguments: ["", "identity", "compress", "gzip ", "gzipgzipgzip", "*"])
    func `other names are no codings`(_ name: String) {
        #expect(ContentCoding(name: name.utf8) == nil)
    }

    @Test(arguments: samples)
    func `what others encoded is decoded`(_ coding: ContentCoding, _ sample: String) {
        let encoded = bytes(hexadecimal: sample)
        #expect(coding.decode(encoded.span, limit: Self.text.count) == Self.text)
        #expect(coding.decode(encoded.span, limit: Self.text.count - 1) == nil)
    }

    @Test(arguments: samples)
    func `a text that is cut, or followed by others, is malformed`(
        _ coding: ContentCoding, _ sample: String
    ) {
        let encoded = bytes(hexadecimal: sample)
        for count in 0..<encoded.count {
            #expect(
                coding.decode(encoded.span.extracting(..<count), limit: 1000) == nil, "\(count)")
        }
        #expect(coding.decode((encoded + [0x2A]).span, limit: 1000) == nil)
    }

    @Test func `members and frames follow each other`() {
        for (coding, sample) in Self.samples {
            let encoded = bytes(hexadecimal: sample)
            let twice = coding.decode((encoded + encoded).span, limit: 1000)
            let isSequence = coding == .gzip || coding == .zstandard
            #expect(twice == (isSequence ? Self.text + Self.text : nil))
        }
    }

    @Test func `garbage is malformed, and never more than the limit`() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        for (coding, sample) in Self.samples {
            for _ in 0..<500 {
                var encoded = bytes(hexadecimal: sample)
                for _ in 0...2 {
                    let index = Int.random(in: encoded.indices, using: &random)
                    encoded[index] = UInt8.random(in: 0...255, using: &random)
                }
                let decoded = coding.decode(encoded.span, limit: 100)
                #expect(decoded?.count ?? 0 <= 100, "\(coding), seed \(seed)")
            }
        }
    }

    @Test func `a bomb goes off within its bound`() throws {
        let zeros = [UInt8](repeating: 0, count: 32 << 20)
        let bomb = try #require(Zstandard.compress(zeros))
        #expect(bomb.count < 8192)
        #expect(ContentCoding.zstandard.decode(bomb.span, limit: 1 << 20) == nil)
        #expect(ContentCoding.zstandard.decode(bomb.span, limit: zeros.count) == zeros)
    }
}
