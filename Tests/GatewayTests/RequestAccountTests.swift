import Glibc
import HTTP
import JSON
import Telemetry
import TestSupport
import Testing

@testable import Gateway

/// What is counted.
@Loop @Suite struct GatewayMetricsTests {
    @Test func `requests, executions, replays and failures are counted`() async throws {
        let bench = try Bench(
            ScriptedUpstream { $0 == 1 ? .silent(.timeout) : .init(201) }, keys: .plain)
        try await bench.send(.order())
        try await bench.send(.order())
        try await bench.send(.order(key: "k-2"))
        try await bench.send(.order(#"{"n":2}"#))
        let text = String(decoding: bench.metrics.prometheusText(), as: UTF8.self)
        for line in [
            #"oncegate_requests_total{route="orders",outcome="executed",status="2xx"} 1"#,
            #"oncegate_requests_total{route="orders",outcome="replayed",status="2xx"} 1"#,
            #"oncegate_requests_total{route="orders",outcome="unknown",status="5xx"} 1"#,
            #"oncegate_requests_total{route="orders",outcome="refused",status="4xx"} 1"#,
            #"oncegate_executions_total{route="orders"} 2"#,
            #"oncegate_replays_total{route="orders"} 1"#,
            #"oncegate_mismatches_total{route="orders"} 1"#,
            #"oncegate_unknowns_total{route="orders"} 1"#,
            #"oncegate_upstream_errors_total{upstream="api",reason="timeout",effect="possible"} 1"#,
            #"oncegate_request_seconds_count{route="orders"} 4"#,
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }
}

/// What is logged.
@Loop @Suite struct AccessLogTests {
    @Test func `a line says what became of a request, without its query and its key`()
        async throws
    {
        let pipe = try LinePipe()
        let bench = try Bench(
            .init(.init(201, body: "made")), keys: .plain,
            log: Log(level: .error, access: true, to: pipe.writing, accessTo: pipe.writing))
        try await bench.send(.order(key: "secret-key", target: "/orders?token=secret"))
        bench.log.flush()
        let line = try JSON.parse(pipe.read()[...])
        #expect(line["method"]?.string == "POST")
        #expect(line["path"]?.string == "/orders")
        #expect(line["host"]?.string == "shop.example")
        #expect(line["route"]?.string == "orders")
        #expect(line["status"]?.integer == 201)
        #expect(line["outcome"]?.string == "executed")
        #expect(line["bytes_in"]?.integer == 7)
        #expect(line["bytes_out"]?.integer == 4)
        #expect(line["key_id"]?.string?.hasPrefix("ikey_") == true)
        #expect(line["attempts"]?.integer == 1)
        #expect(line["peer"]?.string == "192.0.2.1")
        #expect(line["total_ms"] != nil && line["store_ms"] != nil && line["upstream_ms"] != nil)
    }
}

/// A pipe that a log writes into.
private final class LinePipe {
    private let descriptors: [Int32]

    init() throws {
        var pair: [Int32] = [-1, -1]
        try #require(pipe(&pair) == 0)
        descriptors = pair
    }

    var writing: Int32 { descriptors[1] }

    /// What was written so far, up to 64 KiB; at least one byte must have been.
    func read() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = Glibc.read(descriptors[0], &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
