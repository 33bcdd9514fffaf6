import Idempotency
import TestSupport
import Testing

@Suite struct CodedStoreTests {
    /// Turns every bit of a reply, and reads only what belongs to the record.
    private struct Inverting: ReplyCoding {
        func encode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
            StoredReply(
                responseCode: reply.responseCode,
                responseHeaders: Array("\(id)".utf8) + reply.responseHeaders.map { ~$0 },
                responseBody: reply.responseBody?.map { ~$0 })
        }

        func decode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
            guard reply.responseHeaders.starts(with: "\(id)".utf8) else {
                throw StoreError(.corrupt, "it belongs to another")
            }
            return StoredReply(
                responseCode: reply.responseCode,
                responseHeaders: reply.responseHeaders.dropFirst(31).map { ~$0 },
                responseBody: reply.responseBody?.map { ~$0 })
        }
    }

    /// Keeps of a body its length alone.
    private struct Shrinking: ReplyCoding {
        func encode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
            StoredReply(
                responseCode: reply.responseCode,
                responseHeaders: Array("\(reply.responseBody?.count ?? 0)".utf8), responseBody: [])
        }

        func decode(_ reply: StoredReply, of id: KeyID) throws(StoreError) -> StoredReply {
            let count = Int(String(decoding: reply.responseHeaders, as: UTF8.self)) ?? 0
            return StoredReply(
                responseCode: reply.responseCode, responseHeaders: [],
                responseBody: [UInt8](repeating: 0, count: count))
        }
    }

    @Test(arguments: StoreConformance.behaviours.filter { $0.name.hasPrefix("long answers") })
    func `answers that were compressed count with their whole length`(
        _ behaviour: StoreConformance.Behaviour
    ) async throws {
        let clock = ManualClock()
        let store = CodedStore(InMemoryStore(now: { clock.now }), coding: Shrinking())
        try await StoreConformance.check(behaviour, of: store, clock: clock)
    }

    @Test(arguments: StoreConformance.behaviours)
    func `is a store`(_ behaviour: StoreConformance.Behaviour) async throws {
        let clock = ManualClock()
        let store = CodedStore(InMemoryStore(now: { clock.now }), coding: Inverting())
        try await StoreConformance.check(behaviour, of: store, clock: clock)
    }

    @Test(arguments: [10, 100_000])
    func `a reply is written by the coding, short or long`(_ count: Int) async throws {
        let inner = InMemoryStore()
        let service = IdempotencyKeyService(store: CodedStore(inner, coding: Inverting()))
        let identity = Identity(scope: [1], idempotencyKey: "k")
        let request = KeyRequest(
            identity: identity, fingerprint: Fingerprint(), requestMethod: "POST",
            requestPath: "/", requestParams: "{}")
        guard
            case .proceed(let claim) = try await service.initializeRequest(
                request, policy: KeyPolicy())
        else {
            Issue.record("a fresh key was not claimed")
            return
        }
        let reply = StoredReply(
            responseCode: 200, responseHeaders: [1, 2],
            responseBody: [UInt8](repeating: 7, count: count))
        _ = try await service.workStage(
            claim, .finished(reply, retention: .seconds(9)), policy: KeyPolicy())
        let written = try await inner.find(identity).key?.reply
        #expect(written?.responseBody == [UInt8](repeating: ~7, count: count))
        #expect(try await service.retrieve(identity)?.reply == reply)
    }
}
