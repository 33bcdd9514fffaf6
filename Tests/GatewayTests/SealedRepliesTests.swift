import Crypto
import Idempotency
import TestSupport
import Testing

@testable import Gateway

@Suite struct SealedRepliesTests {
    private static let id = KeyID(at: Timestamp(microseconds: 1_800_000_000_000_000))
    private static let key = SealingKey(randomBytes(count: 32))!
    private static let codings: [SealedReplies] = [
        SealedReplies(compressAbove: nil, keys: []),
        SealedReplies(compressAbove: 100, keys: []),
        SealedReplies(compressAbove: nil, keys: [key]),
        SealedReplies(compressAbove: 100, keys: [key]),
    ]
    private static let replies = [
        StoredReply(responseCode: 204, responseHeaders: [], responseBody: []),
        StoredReply(responseCode: 200, responseHeaders: Array("A: b\r\n".utf8), responseBody: nil),
        reply(body: "short"), reply(body: String(repeating: "a long secret ", count: 1000)),
    ]

    private static func reply(body: String) -> StoredReply {
        StoredReply(
            responseCode: 201, responseHeaders: Array("X-Token: t0ken\r\n".utf8),
            responseBody: Array(body.utf8))
    }

    @Test(arguments: codings.indices, replies.indices)
    func `a reply comes back as it was`(_ coding: Int, _ reply: Int) throws {
        let (coding, reply) = (Self.codings[coding], Self.replies[reply])
        let written = try coding.encode(reply, of: Self.id)
        #expect(try coding.decode(written, of: Self.id) == reply)
        #expect(try coding.encode(written, of: Self.id) === written, "it was written twice")
    }

    @Test(arguments: codings.indices, replies.indices)
    func `what was written under other settings is read`(_ writer: Int, _ reply: Int) throws {
        let reply = Self.replies[reply]
        let written = try Self.codings[writer].encode(reply, of: Self.id)
        #expect(try Self.codings[3].decode(written, of: Self.id) == reply)
    }

    @Test func `only a longer body is compressed, and only if it shrinks`() throws {
        let coding = Self.codings[1]
        let long = Self.replies[3]
        let written = try coding.encode(long, of: Self.id)
        #expect(written.responseBody?.count ?? .max < 200)
        #expect(try coding.encode(Self.replies[2], of: Self.id) === Self.replies[2])
        let noise = StoredReply(
            responseCode: 200, responseHeaders: [], responseBody: randomBytes(count: 5000))
        #expect(try coding.encode(noise, of: Self.id) === noise)
    }

    @Test func `nothing of a sealed reply can be read`() throws {
        let written = try Self.codings[2].encode(Self.replies[3], of: Self.id)
        let text = String(
            decoding: written.responseHeaders + (written.responseBody ?? []), as: UTF8.self)
        #expect(!text.contains("t0ken") && !text.contains("secret") && !text.contains("X-Token"))
    }

    @Test func `a sealed reply opens in its own place alone`() throws {
        let coding = Self.codings[3]
        let written = try coding.encode(Self.replies[3], of: Self.id)
        let other = try coding.encode(Self.replies[3], of: Self.id)
        let body = try #require(written.responseBody)
        func isRefused(
            _ headers: [UInt8], _ body: [UInt8]?, code: UInt16 = 201, of id: KeyID = Self.id
        ) -> Bool {
            let reply = StoredReply(
                responseCode: code, responseHeaders: headers, responseBody: body)
            do {
                _ = try coding.decode(reply, of: id)
                return false
            } catch {
                return error.reason == .corrupt || error.reason == .newer
            }
        }
        #expect(!isRefused(written.responseHeaders, body))
        #expect(isRefused(written.responseHeaders, body, of: KeyID(at: Timestamp.now())))
        #expect(isRefused(written.responseHeaders, body, code: 200))
        #expect(isRefused(written.responseHeaders, nil))
        #expect(isRefused(written.responseHeaders, other.responseBody), "another answer's body")
        #expect(isRefused(other.responseHeaders, body), "another answer's fields")
        for index in written.responseHeaders.indices where index > 0 {
            var changed = written.responseHeaders
            changed[index] ^= 1
            #expect(isRefused(changed, body), "byte \(index)")
        }
    }

    @Test func `a new key writes, the old one still reads, and without it nothing does`() throws {
        let new = try #require(SealingKey(randomBytes(count: 32)))
        let old = try Self.codings[2].encode(Self.replies[2], of: Self.id)
        let rotated = SealedReplies(compressAbove: nil, keys: [new, Self.key])
        #expect(try rotated.decode(old, of: Self.id) == Self.replies[2])
        let written = try rotated.encode(Self.replies[2], of: Self.id)
        let newAlone = SealedReplies(compressAbove: nil, keys: [new])
        #expect(try newAlone.decode(written, of: Self.id) == Self.replies[2])
        for coding in [newAlone, SealedReplies(compressAbove: nil, keys: [])] {
            let error = #expect(throws: StoreError.self) { try coding.decode(old, of: Self.id) }
            #expect(error?.reason == .corrupt)
            #expect(error?.detail.contains("encryption key that is not configured") == true)
        }
    }

    @Test func `a damaged length does not make room for gigabytes`() throws {
        let huge = StoredReply(
            responseCode: 200, responseHeaders: [0, 1, 3] + [UInt8](repeating: 0x7F, count: 8),
            responseBody: [1])
        #expect(throws: StoreError.self) { try Self.codings[0].decode(huge, of: Self.id) }
    }
}
