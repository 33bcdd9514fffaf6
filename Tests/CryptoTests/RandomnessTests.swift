import Testing

@testable import Crypto

@Suite struct RandomnessTests {
    @Test func `random bytes have the length asked for and do not repeat`() {
        #expect(randomBytes(count: 0).isEmpty)
        let drawn = Set((0..<100).map { _ in randomBytes(count: 16) })
        #expect(drawn.count == 100)
        #expect(drawn.allSatisfy { $0.count == 16 })
    }

    @Test func `a UUID says version 4 and variant 10`() {
        for _ in 0..<100 {
            let uuid = Array(randomUUID().utf8)
            #expect(uuid.count == 36)
            #expect(uuid[14] == UInt8(ascii: "4"))
            #expect(Array("89ab".utf8).contains(uuid[19]))
            for index in uuid.indices {
                let isDash = [8, 13, 18, 23].contains(index)
                #expect((uuid[index] == UInt8(ascii: "-")) == isDash)
                #expect(isDash || Array("0123456789abcdef".utf8).contains(uuid[index]))
            }
        }
    }

    @Test(arguments: [
        ("", "", true), ("a", "", false), ("secret", "secret", true), ("secret", "secreT", false),
        ("Secret", "secret", false),
    ])
    func `secrets are equal when all their bytes are`(_ a: String, _ b: String, equal: Bool) {
        #expect(constantTimeEquals(Array(a.utf8), Array(b.utf8)) == equal)
    }
}
