import Testing

/// How a key is found, who may see its answer, and what belongs to the same request.
@Suite(.ownThread) struct KeyTests {
    @Test func `a route that requires a key refuses a request without one`() throws {
        try Site.run(.init { $0.idempotency["key"] = #""required""# }) { site in
            try expectProblem(try site.send(Call()), 400, "key-missing", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `a key is made for a request without one and told in the answer`() throws {
        try Site.run(.init { $0.idempotency["key"] = #""create""# }) { site in
            let first = try site.send(Call(order: "o"))
            expectExecuted(first)
            let key = try #require(first.fields["Idempotency-Key"])
            let hexadecimal = "[0-9a-f]"
            let pattern = try Regex(
                "\(hexadecimal){8}-\(hexadecimal){4}-4\(hexadecimal){3}-[89ab]\(hexadecimal){3}-"
                    + "\(hexadecimal){12}")
            #expect(key.wholeMatch(of: pattern) != nil)
            expectReplay(try site.send(Call(key: key, order: "o")), of: first)
            expectExecuted(try site.send(Call(order: "o")))
            #expect(site.origin.executions(of: "o") == 2)
        }
    }

    @Test func `a route may let requests without a key pass`() throws {
        try Site.run(.init { $0.idempotency["key"] = #""pass""# }) { site in
            for number in 1...2 {
                let response = try site.send(Call(order: "o"))
                #expect(response.text == #"{"order": \#(number)}"#)
                #expect(!response.fields.lines.contains { $0.name.hasPrefix("Idempoten") })
            }
            let keyed = try site.send(Call(key: "k"))
            expectReplay(try site.send(Call(key: "k")), of: keyed)
        }
    }

    @Test func `methods that are not guarded pass through`() throws {
        try Site.run { site in
            for number in 1...2 {
                var call = Call.get("/orders")
                call.key = "k"
                let response = try site.send(call)
                #expect(response.text == #"{"order": \#(number)}"#)
            }
        }
    }

    @Test(arguments: ["PUT", "PATCH", "DELETE"])
    func `every mutating method is guarded`(method: String) throws {
        try Site.run { site in
            let call = Call(key: "k") { $0.method = method }
            let first = try site.send(call)
            expectReplay(try site.send(call), of: first)
            #expect(site.origin.requests.map(\.method) == [method])
        }
    }

    @Test func `a raw key and a quoted one are the same key`() throws {
        try Site.run { site in
            let first = try site.send(Call(key: "abc-123", order: "o"))
            let quoted = try site.send(Call(key: #""abc-123""#, order: "o"))
            expectReplay(quoted, of: first)
            #expect(quoted.fields["Idempotency-Key"] != nil)
            #expect(site.origin.executions(of: "o") == 1)
        }
    }

    @Test func `keys differ by case`() throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "Key", order: "o")))
            expectExecuted(try site.send(Call(key: "key", order: "o")))
        }
    }

    @Test func `a key of 255 bytes is a key`() throws {
        try Site.run { site in
            let call = Call(key: String(repeating: "k", count: 255), order: "o")
            let first = try site.send(call)
            expectReplay(try site.send(call), of: first)
        }
    }

    @Test(arguments: [
        "", #""""#, "two words", "a,b", #"a"b"#, #""unterminated"#, #""a", "b""#, "schlüssel",
        #""schlüssel""#, String(repeating: "k", count: 256),
    ])
    func `what is no key is refused`(key: String) throws {
        try Site.run { site in
            try expectProblem(
                try site.send(Call(key: key, order: "o")), 400, "key-invalid", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `two keys are none`() throws {
        try Site.run { site in
            let call = Call(key: "k") { $0.fields = [("idempotency-key", "k")] }
            try expectProblem(try site.send(call), 400, "key-invalid", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `callers never see each other's answers`() throws {
        try Site.run { site in
            var answers: [WireResponse] = []
            let callers: [String?] = ["Bearer alice", "Bearer bob", "bearer alice", nil]
            for caller in callers {
                let call = Call(key: "k") { $0.authorization = caller }
                let first = try site.send(call)
                expectExecuted(first)
                expectReplay(try site.send(call), of: first)
                answers.append(first)
            }
            #expect(Set(answers.map(\.text)).count == callers.count)
        }
    }

    @Test func `callers in flight do not wait for each other`() throws {
        try Site.run { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                if exchange.request.fields["Authorization"] == "Bearer alice" { try gate.pass() }
                try exchange.execute()
            }
            let alice = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            expectExecuted(try site.send(Call(key: "k") { $0.authorization = "Bearer bob" }))
            #expect(!alice.isDone)
            gate.open()
            expectExecuted(try alice.value())
        }
    }

    @Test func `a shared scope knows one caller`() throws {
        try Site.run(.init { $0.idempotency["scope"] = #""shared""# }) { site in
            let first = try site.send(Call(key: "k"))
            expectReplay(
                try site.send(Call(key: "k") { $0.authorization = "Bearer bob" }), of: first)
        }
    }

    /// A request that differs from `POST /orders?a=1` with JSON in one respect.
    struct Difference: Sendable, CustomTestStringConvertible {
        let name: String
        let change: @Sendable (inout Call) -> Void
        var testDescription: String { name }
    }

    static let differences = [
        Difference(name: "method") { $0.method = "PUT" },
        Difference(name: "path") { $0.target = "/orders/7?a=1" },
        Difference(name: "query") { $0.target = "/orders?a=2" },
        Difference(name: "media_type") { $0.contentType = "application/vnd.order+json" },
        Difference(name: "field:X-Tenant") { $0.fields = [("X-Tenant", "two")] },
        Difference(name: "body") { $0.body = #"{"item": "pen"}"# },
    ]

    @Test(arguments: differences)
    func `another request under the same key is refused and told what differs`(
        difference: Difference
    ) throws {
        let configuration = Configuration {
            $0.idempotency["fingerprint"] = #"{"headers": ["X-Tenant"]}"#
        }
        try Site.run(configuration) { site in
            let call = Call(key: "k") {
                $0.target = "/orders?a=1"
                $0.fields = [("X-Tenant", "one")]
            }
            let first = try site.send(call)
            expectExecuted(first)
            var other = call
            difference.change(&other)
            let problem = try expectProblem(try site.send(other), 422, "key-reused")
            let differs = problem["differs"]?.strings?.map { $0.lowercased() }
            #expect(differs == [difference.name.lowercased()])
            expectReplay(try site.send(call), of: first)
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `another request is refused while the first is in flight`() throws {
        try Site.run { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try gate.pass()
                try exchange.execute()
            }
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            let other = Call(key: "k") { $0.body = "{}" }
            try expectProblem(try site.send(other), 422, "key-reused")
            gate.open()
            expectExecuted(try first.value())
        }
    }

    @Test(arguments: [
        #"{"b":[1,2.50,"x"],"a":{"d":null,"c":true}}"#,
        "{ \"a\" : {\n\t\"c\": true, \"d\": null },\r\n \"b\": [ 1, 2.50, \"x\" ] }",
        #"{"\u0061":{"c":true,"d":null},"b":[1,2.50,"\u0078"]}"#,
    ])
    func `JSON is the same however it is written`(body: String) throws {
        try Site.run { site in
            var call = Call(key: "k")
            call.body = #"{"a": {"c": true, "d": null}, "b": [1, 2.50, "x"]}"#
            let first = try site.send(call)
            call.body = body
            expectReplay(try site.send(call), of: first)
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test(arguments: [
        #"{"a": 1.0}"#, #"{"a": "1"}"#, #"{"a": 1, "b": null}"#, #"{"a": 1, "a": 1}"#, #"[1]"#,
    ])
    func `JSON with another meaning is another request`(body: String) throws {
        try Site.run { site in
            var call = Call(key: "k")
            call.body = #"{"a": 1}"#
            expectExecuted(try site.send(call))
            call.body = body
            try expectProblem(try site.send(call), 422, "key-reused")
        }
    }

    @Test func `the order of an array matters`() throws {
        try Site.run { site in
            var call = Call(key: "k")
            call.body = "[1, 2]"
            expectExecuted(try site.send(call))
            call.body = "[2, 1]"
            try expectProblem(try site.send(call), 422, "key-reused")
        }
    }

    @Test func `what is no JSON is compared byte by byte`() throws {
        try Site.run { site in
            var call = Call(key: "k")
            call.contentType = "text/plain"
            call.body = #"{"a": 1}"#
            let first = try site.send(call)
            expectReplay(try site.send(call), of: first)
            call.body = #"{"a":1}"#
            try expectProblem(try site.send(call), 422, "key-reused")
        }
    }

    @Test func `members that the route ignores may differ`() throws {
        let configuration = Configuration {
            $0.idempotency["fingerprint"] = #"{"ignore": ["/sent_at"]}"#
        }
        try Site.run(configuration) { site in
            var call = Call(key: "k")
            call.body = #"{"item": "book", "sent_at": 1}"#
            let first = try site.send(call)
            call.body = #"{"item": "book", "sent_at": 2}"#
            expectReplay(try site.send(call), of: first)
            call.body = #"{"item": "pen", "sent_at": 2}"#
            try expectProblem(try site.send(call), 422, "key-reused")
        }
    }

    @Test func `the key stays at the gateway`() throws {
        try Site.run { site in
            _ = try site.send(Call(key: "k"))
            let request = site.origin.requests[0]
            #expect(request.fields.all("Idempotency-Key") == [])
            #expect(request.fields["X-Order"] == "k")
        }
    }

    @Test(arguments: [("true", "Idempotency-Key"), (#""X-Request-Key""#, "X-Request-Key")])
    func `the key is forwarded under the name that the route gives`(
        setting: String, name: String
    ) throws {
        try Site.run(.init { $0.idempotency["forward_key"] = setting }) { site in
            _ = try site.send(Call(key: "k"))
            let request = site.origin.requests[0]
            #expect(request.fields[name] == "k")
            #expect(request.fields.lines.filter { $0.value == "k" }.count == 2)
        }
    }

    @Test func `a route may read the key from another field`() throws {
        try Site.run(.init { $0.idempotency["header"] = #""X-Request-Id""# }) { site in
            let call = Call(order: "o") { $0.fields = [("X-Request-Id", "r1")] }
            let first = try site.send(call)
            expectReplay(try site.send(call), of: first)
            #expect(site.origin.executions(of: "o") == 1)
        }
    }

    @Test func `a script in a browser may read the gateway's fields`() throws {
        try Site.run { site in
            site.origin.answer(
                "/orders", 200,
                [
                    ("Access-Control-Allow-Origin", "*"),
                    ("Access-Control-Expose-Headers", "X-Total"),
                ])
            _ = try site.send(Call(key: "k"))
            let replay = try site.send(Call(key: "k"))
            let exposed = replay.fields.all("Access-Control-Expose-Headers")
                .flatMap { $0.split(separator: ",") }
                .map { $0.lowercased().filter { $0 != " " } }
            #expect(
                Set(exposed).isSuperset(of: [
                    "x-total", "idempotency-key", "idempotency-status", "idempotency-expires",
                ]))
        }
    }

    @Test func `an answer without CORS fields gets none`() throws {
        try Site.run { site in
            let response = try site.send(Call(key: "k"))
            #expect(!response.fields.lines.contains { $0.name.hasPrefix("Access-Control") })
        }
    }

    @Test func `a problem document says what happened and what to do`() throws {
        try Site.run { site in
            _ = try site.send(Call(key: "k"))
            let response = try site.send(Call(key: "k") { $0.body = "{}" })
            let problem = try expectProblem(response, 422, "key-reused")
            #expect(problem["idempotency_key"]?.string == "k")
            #expect(problem["detail"]?.string?.isEmpty == false)
            #expect(problem["title"]?.string?.isEmpty == false)
            #expect(problem["executed"]?.string != nil)
            #expect(response.fields["Cache-Control"] == "no-store")
            #expect(!response.text.contains("book"))
        }
    }

    @Test func `a request that no route takes is not found`() throws {
        let configuration = Configuration { $0.route["host"] = #""other.example""# }
        try Site.run(configuration) { site in
            try expectProblem(try site.send(Call(key: "k")), 404, "no-route", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `a body beyond the route's limit is refused`() throws {
        try Site.run(.init { $0.route["limits"] = #"{"body": "1KiB"}"# }) { site in
            let call = Call(key: "k") { $0.body = String(repeating: "x", count: 1025) }
            try expectProblem(try site.send(call), 413, "body-too-large", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `a chunked body beyond the route's limit is refused`() throws {
        try Site.run(.init { $0.route["limits"] = #"{"body": "1KiB"}"# }) { site in
            let client = try site.connect()
            try client.send(
                "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            let chunk = "200\r\n\(String(repeating: "x", count: 512))\r\n"
            try client.send(chunk + chunk + chunk)
            try expectProblem(try client.response(), 413, "body-too-large", executed: "no")
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test(arguments: ["/orders", "/plain/orders"])
    func `a body whose length is too much is refused before any of it is sent`(
        target: String
    ) throws {
        let configuration = Configuration {
            $0.route["limits"] = #"{"body": "1KiB"}"#
            $0.members["limits"] = #"{"body": "1KiB"}"#
        }
        try Site.run(configuration) { site in
            for expectation in ["Expect: 100-continue\r\n", ""] {
                let client = try site.connect()
                try client.send(
                    "POST \(target) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
                        + "\(expectation)Content-Length: 1025\r\n\r\n")
                let response = try client.response()
                try expectProblem(response, 413, "body-too-large", executed: "no")
                #expect(response.interims.isEmpty)
                #expect(response.fields["Connection"] == "close")
            }
            #expect(site.origin.requests.isEmpty)
        }
    }
}
