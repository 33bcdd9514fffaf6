import TestSupport
import Testing

@testable import Crypto

@Suite struct SealingKeyTests {
    private struct Vector: Sendable {
        let key, nonce, context, text, sealed, tag: String
    }

    /// Test cases 13 to 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega), which
    /// NIST's validation takes up: those with a key of 256 bits and a nonce of 96.
    private static let vectors = [
        Vector(
            key: String(repeating: "00", count: 32), nonce: String(repeating: "00", count: 12),
            context: "", text: "", sealed: "", tag: "530f8afbc74536b9a963b4f1c4cb738b"),
        Vector(
            key: String(repeating: "00", count: 32), nonce: String(repeating: "00", count: 12),
            context: "", text: String(repeating: "00", count: 16),
            sealed: "cea7403d4d606b6e074ec5d3baf39d18", tag: "d0d1c8a799996bf0265b98b5d48ab919"),
        Vector(
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888", context: "",
            text: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
            sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
            tag: "b094dac5d93471bdec1a502270e3cc6c"),
        Vector(
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888", context: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            text: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            tag: "76fc6ece0f4e1768cddf8853bb2d551b"),
    ]

    @Test(arguments: vectors)
    private func `a published vector is sealed as published, and opens`(_ vector: Vector) throws {
        let key = try #require(SealingKey(hexadecimal: vector.key))
        let context = bytes(hexadecimal: vector.context)
        let sealed = key.seal(
            bytes(hexadecimal: vector.text), context: context,
            nonce: bytes(hexadecimal: vector.nonce))
        #expect(hexadecimal(sealed) == vector.nonce + vector.tag + vector.sealed)
        #expect(key.open(sealed[...], context: context) == bytes(hexadecimal: vector.text))
    }

    @Test func `a changed byte, another key or another context does not open`() throws {
        let key = try #require(SealingKey(randomBytes(count: 32)))
        let sealed = key.seal(Array("a secret".utf8), context: [1, 2])
        for index in sealed.indices {
            var changed = sealed
            changed[index] ^= 0x10
            #expect(key.open(changed[...], context: [1, 2]) == nil, "byte \(index)")
        }
        for count in 0..<sealed.count {
            #expect(key.open(sealed.prefix(count), context: [1, 2]) == nil)
        }
        #expect(key.open(sealed[...], context: [1, 3]) == nil)
        let other = try #require(SealingKey(randomBytes(count: 32)))
        #expect(other.open(sealed[...], context: [1, 2]) == nil)
        #expect(key.derived(for: [9]).open(sealed[...], context: [1, 2]) == nil)
    }

    @Test func `the same text is sealed differently each time`() throws {
        let key = try #require(SealingKey(randomBytes(count: 32)))
        let sealed = (0..<100).map { _ in key.seal([1, 2, 3], context: []) }
        #expect(Set(sealed).count == 100)
        #expect(Set(sealed.map { Array($0.prefix(12)) }).count == 100)
    }

    @Test(arguments: [
        "", "00", String(repeating: "0", count: 63), String(repeating: "g", count: 64),
    ])
    func `a key is 64 hexadecimal digits`(_ text: String) {
        #expect(SealingKey(hexadecimal: text) == nil)
    }

    @Test func `a key is never shown`() throws {
        let key = try #require(SealingKey(hexadecimal: String(repeating: "5a", count: 32)))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains("90") && !text.lowercased().contains("5a"))
        }
        #expect(key.id.count == 8)
        #expect(key.id != SealingKey(hexadecimal: String(repeating: "5b", count: 32))?.id)
    }

    /// RFC 5869, appendices A.1 and A.3.
    @Test func `HKDF expands as published`() {
        let first = hkdfExpand(
            bytes(hexadecimal: "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"),
            info: bytes(hexadecimal: "f0f1f2f3f4f5f6f7f8f9"), count: 42)
        #expect(
            hexadecimal(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                + "34007208d5b887185865")
        let third = hkdfExpand(
            bytes(hexadecimal: "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"),
            info: [], count: 42)
        #expect(
            hexadecimal(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                + "9d201395faa4b61a96c8")
    }
}
