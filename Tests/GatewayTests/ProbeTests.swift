import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

@Loop @Suite struct ProbeTests {
    private static func rules(
        _ path: String = "/orders?reference={key}", of route: String = "/orders/{id}",
        spacing: Duration = .seconds(10)
    ) throws -> KeyRules {
        let template = try ProbeTemplate(path, for: try PathPattern(route))
        var fields = Fields()
        fields.append(.authorization, "Bearer probe")
        return .with {
            $0.probe = ProbeRules(template: template, spacing: spacing, fields: fields)
        }
    }

    /// A bench whose first request is lost; what comes then is `script`'s.
    private func bench(
        _ rules: KeyRules, _ script: @escaping (Int) -> ScriptedUpstream.Script
    ) async throws -> Bench {
        let upstream = ScriptedUpstream { $0 == 0 ? .silent() : script($0) }
        let bench = try Bench(upstream, keys: rules, path: "/orders/{id}")
        let first = try await bench.send(.order(target: "/orders/a%20b?x"))
        first.expectProblem("outcome-unknown", 502, executed: "unknown")
        return bench
    }

    /// Time passes, and the gateway looks around as it does every second.
    private func pass(_ duration: Duration, _ bench: Bench) async throws {
        bench.timers.advance(by: duration)
        bench.clock.advance(by: duration)
        try await bench.gateway.prober.round()
        await bench.settle()
    }

    @Test func `a probe that finds the result settles the record with it`() async throws {
        let bench = try await bench(try Self.rules()) { _ in
            var script = ScriptedUpstream.Script(200, ["X-Found": "1"], body: "the order")
            script.head.fields.append(UpstreamVerdict.fieldName, "release")
            return script
        }
        try await pass(.seconds(1), bench)
        #expect(bench.upstream.received.count == 1)
        try await pass(.seconds(10), bench)
        let probe = try #require(bench.upstream.received.last?.request)
        #expect(probe.method == .get)
        #expect(String(decoding: probe.target, as: UTF8.self) == "/orders?reference=k-1")
        #expect(probe.fields.text(.authorization) == "Bearer probe")
        #expect(probe.fields.text(.host) == "api:9")
        let retry = try await bench.send(.order(target: "/orders/a%20b?x"))
        #expect(retry.status == 200)
        #expect(retry.text == "the order")
        #expect(retry.field("X-Found") == "1")
        #expect(retry.field("Idempotency-Verdict") == nil)
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 2)
    }

    @Test func `captures, fields and the key are filled in, percent-encoded`() async throws {
        let path = "/o/{params.id}?k={key}&c={field.X-Client}"
        let bench = try await bench(try Self.rules(path)) { _ in .init(200) }
        #expect(try await bench.keys.unknown(after: nil, limit: 9).first?.probeTarget == nil)
        let fields: Fields = ["X-Client": "a&b=ü/"]
        let upstream = ScriptedUpstream { $0 == 0 ? .silent() : .init(200) }
        let other = try Bench(upstream, keys: try Self.rules(path), path: "/orders/{id}")
        try await other.send(.order(key: "a/b?", target: "/orders/x%2Fy%20z", fields: fields))
        let record = try await other.keys.unknown(after: nil, limit: 9).first
        #expect(record?.probeTarget == "/o/x%2Fy%20z?k=a%2Fb%3F&c=a%26b%3D%C3%BC%2F")
        #expect(record?.route == "orders")
    }

    @Test func `two negatives far enough apart free the key`() async throws {
        let bench = try await bench(try Self.rules()) { $0 < 3 ? .init(404) : .init(201) }
        try await pass(.seconds(1), bench)
        try await pass(.seconds(10), bench)
        #expect(bench.upstream.received.count == 2)
        #expect(try await bench.keys.unknown(after: nil, limit: 9).count == 1)
        try await pass(.seconds(10), bench)
        #expect(bench.upstream.received.count == 3)
        #expect(try await bench.keys.unknown(after: nil, limit: 9).isEmpty)
        let retry = try await bench.send(.order(target: "/orders/a%20b?x"))
        #expect(retry.status == 201)
        #expect(retry.field("Idempotency-Status") == "executed")
    }

    @Test(arguments: [301, 400, 401, 403, 410, 500, 503] as [UInt16])
    func `any other answer holds`(_ status: UInt16) async throws {
        let bench = try await bench(try Self.rules()) { _ in .init(status) }
        try await pass(.seconds(1), bench)
        for _ in 0..<5 { try await pass(.seconds(60), bench) }
        #expect(bench.upstream.received.count > 2)
        #expect(try await bench.keys.unknown(after: nil, limit: 9).count == 1)
        #expect(bench.upstream.received.dropFirst().allSatisfy { $0.request.method == .get })
    }

    @Test func `a probe that fails holds`() async throws {
        let bench = try await bench(try Self.rules()) { number in
            number.isMultiple(of: 2)
                ? .silent() : .failing(.unreachable, effect: .none)
        }
        try await pass(.seconds(1), bench)
        for _ in 0..<5 { try await pass(.seconds(600), bench) }
        #expect(bench.upstream.received.count > 3)
        #expect(try await bench.keys.unknown(after: nil, limit: 9).count == 1)
    }

    @Test func `a client that comes back has the upstream asked at once`() async throws {
        let bench = try await bench(try Self.rules()) { _ in .init(200, body: "found") }
        let retry = try await bench.send(.order(target: "/orders/a%20b?x"))
        #expect(retry.status == 200)
        #expect(retry.text == "found")
        #expect(retry.field("Idempotency-Status") == "replayed")
        #expect(bench.upstream.received.count == 2)
    }

    @Test func `a client's impatience does not free the key`() async throws {
        let bench = try await bench(try Self.rules()) { _ in .init(404) }
        for _ in 0..<9 {
            let retry = try await bench.send(.order(target: "/orders/a%20b?x"))
            retry.expectProblem("outcome-unknown", 502, executed: "unknown")
            bench.timers.advance(by: .seconds(1))
        }
        #expect(bench.upstream.received.allSatisfy { $0.request.method == .get } == false)
        #expect(bench.upstream.received.count { $0.request.method == .post } == 1)
    }

    @Test func `a client waits for a slow probe no longer than for anything else`() async throws {
        let gate = Gate()
        let bench = try await bench(try Self.rules()) { _ in
            var script = ScriptedUpstream.Script(200, body: "found")
            script.gate = gate
            return script
        }
        let (writer, task) = bench.begin(.order(target: "/orders/a%20b?x"))
        await bench.upstream.arrival(of: 2)
        await bench.settle()
        #expect(!writer.hasBegun)
        bench.timers.advance(by: .seconds(30))
        try await task.value
        writer.expectProblem("outcome-unknown", 502, executed: "unknown")
        gate.open()
        await bench.settle()
        #expect(try await bench.send(.order(target: "/orders/a%20b?x")).text == "found")
    }

    @Test func `a probe that comes too late changes nothing`() async throws {
        let gate = Gate()
        let bench = try await bench(try Self.rules()) { _ in
            var script = ScriptedUpstream.Script(200, body: "found")
            script.gate = gate
            return script
        }
        try await pass(.seconds(1), bench)
        try await pass(.seconds(10), bench)
        await bench.upstream.arrival(of: 2)
        let record = try #require(try await bench.keys.unknown(after: nil, limit: 9).first)
        let reply = StoredReply(responseCode: 202, responseHeaders: [], responseBody: [])
        _ = try await bench.keys.update(
            record.id, token: try #require(record.lockToken), reply: reply, policy: KeyPolicy())
        gate.open()
        await bench.settle()
        #expect(try await bench.send(.order(target: "/orders/a%20b?x")).status == 202)
    }

    @Test(
        arguments: [
            ("orders", "begins with"), ("/a b", "visible ASCII"), ("/a#b", "visible ASCII"),
            ("/{key", "followed by a name"), ("/}", "followed by a name"),
            ("/{params.no}", "captures no {no}"), ("/{params.}", "captures no {}"),
            ("/{field.a b}", "visible ASCII"), ("/{field.}", "is none of"),
            ("/{body}", "is none of"),
        ])
    func `a template that makes no sense is refused`(_ text: String, _ reason: String) throws {
        let pattern = try PathPattern("/orders/{id}")
        let error = #expect(throws: PatternError.self) {
            try ProbeTemplate(text, for: pattern)
        }
        #expect(error?.reason.contains(reason) == true)
    }
}
