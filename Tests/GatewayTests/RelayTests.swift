import HTTP
import TestSupport
import Testing

@testable import Gateway

/// The plain way.
@Loop @Suite struct RelayTests {
    private func request(
        _ framing: BodyFraming, _ body: ScriptedBody, method: HTTP.Method = .post,
        version: Version = .http11
    ) -> Request {
        Request(
            head: RequestHead(
                method: method, target: Array("/a?b".utf8)[...], version: version,
                fields: ["Host": "shop.example", "Idempotency-Key": "k"], framing: framing),
            body: body, downstream: Downstream(peer: "192.0.2.1"))
    }

    private func get(_ version: Version = .http11) -> Request {
        request(.none, ScriptedBody(), method: .get, version: version)
    }

    @Test func `an answer is relayed with its fields and without the connection's`() async throws {
        let fields: Fields = ["X-A": "1", "Connection": "x", "Content-Length": "2"]
        let bench = try Bench(.init(.init(206, fields, body: "ab")), keys: nil)
        let answer = try await bench.send(get())
        #expect(answer.status == 206)
        #expect(answer.text == "ab")
        #expect(answer.head?.fields.pairs.map(\.name) == ["X-A", "Via"])
        #expect(answer.head?.framing == .length(2))
        #expect(
            String(decoding: bench.upstream.received[0].request.target, as: UTF8.self) == "/a?b")
        #expect(bench.upstream.received[0].request.fields.text(.idempotencyKey) == "k")
        #expect(!bench.upstream.received[0].wasCancelled)
        #expect(answer.onDownstreamGone == nil)
    }

    @Test func `a short body goes out whole, with its head`() async throws {
        let bench = try Bench(.init(), keys: nil)
        try await bench.send(request(.length(2), ScriptedBody(["ab"])))
        guard case .whole(let body) = bench.upstream.received[0].request.body else {
            Issue.record("it streams")
            return
        }
        #expect(Array(body) == Array("ab".utf8))
    }

    @Test(arguments: [
        (BodyFraming.length(4), ["ab", "cd"], true), (.chunked, ["ab", "cd"], false),
        (.length(100_000), [String(repeating: "x", count: 100_000)], true),
    ])
    func `other bodies stream, with what is known of their length`(
        _ framing: BodyFraming, _ chunks: [String], hasLength: Bool
    ) async throws {
        let bench = try Bench(.init(), keys: nil)
        try await bench.send(
            request(framing, ScriptedBody(chunks, trailers: ["X-Sum": "1", "Host": "b"])))
        let received = bench.upstream.received[0]
        guard case .stream(let length) = received.request.body else {
            Issue.record("it does not stream")
            return
        }
        #expect((length != nil) == hasLength)
        #expect(received.body == Array(chunks.joined().utf8))
        #expect(received.isComplete)
        #expect(received.trailers.pairs.map(\.name) == ["X-Sum"])
    }

    @Test func `both directions flow at once`() async throws {
        let rest = Gate()
        var script = ScriptedUpstream.Script.chunked([Array("early".utf8)])
        script.readsBody = false
        script.chunkGate = rest
        let bench = try Bench(.init(script), keys: nil)
        let gate = Gate()
        let (writer, task) = bench.begin(
            request(.chunked, ScriptedBody(["first"], gate: gate)))
        await writer.beginning()
        await bench.settle()
        #expect(bench.upstream.received[0].body == Array("first".utf8))
        #expect(!bench.upstream.received[0].isComplete)
        gate.open()
        await bench.settle()
        #expect(bench.upstream.received[0].isComplete)
        #expect(!writer.isComplete)
        rest.open()
        try await task.value
        #expect(writer.text == "early")
        #expect(!bench.upstream.received[0].wasCancelled)
    }

    @Test func `an early final answer stops the upload`() async throws {
        var script = ScriptedUpstream.Script(413, body: "no")
        script.readsBody = false
        let bench = try Bench(.init(script), keys: nil)
        let gate = Gate()
        let body = ScriptedBody(["1"], gate: gate)
        let (writer, task) = bench.begin(request(.chunked, body))
        await writer.beginning()
        gate.open()
        try await task.value
        #expect(writer.status == 413)
        #expect(writer.isComplete)
        #expect(!bench.upstream.received[0].isComplete)
    }

    @Test func `an answer without a body keeps its length`() async throws {
        var script = ScriptedUpstream.Script(200, ["Content-Length": "9"])
        script.head.framing = .none
        let bench = try Bench(.init(script), keys: nil)
        let answer = try await bench.send(request(.none, ScriptedBody(), method: .head))
        #expect(answer.field("Content-Length") == "9")
        #expect(answer.head?.framing == BodyFraming.none)
        #expect(answer.isComplete)
    }

    @Test func `interim answers and trailers are passed on`() async throws {
        var script = ScriptedUpstream.Script.chunked(
            [Array("a".utf8), Array("b".utf8)], trailers: ["X-Sum": "1", "Content-Length": "2"])
        script.interim = [ResponseHead(status: 100), ResponseHead(status: 103)]
        let bench = try Bench(.init(script), keys: nil)
        let answer = try await bench.send(get())
        #expect(answer.interims.map(\.status) == [103])
        #expect(answer.text == "ab")
        #expect(answer.trailers.pairs.map(\.name) == ["X-Sum"])
        #expect(try await bench.answer(to: get(.http10)) { $0.interims.isEmpty })
    }

    @Test(
        arguments: [
            (
                UpstreamError.Reason.unreachable, UpstreamError.Effect.none, 502,
                "upstream-unreachable", "no"
            ),
            (.overloaded, .none, 503, "upstream-unreachable", "no"),
            (.connectTimeout, .none, 504, "upstream-unreachable", "no"),
            (.cutShort, .possible, 502, "outcome-unknown", "unknown"),
            (.timeout, .possible, 504, "outcome-unknown", "unknown"),
        ] as [(UpstreamError.Reason, UpstreamError.Effect, UInt16, String, String)])
    func `a failure before the answer is a problem`(
        _ reason: UpstreamError.Reason, _ effect: UpstreamError.Effect, _ status: UInt16,
        _ name: String, _ executed: String
    ) async throws {
        let bench = try Bench(.init(.failing(reason, effect: effect)), keys: nil)
        try await bench.send(get()).expectProblem(name, status, executed: executed)
    }

    @Test func `a failure in the answer cuts it`() async throws {
        let bench = try Bench(.init(.cutBody(.cutShort)), keys: nil)
        let answer = try await bench.send(get())
        #expect(answer.wasAborted)
        #expect(!answer.isComplete)
    }

    @Test func `a client that hangs up ends the exchange at once`() async throws {
        var script = ScriptedUpstream.Script()
        script.gate = Gate()
        let bench = try Bench(.init(script), keys: nil)
        let (writer, task) = bench.begin(get())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        await #expect(throws: DownstreamError.closed) { try await task.value }
        #expect(bench.upstream.received[0].wasCancelled)
    }

    @Test func `a client that hangs up while the upstream is being connected ends that`()
        async throws
    {
        var script = ScriptedUpstream.Script()
        let gate = Gate()
        script.connectGate = gate
        let bench = try Bench(.init(script), keys: nil)
        let (writer, task) = bench.begin(get())
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        writer.hangUp()
        gate.open()
        await #expect(throws: DownstreamError.closed) { try await task.value }
        #expect(bench.upstream.received[0].wasCancelled)
        #expect(writer.onDownstreamGone == nil)
    }

    private func expecting() -> (Request, ScriptedBody) {
        let body = ScriptedBody(["hello"])
        return (
            Request(
                head: RequestHead(
                    method: .post, target: Array("/".utf8)[...],
                    fields: ["Host": "a", "Expect": "100-continue"], framing: .length(5)),
                body: body, downstream: Downstream(peer: "192.0.2.1")), body
        )
    }

    @Test func `a body that is expected is read when the upstream asks for it`() async throws {
        var script = ScriptedUpstream.Script(200)
        script.interim = [ResponseHead(status: 100)]
        let gate = Gate()
        script.gate = gate
        let bench = try Bench(.init(script), keys: nil)
        let (request, body) = expecting()
        let (writer, task) = bench.begin(request)
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        #expect(body.reads == 0)
        #expect(bench.upstream.received[0].request.fields.text(.expect) == "100-continue")
        gate.open()
        try await task.value
        #expect(bench.upstream.received[0].body == Array("hello".utf8))
        #expect(writer.status == 200 && writer.interims.isEmpty)
        #expect(bench.timers.pending == 0)
    }

    @Test func `an upstream that does not ask for an expected body gets it all the same`()
        async throws
    {
        let bench = try Bench(.init(), keys: nil)
        let (request, body) = expecting()
        let (writer, task) = bench.begin(request)
        await bench.upstream.arrival(of: 1)
        await bench.settle()
        #expect(body.reads == 0)
        bench.timers.advance(by: .seconds(1))
        try await task.value
        #expect(bench.upstream.received[0].body == Array("hello".utf8))
        #expect(writer.status == 200)
    }

    @Test func `an answer instead of 100 leaves an expected body where it is`() async throws {
        var script = ScriptedUpstream.Script(417)
        script.readsBody = false
        let bench = try Bench(.init(script), keys: nil)
        let (request, body) = expecting()
        let writer = try await bench.send(request)
        bench.timers.advance(by: .seconds(2))
        await bench.settle()
        #expect(writer.status == 417 && body.reads == 0)
        #expect(!bench.upstream.received[0].isComplete)
    }

    @Test(
        arguments: [
            (DownstreamError.bodyTimeout, 408), (.malformed("chunk"), 400),
        ] as [(DownstreamError, UInt16)])
    func `a body that breaks ends the exchange and says why`(
        _ error: DownstreamError, _ status: UInt16
    ) async throws {
        let bench = try Bench(.init(), keys: nil)
        let answer = try await bench.send(request(.chunked, ScriptedBody(["1"], failure: error)))
        answer.expectProblem("bad-request", status, executed: "unknown")
        #expect(bench.upstream.received[0].wasCancelled)
    }

    @Test func `a client that is cut off while it sends ends the exchange`() async throws {
        let bench = try Bench(.init(), keys: nil)
        await #expect(throws: DownstreamError.closed) {
            _ = try await bench.send(request(.chunked, ScriptedBody(["1"], failure: .closed)))
        }
        #expect(bench.upstream.received[0].wasCancelled)
    }

    @Test func `a body beyond the limit is refused, early where its length says so`() async throws {
        let bench = try Bench(.init(), keys: nil, bodyLimit: 3)
        try await bench.send(request(.length(4), ScriptedBody(["1234"])))
            .expectProblem("body-too-large", 413, executed: "no")
        #expect(bench.upstream.received.isEmpty)
        try await bench.send(request(.chunked, ScriptedBody(["12", "34"])))
            .expectProblem("body-too-large", 413, executed: "unknown")
        #expect(bench.upstream.received[0].wasCancelled)
        #expect(bench.upstream.received[0].body == Array("12".utf8))
    }

    @Test func `a route may rewrite the path and replace Host`() async throws {
        let bench = try Bench(
            .init(), keys: nil, path: "/{x}", host: .upstream, rewrite: "/v2/{x}")
        try await bench.send(get())
        let request = bench.upstream.received[0].request
        #expect(String(decoding: request.target, as: UTF8.self) == "/v2/a?b")
        #expect(request.fields.text(.host) == "api:9")
    }
}
