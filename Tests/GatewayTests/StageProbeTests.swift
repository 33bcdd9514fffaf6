import HTTP
import Idempotency
import TestSupport
import Testing

@testable import Gateway

/// Stages whose outcome is asked for.
@Loop @Suite struct StageProbeTests {
    /// Stages that are asked for at `/taxes`, `/payments` and `/orders`, with what is known.
    private static func stages() throws -> [StageRules] {
        let paths = [
            "/taxes/{id}", "/payments?k={key}&t={stages.taxed.body/id}", "/orders?k={key}",
        ]
        return try Cart.compensated { index, stage in
            stage.call.unknown = .probe(try Cart.probe(paths[index], index))
            stage.compensation?.unknown = .probe(
                try Cart.probe("/back/{stages.taxed.status}", index + 1))
        }
    }

    private func bench(
        _ script: @escaping (Int) -> ScriptedUpstream.Script
    ) throws -> Bench {
        try Bench(ScriptedUpstream(script), stages: try Self.stages())
    }

    /// Time passes, and the gateway looks for unknown records.
    private func pass(_ bench: Bench, rounds: Int = 1) async throws {
        for _ in 0..<rounds {
            let gateway = bench.gateway
            try await gateway.prober.round()
            try await bench.until("probes end") {
                gateway.prober.underWay == 0 && gateway.completer.underWay.isEmpty
            }
            await bench.pass(.seconds(11))
        }
    }

    @Test(arguments: [0, 1, 2])
    func `a stage that is found is done, and the work goes on at once`(_ lost: Int) async throws {
        let bench = try bench { number in
            number == lost ? .silent() : .json(200, "{\"id\": \"a b\", \"n\": \(number)}")
        }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await pass(bench, rounds: 2)
        let probe =
            ["GET /taxes/c1", "GET /payments?k=k-1&t=a%20b", "GET /orders?k=k-1"][lost]
        #expect(bench.sent.dropFirst(lost + 1).first == probe)
        #expect(bench.sent.count == 4)
        #expect(bench.sent.count { $0.hasPrefix("POST") } == 3)
        #expect(try await bench.state() == "finished")
        #expect(try await bench.stages() == ["taxed", "paid"])
        let retry = try await bench.send(.cart())
        #expect(retry.status == 200 && retry.field("Idempotency-Status") == "replayed")
        #expect(retry.text.contains("\"n\": 3"))
    }

    @Test func `a stage that is denied twice is called again`() async throws {
        let bench = try bench { number in
            switch number {
            case 1: .silent()
            case 2, 3: .init(404)
            default: .json(200, "{\"id\": 1}")
            }
        }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await pass(bench, rounds: 2)
        #expect(bench.sent.count == 3)
        #expect(try await bench.state() == "unknown")
        try await pass(bench)
        #expect(try await bench.state() == "finished")
        #expect(bench.sent.count { $0 == "POST /payments" } == 2)
        #expect(bench.sent.count { $0 == "POST /carts/c1/taxes" } == 1)
    }

    @Test func `a client that comes back has the stage asked for and its answer given`()
        async throws
    {
        let bench = try bench { $0 == 1 ? .silent() : .json(200, "{\"id\": \($0)}") }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        let retry = try await bench.send(.cart())
        #expect(retry.status == 200 && retry.text == "{\"id\": 3}")
        #expect(bench.sent.count { $0.hasPrefix("POST") } == 3)
    }

    @Test func `a compensation that is found is done`() async throws {
        let bench = try bench { number in
            switch number {
            case 2: .init(422)
            case 3: .silent()
            default: .json(200, "{\"id\": 1}")
            }
        }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await pass(bench, rounds: 2)
        #expect(
            bench.sent.dropFirst(3) == ["POST /refunds", "GET /back/200", "POST /carts/c1/untax"])
        #expect(try await bench.send(.cart()).status == 422)
    }

    @Test func `a stage that cannot be asked for is held`() async throws {
        // The answer of the first stage has no id, which the probe needs.
        let bench = try bench { $0 == 1 ? .silent() : .json(200, "{}") }
        try await bench.send(.cart()).expectProblem("outcome-unknown", 502, executed: "unknown")
        try await pass(bench, rounds: 5)
        #expect(bench.sent.count == 2)
        #expect(try await bench.state() == "unknown")
    }
}
