import Glibc
import Testing

/// The end of a gateway, as its clients see it.
@Suite(.ownThread) struct DrainTests {
    @Test func `an answer that is given while it drains says that the connection closes`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            try client.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            try site.waitUntilRefused()
            gate.open()
            let answer = try client.response()
            expectExecuted(answer)
            #expect(answer.fields["Connection"] == "close")
            #expect(try client.remainder() == [])
            #expect(try site.gateway.process.waitForExit() == .code(0))
        }
    }

    @Test func `a connection that idles is given time for a request that is on its way`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            // Holds the process while the idle one sends its request.
            let busy = site.sendInBackground(Call(key: "busy"))
            try site.origin.waitForRequests(1)
            let idle = try site.connect()
            #expect(try idle.exchange(.get("/plain/a")).status == 201)
            site.gateway.terminate()
            try site.waitUntilDraining()
            // The connection's loop hears of the end a little later.
            let deadline = Deadline()
            var last = try idle.exchange(.get("/plain/b"))
            while last.fields["Connection"] == nil, !deadline.hasPassed {
                #expect(last.status == 201)
                last = try idle.exchange(.get("/plain/b"))
            }
            #expect(last.status == 201)
            #expect(last.fields["Connection"] == "close")
            #expect(try idle.remainder() == [])
            gate.open()
            expectExecuted(try busy.value())
            #expect(try site.gateway.process.waitForExit() == .code(0))
        }
    }

    @Test func `connections that idle are closed after a short while, and do not hold the end up`()
        throws
    {
        try Site.run { site in
            let used = try site.connect()
            #expect(try used.exchange(.get("/plain/a")).status == 201)
            let silent = try site.connect()
            site.gateway.terminate()
            #expect(try used.remainder() == [])
            #expect(try silent.remainder() == [])
            #expect(try site.gateway.process.waitForExit(within: .seconds(15)) == .code(0))
        }
    }

    @Test func `SIGINT ends it as SIGTERM does`() throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "k")))
            site.gateway.terminate(by: SIGINT)
            #expect(try site.gateway.process.waitForExit() == .code(0))
            let last = try site.gateway.process.errors.complete().last ?? ""
            #expect(try JSONText(parsing: last)["message"]?.string == "drained")
        }
    }

    @Test func `a second signal ends it at once, with the signal's number`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            defer { gate.open() }
            let lost = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            try site.waitUntilDraining()
            site.gateway.terminate(by: SIGINT)
            #expect(try site.gateway.process.waitForExit() == .code(128 + SIGINT))
            #expect(throws: (any Error).self) { try lost.value() }
        }
    }

    @Test func `for the delay it is not ready but serves, and accepts`() throws {
        let delay = Configuration { $0.members["timeouts"] = #"{"drain_delay": "1h"}"# }
        try Site.run(delay) { site in
            let early = try site.connect()
            #expect(try early.exchange(.get("/plain/a")).status == 201)
            site.gateway.terminate()
            try site.waitUntilDraining()
            #expect(try site.admin("/readyz").status == 503)
            let answer = try early.exchange(.get("/plain/b"))
            #expect(answer.status == 201 && answer.fields["Connection"] == nil)
            expectExecuted(try site.send(Call(key: "k")))
            // A second signal does not wait for it.
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(128 + SIGTERM))
        }
    }

    @Test func `after the delay it stops accepting`() throws {
        let delay = Configuration { $0.members["timeouts"] = #"{"drain_delay": "300ms"}"# }
        try Site.run(delay) { site in
            site.gateway.terminate()
            try site.waitUntilDraining()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            #expect(throws: Socket.Reset.self) { try site.connect() }
        }
    }

    @Test func `at its limit a plain request without an answer is told so, a begun one is cut`()
        throws
    {
        let short = Configuration { $0.members["timeouts"] = #"{"drain": "200ms"}"# }
        try Site.run(short) { site in
            let gate = site.holdOrders(at: "/plain/silent")
            defer { gate.open() }
            site.origin.on("/plain/begun") { exchange in
                try exchange.send("HTTP/1.1 200 Fine\r\nContent-Length: 10\r\n\r\nhalf ")
                try gate.pass()
            }
            let silent = try site.connect()
            try silent.send(.get("/plain/silent"))
            let begun = try site.connect()
            try begun.send(.get("/plain/begun"))
            try site.origin.waitForRequests(2)
            #expect(try begun.head().status == 200)
            site.gateway.terminate()
            let answer = try silent.response(to: "GET")
            try expectProblem(answer, 504, "outcome-unknown", executed: "unknown")
            #expect(answer.fields["Connection"] == "close")
            #expect(try begun.remainder().count <= 5)
            #expect(try site.gateway.process.waitForExit() == .code(0))
            let last = try JSONText(
                parsing: try site.gateway.process.errors.complete().last ?? "")
            #expect(last["connections_cut"]?.number == 2, "\(last)")
        }
    }

    @Test func `at its limit those who wait for another's answer are told too`() throws {
        let short = Configuration {
            $0.members["timeouts"] = #"{"drain": "300ms"}"#
            $0.members["threads"] = "2"
        }
        try Site.run(short) { site in
            let gate = site.holdOrders()
            defer { gate.open() }
            let all = (0..<6).map { _ in site.sendInBackground(Call(key: "k")) }
            _ = try site.pollAdmin("/metrics") {
                $0.contains(#"oncegate_waits_total{route="/**"} 5"#)
            }
            site.gateway.terminate()
            for one in all {
                let answer = try one.value()
                #expect(answer.status == 502 || answer.status == 504, "\(answer)")
                #expect(try answer.json["executed"]?.string == "unknown")
            }
            #expect(try site.gateway.process.waitForExit() == .code(0))
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `at its limit what waits for a connection was not executed`() throws {
        let short = Configuration {
            $0.members["timeouts"] = #"{"drain": "200ms"}"#
            // Nobody answers there (RFC 5737).
            $0.upstream["url"] = #""http://192.0.2.1:9""#
            $0.upstream["timeouts"] = #"{"connect": "1h"}"#
        }
        try Site.run(short) { site in
            let plain = site.sendInBackground(.get("/plain/a"))
            let guarded = site.sendInBackground(Call(key: "k"))
            // Both are connecting, or have failed to at once.
            _ = try site.pollAdmin("/metrics") { _ in
                (try? site.gateway.sockets(inState: "02")) ?? 0 >= 2 || plain.isDone
            }
            site.gateway.terminate()
            for answer in [try plain.value(), try guarded.value()] {
                #expect((502...504).contains(answer.status), "\(answer)")
                #expect(try answer.json["executed"]?.string == "no", "\(answer.text)")
            }
            #expect(try site.gateway.process.waitForExit() == .code(0))
        }
    }
}
