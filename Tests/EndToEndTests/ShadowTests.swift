import Testing

/// A route on which keys are only watched.
@Suite(.ownThread) struct ShadowTests {
    @Test func `nothing changes for clients, and all that would is counted`() throws {
        let configuration = Configuration {
            $0.idempotency["mode"] = #""shadow""#
            $0.idempotency["key"] = #""required""#
            $0.route["limits"] = #"{"body": "1KiB"}"#
            $0.route["name"] = #""orders""#
        }
        try Site.run(configuration) { site in
            site.origin.answer("/orders", 201, [("Idempotency-Status", "theirs")], "made")
            let large = Call(key: "large") { $0.body = String(repeating: "x", count: 100_000) }
            let calls: [(Call, String)] = [
                (Call(key: "k"), "execute"), (Call(key: "k"), "replay"),
                (Call(key: "k") { $0.body = "{}" }, "key-reused"),
                (Call(key: "a,b"), "key-invalid"), (Call(order: "none"), "key-missing"),
                (large, "body-too-large"),
            ]
            for (call, decision) in calls {
                let answer = try site.send(call)
                #expect(answer.status == 201 && answer.text == "made")
                #expect(answer.fields.all("Idempotency-Status") == ["theirs"])
                #expect(answer.fields.all("Idempotency-Key") == [])
                let counter = #"oncegate_shadow_total{route="orders",decision="\#(decision)"} 1"#
                _ = try site.pollAdmin("/metrics") { $0.contains(counter + "\n") }
                let line = try site.gateway.accessLine { $0["shadow"]?.string == decision }
                #expect(line["outcome"]?.string == "forwarded" && line["status"]?.number == 201)
            }
            #expect(site.origin.requests.map(\.text) == calls.map { $0.0.body })
            #expect(site.origin.requests[0].fields["Idempotency-Key"] == "k")
        }
    }
}
