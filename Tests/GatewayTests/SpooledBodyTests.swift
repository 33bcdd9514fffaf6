import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Bodies that are too long for memory, without files.
@Loop @Suite struct SpooledBodyTests {
    /// A spool that remembers what it was asked, and fails where it is told to.
    private final class ScriptedSpool: BodySpool {
        var isFull = false
        var mostBytes = Int.max
        var failsReading = false
        var opened = 0
        var largestRead = 0

        func open() throws(BodySpoolError) -> any SpooledBody {
            if isFull { throw BodySpoolError("scripted") }
            opened += 1
            return Content(self)
        }

        private final class Content: SpooledBody {
            private let spool: ScriptedSpool
            private var bytes: [UInt8] = []
            init(_ spool: ScriptedSpool) { self.spool = spool }

            var count: Int { bytes.count }

            func append(_ more: ArraySlice<UInt8>) throws(BodySpoolError) {
                guard bytes.count + more.count <= spool.mostBytes else {
                    throw BodySpoolError("scripted: no space left")
                }
                bytes += more
            }

            func read(at offset: Int, atMost limit: Int) throws(BodySpoolError) -> [UInt8] {
                if spool.failsReading { throw BodySpoolError("scripted") }
                let read = Array(bytes.dropFirst(offset).prefix(limit))
                spool.largestRead = max(spool.largestRead, read.count)
                return read
            }
        }
    }

    private func upload(
        _ size: Int, last: String = "z", type: String = "text/plain", key: String = "k"
    ) -> Request {
        let chunk = String(repeating: "a", count: 10_000)
        let whole = Array(repeating: chunk, count: size / chunk.utf8.count)
        var fields: Fields = ["Host": "a"]
        fields.append(.contentType, type)
        fields.append(.idempotencyKey, key)
        let head = RequestHead(
            method: .post, target: Array("/orders".utf8)[...], fields: fields, framing: .chunked)
        return Request(
            head: head, body: ScriptedBody(whole + [last]),
            downstream: Downstream(peer: "192.0.2.1"))
    }

    @Test func `a long body is spooled, sent in pieces, and compared`() async throws {
        let spool = ScriptedSpool()
        let bench = try Bench(.init(.init(201, body: "x")), keys: .plain, spool: spool)
        let first = try await bench.send(upload(1_000_000))
        #expect(first.field("Idempotency-Status") == "executed")
        let sent = try #require(bench.upstream.received.first)
        guard case .stream(let length) = sent.request.body else {
            Issue.record("the body was sent whole")
            return
        }
        #expect(length == 1_000_001 && sent.body.count == 1_000_001 && sent.isComplete)
        #expect(sent.body.last == UInt8(ascii: "z"))
        #expect(spool.largestRead == 64 << 10)
        #expect(try await bench.keyStatus(of: upload(1_000_000)) == "replayed")
        let other = try await bench.send(upload(1_000_000, last: "y"))
        other.expectProblem("key-reused", 422, executed: "no")
        #expect(bench.upstream.received.count == 1 && spool.opened == 3)
    }

    @Test func `a short body stays in memory`() async throws {
        let spool = ScriptedSpool()
        let bench = try Bench(.init(.init(201)), keys: .plain, spool: spool)
        try await bench.send(upload(60_000))
        #expect(spool.opened == 0)
        try await bench.send(upload(70_000, key: "l"))
        #expect(spool.opened == 1)
        #expect(bench.upstream.received.map(\.body.count) == [60_001, 70_001])
    }

    @Test(arguments: [true, false])
    func `without room nothing is forwarded, and a retry may find some`(
        atOnce: Bool
    ) async throws {
        let spool = ScriptedSpool()
        if atOnce { spool.isFull = true } else { spool.mostBytes = 100_000 }
        let bench = try Bench(.init(.init(201)), keys: .plain, spool: spool)
        let refused = try await bench.send(upload(200_000))
        refused.expectProblem("store-unavailable", 503, executed: "unknown")
        #expect(refused.field("Retry-After") == "1")
        #expect(bench.upstream.received.isEmpty)
        spool.isFull = false
        spool.mostBytes = .max
        #expect(try await bench.keyStatus(of: upload(200_000)) == "executed")
    }

    @Test func `a spool that cannot be read in the middle leaves the outcome unknown`()
        async throws
    {
        let spool = ScriptedSpool()
        let bench = try Bench(.init(.init(201)), keys: .plain, spool: spool)
        spool.failsReading = true
        let answer = try await bench.send(upload(200_000))
        answer.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `an answer before the end of the body is the answer`() async throws {
        var script = ScriptedUpstream.Script(400, body: "no more")
        script.readsBody = false
        let bench = try Bench(.init(script), keys: .plain, spool: ScriptedSpool())
        let answer = try await bench.send(upload(1_000_000))
        #expect(answer.status == 400 && answer.text == "no more")
        #expect(answer.field("Idempotency-Status") == "executed")
    }

    @Test func `a spooled body is forwarded without protection, too`() async throws {
        let bench = try Bench(
            .init(.init(201, body: "x")), keys: .with { $0.storeDown = .pass },
            spool: ScriptedSpool())
        bench.store.breakDown()
        let answer = try await bench.send(upload(200_000))
        #expect(answer.field("Idempotency-Status") == "unprotected")
        #expect(bench.upstream.received.first?.body.count == 200_001)
    }

    @Test func `a spooled body's parts are compared without their boundary`() async throws {
        let bench = try Bench(.init(.init(201)), keys: .plain, spool: ScriptedSpool())
        func form(_ boundary: String, _ value: String) -> Request {
            let type = "multipart/form-data; boundary=\(boundary)"
            let text = Array(
                ("--\(boundary)\r\nA: b\r\n\r\n" + String(repeating: value, count: 100_000)
                    + "\r\n--\(boundary)--\r\n").utf8)
            let head = RequestHead(
                method: .post, target: Array("/orders".utf8)[...],
                fields: ["Content-Type": .init(type), "Idempotency-Key": "k", "Host": "a"],
                framing: .chunked)
            let pieces = stride(from: 0, to: text.count, by: 10_000).map { start in
                String(decoding: text[start..<min(start + 10_000, text.count)], as: UTF8.self)
            }
            return Request(
                head: head, body: ScriptedBody(pieces), downstream: Downstream(peer: "192.0.2.1"))
        }
        #expect(try await bench.keyStatus(of: form("one", "v")) == "executed")
        #expect(try await bench.keyStatus(of: form("two", "v")) == "replayed")
        try await bench.send(form("two", "w")).expectProblem("key-reused", 422, executed: "no")
    }
}
