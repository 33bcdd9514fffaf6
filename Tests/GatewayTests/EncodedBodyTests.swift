import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Compression
@testable import Gateway

/// How bodies are compared that bear content codings, or consist of parts.
@Suite struct EncodedBodyTests {
    private static let text = Array(#"{"a": 1, "b": [1, 2]}"#.utf8)
    private static let turned = Array(#"{"b":[1,2],"a":1}"#.utf8)

    private func body(
        _ bytes: [UInt8], _ encoding: String?, type: String = "application/json",
        _ change: (inout FingerprintRules) -> Void = { _ in }
    ) -> [UInt8] {
        var fields: Fields = [:]
        fields.append(.contentType, type)
        for line in (encoding ?? "").split(separator: "|") {
            fields.append(.contentEncoding, String(line))
        }
        var rules = FingerprintRules()
        change(&rules)
        let head = RequestHead(method: .post, target: Array("/".utf8)[...], fields: fields)
        return IdentityReader().fingerprint(rules, of: head, body: bytes[...]).encoded
    }

    /// Deflated without compression: gzip's and zlib's stored blocks, which are easily written.
    private func stored(_ bytes: [UInt8]) -> [UInt8] {
        let count = UInt16(bytes.count)
        let lengths = [count, ~count].flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        var (low, high): (UInt32, UInt32) = (1, 0)
        for byte in bytes {
            low = (low + UInt32(byte)) % 65_521
            high = (high + low) % 65_521
        }
        let sum = high << 16 | low
        let check = (0..<4).map { UInt8(truncatingIfNeeded: sum >> (24 - 8 * UInt32($0))) }
        return [0x78, 0x01, 0x01] + lengths + bytes + check
    }

    private func zstd(_ bytes: [UInt8]) -> [UInt8] {
        // A frame without a checksum, its content in one raw block.
        let header = UInt32(bytes.count) << 3 | 1
        return [0x28, 0xB5, 0x2F, 0xFD, 0x20, UInt8(bytes.count)]
            + (0..<3).map { UInt8(truncatingIfNeeded: header >> (8 * UInt32($0))) } + bytes
    }

    @Test func `the same JSON is the same however it is encoded`() {
        let plain = body(Self.text, nil)
        #expect(body(stored(Self.text), "deflate") == plain)
        #expect(body(stored(Self.turned), "Deflate") == plain)
        #expect(body(zstd(Self.turned), "zstd") == plain)
        #expect(body(zstd(stored(Self.turned)), "deflate, zstd") == plain)
        #expect(body(zstd(stored(Self.turned)), "deflate|identity, zstd") == plain)
        #expect(body(zstd(Array(#"{"b":[1,2],"a":2}"#.utf8)), "zstd") != plain)
    }

    @Test func `other content is the same in another coding, too`() {
        let text = Array("plain text".utf8)
        let plain = body(text, nil, type: "text/plain")
        #expect(body(stored(text), "deflate", type: "text/plain") == plain)
        #expect(body(zstd(text), "zstd", type: "text/plain") == plain)
    }

    @Test(arguments: ["deflate", "br", "gzip, br, zstd", "compress", "zstd, zstd, zstd"])
    func `what cannot be decoded is compared byte for byte`(_ encoding: String) {
        let (first, second) = (zstd(Self.text), zstd(Self.turned))
        #expect(body(first, encoding) == body(first, encoding))
        #expect(body(first, encoding) != body(second, encoding))
        #expect(body(first, encoding) != body(first, nil, type: "application/json"))
        #expect(body(first, encoding) != body(first, "x-\(encoding)"))
    }

    @Test func `three codings are too many`() {
        let thrice = zstd(zstd(stored(Self.text)))
        #expect(body(thrice, "deflate, zstd, zstd") != body(Self.text, nil))
    }

    @Test func `bytes are compared as they came where the route says so`() {
        #expect(
            body(stored(Self.text), "deflate") { $0.body = .bytes }
                != body(Self.text, nil) { $0.body = .bytes })
    }

    @Test func `pointers reach into encoded bodies`() {
        let other = Array(#"{"b":[3],"a":1}"#.utf8)
        func only(_ rules: inout FingerprintRules) { rules.body = .pointers([JSONPointer("/a")!]) }
        func ignoring(_ rules: inout FingerprintRules) { rules.ignore = [JSONPointer("/b")!] }
        #expect(body(zstd(other), "zstd", only) == body(Self.text, nil, only))
        #expect(body(zstd(other), "zstd", ignoring) == body(stored(Self.text), "deflate", ignoring))
        #expect(body(zstd(other), "zstd") != body(Self.text, nil))
    }

    @Test func `a bomb is compared byte for byte, and so is JSON beyond the bound`() throws {
        let long = IdentityReader.comparedByContent
        let zeros = Array("[".utf8) + [UInt8](repeating: 0x20, count: long) + Array("]".utf8)
        let bomb = try #require(Zstandard.compress(zeros))
        let smaller = try #require(Zstandard.compress(Array(zeros.dropLast(3)) + [0x5D]))
        #expect(body(bomb, "zstd") != body(Array("[]".utf8), nil))
        #expect(body(smaller, "zstd") == body(Array("[]".utf8), nil))
        #expect(body(zeros, nil) != body(Array("[]".utf8), nil))
        let ignore = { (rules: inout FingerprintRules) in rules.ignore = [JSONPointer("/x")!] }
        #expect(body(zeros, nil, ignore) == body(Array("[]".utf8), nil, ignore))
        // Where pointers lift the bound, a few bytes still do not become many.
        #expect(body(bomb, "zstd", ignore) != body(Array("[]".utf8), nil, ignore))
        #expect(body(smaller, "zstd", ignore) == body(Array("[]".utf8), nil, ignore))
    }

    @Test func `parts are compared without their boundary, encoded or not`() {
        func form(_ boundary: String, _ value: String = "7") -> [UInt8] {
            Array("--\(boundary)\r\nA: 1\r\n\r\n\(value)\r\n--\(boundary)--\r\n".utf8)
        }
        func type(_ boundary: String) -> String { "multipart/form-data; boundary=\(boundary)" }
        let first = body(form("one"), nil, type: type("one"))
        #expect(body(form("two"), nil, type: type("two")) == first)
        #expect(body(stored(form("two")), "deflate", type: type("two")) == first)
        #expect(body(form("two", "8"), nil, type: type("two")) != first)
        #expect(body(form("two"), nil, type: type("other")) != first)
        #expect(
            body(form("two"), nil, type: type("two")) { $0.body = .bytes }
                != body(form("one"), nil, type: type("one")) { $0.body = .bytes })
    }
}
