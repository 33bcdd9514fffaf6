import Testing

/// What a keyed request gets, by the state of its record.
@Suite(.ownThread) struct RecordTests {
    @Test func `a new key is forwarded once and its answer says executed`() throws {
        try Site.run { site in
            let response = try site.send(Call(key: "new"))
            expectExecuted(response)
            #expect(response.text == #"{"order": 1}"#)
            #expect(response.fields["Idempotency-Key"] == "new")
            #expect(response.fields.all("Idempotency-Expires").count == 1)
            #expect(site.origin.executions(of: "new") == 1)
            #expect(site.origin.requests.map(\.text) == [#"{"item": "book"}"#])
        }
    }

    @Test func `a finished key gets the same status, fields and bytes, and no execution`() throws {
        let sent = [
            ("Content-Type", "application/vnd.order"), ("X-One", "1"), ("x-two", "2"),
            ("X-One", "3"), ("Date", "Tue, 15 Nov 1994 08:12:31 GMT"), ("ETag", #""abc""#),
            ("Location", "/orders/1"),
        ]
        try Site.run { site in
            site.origin.answer("/orders", 202, sent, "the answer\r\n\u{0}\u{1}")
            let first = try site.send(Call(key: "k"))
            expectExecuted(first, 202)
            for response in [first, try site.send(Call(key: "k")), try site.send(Call(key: "k"))] {
                #expect(response.status == 202)
                #expect(response.body == Array("the answer\r\n\u{0}\u{1}".utf8))
                let names = Set(sent.map { $0.0.lowercased() })
                let lines = response.fields.lines.filter { names.contains($0.name.lowercased()) }
                #expect(lines.map { "\($0.name): \($0.value)" } == sent.map { "\($0.0): \($0.1)" })
            }
            expectReplay(try site.send(Call(key: "k")), of: first)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `fields of one caller's moment are not replayed`() throws {
        try Site.run { site in
            site.origin.answer(
                "/orders", 200, [("Set-Cookie", "a=b"), ("Retry-After", "9"), ("X-Kept", "yes")])
            let first = try site.send(Call(key: "k"))
            #expect(first.fields["Set-Cookie"] == "a=b")
            let replay = try site.send(Call(key: "k"))
            expectReplay(replay, of: first)
            #expect(replay.fields.all("Set-Cookie") == [])
            #expect(replay.fields.all("Retry-After") == [])
            #expect(replay.fields["X-Kept"] == "yes")
        }
    }

    @Test func `requests with a key in flight wait and all get the one answer`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            let waiting = (0..<8).map { _ in site.sendInBackground(Call(key: "k")) }
            var impatient = Call(key: "k")
            impatient.fields = [("Prefer", "wait=0")]
            try expectProblem(try site.send(impatient), 409, "in-flight", executed: "pending")
            #expect(!first.isDone && waiting.allSatisfy { !$0.isDone })
            gate.open()
            for answer in try ([first] + waiting).map({ try $0.value() }) {
                #expect(answer.status == 201)
                #expect(answer.text == #"{"order": 1}"#)
            }
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a reject route refuses a key in flight at once`() throws {
        try Site.run(.init { $0.idempotency["in_flight"] = #""reject""# }) { site in
            let gate = site.holdOrders()
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            let refused = try site.send(Call(key: "k"))
            let problem = try expectProblem(refused, 409, "in-flight", executed: "pending")
            #expect(problem["idempotency_key"]?.string == "k")
            #expect(problem["recovery_point"]?.string == "started")
            #expect(refused.fields["Idempotency-Status"] == "in-flight")
            #expect(Int(refused.fields["Retry-After"] ?? "") != nil)
            gate.open()
            expectExecuted(try first.value())
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test(arguments: [[String: String](), ["Prefer": "wait=60"]])
    func `a wait ends at the route's limit, whatever the client prefers`(
        fields: [String: String]
    ) throws {
        try Site.run(.init { $0.idempotency["wait_limit"] = #""200ms""# }) { site in
            let gate = site.holdOrders()
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            var patient = Call(key: "k")
            patient.fields = fields.map { ($0, $1) }
            let refused = try site.send(patient)
            try expectProblem(refused, 409, "in-flight", executed: "pending")
            #expect(refused.fields.all("Retry-After").count == 1)
            gate.open()
            expectReplay(try site.send(Call(key: "k")), of: try first.value())
        }
    }

    @Test func `a key has as many waiters as the route allows`() throws {
        try Site.run(.init { $0.idempotency["waiters"] = "1" }) { site in
            let gate = site.holdOrders()
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            let refused = Monitor<[WireResponse]>([])
            let port = site.gateway.port
            let both = (0..<2).map { _ in
                Background {
                    let answer = try RawClient(port).exchange(Call(key: "k"))
                    refused.with { $0.append(answer) }
                }
            }
            let early = try refused.wait(for: "a refusal") { $0.first }
            try expectProblem(early, 409, "in-flight")
            gate.open()
            for one in both { try one.value() }
            #expect(refused.with { $0.map(\.status) } == [409, 201])
            expectExecuted(try first.value())
        }
    }

    @Test func `the client going away cancels its answer and not the work`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            try client.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            client.reset()
            gate.open()
            try site.origin.waitForExecution(of: "k")
            let again = try site.send(Call(key: "k"))
            #expect(again.status == 201)
            #expect(again.text == #"{"order": 1}"#)
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `an expired key is gone, and after its tombstone a new one`() throws {
        let configuration = Configuration {
            $0.idempotency["retention"] = #""1s""#
            $0.idempotency["tombstone"] = #""3s""#
        }
        try Site.run(configuration) { site in
            expectExecuted(try site.send(Call(key: "k")))
            let expired = try site.poll(Call(key: "k")) { $0.status != 201 }
            try expectProblem(expired, 410, "key-expired")
            #expect(site.origin.executions(of: "k") == 1)
            let anew = try site.poll(Call(key: "k")) { $0.status != 410 }
            expectExecuted(anew)
            #expect(site.origin.executions(of: "k") == 2)
        }
    }

    @Test func `an answer beyond the limit reaches the client whole and is not kept`() throws {
        let long = String(repeating: "0123456789", count: 1000)
        try Site.run(.init { $0.idempotency["response_limit"] = #""4KiB""# }) { site in
            site.origin.answer("/orders", 200, [], long)
            let first = try site.send(Call(key: "k"))
            #expect(first.status == 200)
            #expect(first.text == long)
            let problem = try expectProblem(
                try site.send(Call(key: "k")), 410, "response-not-kept", executed: "yes")
            #expect(problem["original_status"]?.number == 200)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `an answer longer than what is held whole is replayed byte by byte`() throws {
        let long = String(repeating: "0123456789abcdef", count: 1 << 16)
        try Site.run { site in
            site.origin.answer("/orders", 200, [], long)
            let first = try site.send(Call(key: "k"))
            #expect(first.text == long)
            let replay = try site.send(Call(key: "k"))
            #expect(replay.fields["Idempotent-Replayed"] == "true")
            #expect(replay.text == long)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a body longer than memory holds is forwarded whole and told apart`() throws {
        let long = String(repeating: "x", count: 3 << 20)
        try Site.run { site in
            var call = Call(key: "k") { $0.body = long }
            let first = try site.send(call)
            expectExecuted(first)
            #expect(site.origin.requests[0].body.count == long.utf8.count)
            #expect(site.origin.requests[0].text == long)
            expectReplay(try site.send(call), of: first)
            call.body = String(long.dropLast()) + "y"
            try expectProblem(try site.send(call), 422, "key-reused")
        }
    }

    @Test func `keys are independent`() throws {
        try Site.run { site in
            let port = site.gateway.port
            let answers = try concurrently(30) { index in
                try RawClient(port).exchange(Call(key: "k\(index)"))
            }
            #expect(answers.allSatisfy { $0.status == 201 })
            #expect(Set(answers.map(\.text)).count == 30)
        }
    }

    @Test(arguments: [200, 204, 302, 304, 400, 404, 410, 422, 499])
    func `an answer worth keeping is kept`(status: Int) throws {
        try Site.run { site in
            site.origin.answer("/orders", status, [("X-Answer", "first")])
            let first = try site.send(Call(key: "k"))
            expectExecuted(first, status)
            let replay = try site.send(Call(key: "k"))
            expectReplay(replay, of: first)
            #expect(replay.fields["X-Answer"] == "first")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test(arguments: [401, 403, 408, 409, 425, 429, 501, 503])
    func `an answer by which nothing was done frees the key`(status: Int) throws {
        try Site.run { site in
            site.origin.answer("/orders", status, [("X-Answer", "refused")], "not now")
            let refused = try site.send(Call(key: "k"))
            #expect(refused.status == status)
            #expect(refused.text == "not now")
            #expect(refused.fields["X-Answer"] == "refused")
            #expect(refused.fields["Idempotency-Status"] == "released")
            site.origin.answer("/orders", 201, [], "done")
            let executed = try site.send(Call(key: "k"))
            expectExecuted(executed)
            #expect(executed.text == "done")
            #expect(site.origin.executions(of: "k") == 2)
        }
    }

    @Test func `a route names the statuses that it keeps and releases`() throws {
        let configuration = Configuration {
            $0.idempotency["keep"] = #"["200-299", 409]"#
            $0.idempotency["release"] = "[404]"
        }
        try Site.run(configuration) { site in
            site.origin.answer("/orders", 409)
            let kept = try site.send(Call(key: "kept"))
            expectReplay(try site.send(Call(key: "kept")), of: kept)
            site.origin.answer("/orders", 404)
            _ = try site.send(Call(key: "freed"))
            _ = try site.send(Call(key: "freed"))
            #expect(site.origin.executions(of: "kept") == 1)
            #expect(site.origin.executions(of: "freed") == 2)
        }
    }
}
