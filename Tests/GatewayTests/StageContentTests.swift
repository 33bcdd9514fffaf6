import HTTP
import TestSupport
import Testing

@testable import Gateway

/// Requests as they are stored for their stages.
@Suite struct StageContentTests {
    private static func sample(body: String? = "{}") -> StageContent {
        var fields: Fields = ["Host": "shop.example", "X-A": "1", "x-a": ""]
        fields.append(FieldName("X-B"), [0xFF, 0x20, 0x41])
        return StageContent(
            method: .other("PURGE"), target: Array("/carts/1?x=%2F".utf8)[...], version: .http10,
            fields: fields,
            downstream: Downstream(peer: "2001:db8::1", isSecure: true, isTrusted: true),
            body: body.map { Array($0.utf8)[...] })
    }

    private func section(_ fields: Fields) -> [UInt8] {
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        return section
    }

    @Test(arguments: ["{}", "", nil] as [String?])
    func `what is written is read`(_ body: String?) throws {
        let content = Self.sample(body: body)
        let encoded = try #require(content.encoded)
        let read = try #require(StageContent(decoding: encoded[...]))
        #expect(read.method == content.method)
        #expect(read.target == content.target)
        #expect(read.version == content.version)
        #expect(section(read.fields) == section(content.fields))
        #expect(read.downstream.peer == "2001:db8::1")
        #expect(read.downstream.isSecure && read.downstream.isTrusted)
        #expect(read.body == content.body)
        #expect(read.head.framing == content.head.framing)
    }

    @Test func `bytes of another layout are not read`() throws {
        var bytes = try #require(Self.sample().encoded)
        bytes[0] = 2
        #expect(StageContent(decoding: bytes[...]) == nil)
        bytes[0] = 1
        bytes[1] |= 16
        #expect(StageContent(decoding: bytes[...]) == nil)
        #expect(StageContent(decoding: []) == nil)
    }

    @Test func `no part of what is written is read as the whole`() throws {
        let bytes = try #require(Self.sample().encoded)
        for length in 0..<bytes.count { #expect(StageContent(decoding: bytes[..<length]) == nil) }
        #expect(StageContent(decoding: (bytes + [0])[...]) == nil)
    }

    @Test func `damaged bytes are refused or read as some request`() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed: seed)
        let whole = try #require(Self.sample().encoded)
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                bytes[Int.random(in: bytes.indices, using: &random)] = .random(
                    in: .min ... .max, using: &random)
            }
            guard let read = StageContent(decoding: bytes[...]) else { continue }
            #expect(read.encoded == bytes, "seed \(seed)")
        }
    }
}
