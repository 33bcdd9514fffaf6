import Testing

/// The harness against itself, so that a failure elsewhere means the gateway.
@Suite(.ownThread) struct HarnessTests {
    @Test func `the origin makes a new order for every request`() throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        let client = try RawClient(origin.port)
        let first = try client.exchange(Call(key: "a"))
        let second = try client.exchange(Call(key: "a"))
        #expect(first.status == 201)
        #expect(first.text == #"{"order": 1}"#)
        #expect(second.text == #"{"order": 2}"#)
        #expect(origin.executions(of: "a") == 2)
        #expect(origin.requests.map(\.connection) == [0, 0])
        #expect(origin.requests[0].text == #"{"item": "book"}"#)
    }

    @Test func `many clients are served at the same time`() throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        let port = origin.port
        let answers = try concurrently(20) {
            try RawClient(port).exchange(Call(key: "k\($0)")).text
        }
        #expect(Set(answers).count == 20)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        "hello",
    ])
    func `the client takes no answer that could be read in two ways`(answer: String) throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        origin.on("/orders") { exchange in
            try exchange.readBody()
            try exchange.send(answer)
            exchange.close()
        }
        #expect(throws: (any Error).self) { try RawClient(origin.port).exchange(Call()) }
    }

    @Test func `the client reads chunks, trailers and interim answers`() throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        origin.on("/orders") { exchange in
            try exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
            try exchange.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "3\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 4\r\n\r\n")
        }
        let answer = try RawClient(origin.port).exchange(Call())
        #expect(answer.text == "abcd")
        #expect(answer.trailers["x-sum"] == "4")
        #expect(answer.interims.map(\.status) == [103])
    }

    @Test func `a deadline ends a wait for an answer that never comes`() throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        let gate = Gate()
        defer { gate.open() }
        origin.on("/orders") { _ in try gate.pass() }
        #expect(throws: HarnessError.self) {
            try RawClient(origin.port).exchange(Call(), within: .milliseconds(50))
        }
    }

    @Test func `a child's lines and its end are seen`() throws {
        let child = try ChildProcess("/bin/sh", ["-c", "echo out; echo err >&2; exit 3"])
        #expect(try child.waitForExit() == .code(3))
        #expect(try child.output.complete() == ["out"])
        #expect(try child.errors.complete() == ["err"])
    }
}
