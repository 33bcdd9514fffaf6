import Testing

/// Live answers of guarded requests: `stream: true`.
@Suite(.ownThread) struct StreamTests {
    private static let live = Configuration {
        $0.idempotency["stream"] = "true"
        $0.idempotency["answer_within"] = #""100ms""#
        $0.idempotency["response_limit"] = #""64B""#
    }

    /// Sends two events, each when its gate is opened, then ends, or is cut.
    private func events(_ site: Site, _ gates: [Gate], cut: Bool = false, padding: Int = 0) {
        let fill = String(repeating: "x", count: padding)
        site.origin.on("/orders") { exchange in
            try exchange.readBody()
            exchange.executeSilently()
            try exchange.send(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                    + "Transfer-Encoding: chunked\r\n\r\n")
            for (number, gate) in gates.enumerated() {
                try gate.pass()
                let event = "data: \(number)\(fill)\n\n"
                try exchange.send("\(String(event.utf8.count, radix: 16))\r\n\(event)\r\n")
            }
            if cut { return exchange.close() }
            try exchange.send("0\r\n\r\n")
        }
    }

    @Test func `events reach the client as they come, and a retry gets them all`() throws {
        try Site.run(Self.live) { site in
            let gates = [Gate(), Gate()]
            events(site, gates)
            let client = try site.connect()
            try client.send(Call(key: "k"))
            let head = try client.head()
            #expect(head.startLine == "HTTP/1.1 200 OK")
            #expect(head.fields["Content-Type"] == "text/event-stream")
            for (number, gate) in gates.enumerated() {
                gate.open()
                #expect(try client.chunk() == Array("data: \(number)\n\n".utf8))
            }
            #expect(try client.chunk() == nil)
            let replay = try site.send(Call(key: "k"))
            #expect(replay.text == "data: 0\n\ndata: 1\n\n")
            #expect(replay.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a stream that is cut is cut for the client, and unknown`() throws {
        try Site.run(Self.live) { site in
            let gate = Gate()
            gate.open()
            events(site, [gate], cut: true)
            let client = try site.connect()
            try client.send(Call(key: "k"))
            _ = try client.head()
            #expect(try client.chunk() == Array("data: 0\n\n".utf8))
            #expect(throws: (any Error).self) { try client.chunk() }
            try expectProblem(
                try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `a stream longer than is kept goes out whole and is not replayed`() throws {
        try Site.run(Self.live) { site in
            let gate = Gate()
            gate.open()
            events(site, [gate, gate], padding: 100)
            let first = try site.send(Call(key: "k"))
            #expect(first.body.count == 2 * 109)
            let problem = try expectProblem(
                try site.send(Call(key: "k")), 410, "response-not-kept", executed: "yes")
            #expect(problem["original_status"]?.number == 200)
        }
    }

    @Test func `to HTTP 1.0 each event goes with the next, and the last before the end`() throws {
        try Site.run(Self.live) { site in
            let gates = [Gate(), Gate()]
            events(site, gates)
            let client = try site.connect()
            try client.send(
                "POST /orders HTTP/1.0\r\nHost: a\r\nIdempotency-Key: k\r\nX-Order: k\r\n"
                    + "Content-Length: 2\r\n\r\n{}")
            let head = try client.head()
            #expect(head.startLine == "HTTP/1.1 200 OK")
            #expect(head.fields.all("Transfer-Encoding") == [])
            for gate in gates { gate.open() }
            #expect(try client.remainder() == Array("data: 0\n\ndata: 1\n\n".utf8))
        }
    }
}
