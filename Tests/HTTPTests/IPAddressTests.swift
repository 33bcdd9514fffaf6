import Glibc
import Testing

@testable import HTTP

/// What the C library makes of a text.
private func reference(_ text: String) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: 16)
    if inet_pton(AF_INET, text, &bytes) == 1 { return Array(bytes[..<4]) }
    if inet_pton(AF_INET6, text, &bytes) == 1 { return bytes }
    return nil
}

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("192.0.2.1", "192.0.2.1"), ("0.0.0.0", "0.0.0.0"), ("::", "::"), ("::1", "::1"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
        ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"), ("0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"),
        ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"), ("fe80::0001", "fe80::1"),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("::ffff:c000:201", "::ffff:192.0.2.1"),
        ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ])
    func `an address is written as RFC 5952 asks for`(_ text: String, _ written: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == written)
        #expect(IPAddress(written) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(arguments: [
        "", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1..2.3", "1.2.3.4 ",
        " 1.2.3.4", "1.2.3.4:80", "[::1]", "::1%lo", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1::2::3", "12345::", "g::", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "1.2.3.4::", "1:", ":1",
        "1:2:3:4:5:6:7:8:", "0x1.2.3.4", "+1.2.3.4", "1.2.3.4\0",
    ])
    func `what is no address is refused`(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test func `texts are taken as by the C library`() {
        var generator = SystemRandomNumberGenerator()
        let seed = UInt64.random(in: 0...UInt64.max, using: &generator)
        var state = seed
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let pieces = [
            "0", "1", "255", "256", "f", "ffff", ":", ":", "::", ".", ".", "1.2.3.4", "00",
        ]
        var taken = 0
        for _ in 0..<200_000 {
            let text = (0..<(1 + next(12))).map { _ in pieces[next(pieces.count)] }.joined()
            let address = IPAddress(text)
            taken += address == nil ? 0 : 1
            #expect(address?.bytes == reference(text), "\(text), seed \(seed)")
            if let address { #expect(IPAddress(address.description) == address, "seed \(seed)") }
        }
        #expect(taken > 100, "seed \(seed)")
    }

    @Test func `only a mapped address stands for another`() {
        #expect(IPAddress("::ffff:10.0.0.1")?.unmapped == IPAddress("10.0.0.1"))
        for text in ["::10.0.0.1", "10.0.0.1", "::1:ffff:10.0.0.1", "64:ff9b::1.2.3.4"] {
            #expect(IPAddress(text)?.unmapped == IPAddress(text))
        }
    }

    @Test(
        arguments: [
            ("192.0.2.1", "192.0.2.1", nil), ("192.0.2.1:80", "192.0.2.1", 80),
            ("2001:db8::1", "2001:db8::1", nil), ("[2001:db8::1]", "2001:db8::1", nil),
            ("[2001:db8::1]:65535", "2001:db8::1", 65535),
            ("[::ffff:1.2.3.4]:0", "::ffff:1.2.3.4", 0),
        ] as [(String, String, UInt16?)])
    func `an endpoint has an address and mostly a port`(
        _ text: String, _ address: String, _ port: UInt16?
    ) throws {
        let endpoint = try #require(Endpoint(latin1(text)[...]))
        #expect(endpoint.address.description == address && endpoint.port == port)
    }

    @Test(arguments: [
        "", "x", "192.0.2.1:", "192.0.2.1:080", "192.0.2.1:65536", "[192.0.2.1]:80", "[::1", "[]",
        "[::1]80", "[::1]:", "::1]:80", "192.0.2.1:80:80", "192.0.2.1 :80",
    ])
    func `what is no endpoint is refused`(_ text: String) {
        #expect(Endpoint(latin1(text)[...]) == nil)
    }
}
