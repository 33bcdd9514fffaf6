import Gateway
import Idempotency
import JSON
import Testing

@testable import GatewayCommand

/// What `oncegate check` says of a route's stages.
@Suite struct StageConfigurationTests {
    private static let last = #"{"recovery_point": "finished", "path": "/orders"}"#

    /// A route with stages, with some of it replaced.
    private func document(
        _ stages: [String], keys: String = "", route: String = ""
    ) -> String {
        """
        { "upstreams": { "api": { "url": "http://127.0.0.1:9000" },
                         "bank": { "url": "http://127.0.0.1:9001" } },
          "routes": [ { "path": "/carts/{id}/complete", "upstream": "api", \(route)
                        "idempotency": { "scope": "shared", \(keys)
                                         "stages": [\(stages.joined(separator: ", "))] } } ] }
        """
    }

    private func messages(_ text: String) -> [String] {
        Configuration.read(Array(text.utf8), environment).mistakes.map {
            "\($0.path.replacing("routes[0].", with: "")): \($0.message)"
        }
    }

    private func configuration(_ text: String) throws -> Configuration {
        let result = Configuration.read(Array(text.utf8), environment)
        #expect(result.mistakes.isEmpty, "\(result.mistakes)")
        return try #require(result.configuration)
    }

    @Test func `a stage's name that is a secret is not told as one that there is`() {
        let told = messages(
            """
            {"upstreams": {"api": {"url": "http://127.0.0.1:9000"}},
             "routes": [{"path": "/x", "upstream": "api", "idempotency": {"scope": "shared",
               "stages": [{"recovery_point": "${TOKEN}", "path": "/a"},
                          {"recovery_point": "finished", "path": "/{stages.no.status}"}]}}]}
            """)
        #expect(told.contains { $0.contains("there is no earlier stage \"no\"") })
        #expect(!told.contains { $0.contains("s3cret") })
    }

    @Test func `stages are given every default, and print as they are read`() throws {
        let text = document([
            #"{"recovery_point": "taxed", "path": "/carts/{id}/taxes"}"#,
            """
            {"recovery_point": "paid", "upstream": "bank", "method": "PUT", "path": "/p",
             "headers": {"X-A": "{field.X-A}", "Authorization": "Bearer ${TOKEN}"},
             "body": {"a": ["{body/n}", 1.50, null, true], "t": "${TOKEN}"},
             "success": [200, "202-204"], "retry": {"attempts": 5, "backoff": "1s"},
             "unknown": "probe", "probe": {"path": "/p/{stages.taxed.body/id}"},
             "compensate": {"path": "/refunds/{stages.paid.body/id}", "unknown": "retry"}}
            """,
            #"{"recovery_point": "finished", "path": "/orders", "body": "original"}"#,
        ])
        let configuration = try configuration(text)
        let stages = try #require(configuration.routes[0].idempotency?.stages)
        #expect(stages.map(\.recoveryPoint) == ["taxed", "paid", "finished"])
        let first = stages[0].call
        #expect(first.method == "POST" && first.upstream == nil && first.retry == nil)
        #expect(first.success == [200...299] && first.unknown == nil && first.headers.isEmpty)
        #expect(stages[1].compensate?.method == "POST")
        let printed = try #require(
            Configuration.read(Array(text.utf8), environment).effective)
        let shown = String(decoding: printed, as: UTF8.self)
        #expect(!shown.contains("s3cret"))
        #expect(shown.contains("1.50"))
        let again = Configuration.read(printed, environment)
        #expect(again.mistakes.isEmpty, "\(again.mistakes)")
        #expect(again.effective == printed)
    }

    @Test func `stages become the gateway's`() throws {
        let text = document(
            [
                #"{"recovery_point": "taxed", "path": "/t", "upstream": "bank", "unknown": "hold"}"#,
                #"{"recovery_point": "paid", "path": "/p", "retry": {}}"#,
                #"{"recovery_point": "finished", "path": "/o", "unknown": "probe", "probe": {"path": "/q", "spacing": "1s"}}"#,
            ], keys: #""unknown": "retry", "#)
        let table = try configuration(text).routingTable()
        let rules = try #require(table.routes[0].keys)
        let stages = try #require(rules.stages)
        #expect(stages[0].call.upstream == 1 && stages[1].call.upstream == nil)
        guard case .hold = stages[0].call.unknown, case .retry = stages[1].call.unknown,
            case .probe(let probe) = stages[2].call.unknown
        else {
            Issue.record("\(stages.map(\.call.unknown))")
            return
        }
        // No shorter than the upstream may take.
        #expect(probe.spacing == .seconds(60))
        #expect(stages[0].call.retry.attempts == 1 && stages[1].call.retry.attempts == 3)
        #expect(stages[1].call.retry.backoff == .milliseconds(500))
        // Nothing lets a stage whose outcome nobody knows be called again by a mere retry.
        guard case .hold = rules.policy.unknown else {
            Issue.record("a retry would claim what is unknown")
            return
        }
    }

    /// Members of the first of two stages, and what is said of it.
    private static let mistakes: [(String, String)] = [
        (
            #""path": "/x""#,
            "recovery_point: is missing; expected a name such as \"payment_authorized\""
        ),
        (
            #""recovery_point": "a""#,
            "path: is missing; expected a path such as \"/carts/{id}/taxes\""
        ),
        (#""recovery_point": "started", "path": "/x""#, "recovery_point: expected a name"),
        (#""recovery_point": "a b", "path": "/x""#, "recovery_point: expected a name"),
        (#""recovery_point": "a.failed", "path": "/x""#, "recovery_point: expected a name without"),
        (
            #""recovery_point": "finished", "path": "/x""#,
            "recovery_point: expected \"finished\" for the last stage only"
        ),
        (#""recovery_point": "a", "path": "x""#, "path: a path begins with \"/\""),
        (#""recovery_point": "a", "path": "/{no}""#, "path: {no} is none of"),
        (
            #""recovery_point": "a", "path": "/{params.no}""#,
            "path: the route's path captures no {no}"
        ),
        (
            #""recovery_point": "a", "path": "/{stages.a.status}""#,
            "path: there is no earlier stage \"a\""
        ),
        (
            #""recovery_point": "a", "path": "/{stages.finished.status}""#,
            "path: there is no earlier stage"
        ),
        (#""recovery_point": "a", "path": "/{body/~}""#, "path: {body/~} holds no JSON pointer"),
        (
            #""recovery_point": "a", "path": "/x", "body": {"b": ["{no}"]}"#,
            "body.b[0]: {no} is none of"
        ),
        (#""recovery_point": "a", "path": "/x", "body": "{no}""#, "body: {no} is none of"),
        (
            #""recovery_point": "a", "path": "/x", "headers": {"X-A": "{no}"}"#,
            "headers.X-A: {no} is none of"
        ),
        (
            #""recovery_point": "a", "path": "/x", "headers": {"Host": "a"}"#,
            "headers.Host: expected a field name"
        ),
        (
            #""recovery_point": "a", "path": "/x", "method": "GET", "body": {}"#,
            "body: expected none with GET"
        ),
        (
            #""recovery_point": "a", "path": "/x", "method": "HEAD", "body": "original""#,
            "body: expected none with HEAD"
        ),
        (
            #""recovery_point": "a", "path": "/x", "unknown": "probe""#,
            "probe: is missing; expected an object"
        ),
        (
            #""recovery_point": "a", "path": "/x", "probe": {"path": "/p"}"#,
            "probe: has no effect unless unknown"
        ),
        (
            #""recovery_point": "a", "path": "/x", "unknown": "hold", "probe": {"path": "/p"}"#,
            "probe: has no effect unless unknown"
        ),
        (
            #""recovery_point": "a", "path": "/x", "unknown": "probe", "probe": {"path": "/{no}"}"#,
            "probe.path: {no} is none of"
        ),
        (
            #""recovery_point": "a", "path": "/x", "upstream": "bnk""#,
            "upstream: there is no upstream \"bnk\"; did you mean \"bank\"?"
        ),
        (
            #""recovery_point": "a", "path": "/x", "success": []"#,
            "success: expected at least one element"
        ),
        (
            #""recovery_point": "a", "path": "/x", "retry": {"attempts": 0}"#,
            "retry.attempts: expected a whole number from 1 to 20"
        ),
        (
            #""recovery_point": "a", "path": "/x", "compensate": {"path": "/{stages.b.status}"}"#,
            "compensate.path: there is no earlier stage \"b\""
        ),
        (
            #""recovery_point": "a", "path": "/x", "compensate": {"path": "/x", "method": "GET", "body": 1}"#,
            "compensate.body: expected none with GET"
        ),
        (
            #""recovery_point": "a", "path": "/x", "compensate": {"path": "/x", "unknown": "probe"}"#,
            "compensate.probe: is missing"
        ),
        (
            #""recovery_point": "a", "path": "/x", "compensate": {"path": "/x", "upstream": "no"}"#,
            "compensate.upstream: there is no upstream"
        ),
        (
            #""recovery_point": "a", "path": "/x", "pth": 1"#,
            "pth: unknown name; did you mean \"path\"?"
        ),
    ]

    @Test(arguments: mistakes)
    func `a mistake is told at its place`(_ stage: String, _ message: String) {
        let found = messages(document(["{\(stage)}", Self.last]))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("idempotency.stages[0].\(message)") == true, "\(found)")
    }

    @Test func `names are told apart, and the last one is finished`() {
        let stage = #"{"recovery_point": "a", "path": "/x"}"#
        #expect(
            messages(document([stage, stage, Self.last])) == [
                "idempotency.stages[1].recovery_point: another stage has this name"
            ])
        #expect(
            messages(document([stage])) == [
                "idempotency.stages[0].recovery_point: expected \"finished\" for the last stage, "
                    + "found \"a\""
            ])
        #expect(
            messages(
                document([
                    #"{"recovery_point": "finished", "path": "/o", "compensate": {"path": "/x"}}"#
                ])) == [
                    "idempotency.stages[0].compensate: has no effect: no stage follows that could fail"
                ])
    }

    @Test func `there are at most 64`() {
        let stages = (0..<64).map { #"{"recovery_point": "s\#($0)", "path": "/x"}"# }
        #expect(messages(document(Array(stages.dropFirst()) + [Self.last])).isEmpty)
        #expect(
            messages(document(stages + [Self.last])) == [
                "idempotency.stages: expected at most 64, found 65"
            ])
    }

    /// Members of the route's `idempotency` that do not go with stages.
    private static let company: [(String, String)] = [
        (#""mode": "shadow""#, "mode: expected \"enforce\" with stages"),
        (#""stream": true"#, "stream: expected false with stages"),
        (#""store_down": "pass""#, "store_down: expected \"refuse\" with stages"),
        (#""unknown": "probe""#, "stages[0].probe: is missing"),
        (#""probe": {"path": "/p"}"#, "probe: expected none with stages"),
    ]

    @Test(arguments: company)
    func `what does not go with stages is refused`(_ keys: String, _ message: String) {
        let found = messages(document([Self.last], keys: keys + ","))
        #expect(found.count == 1, "\(found)")
        #expect(found.first?.hasPrefix("idempotency." + message) == true, "\(found)")
    }

    @Test func `backend stages do not go with stages`() {
        let found = messages(document([Self.last], keys: #""backend_stages": true,"#))
        #expect(found.contains { $0.hasPrefix("idempotency.backend_stages: expected false") })
    }

    @Test(arguments: [#""none""#, #""65MiB""#])
    func `a body that is stored is bounded`(_ limit: String) {
        let found = messages(document([Self.last], route: #""limits": {"body": \#(limit)},"#))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("limits.body: expected limits.body of at most") == true)
        #expect(messages(document([Self.last], route: #""limits": {"body": "64MiB"},"#)).isEmpty)
    }
}
