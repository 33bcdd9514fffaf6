import Testing

/// Keys of clients that send none, as of webhooks.
@Suite(.ownThread) struct KeySourceTests {
    private static let cases: [(from: String, fields: [(String, String)], body: String)] = [
        ("header:X-GitHub-Delivery", [("X-GitHub-Delivery", "72d3 162e")], "{}"),
        ("json:/event/id", [], #"{"event": {"id": "evt_1", "n": 5}}"#),
        ("fingerprint", [], #"{"amount": 5}"#),
    ]

    @Test(arguments: 0..<3)
    func `a delivery that comes twice is executed once`(number: Int) throws {
        let (from, fields, body) = Self.cases[number]
        try Site.run(.init { $0.idempotency["from"] = #""\#(from)""# }) { site in
            let call = Call(order: "o") {
                $0.fields = fields
                $0.body = body
            }
            let first = try site.send(call)
            expectExecuted(first)
            #expect(try #require(first.fields["Idempotency-Key"]).isEmpty == false)
            expectReplay(try site.send(call), of: first)
            #expect(site.origin.executions(of: "o") == 1)
            #expect(site.origin.requests[0].text == body)
            // The client's own key wins.
            var own = call
            own.key = "mine"
            let other = try site.send(own)
            expectExecuted(other)
            #expect(other.fields["Idempotency-Key"] == "mine")
        }
    }
}
