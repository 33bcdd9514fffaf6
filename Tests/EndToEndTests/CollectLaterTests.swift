import Glibc
import Testing

/// Transfers that outlast their client's patience, or their client.
@Suite(.ownThread) struct CollectLaterTests {
    @Test func `a client is told to come back, and its retry collects the answer`() throws {
        try Site.run(.init { $0.idempotency["answer_within"] = #""200ms""# }) { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            let early = try client.exchange(Call(key: "k"))
            try expectProblem(early, 504, "in-flight", executed: "pending")
            #expect(early.fields["Retry-After"] == "1")
            #expect(early.fields["Idempotency-Status"] == "in-flight")
            let line = try site.gateway.accessLine { $0["status"]?.number == 504 }
            #expect(line["outcome"]?.string == "detached")
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_detached 1\n") }
            // The connection lives on, and takes the retry that joins.
            try client.send(Call(key: "k"))
            client.pause(milliseconds: 50)
            #expect(client.isQuiet)
            gate.open()
            let joined = try client.response()
            #expect(joined.status == 201 && joined.text == #"{"order": 1}"#)
            expectReplay(try site.send(Call(key: "k")), of: joined)
            #expect(site.origin.executions(of: "k") == 1)
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_detached 0\n") }
        }
    }

    @Test func `a client that is gone frees its connection, and its retry collects the answer`()
        throws
    {
        let configuration = Configuration { $0.members["limits"] = #"{"connections": 1}"# }
        try Site.run(configuration) { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            try client.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            client.reset()
            // The only place for a client is free again while the transfer goes on.
            let second = try site.connect()
            try second.send(Call(key: "k"))
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_waiters 1\n") }
            gate.open()
            let answer = try second.response()
            #expect(answer.status == 201)
            #expect(answer.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `draining waits for a transfer whose client is gone`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            try client.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            client.reset()
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_detached 1\n") }
            site.gateway.terminate()
            try site.waitUntilRefused()
            gate.open()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            #expect(try StoredRecords(in: site.gateway.directory).rows == ["k finished free"])
            try site.gateway.restart()
            let replay = try site.send(Call(key: "k"))
            #expect(replay.status == 201 && replay.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `when draining ends first, what was sent is unknown before the process ends`()
        throws
    {
        let configuration = Configuration { $0.members["timeouts"] = #"{"drain": "200ms"}"# }
        try Site.run(configuration) { site in
            let gate = site.holdOrders()
            defer { gate.open() }
            let gone = try site.connect()
            try gone.send(Call(key: "gone"))
            try site.origin.waitForRequests(1)
            gone.reset()
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_detached 1\n") }
            let attached = try site.connect()
            try attached.send(Call(key: "here"))
            try site.origin.waitForRequests(2)
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            let answer = try attached.response()
            try expectProblem(answer, 502, "outcome-unknown", executed: "unknown")
            #expect(answer.fields["Connection"] == "close")
            #expect(try attached.remainder() == [])
            // No start has had anything to recover yet.
            #expect(
                try StoredRecords(in: site.gateway.directory).rows == [
                    "gone unknown free", "here unknown free",
                ])
            let last = try site.gateway.process.errors.complete().last ?? ""
            let line = try JSONText(parsing: last)
            #expect(line["message"]?.string == "drained")
            #expect(line["transfers_cut"]?.number == 2)
            try site.gateway.restart()
            for key in ["gone", "here"] {
                try expectProblem(
                    try site.send(Call(key: key)), 502, "outcome-unknown", executed: "unknown")
            }
            #expect(site.origin.requests.count == 2)
        }
    }

    @Test func `when draining ends first, what is not sent whole is unknown too`() throws {
        let configuration = Configuration {
            $0.members["timeouts"] = #"{"drain": "200ms"}"#
            $0.route["limits"] = #"{"body": "64MiB"}"#
        }
        try Site.run(configuration) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { _ in try gate.pass() }
            let client = try site.connect()
            let call = Call(key: "k") { $0.body = String(repeating: "x", count: 32 << 20) }
            try client.send(call)
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            #expect(try StoredRecords(in: site.gateway.directory).rows == ["k unknown free"])
        }
    }
}
