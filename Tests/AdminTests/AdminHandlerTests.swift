import HTTP
import JSON
import Telemetry
import Testing

@testable import Admin

@Suite struct AdminHandlerTests {
    private let metrics = Metrics()

    private func answer(
        _ method: Method, _ target: String, ready: [ReadinessCheck] = [],
        more: [AdminResource] = []
    ) async throws -> RecordedAnswer {
        let handler = AdminHandler([.health, .readiness(ready), .metrics(metrics)] + more)
        let head = RequestHead(method: method, target: Array(target.utf8)[...])
        let request = Request(
            head: head, body: EmptyBody(), downstream: Downstream(peer: "127.0.0.1"))
        let writer = RecordingWriter()
        try await handler.respond(to: request, through: writer)
        return try #require(writer.answer)
    }

    @Test(arguments: [Method.get, .head])
    func `healthz is ok as long as somebody answers`(_ method: Method) async throws {
        let answer = try await answer(method, "/healthz?verbose")
        #expect(answer.status == 200)
        #expect(answer.body == "ok\n")
        #expect(answer[.contentType] == "text/plain; charset=utf-8")
        #expect(answer[.cacheControl] == "no-store")
    }

    @Test func `readyz is 200 when all checks hold`() async throws {
        let answer = try await answer(.get, "/readyz", ready: [ReadinessCheck("store") { true }])
        #expect(answer.status == 200)
        #expect(answer.body == #"{"ready":true,"not_ready":[]}"# + "\n")
        #expect(answer[.contentType] == "application/json")
    }

    @Test func `readyz is 503 and names the checks that fail, asking anew each time`() async throws
    {
        var isDraining = false
        let checks = [
            ReadinessCheck("store") { true }, ReadinessCheck("draining") { !isDraining },
            ReadinessCheck("listener") { !isDraining },
        ]
        #expect(try await answer(.get, "/readyz", ready: checks).status == 200)
        isDraining = true
        let answer = try await answer(.get, "/readyz", ready: checks)
        #expect(answer.status == 503)
        #expect(answer.body == #"{"ready":false,"not_ready":["draining","listener"]}"# + "\n")
        #expect(answer[.cacheControl] == "no-store")
    }

    @Test func `metrics are in the text format, with its version`() async throws {
        metrics.counter("a_total", help: "A.").increment()
        let answer = try await answer(.get, "/metrics")
        #expect(answer.status == 200)
        #expect(answer[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
        #expect(answer.body == "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n")
    }

    @Test(arguments: ["/", "/metrics/", "/metric", "/v1", "*", "/healthz/../metrics"])
    func `a path that nobody owns is a 404 problem`(_ target: String) async throws {
        let answer = try await answer(.get, target)
        #expect(answer.status == 404)
        #expect(answer[.contentType] == "application/problem+json")
        #expect(answer[.cacheControl] == "no-store")
        #expect(answer.body.hasPrefix(#"{"type":"urn:oncegate:not-found","title":"Not found","#))
        #expect(answer.body.contains(#""status":404"#))
    }

    @Test(arguments: [Method.post, .delete, .options, .other("PURGE")])
    func `a method that a resource lacks is a 405 problem with Allow`(
        _ method: Method
    ) async throws {
        let answer = try await answer(method, "/metrics")
        #expect(answer.status == 405)
        #expect(answer[FieldName("Allow")] == "GET, HEAD")
        #expect(answer.body.contains(#""type":"urn:oncegate:method-not-allowed""#))
    }

    @Test(arguments: [
        ("/v1", true), ("/v1/", true), ("/v1/keys/ikey_1?x=/", true), ("/v10", false),
        ("/v", false),
    ]) func `a tree owns its path and what is below it`(
        _ target: String, _ isOwned: Bool
    ) async throws {
        let tree = AdminResource(.tree("/v1")) { _, response in
            try await response.respond(AdminAnswer(202) { $0.member("tree", true) })
        }
        let answer = try await answer(.patch, target, more: [tree])
        #expect(answer.status == (isOwned ? 202 : 404))
    }

    @Test func `the process tells about itself`() async throws {
        metrics.observeProcess(version: "1.2.3")
        let text = try await answer(.get, "/metrics").body
        #expect(text.contains("\noncegate_build_info{version=\"1.2.3\"} 1\n"))
        for name in [
            "process_start_time_seconds", "process_cpu_seconds_total",
            "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds",
        ] {
            let line = text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
            let value = try #require(line.flatMap { Double($0.dropFirst(name.count + 1)) })
            #expect(value > 0, "\(name)")
        }
    }
}

/// What a client would have got.
struct RecordedAnswer {
    let head: ResponseHead
    let body: String
    var status: UInt16 { head.status }

    subscript(_ name: FieldName) -> String? { head.fields.text(name) }
}

final class RecordingWriter: ResponseWriter {
    private(set) var answer: RecordedAnswer?
    var hasBegun: Bool { answer != nil }
    let isDownstreamGone = false
    var onDownstreamGone: (() -> Void)?

    func interim(_ head: ResponseHead) async throws(DownstreamError) {}

    func respond(_ head: ResponseHead, body: ArraySlice<UInt8>) async throws(DownstreamError) {
        #expect(answer == nil, "a second answer")
        answer = RecordedAnswer(head: head, body: String(decoding: body, as: UTF8.self))
    }

    func begin(_ head: ResponseHead) async throws(DownstreamError) { throw .closed }
    func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError) { throw .closed }
    func end(trailers: Fields) async throws(DownstreamError) { throw .closed }
    func abort() {}
}

private final class EmptyBody: RequestBody {
    let trailers = Fields()
    func read() async throws(DownstreamError) -> ArraySlice<UInt8>? { nil }
}
