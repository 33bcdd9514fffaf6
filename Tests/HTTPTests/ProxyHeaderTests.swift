import Testing

@testable import HTTP

/// What the parser makes of pieces, as text.
private func outcome(_ pieces: [[UInt8]]) -> String {
    var parser = ProxyHeaderParser()
    var total = 0
    for piece in pieces {
        do {
            let (consumed, header) = try parser.parse(piece.span)
            total += consumed
            if let header { return "\(describe(header)) [\(total)]" }
            if consumed != piece.count { return "a piece was left without a header" }
        } catch { return error.reason }
    }
    return "more"
}

private func describe(_ header: ProxyHeader) -> String {
    let secure = header.isSecure ? " tls" : ""
    func text(_ end: Endpoint) -> String { "\(end.address) \(end.port ?? 0)" }
    switch header.origin {
    case .sender: return "sender" + secure
    case .unix: return "unix" + secure
    case .client(let source, let destination):
        return "\(text(source)) to \(text(destination))" + secure
    }
}

/// Checks an input, cut in every way.
private func expect(
    _ input: [UInt8], _ expected: String, sourceLocation: SourceLocation = #_sourceLocation
) {
    for pieces in cuttings(input) {
        #expect(outcome(pieces) == expected, sourceLocation: sourceLocation)
    }
}

private let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10]

/// A header of version 2.
private func binary(
    _ family: UInt8, _ payload: [UInt8], command: UInt8 = 0x21
) -> [UInt8] {
    let length = payload.count
    return signature + [command, family, UInt8(length >> 8), UInt8(length & 255)] + payload
}

private let v4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x67, 0, 80]
private let v6: [UInt8] =
    [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
    + [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [2] + [0xFF, 0xFF, 1, 0xBB]

@Suite struct ProxyHeaderTests {
    @Test(arguments: [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 4711 80", "192.0.2.1 4711 to 198.51.100.2 80"),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", "0.0.0.0 0 to 255.255.255.255 65535"),
        ("PROXY TCP6 2001:DB8::1 ::1 1 2", "2001:db8::1 1 to ::1 2"),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2", "192.0.2.1 1 to ::1 2"),
        ("PROXY UNKNOWN", "sender"), ("PROXY UNKNOWN ", "sender"),
        ("PROXY UNKNOWN \u{FF} anything at all", "sender"),
    ])
    func `a line says whose connection it is`(_ line: String, _ expected: String) {
        let bytes = latin1(line) + [13, 10]
        expect(bytes + latin1("GET / HTTP/1.1\r\n"), "\(expected) [\(bytes.count)]")
        for length in bytes.indices { expect(Array(bytes[..<length]), "more") }
    }

    @Test func `the longest lines are taken, and not a byte more`() {
        let long = String(repeating: "x", count: 107 - 16)
        expect(latin1("PROXY UNKNOWN \(long)\r\n"), "sender [107]")
        expect(latin1("PROXY UNKNOWN \(long)x\r\n"), "a PROXY line has at most 107 bytes")
        let full = (0..<8).map { _ in "ffff" }.joined(separator: ":")
        let line = "PROXY TCP6 \(full) \(full) 65535 65535\r\n"
        expect(latin1(line), "\(full) 65535 to \(full) 65535 [104]")
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n", "PROXy TCP4", "PROXY\r\n", "proxy ", "\r\n\r\nGET",
        "\u{16}\u{3}\u{1}",
        "PROXYTCP4 1.1.1.1 1.1.1.1 1 1\r\n",
    ])
    func `what begins like no header is refused at that byte`(_ text: String) {
        expect(latin1(text), "no PROXY header")
    }

    @Test(arguments: [
        "TCP4 1.1.1.1 1.1.1.1 1 1\n", "TCP4 1.1.1.1 1.1.1.1 1 1\rX", "UNKNOWN\n", "UNKNOWN\r\r\n",
        "UNKNOWNX\r\n", "\r\n", "TCP4\r\n", "TCP4 1.1.1.1 1.1.1.1 1\r\n",
        "TCP4 1.1.1.1 1.1.1.1 1 1 1\r\n", "TCP4  1.1.1.1 1.1.1.1 1 1\r\n",
        "TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "TCP4 1.1.1.1 ::1 1 1\r\n", "TCP4 ::1 ::1 1 1\r\n",
        "TCP6 1.1.1.1 1.1.1.1 1 1\r\n", "TCP4 01.1.1.1 1.1.1.1 1 1\r\n",
        "TCP4 1.1.1.1 1.1.1.1 01 1\r\n", "TCP4 1.1.1.1 1.1.1.1 +1 1\r\n",
        "TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "TCP4 1.1.1.1 1.1.1.1  1\r\n",
        "TCP4 1.1.1.256 1.1.1.1 1 1\r\n", "tcp4 1.1.1.1 1.1.1.1 1 1\r\n",
        "UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "TCP6 fe80::1%1 ::1 1 1\r\n", "TCP6 [::1] ::1 1 1\r\n",
    ])
    func `a malformed line is refused`(_ rest: String) {
        for pieces in cuttings(latin1("PROXY " + rest)) {
            #expect(outcome(pieces).hasPrefix("a PROXY line"))
        }
    }

    @Test func `a block says whose connection it is`() {
        expect(binary(0x11, v4) + [0x47], "192.0.2.1 4711 to 198.51.100.2 80 [28]")
        expect(binary(0x21, v6), "2001:db8::1 65535 to 2001:db8::2 443 [52]")
        let mapped = [UInt8](repeating: 0, count: 10) + [255, 255, 192, 0, 2, 1]
        expect(binary(0x21, mapped + mapped + v4[8...]), "192.0.2.1 4711 to 192.0.2.1 80 [52]")
        expect(binary(0x31, [UInt8](repeating: 65, count: 216)), "unix [232]")
        for length in 1..<28 { expect(Array(binary(0x11, v4)[..<length]), "more") }
    }

    @Test func `what is not a client's connection over a stream is the sender's`() {
        expect(binary(0x00, [], command: 0x20), "sender [16]")
        expect(binary(0x11, v4, command: 0x20), "sender [28]")
        expect(binary(0x11, [1, 2, 3], command: 0x20), "sender [19]")
        expect(binary(0x00, [1, 2, 3, 4]), "sender [20]")
        expect(binary(0x12, v4), "sender [28]")
        expect(binary(0x10, v4), "sender [28]")
        expect(binary(0x01, v4), "sender [28]")
    }

    @Test func `a malformed block is refused`() {
        expect(signature + [0x11], "a PROXY header of no known version and command")
        expect(signature + [0x22], "a PROXY header of no known version and command")
        expect(signature + [0x21, 0x41], "a PROXY header of no known address family")
        expect(signature + [0x21, 0x13], "a PROXY header of no known address family")
        expect(binary(0x11, [1, 2]), "a PROXY header shorter than its addresses")
        expect(binary(0x21, Array(v6.dropLast())), "a PROXY header shorter than its addresses")
        expect(Array(signature.dropLast()) + [13], "no PROXY header")
        let tooLong = signature + [0x21, 0x11, 0x10, 0x01]
        expect(tooLong, "a PROXY header of more than 4 KiB")
    }

    @Test func `extensions are skipped within the header's bounds`() {
        let noop: [UInt8] = [4, 0, 0, 0xEE, 0, 2, 1, 2]
        expect(binary(0x11, v4 + noop), "192.0.2.1 4711 to 198.51.100.2 80 [36]")
        for malformed: [UInt8] in [[4], [4, 0], [4, 0, 1], [0x20, 0, 1, 1], [3, 0, 1, 0]] {
            expect(binary(0x11, v4 + malformed), "a PROXY header with a malformed extension")
        }
        let longest = [UInt8(4), 0x0F, 0xF1] + [UInt8](repeating: 0, count: 0xFF1)
        let bytes = binary(0x11, v4 + longest)
        #expect(bytes.count == ProxyHeaderParser.longest)
        #expect(outcome([bytes]) == "192.0.2.1 4711 to 198.51.100.2 80 [4112]")
    }

    @Test func `TLS with the proxy is noticed`() {
        let tls: [UInt8] = [0x20, 0, 9, 1, 0, 0, 0, 0, 0x21, 0, 1, 0x33]
        expect(binary(0x11, v4 + tls), "192.0.2.1 4711 to 198.51.100.2 80 tls [40]")
        let plain: [UInt8] = [0x20, 0, 5, 6, 0, 0, 0, 0]
        expect(binary(0x11, v4 + plain), "192.0.2.1 4711 to 198.51.100.2 80 [36]")
    }

    @Test func `a checksum is checked`() {
        // The sum was computed by another implementation of CRC32c.
        let sum: [UInt8] = [3, 0, 4, 0x50, 0xEF, 0x26, 0x9E]
        let sealed = binary(0x11, v4 + sum)
        expect(sealed, "192.0.2.1 4711 to 198.51.100.2 80 [35]")
        for index in [16, 20, 25, 31, 34] {
            var damaged = sealed
            damaged[index] ^= 1
            expect(damaged, "a PROXY header with a wrong checksum")
        }
        expect(binary(0x11, v4 + sum + sum), "a PROXY header with a wrong checksum")
    }

    @Test func `mangled headers come to the same, however they are cut`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var state = seed
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let tls: [UInt8] = [0x20, 0, 9, 1, 0, 0, 0, 0, 0x21, 0, 1, 0x33]
        let samples = [
            binary(0x11, v4 + tls), binary(0x21, v6 + [3, 0, 4, 1, 2, 3, 4]),
            latin1("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n"), latin1("PROXY UNKNOWN x\r\n"),
        ]
        for _ in 0..<20_000 {
            var bytes = samples[next(samples.count)]
            for _ in 0..<(1 + next(3)) {
                switch next(3) {
                case 0: bytes[next(bytes.count)] = UInt8(next(256))
                case 1: bytes.insert(UInt8(next(256)), at: next(bytes.count))
                default: bytes.remove(at: next(bytes.count))
                }
            }
            let whole = outcome([bytes])
            let cut = next(bytes.count)
            #expect(outcome(pieces(bytes, [cut])) == whole, "seed \(seed)")
            #expect(outcome(pieces(bytes, Array(0..<bytes.count))) == whole, "seed \(seed)")
        }
    }
}
