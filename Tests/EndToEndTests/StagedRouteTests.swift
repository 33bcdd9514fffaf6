import Glibc
import Testing

/// A cart is completed in three calls of its API, through every crash.
@Suite(.ownThread) struct StagedRouteTests {
    /// Where a process dies within a stage.
    enum Moment: CaseIterable, Sendable {
        /// The upstream has the request and did nothing yet.
        case beforeExecution
        /// It has executed it, and not answered.
        case afterExecution
        /// Its answer is on the way.
        case afterAnswer
    }

    private static let paths = ["/carts/c1/taxes", "/payments", "/orders"]
    private static let points = ["taxed", "paid", "finished"]
    private static let complete = Call(key: "k") {
        $0.order = nil
        $0.target = "/carts/c1/complete"
    }

    /// The three stages, with members of each by its position.
    private static func configuration(
        _ members: (Int) -> String, _ change: (inout Configuration) -> Void = { _ in }
    ) -> Configuration {
        let stages = zip(["/carts/{id}/taxes", "/payments", "/orders"], points).enumerated().map {
            #"{"path": "\#($1.0)", "recovery_point": "\#($1.1)"\#(members($0))}"#
        }
        return Configuration {
            $0.routes = [
                """
                {"path": "/carts/{id}/complete", "upstream": "api",
                 "idempotency": {"scope": ["header:Authorization"],
                                 "stages": [\(stages.joined(separator: ", "))]}}
                """
            ]
            $0.upstream["timeouts"] = #"{"connect": "1s", "idle": "1s"}"#
            change(&$0)
        }
    }

    /// Asks the origin what it has executed; the second call pays what the first one found.
    private static func members(probing: Bool) -> (Int) -> String {
        { index in
            let probe =
                probing
                ? #", "unknown": "probe", "probe": {"path": "/lookup\#(index)?k={key}", "spacing": "1s"}"#
                : ""
            let body = #", "body": {"cart": "{id}", "amount": "{stages.taxed.body/order}"}"#
            return (index == 1 ? body : "") + probe
        }
    }

    /// Has the origin say what it has executed of each path.
    private func answerLookups(_ site: Site, of paths: [String]) {
        for (index, path) in paths.enumerated() {
            site.origin.on("/lookup\(index)") { [origin = site.origin] exchange in
                guard origin.executions(of: path) > 0 else { return try exchange.reply(404) }
                try exchange.reply(
                    200, [("Content-Type", "application/json")],
                    Array(#"{"order": \#(index + 1), "found": true}"#.utf8))
            }
        }
    }

    /// Kills the gateway when a path is called for the first time, and starts it again.
    ///
    /// - Parameter send: Has requests sent that will lead to the call.
    private func crash(
        _ site: Site, at path: String, _ moment: Moment, answering status: Int = 201,
        _ send: () throws -> Void
    ) throws {
        let (reached, gate, isFirst) = (Gate(), Gate(), Monitor(true))
        defer { gate.open() }
        site.origin.on(path) { exchange in
            try exchange.readBody()
            let isFirst = isFirst.with { isFirst in
                defer { isFirst = false }
                return isFirst
            }
            guard isFirst else { return try exchange.execute(answering: status) }
            switch moment {
            case .beforeExecution: break
            case .afterExecution: exchange.executeSilently()
            case .afterAnswer: try exchange.execute(answering: status)
            }
            reached.open()
            guard moment != .afterAnswer else { return }
            try gate.pass()
            exchange.reset()
        }
        try send()
        try reached.pass()
        try site.gateway.kill()
        gate.open()
        try site.gateway.restart()
    }

    /// Sends that many duplicates at once, and waits for none of them.
    private func duplicates(_ count: Int, _ site: Site) -> [Background<WireResponse>] {
        (0..<count).map { _ in site.sendInBackground(Self.complete) }
    }

    private func executions(_ site: Site) -> [Int] {
        Self.paths.map { site.origin.executions(of: $0) }
    }

    @Test func `a cart is completed in three calls, each made once`() throws {
        try Site.run(Self.configuration(Self.members(probing: false))) { site in
            let answers = try duplicates(20, site).map { try $0.value() }
            let first = try #require(
                answers.first { $0.fields["Idempotency-Status"] == "executed" })
            #expect(first.status == 201 && first.text == #"{"order": 3}"#)
            for answer in answers { #expect(answer.body == first.body) }
            #expect(executions(site) == [1, 1, 1])
            #expect(site.origin.requests.map(\.path) == Self.paths)
            let payment = site.origin.requests[1]
            #expect(String(decoding: payment.body, as: UTF8.self) == #"{"cart":"c1","amount":1}"#)
            expectReplay(try site.send(Self.complete), of: first)
            let line = try site.gateway.accessLine { $0["outcome"]?.string == "executed" }
            #expect(line["recovery_point"]?.string == "finished")
            #expect(try site.admin("/metrics").text.contains("oncegate_stages_total{"))
        }
    }

    @Test(arguments: 0..<3, Moment.allCases)
    func `with probes kill -9 within any stage repeats no call and loses none`(
        stage: Int, moment: Moment
    ) throws {
        try Site.run(Self.configuration(Self.members(probing: true))) { site in
            answerLookups(site, of: Self.paths)
            var lost: [Background<WireResponse>] = []
            try crash(site, at: Self.paths[stage], moment) { lost = duplicates(20, site) }
            // Those who waited have lost their connections, or have the answer.
            for call in lost { _ = try? call.value() }
            let answers = try concurrently(20) { [gateway = Port(site.gateway.port)] _ in
                try poll(gateway, Self.complete)
            }
            for answer in answers {
                #expect(answer.status == 201 || answer.status == 200, "\(answer.text)")
                #expect(answer.body == answers[0].body)
            }
            #expect(executions(site) == [1, 1, 1])
            expectReplay(try site.send(Self.complete), of: answers[0])
        }
    }

    @Test(arguments: 0..<3, Moment.allCases)
    func `without probes kill -9 within any stage never repeats a call`(
        stage: Int, moment: Moment
    ) throws {
        try Site.run(Self.configuration(Self.members(probing: false))) { site in
            var lost: [Background<WireResponse>] = []
            try crash(site, at: Self.paths[stage], moment) { lost = duplicates(20, site) }
            for call in lost { _ = try? call.value() }
            let answers = try concurrently(20) { [gateway = Port(site.gateway.port)] _ in
                try RawClient(gateway.number).exchange(Self.complete, within: patience)
            }
            let made = executions(site)
            #expect(made.allSatisfy { $0 <= 1 })
            if moment == .afterAnswer, made[2] == 1, answers[0].status == 201 { return }
            for answer in answers {
                try expectProblem(answer, 502, "outcome-unknown", executed: "unknown")
            }
            #expect(made[..<stage].allSatisfy { $0 == 1 })
            #expect(made[stage] == (moment == .beforeExecution ? 0 : 1))
            // After an answer the next stage may have begun before the kill came.
            if moment != .afterAnswer { #expect(made[(stage + 1)...].allSatisfy { $0 == 0 }) }
        }
    }

    @Test(arguments: 0..<3)
    func `what a crash interrupts between two calls is completed without a client`(
        stage: Int
    ) throws {
        // A stage that tolerates repeats leaves no mark: its record stands at the one before.
        let configuration = Self.configuration { index in
            Self.members(probing: false)(index) + (index == stage ? #", "unknown": "retry""# : "")
        }
        try Site.run(configuration) { site in
            var lost: [Background<WireResponse>] = []
            try crash(site, at: Self.paths[stage], .beforeExecution) {
                lost = duplicates(20, site)
            }
            for call in lost { _ = try? call.value() }
            try site.origin.waitForExecution(of: Self.paths[2])
            #expect(executions(site) == [1, 1, 1])
            let answer = try site.poll(Self.complete) { $0.status == 201 }
            #expect(answer.text == #"{"order": 3}"#)
            #expect(answer.fields["Idempotency-Status"] == "replayed")
            #expect(executions(site) == [1, 1, 1])
        }
    }

    @Test(arguments: Moment.allCases)
    func `a failure is taken back in reverse order, through kill -9 in the middle`(
        moment: Moment
    ) throws {
        let back = ["/untax", "/refunds"]
        let configuration = Self.configuration { index in
            guard index < 2 else { return "" }
            return """
                , "compensate": {"path": "\(back[index])", "unknown": "probe",
                                 "probe": {"path": "/lookup\(index)?k={key}", "spacing": "1s"}}
                """
        }
        try Site.run(configuration) { site in
            answerLookups(site, of: back)
            site.origin.answer("/orders", 422, [], "declined")
            try crash(site, at: "/refunds", moment) { _ = duplicates(5, site) }
            let answer = try poll(Port(site.gateway.port), Self.complete)
            #expect(answer.status == 422 && answer.text == "declined")
            #expect(executions(site) == [1, 1, 1])
            #expect(back.map { site.origin.executions(of: $0) } == [1, 1])
            let called = site.origin.requests.map(\.path).filter(back.contains)
            #expect(called.first == "/refunds" && called.last == "/untax")
            expectReplay(try site.send(Self.complete), of: answer)
        }
    }

    @Test func `a failure is taken back without a crash, too`() throws {
        let back = ["/untax", "/refunds"]
        let configuration = Self.configuration { index in
            index < 2 ? #", "compensate": {"path": "\#(back[index])"}"# : ""
        }
        try Site.run(configuration) { site in
            site.origin.answer("/orders", 409, [], "sold out")
            let answer = try site.send(Self.complete)
            #expect(answer.status == 409 && answer.text == "sold out")
            #expect(site.origin.requests.map(\.path) == Self.paths + ["/refunds", "/untax"])
            expectReplay(try site.send(Self.complete), of: answer)
        }
    }

    @Test func `an unknown stage is held over restarts until an operator frees it`() throws {
        let configuration = Self.configuration(Self.members(probing: false)) {
            $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "secret"}"#
        }
        try Site.run(configuration) { site in
            try crash(site, at: "/payments", .beforeExecution) { _ = duplicates(1, site) }
            for _ in 0..<2 {
                try expectProblem(
                    try site.send(Self.complete), 502, "outcome-unknown", executed: "unknown")
                try site.gateway.kill()
                try site.gateway.restart()
            }
            let line = try site.gateway.accessLineOfUnknown(site, Self.complete)
            let released = try site.admin(
                post: "/v1/keys/\(line)/release", "", token: "secret")
            #expect(released.status == 200, "\(released.text)")
            try site.origin.waitForExecution(of: "/orders")
            let answer = try site.poll(Self.complete) { $0.status == 201 }
            #expect(answer.fields["Idempotency-Status"] == "replayed")
            #expect(executions(site) == [1, 1, 1])
        }
    }

    @Test func `an upstream that is down suspends the work, and its return completes it`() throws {
        let configuration = Self.configuration { index in
            index == 1 ? #", "upstream": "bank", "retry": {"attempts": 2, "backoff": "10ms"}"# : ""
        }
        let bank = try ScriptedOrigin()
        bank.stop()
        let port = bank.port
        let withBank = Configuration {
            $0 = configuration
            $0.upstreams["bank"] = #"{"url": "http://127.0.0.1:\#(port)"}"#
        }
        try Site.run(withBank) { site in
            let first = try site.send(Self.complete)
            let problem = try expectProblem(
                first, 502, "upstream-unreachable", executed: "pending")
            #expect(problem["recovery_point"]?.string == "taxed")
            #expect(first.fields["Idempotency-Status"] == "in-flight")
            let bank = try ScriptedOrigin(port: port)
            defer { bank.stop() }
            try site.origin.waitForExecution(of: "/orders")
            #expect(bank.executions(of: "/payments") == 1)
            let answer = try site.poll(Self.complete) { $0.status == 201 }
            #expect(answer.fields["Idempotency-Status"] == "replayed")
            #expect(site.origin.executions(of: Self.paths[0]) == 1)
        }
    }
}

extension StagedRouteTests {
    @Test func `the sample configuration is right`() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let check = try runOncegate([
            "check", "--config", "/\(root)/Examples/staged-cart/gateway.json",
        ])
        #expect(check.exit == .code(0), "\(check.errors)")
    }
}

/// A gateway's port, for threads that outlive a restart of it.
private struct Port: Sendable {
    let number: UInt16
    init(_ number: UInt16) { self.number = number }
}

/// Sends a call again until it has a final answer.
private func poll(_ gateway: Port, _ call: Call) throws -> WireResponse {
    let deadline = Deadline()
    while true {
        let answer = try RawClient(gateway.number).exchange(call, within: patience)
        switch answer.fields["Idempotency-Status"] {
        case "executed", "replayed": return answer
        default: break
        }
        if deadline.hasPassed { throw HarnessError("in vain: \(answer.status) \(answer.text)") }
        _ = Glibc.poll(nil, 0, 50)
    }
}

extension GatewayProcess {
    /// The record's id of a call whose outcome is unknown.
    fileprivate func accessLineOfUnknown(_ site: Site, _ call: Call) throws -> String {
        _ = try site.send(call)
        let line = try accessLine { $0["outcome"]?.string == "unknown" }
        return try #require(line["key_id"]?.string)
    }
}
