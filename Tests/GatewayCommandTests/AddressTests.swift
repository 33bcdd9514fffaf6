import HTTP
import Testing

@testable import GatewayCommand

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1:8080", true), ("127.9.9.9:0", true), ("[::1]:1", true),
        ("localhost:65535", true),
        ("unix:/run/x", true), ("0.0.0.0:80", false), ("[::]:80", false),
        ("api.example.com:80", false),
        ("10.0.0.1:1", false), ("[0:0:0:0:0:0:0:1]:1", true),
    ])
    func `an address is kept, and judged local or not`(text: String, isLocal: Bool) throws {
        let address = try Address(text)
        #expect(address.text == text && address.isLocal == isLocal)
    }

    @Test(arguments: [
        "", ":8080", "8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1",
        "1.2.3:80",
        "256.0.0.1:80", "::1:80", "[::1]", "[::1:80", "[1.2.3.4]:80", "[x]:80", "a b:80", "-:x",
        "a..b:80", "unix:",
        "http://a:80", "unix:" + String(repeating: "x", count: 108),
    ])
    func `what is no address is refused`(text: String) {
        #expect(throws: Invalid.self) { try Address(text) }
    }

    @Test(arguments: [
        ("http://a", "a", "http://a:80"), ("http://a/", "a", "http://a:80"),
        ("https://a", "a", "https://a:443"), ("HTTPS://a:443", "a", "https://a:443"),
        ("https://a:80", "a:80", "https://a:80"), ("http://[::1]:9", "[::1]:9", "http://[::1]:9"),
        ("http://[::1]", "[::1]", "http://[::1]:80"), ("unix:/run/x", "localhost", "unix:/run/x"),
    ])
    func `an upstream's URL says where and under which name`(
        text: String, authority: String, whole: String
    ) throws {
        let url = try UpstreamURL(text)
        #expect(url.authority == authority && url.text == whole)
    }

    @Test(arguments: [
        "", "a:80", "ftp://a", "http://", "http:///x", "http://a/x", "http://a?x", "http://u:p@a",
        "http://a:0",
        "http://a:x", "http://a b", "unix:", "http://a//",
    ])
    func `what is no upstream's URL is refused`(text: String) {
        #expect(throws: Invalid.self) { try UpstreamURL(text) }
    }

    @Test(arguments: [
        ("10.0.0.0/8", "10.255.0.1", true), ("10.0.0.0/8", "11.0.0.1", false),
        ("10.0.0.0/8", "a00::", false),
        ("192.0.2.128/25", "192.0.2.129", true), ("192.0.2.128/25", "192.0.2.127", false),
        ("0.0.0.0/0", "8.8.8.8", true),
        ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false),
        ("fd00::/8", "fdff::1", true),
        ("fd00::/8", "fe00::1", false), ("::/0", "1.2.3.4", false),
        ("2001:db8::/33", "2001:db8:8000::", false),
    ])
    func `a block holds its addresses`(block: String, address: String, expected: Bool) throws {
        guard case .block(let addresses, let text) = try TrustedProxy(block) else {
            Issue.record("no block")
            return
        }
        #expect(addresses.contains(try #require(IPAddress(address))) == expected)
        #expect(text == block)
    }

    @Test(arguments: [
        "", "x", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/31", "1.2.3.4/8/8", "::1/127",
        "::/129", "unix:", "Unix", "::ffff:10.0.0.1",
    ])
    func `what is no block is refused`(text: String) {
        #expect(throws: Invalid.self) { try TrustedProxy(text) }
    }

    @Test func `peers on Unix sockets have a word`() throws {
        #expect(try TrustedProxy("unix") == .unix)
        #expect(TrustedPeers(unixSockets: true).contains(peer: "unix"))
        let block = AddressBlock(try #require(IPAddress("0.0.0.0")), prefixLength: 0)
        #expect(!TrustedPeers([block]).contains(peer: "unix"))
        #expect(TrustedPeers([block]).contains(peer: "::ffff:10.0.0.1"))
    }

    @Test(arguments: [("0660", 0o660), ("660", 0o660), ("0777", 0o777), ("000", 0)])
    func `permissions are octal`(text: String, bits: UInt32) throws {
        let mode = try FileMode(text)
        #expect(mode.bits == bits && mode.text.hasSuffix(text) && mode.text.utf8.count == 4)
    }

    @Test(arguments: ["", "66", "0o660", "888", "1777", "07777", "rw-rw----", "-66"])
    func `what are no permissions is refused`(text: String) {
        #expect(throws: Invalid.self) { try FileMode(text) }
    }
}

@Suite struct QuantityTests {
    @Test(arguments: [
        ("250ms", 250, "250ms"), ("1000ms", 1000, "1s"), ("60s", 60_000, "60s"),
        ("5m", 300_000, "5m"), ("1m", 60_000, "60s"),
        ("90s", 90_000, "90s"), ("1h", 3_600_000, "1h"), ("24h", 86_400_000, "24h"),
        ("1d", 86_400_000, "24h"),
        ("7d", 604_800_000, "7d"), ("0s", 0, "0s"), ("007s", 7000, "7s"),
    ])
    func `durations are read and written`(text: String, milliseconds: Int, written: String) {
        let duration = DurationText.parse(text)
        #expect(duration == .milliseconds(milliseconds))
        #expect(duration.map(DurationText.text) == written)
    }

    @Test(arguments: [
        "", "10", "s", "10 s", "-1s", "1.5s", "10S", "10sec", "9999999999999s", "999999999999d",
        "1s ",
    ])
    func `what is no duration is refused`(text: String) {
        #expect(DurationText.parse(text) == nil)
    }

    @Test(arguments: [
        ("64KiB", 65_536, "64KiB"), ("1024KiB", 1 << 20, "1MiB"), ("1GiB", 1 << 30, "1GiB"),
        ("5B", 5, "5B"), ("0KiB", 0, "0B"),
        ("1025B", 1025, "1025B"),
    ])
    func `sizes are read and written`(text: String, bytes: Int, written: String) {
        #expect(ByteSize.parse(text) == bytes && ByteSize.text(bytes) == written)
    }

    @Test(arguments: ["", "10", "KiB", "1 KiB", "1KB", "1kib", "-1B", "1.5MiB", "999999999999GiB"])
    func `what is no size is refused`(text: String) {
        #expect(ByteSize.parse(text) == nil)
    }
}
