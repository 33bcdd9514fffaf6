import Idempotency
import Telemetry
import Testing

@testable import Admin

@Suite struct KeyMetricsTests {
    @Test func `a claim under way and a finished reply are seen at the next scrape`() async throws {
        let keys = IdempotencyKeyService(store: InMemoryStore())
        let metrics = Metrics()
        metrics.observe(keys)
        #expect(value("oncegate_claims", metrics) == 0)
        #expect(value("oncegate_store_ready", metrics) == 1)
        for name in [
            "unsaved", "journal_bytes", "journal_failures_total", "oldest_unknown_seconds",
        ] {
            #expect(value("oncegate_\(name)", metrics) == 0)
        }

        let request = KeyRequest(
            identity: Identity(scope: [], idempotencyKey: "a"), fingerprint: Fingerprint(),
            requestMethod: "POST", requestPath: "/orders", requestParams: "{}")
        let admission = try await keys.initializeRequest(request, policy: KeyPolicy())
        guard case .proceed(let claim) = admission else { throw Unexpected() }
        #expect(value("oncegate_claims", metrics) == 1)
        #expect(value("oncegate_store_rows_total", metrics) == 1)

        let reply = StoredReply(responseCode: 201, responseHeaders: [], responseBody: [0x31])
        _ = try await keys.workStage(
            claim, .finished(reply, retention: .seconds(60)), policy: KeyPolicy())
        #expect(value("oncegate_claims", metrics) == 0)
        #expect(value("oncegate_cached_replies", metrics) == 1)
        #expect(value("oncegate_store_rows_total", metrics) == 2)
    }

    @Test func `every family has its help and type, and no name comes twice`() {
        let metrics = Metrics()
        metrics.observe(IdempotencyKeyService(store: InMemoryStore()))
        metrics.observeProcess(version: "1")
        metrics.observe(Log(access: false))
        let lines = String(decoding: metrics.prometheusText(), as: UTF8.self).split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
        let samples = lines.filter { !$0.hasPrefix("#") }.map {
            $0.prefix { $0 != " " && $0 != "{" }
        }
        #expect(samples == types)
        #expect(Set(types).count == types.count)
    }

    private struct Unexpected: Error {}

    private func value(_ name: String, _ metrics: Metrics) -> Double? {
        let lines = String(decoding: metrics.prometheusText(), as: UTF8.self).split(separator: "\n")
        return lines.first { $0.hasPrefix("\(name) ") }.flatMap {
            Double($0.dropFirst(name.count + 1))
        }
    }
}
