import Glibc
import Testing

/// How outcomes that nobody knows are found out: by asking the upstream, and by operators.
@Suite(.ownThread) struct SettlingTests {
    private static let probing = Configuration {
        $0.idempotency["unknown"] = #""probe""#
        $0.idempotency["probe"] = #"{"path": "/lookup?key={key}", "spacing": "1s"}"#
        $0.upstream["timeouts"] = #"{"connect": "1s", "idle": "1s"}"#
    }

    /// Has one request at work when the gateway is killed; the origin executed it, or not.
    private func crash(_ site: Site, executed: Bool) throws {
        let gate = Gate()
        defer { gate.open() }
        site.origin.on("/orders") { exchange in
            try exchange.readBody()
            if executed { exchange.executeSilently() }
            try gate.pass()
        }
        let lost = site.sendInBackground(Call(key: "k"))
        try site.origin.waitForRequests(1)
        if executed { try site.origin.waitForExecution(of: "k") }
        try site.gateway.kill()
        #expect(throws: (any Error).self) { try lost.value() }
        try site.gateway.restart()
    }

    @Test func `after kill -9 a probe finds what was executed, and retries get it`() throws {
        try Site.run(Self.probing) { site in
            try crash(site, executed: true)
            site.origin.answer("/lookup", 200, [("X-Order", "1")], "order 1")
            let found = try site.poll(Call(key: "k")) { $0.status == 200 }
            #expect(found.text == "order 1")
            #expect(found.fields["X-Order"] == "1")
            #expect(found.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.executions(of: "k") == 1)
            let probe = try #require(site.origin.requests.last)
            #expect(probe.method == "GET")
            #expect(probe.target == "/lookup?key=k")
            let last = try site.poll(Call(key: "k")) { $0.status == 200 }
            #expect(last.text == "order 1")
        }
    }

    @Test func `after kill -9 two negatives free the key for one execution`() throws {
        try Site.run(Self.probing) { site in
            try crash(site, executed: false)
            site.origin.answer("/lookup", 404)
            site.origin.answer("/orders", 201, [], "at last")
            let held = try site.send(Call(key: "k"))
            try expectProblem(held, 502, "outcome-unknown", executed: "unknown")
            let executed = try site.poll(Call(key: "k")) { $0.status == 201 }
            expectExecuted(executed)
            #expect(executed.text == "at last")
            expectReplay(try site.send(Call(key: "k")), of: executed)
            #expect(site.origin.requests.count { $0.method == "GET" } >= 2)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `an upstream that cannot say holds the key`() throws {
        try Site.run(Self.probing) { site in
            try crash(site, executed: true)
            site.origin.answer("/lookup", 500)
            site.origin.answer("/orders", 201)
            let metrics = try site.pollAdmin("/metrics") { text in
                !text.contains("oncegate_probes_total{result=\"inconclusive\"} 0")
            }
            #expect(metrics.text.contains("oncegate_probes_total{result=\"executed\"} 0"))
            try expectProblem(
                try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    private static let administered = Configuration {
        $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "secret"}"#
    }

    /// Changes a key as an operator does.
    private func operate(
        _ site: Site, _ method: String, _ target: String, _ body: String? = nil,
        token: String = "secret"
    ) throws -> WireResponse {
        let call = Call(key: nil) {
            $0.method = method
            $0.target = target
            $0.body = body
            $0.authorization = "Bearer \(token)"
        }
        return try RawClient(site.gateway.adminPort).exchange(call)
    }

    /// Leaves an unknown outcome behind; the record's id.
    private func lose(_ site: Site) throws -> String {
        site.origin.on("/orders") { exchange in
            try exchange.readBody()
            exchange.executeSilently()
            exchange.reset()
        }
        try expectProblem(
            try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
        site.origin.answer("/orders", 201, [], "anew")
        let list = try operate(site, "GET", "/v1/keys?state=unknown").json
        let ids = list["keys"]?.elements?.compactMap { $0["id"]?.string } ?? []
        return try #require(ids.count == 1 ? ids.first : nil)
    }

    @Test func `an operator completes a key, and retries get that answer`() throws {
        try Site.run(Self.administered) { site in
            let id = try lose(site)
            let body = #"{"response_code": 201, "response_body": {"order": 7}}"#
            let refused = try operate(site, "POST", "/v1/keys/\(id)/complete", body, token: "x")
            #expect(refused.status == 401)
            let changed = try operate(site, "POST", "/v1/keys/\(id)/complete", body)
            #expect(changed.status == 200)
            let retry = try site.send(Call(key: "k"))
            #expect(retry.status == 201)
            #expect(retry.text == #"{"order":7}"#)
            #expect(retry.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `an operator releases a key, and the next request executes`() throws {
        try Site.run(Self.administered) { site in
            let id = try lose(site)
            #expect(try operate(site, "POST", "/v1/keys/\(id)/release").status == 200)
            let retry = try site.send(Call(key: "k"))
            expectExecuted(retry)
            #expect(retry.text == "anew")
        }
    }

    @Test func `an erased answer is gone for good, its verdict stays`() throws {
        try Site.run(Self.administered) { site in
            site.origin.answer("/orders", 201, [("X-Card", "4242")], "4111 1111 1111 1111")
            let first = try site.send(Call(key: "k"))
            let line = try site.gateway.accessLine { $0["outcome"]?.string == "executed" }
            let id = try #require(line["key_id"]?.string)
            #expect(try operate(site, "POST", "/v1/keys/\(id)/erase").status == 200)
            for _ in 0..<2 {
                let retry = try site.send(Call(key: "k"))
                let problem = try expectProblem(retry, 410, "response-not-kept", executed: "yes")
                #expect(problem["original_status"]?.number == Double(first.status))
                try site.gateway.kill()
                try site.gateway.restart()
            }
            #expect(site.origin.executions(of: "k") == 1)
        }
    }
}
