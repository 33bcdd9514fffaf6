import TestSupport
import Testing

@testable import Crypto

@Suite struct SHA256HasherTests {
    /// Vectors of FIPS 180-4 and the NIST example messages.
    static let vectors: [(text: String, count: Int, digest: String)] = [
        ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "a", 1_000_000,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ]

    @Test(arguments: vectors)
    func `a message has its published digest`(text: String, count: Int, digest: String) {
        let message = Array(String(repeating: text, count: count).utf8)
        #expect(hexadecimal(SHA256Hasher().digest(message[...]).bytes) == digest)
    }

    @Test(arguments: vectors)
    func `pieces hash like the whole`(text: String, count: Int, digest: String) {
        let message = Array(String(repeating: text, count: count).utf8)
        let hasher = SHA256Hasher()
        hasher.begin()
        let middle = message.count / 3
        hasher.update(message[..<middle])
        hasher.update(message[middle...])
        #expect(hexadecimal(hasher.finish().bytes) == digest)
    }

    @Test func `a hasher forgets the message before`() {
        let hasher = SHA256Hasher()
        let fresh = hasher.digest(Array("abc".utf8)[...])
        hasher.begin()
        hasher.update([1, 2, 3])
        #expect(hasher.digest(Array("abc".utf8)[...]) == fresh)
    }

    @Test func `the prefix is the first half of the bytes`() {
        let digest = SHA256Hasher().digest(Array("abc".utf8)[...])
        #expect(digest.prefix == (0xba78_16bf_8f01_cfea, 0x4141_40de_5dae_2223))
    }
}
