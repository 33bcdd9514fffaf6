import Testing

/// Requests of which nobody knows what came of them, and those that surely were not executed.
@Suite(.ownThread) struct UnknownOutcomeTests {
    @Test func `nothing sent leaves the key free`() throws {
        try Site.run { site in
            site.stopOrigin()
            let refused = try site.send(Call(key: "k"))
            let problem = try expectProblem(refused, 502, "upstream-unreachable", executed: "no")
            #expect(problem["idempotency_key"]?.string == "k")
            try site.startOrigin()
            expectExecuted(try site.send(Call(key: "k")))
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    /// Ways in which an answer is lost after the request was sent.
    enum Loss: String, CaseIterable, Sendable {
        case reset, close
        case cutInStatusLine = "HTTP/1."
        case cutInHead = "HTTP/1.1 200 OK\r\nContent-Le"
        case cutInBody = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"
        case cutInChunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"
        case cutBeforeLastChunk =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        case garbage = "what?\r\n\r\n"
        case twoLengths =
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"
        case lengthAndChunked =
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        case badChunkSize =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n"
        case onlyInterim = "HTTP/1.1 103 Early Hints\r\n\r\n"
    }

    @Test(arguments: Loss.allCases)
    func `an answer lost after sending is unknown and is never executed again`(loss: Loss) throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                switch loss {
                case .reset: exchange.reset()
                case .close: exchange.close()
                default:
                    try exchange.send(loss.rawValue)
                    exchange.close()
                }
            }
            let first = try site.send(Call(key: "k"))
            try expectProblem(first, 502, "outcome-unknown", executed: "unknown")
            #expect(first.fields["Idempotency-Status"] == "unknown")
            site.origin.answer("/orders", 201)
            for _ in 0..<3 {
                let held = try site.send(Call(key: "k"))
                let problem = try expectProblem(held, 502, "outcome-unknown", executed: "unknown")
                #expect(problem["recovery_point"]?.string == "unknown")
            }
            #expect(site.origin.executions(of: "k") == 1)
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test(arguments: [500, 502, 504, 507, 599])
    func `a server error is passed on and held with its answer`(status: Int) throws {
        try Site.run { site in
            site.origin.answer("/orders", status, [("X-Trace", "17")], "it broke")
            let first = try site.send(Call(key: "k"))
            site.origin.answer("/orders", 201)
            for response in [first, try site.send(Call(key: "k")), try site.send(Call(key: "k"))] {
                #expect(response.status == status)
                #expect(response.text == "it broke")
                #expect(response.fields["X-Trace"] == "17")
                #expect(response.fields["Idempotency-Status"] == "unknown")
            }
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `an upstream that tolerates repeats is asked again`() throws {
        try Site.run(.init { $0.idempotency["unknown"] = #""retry""# }) { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                exchange.close()
            }
            try expectProblem(
                try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
            site.origin.answer("/orders", 201, [], "at last")
            let second = try site.send(Call(key: "k"))
            expectExecuted(second)
            #expect(second.text == "at last")
            expectReplay(try site.send(Call(key: "k")), of: second)
            #expect(site.origin.executions(of: "k") == 2)
        }
    }

    @Test(arguments: [#"{"idle": "300ms"}"#, #"{"total": "300ms"}"#])
    func `an upstream that does not answer in time leaves the outcome unknown`(
        timeouts: String
    ) throws {
        try Site.run(.init { $0.upstream["timeouts"] = timeouts }) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                try gate.pass()
            }
            try expectProblem(
                try site.send(Call(key: "k")), 504, "outcome-unknown", executed: "unknown")
            let held = try site.send(Call(key: "k"))
            #expect(try held.json["type"]?.string == "urn:oncegate:outcome-unknown")
            #expect(held.fields["Idempotency-Status"] == "unknown")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `a slow drip is cut by the total timeout, however lively`() throws {
        try Site.run(.init { $0.upstream["timeouts"] = #"{"idle": "20s", "total": "500ms"}"# }) {
            site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                for _ in 0..<100_000 {
                    try exchange.send("x")
                    exchange.pause(milliseconds: 20)
                }
            }
            try expectProblem(
                try site.send(Call(key: "k")), 504, "outcome-unknown", executed: "unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `those who wait for a lost answer learn that it is lost`() throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                try gate.pass()
                exchange.reset()
            }
            let calls = (0..<5).map { _ in site.sendInBackground(Call(key: "k")) }
            try site.origin.waitForRequests(1)
            gate.open()
            for call in calls {
                try expectProblem(try call.value(), 502, "outcome-unknown", executed: "unknown")
            }
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `another request under an unknown key is told so`() throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.reset()
            }
            _ = try site.send(Call(key: "k"))
            let other = Call(key: "k") { $0.body = "{}" }
            let problem = try expectProblem(try site.send(other), 422, "key-reused")
            #expect(problem["differs"]?.strings == ["body"])
            #expect(site.origin.requests.count == 1)
        }
    }
}
