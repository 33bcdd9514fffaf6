import Glibc
import Testing

/// What survives the end of the process, sudden or in order.
@Suite(.ownThread) struct DurabilityTests {
    @Test func `an answer outlives kill -9`() throws {
        try Site.run { site in
            let first = try site.send(Call(key: "k"))
            expectExecuted(first)
            try site.gateway.kill()
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: first)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `an answer outlives an orderly end`() throws {
        try Site.run { site in
            let first = try site.send(Call(key: "k"))
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: first)
        }
    }

    @Test func `a fingerprint outlives kill -9`() throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "k")))
            try site.gateway.kill()
            try site.gateway.restart()
            let problem = try expectProblem(
                try site.send(Call(key: "k") { $0.body = "{}" }), 422, "key-reused")
            #expect(problem["differs"]?.strings == ["body"])
        }
    }

    @Test func `work in flight at kill -9 is unknown and is never executed again`() throws {
        try Site.run { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                try gate.pass()
            }
            let lost = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            try site.gateway.kill()
            #expect(throws: (any Error).self) { try lost.value() }
            try site.gateway.restart()
            for _ in 0..<3 {
                let held = try site.send(Call(key: "k"))
                let problem = try held.json
                #expect([502, 504].contains(held.status))
                #expect(problem["type"]?.string == "urn:oncegate:outcome-unknown")
                #expect(problem["executed"]?.string == "unknown")
            }
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `an upstream that tolerates repeats is asked again after kill -9`() throws {
        try Site.run(.init { $0.idempotency["unknown"] = #""retry""# }) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try gate.pass()
            }
            let lost = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            try site.gateway.kill()
            #expect(throws: (any Error).self) { try lost.value() }
            site.origin.answer("/orders", 201, [], "second")
            try site.gateway.restart()
            let again = try site.send(Call(key: "k"))
            expectExecuted(again)
            #expect(again.text == "second")
        }
    }

    @Test func `an unknown outcome with its answer outlives kill -9`() throws {
        try Site.run { site in
            site.origin.answer("/orders", 500, [], "it broke")
            _ = try site.send(Call(key: "k"))
            try site.gateway.kill()
            try site.gateway.restart()
            let held = try site.send(Call(key: "k"))
            #expect(held.status == 500)
            #expect(held.text == "it broke")
            #expect(held.fields["Idempotency-Status"] == "unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a database has one gateway`() throws {
        try Site.run { site in
            let directory = try TemporaryDirectory()
            let path = "\(site.gateway.directory.path)/oncegate.db"
            let text = Configuration { $0.store["path"] = #""\#(path)""# }.text(
                upstreamURL: "http://127.0.0.1:\(site.origin.port)", directory: directory.path)
            let file = try directory.write("gateway.json", text)
            let second = try runOncegate(["serve", "--config", file])
            #expect(second.exit != .code(0))
            if case .signal = second.exit { Issue.record("it crashed: \(second.errors)") }
            #expect(second.errors.contains("oncegate.db"), "\(second.errors)")
            expectExecuted(try site.send(Call(key: "k")))
        }
    }

    @Test func `SIGTERM lets requests in flight finish, takes no new ones, and exits with 0`()
        throws
    {
        try Site.run { site in
            let gate = site.holdOrders()
            let idle = try site.connect()
            expectExecuted(try idle.exchange(Call(key: "other") { $0.target = "/other" }))
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(2)
            site.gateway.terminate()
            try site.waitUntilRefused()
            #expect(try idle.remainder() == [])
            #expect(site.gateway.process.isRunning && !first.isDone)
            gate.open()
            let response = try first.value()
            expectExecuted(response)
            #expect(try site.gateway.process.waitForExit() == .code(0))
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: response)
        }
    }

    @Test func `a second SIGTERM ends at once and what was in flight is unknown`() throws {
        try Site.run { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                try gate.pass()
            }
            let lost = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            try site.waitUntilRefused()
            #expect(site.gateway.process.isRunning)
            site.gateway.terminate()
            try site.gateway.process.waitForExit(within: .seconds(10))
            #expect(throws: (any Error).self) { try lost.value() }
            try site.gateway.restart()
            let held = try site.send(Call(key: "k"))
            #expect(try held.json["type"]?.string == "urn:oncegate:outcome-unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a drain ends at its limit`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"drain": "300ms"}"# }) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try gate.pass()
            }
            let late = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            try site.gateway.process.waitForExit(within: .seconds(15))
            // What was sent is over; whoever waits is told what is known.
            try expectProblem(try late.value(), 502, "outcome-unknown", executed: "unknown")
        }
    }
}
