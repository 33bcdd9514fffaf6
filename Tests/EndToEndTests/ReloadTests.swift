import Glibc
import Testing

/// A new configuration takes the place of the old one in a running gateway, or changes nothing.
@Suite(.ownThread) struct ReloadTests {
    private static let admin = #"{"address": "127.0.0.1:0", "token": "t0ken"}"#

    /// A configuration with a token, changed.
    private func configuration(
        _ change: (inout Configuration) -> Void = { _ in }
    ) -> Configuration {
        Configuration {
            $0.members["admin"] = Self.admin
            change(&$0)
        }
    }

    /// Runs `oncegate reload` for a site's gateway.
    private func reload(
        _ site: Site, _ more: [String] = []
    ) throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
        let token = try site.gateway.directory.write("token", "t0ken\n")
        return try runOncegate(
            ["reload", "--admin", "http://127.0.0.1:\(site.gateway.adminPort)"] + more
                + ["--token-file", token])
    }

    @Test func `routes and upstreams are replaced at SIGHUP`() throws {
        let other = try ScriptedOrigin()
        defer { other.stop() }
        other.answer("/new", 200, [], "the other origin's")
        try Site.run { site in
            let client = try site.connect()
            #expect(try client.exchange(.get("/new/x")).status == 201)
            try site.gateway.write(
                Configuration {
                    $0.upstreams["other"] = #"{"url": "http://127.0.0.1:\#(other.port)"}"#
                    $0.routes = [#"{"path": "/new", "upstream": "other"}"#]
                })
            let line = try site.gateway.hangUp()
            #expect(line["message"]?.string == "reloaded")
            #expect(line["generation"]?.number == 2)
            #expect(
                line["changes"]?.strings == [
                    "added upstreams.other", #"added routes["/new"]"#,
                ])
            // The connection that was open before goes by the new routes too.
            #expect(try client.exchange(.get("/new")).text == "the other origin's")
            #expect(try client.exchange(.get("/old")).status == 201)
        }
    }

    @Test func `a request that is under way keeps its upstream and its policy, the next one not`()
        throws
    {
        let other = try ScriptedOrigin()
        defer { other.stop() }
        try Site.run { site in
            let gate = site.holdOrders()
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            try site.gateway.write(
                Configuration(), upstreamURL: "http://127.0.0.1:\(other.port)")
            try site.gateway.hangUp()
            // A duplicate meets the one that is under way, whichever upstream it is for now.
            let duplicate = try site.send(
                Call(key: "k") { $0.fields = [("Prefer", "wait=0")] })
            try expectProblem(duplicate, 409, "in-flight")
            expectExecuted(try site.send(Call(key: "l")))
            #expect(other.executions(of: "l") == 1)
            gate.open()
            let answer = try first.value()
            expectExecuted(answer)
            expectReplay(try site.send(Call(key: "k")), of: answer)
            #expect(site.origin.executions(of: "k") == 1 && other.executions(of: "k") == 0)
        }
    }

    @Test func `idle connections of an upstream that is as it was are kept, others are closed`()
        throws
    {
        let other = try ScriptedOrigin()
        defer { other.stop() }
        let routes = [#"{"path": "/other", "upstream": "other"}"#]
        let upstream = #"{"url": "http://127.0.0.1:\#(other.port)"}"#
        // One loop, so that the next request finds the connection of the one before.
        let start = Configuration {
            $0.members["threads"] = "1"
            $0.routes = routes
            $0.upstreams["other"] = upstream
        }
        try Site.run(start) { site in
            _ = try site.send(.get("/other"))
            _ = try site.send(.get("/plain/x"))
            var next = start
            next.upstreams["other"] = upstream.dropLast() + #", "keep_alive": {"idle": "20s"}}"#
            try site.gateway.write(next)
            try site.gateway.hangUp()
            try other.waitForNoConnections()
            _ = try site.send(.get("/other"))
            _ = try site.send(.get("/plain/x"))
            #expect(other.connectionCount == 2)
            #expect(site.origin.connectionCount == 1)
            // A removed upstream's are closed too.
            next.upstreams = [:]
            next.routes = []
            try site.gateway.write(next)
            try site.gateway.hangUp()
            try other.waitForNoConnections()
        }
    }

    @Test func `the command tells what it changed, and generation and hash are in the metrics`()
        throws
    {
        try Site.run(configuration()) { site in
            try site.gateway.write(
                configuration {
                    $0.idempotency["wait_limit"] = #""7s""#
                    $0.members["limits"] = #"{"connections": 50}"#
                })
            let result = try reload(site)
            #expect(result.exit == .code(0), "\(result)")
            let hash = try runOncegate(["check", "--config", site.gateway.file])
            #expect(hash.exit == .code(0))
            #expect(
                result.output.contains("(generation 2)")
                    && result.output.contains("  changed limits.connections\n")
                    && result.output.contains(#"  changed routes["/**"].idempotency.wait_limit"#),
                "\(result)")
            let metrics = try site.admin("/metrics").text
            for line in [
                "oncegate_config_generation 2", #"oncegate_reloads_total{result="applied"} 1"#,
                "oncegate_config_last_reload_successful 1", "oncegate_routing_tables 1",
            ] { #expect(metrics.contains("\n\(line)\n"), "\(line)") }
            let name = try #require(result.output.split(separator: " ").dropFirst(2).first)
            #expect(metrics.contains(#"oncegate_config_info{config="\#(name)"} 1"#))
        }
    }

    @Test func `a bad file changes nothing, and log and command tell all of its mistakes`()
        throws
    {
        try Site.run(configuration()) { site in
            try site.gateway.write(
                #"{"upstreams": {"api": {"url": "ftp://x"}}, "routs": [], "routes": []}"#)
            let line = try site.gateway.hangUp()
            #expect(line["level"]?.string == "error")
            let mistakes = line["mistakes"]?.strings ?? []
            #expect(mistakes.count == 3, "\(mistakes)")
            #expect(mistakes.contains { $0.contains("upstreams.api.url: expected") })
            #expect(mistakes.contains { $0.contains("routs: unknown name") })
            let result = try reload(site)
            #expect(result.exit == .code(1))
            for place in ["upstreams.api.url: ", "routs: ", "routes: "] {
                #expect(result.errors.contains(place), "\(result)")
            }
            #expect(result.errors.contains("3 mistakes") && result.errors.contains("nothing was"))
            expectExecuted(try site.send(Call(key: "k")))
            let metrics = try site.admin("/metrics").text
            #expect(metrics.contains(#"oncegate_reloads_total{result="refused"} 2"#))
            #expect(metrics.contains("oncegate_config_last_reload_successful 0\n"))
            #expect(metrics.contains("oncegate_config_generation 1\n"))
            // With its own configuration the command says the same, without asking.
            let local = try runOncegate(["reload", "--config", site.gateway.file])
            #expect(local.exit == .code(1) && local.errors.contains("the gateway was not asked"))
            // A good one is taken up again.
            try site.gateway.write(configuration())
            #expect(try reload(site).exit == .code(0))
            #expect(try site.admin("/metrics").text.contains("last_reload_successful 1\n"))
        }
    }

    @Test func `what takes effect at a restart only is named, and nothing else is changed either`()
        throws
    {
        try Site.run(configuration()) { site in
            try site.gateway.write(
                configuration {
                    $0.members["listeners"] = #"[{"address": "127.0.0.1:1"}]"#
                    $0.members["admin"] = #"{"address": "127.0.0.1:2", "token": "t0ken"}"#
                    $0.members["threads"] = "7"
                    $0.members["spool"] = #"{"limit": "1MiB"}"#
                    $0.store["durability"] = #""normal""#
                    $0.routes = [#"{"path": "/new", "upstream": "api", "rewrite": "/gone"}"#]
                })
            let result = try reload(site)
            #expect(result.exit == .code(1))
            for path in [
                "listeners[0].address", "admin.address", "threads", "spool.limit",
                "store.durability",
            ] {
                #expect(
                    result.errors.contains("\(path): differs from what runs, and takes effect"),
                    "\(path): \(result)")
            }
            #expect(result.errors.contains("5 mistakes"), "\(result)")
            _ = try site.send(.get("/new"))
            #expect(site.origin.requests.last?.target == "/new")
        }
    }

    @Test func `the admin token and other secrets are read anew`() throws {
        try Site.run(configuration()) { site in
            let secret = try site.gateway.directory.write("secret", "first\n")
            let file = #"{"address": "127.0.0.1:0", "token": "${file:\#(secret)}"}"#
            try site.gateway.write(configuration { $0.members["admin"] = file })
            #expect(try reload(site).exit == .code(0))
            let wrong = try reload(site)
            #expect(wrong.exit == .code(1) && wrong.errors.contains("--token-file"), "\(wrong)")
            try site.gateway.directory.write("secret", "t0ken\n")
            let line = try site.gateway.hangUp()
            #expect(line["changes"]?.strings == ["changed admin.token"], "\(line)")
            #expect(try reload(site).exit == .code(0))
            let all = site.gateway.process.errors.all + site.gateway.process.output.all
            #expect(!all.joined().contains("first"))
        }
    }

    @Test func `without an admin listener the command points to SIGHUP`() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write(
            "gateway.json",
            Configuration { $0.members["admin"] = "null" }
                .text(upstreamURL: "http://127.0.0.1:9", directory: directory.path))
        let result = try runOncegate(["reload", "--config", file])
        #expect(result.exit == .code(1) && result.errors.contains("SIGHUP"), "\(result)")
    }

    @Test func `only who has the token may reload`() throws {
        try Site.run(configuration()) { site in
            for (token, status) in [(nil, 401), ("wrong", 401), ("t0ken", 200)] {
                let answer = try site.admin(post: "/v1/reload", "", token: token)
                #expect(answer.status == status, "\(answer.text)")
            }
        }
        try Site.run { site in
            let answer = try site.admin(post: "/v1/reload", "", token: "x")
            #expect(answer.status == 403)
        }
    }

    @Test func `limits, time limits and the log are replaced`() throws {
        try Site.run(configuration { $0.members["log"] = #"{"access": false}"# }) { site in
            let open = try site.connect()
            #expect(try open.exchange(.get("/plain/a")).status == 201)
            try site.gateway.write(
                configuration {
                    $0.members["log"] = #"{"access": true, "level": "info"}"#
                    $0.members["limits"] = #"{"request_line": "256B", "body": "1KiB"}"#
                    $0.members["trusted_proxies"] = #"["127.0.0.1"]"#
                })
            try site.gateway.hangUp()
            let call = Call.get("/plain/b", [("X-Forwarded-For", "203.0.113.9")])
            #expect(try open.exchange(call).status == 201)
            let line = try site.gateway.accessLine { $0["path"]?.string == "/plain/b" }
            #expect(line["status"]?.number == 201)
            #expect(
                site.origin.requests.last?.fields["X-Forwarded-For"]?.contains("203.0.113.9")
                    == true)
            let large = Call {
                $0.target = "/plain/c"
                $0.body = String(repeating: "x", count: 2000)
            }
            #expect(try site.send(large).status == 413)
            let long = Call.get("/plain/" + String(repeating: "d", count: 300))
            #expect(try open.exchange(long).status == 414)
        }
    }

    @Test func `counters of a route and an upstream of the same name go on`() throws {
        try Site.run(configuration()) { site in
            let counted = #"oncegate_executions_total{route="/**"} "#
            expectExecuted(try site.send(Call(key: "a")))
            _ = try site.pollAdmin("/metrics") { $0.contains(counted + "1\n") }
            try site.gateway.write(
                configuration {
                    $0.idempotency["wait_limit"] = #""7s""#
                    $0.routes = [
                        #"{"name": "new", "path": "/new", "upstream": "api", "idempotency": {"scope": "shared"}}"#
                    ]
                })
            try site.gateway.hangUp()
            expectExecuted(try site.send(Call(key: "b")))
            expectExecuted(try site.send(Call(key: "c") { $0.target = "/new" }))
            _ = try site.pollAdmin("/metrics") {
                $0.contains(counted + "2\n")
                    && $0.contains(#"oncegate_executions_total{route="new"} 1"# + "\n")
            }
        }
    }

    @Test func `a transfer without a client is drained after its table was replaced`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let gone = try site.connect()
            try gone.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            gone.reset()
            _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_detached 1\n") }
            try site.gateway.write(
                Configuration { $0.idempotency["wait_limit"] = #""7s""# })
            try site.gateway.hangUp()
            #expect(try site.admin("/metrics").text.contains("oncegate_routing_tables 2\n"))
            site.gateway.terminate()
            try site.waitUntilRefused()
            #expect(site.gateway.process.isRunning)
            gate.open()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            #expect(try StoredRecords(in: site.gateway.directory).rows == ["k finished free"])
        }
    }

    @Test func `an unknown key of a removed route stays as it is, and is held when it is back`()
        throws
    {
        let guarded =
            #"{"name": "guarded", "path": "/g", "upstream": "api", "idempotency": {"scope": "shared"}}"#
        let start = configuration { $0.routes = [guarded] }
        try Site.run(start) { site in
            site.origin.on("/g") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                exchange.reset()
            }
            let call = Call(key: "k") { $0.target = "/g" }
            try expectProblem(try site.send(call), 502, "outcome-unknown", executed: "unknown")
            try site.gateway.write(configuration())
            try site.gateway.hangUp()
            let list = Call {
                $0.method = "GET"
                $0.target = "/v1/keys?state=unknown"
                $0.authorization = "Bearer t0ken"
                $0.body = nil
            }
            let listed = try RawClient(site.gateway.adminPort).exchange(list).json
            #expect(listed["keys"]?.elements?.first?["idempotency_key"]?.string == "k")
            try site.gateway.write(start)
            try site.gateway.hangUp()
            try expectProblem(try site.send(call), 502, "outcome-unknown", executed: "unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a prober goes by the new table`() throws {
        let probed = Configuration {
            $0.idempotency["unknown"] = #""probe""#
            $0.idempotency["probe"] = #"{"path": "/seen?key={key}", "spacing": "1s"}"#
            $0.upstream["timeouts"] = #"{"idle": "1s"}"#
        }
        let other = try ScriptedOrigin()
        defer { other.stop() }
        other.answer("/seen", 200, [], "found there")
        try Site.run(probed) { site in
            site.origin.on("/seen") { try $0.reply(503) }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                exchange.executeSilently()
                exchange.reset()
            }
            try expectProblem(try site.send(Call(key: "k")), 502, "outcome-unknown")
            try site.gateway.write(probed, upstreamURL: "http://127.0.0.1:\(other.port)")
            try site.gateway.hangUp()
            let settled = try site.poll(Call(key: "k")) { $0.status == 200 }
            #expect(settled.text == "found there")
            #expect(site.origin.executions(of: "k") == 1 && other.executions(of: "k") == 0)
        }
    }

    @Test func `suspended work is gone on with by the new table, without its client`() throws {
        let bank = try ScriptedOrigin()
        defer { bank.stop() }
        // Nobody listens on port 1.
        func staged(_ port: UInt16) -> Configuration {
            configuration {
                $0.upstreams["bank"] = #"{"url": "http://127.0.0.1:\#(port)"}"#
                $0.routes = [
                    """
                    {"path": "/pay", "upstream": "api", "idempotency": {"scope": "shared", "stages": [
                      {"path": "/taxes", "recovery_point": "taxed"},
                      {"path": "/payments", "upstream": "bank", "recovery_point": "finished"}]}}
                    """
                ]
            }
        }
        try Site.run(staged(1)) { site in
            let call = Call(key: "k") {
                $0.order = nil
                $0.target = "/pay"
            }
            let first = try site.send(call)
            #expect(try first.json["executed"]?.string == "pending", "\(first.text)")
            try site.gateway.write(staged(bank.port))
            try site.gateway.hangUp()
            try bank.waitForExecution(of: "/payments")
            let answer = try site.poll(call) { $0.status == 201 }
            #expect(answer.body == bank.answers(of: "/payments").first)
            #expect(bank.executions(of: "/payments") == 1)
            #expect(site.origin.executions(of: "/taxes") == 1)
        }
    }

    @Test func `nothing is reloaded while the gateway drains`() throws {
        try Site.run(configuration()) { site in
            let gate = site.holdOrders()
            let last = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            site.gateway.terminate()
            try site.waitUntilRefused()
            let result = try reload(site)
            #expect(result.exit == .code(1) && result.errors.contains("about to end"), "\(result)")
            #expect(try site.gateway.hangUp()["reason"]?.string == "draining")
            gate.open()
            expectExecuted(try last.value())
            #expect(try site.gateway.process.waitForExit() == .code(0))
        }
    }

    @Test func `many reloads leave no memory, no descriptor and no old table behind`() throws {
        let start = configuration {
            $0.members["threads"] = "2"
            $0.upstreams["other"] = #"{"url": "http://127.0.0.1:9"}"#
        }
        try Site.run(start) { site in
            func reloads(_ count: Int) throws {
                for number in 0..<count {
                    try site.gateway.write(
                        configuration {
                            $0.members["threads"] = "2"
                            $0.upstreams["other"] =
                                #"{"url": "http://127.0.0.1:\#(9 + number % 2)"}"#
                            $0.upstream["keep_alive"] = #"{"idle": "\#(20 + number % 2)s"}"#
                        })
                    #expect(try site.gateway.hangUp()["message"]?.string == "reloaded")
                    if number % 10 == 0 {
                        expectExecuted(try site.send(Call(key: "\(count).\(number)")))
                    }
                }
            }
            func measure() throws -> (descriptors: Int, kilobytes: Int) {
                _ = try site.pollAdmin("/metrics") { $0.contains("oncegate_routing_tables 1\n") }
                let names = try contentsOfDirectory("/proc/\(site.gateway.process.pid)/fd")
                return (names.count, try site.gateway.process.memory("VmRSS"))
            }
            try reloads(40)
            let before = try measure()
            try reloads(200)
            let after = try measure()
            #expect(after.descriptors <= before.descriptors + 2)
            #expect(after.kilobytes < before.kilobytes + 4096, "\(before) → \(after)")
        }
    }
}

/// The names in a directory.
private func contentsOfDirectory(_ path: String) throws -> [String] {
    guard let directory = opendir(path) else { throw HarnessError("\(path): \(errno)") }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        names.append(
            withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            })
    }
    return names
}
