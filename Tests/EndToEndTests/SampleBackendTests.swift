import Glibc
import Testing

/// The backends of `Examples`, whose stages are their own, behind the real gateway.
@Suite(.ownThread) struct SampleBackendTests {
    typealias Language = SampleBackend.Language

    private static let configuration = Configuration {
        $0.idempotency["backend_stages"] = "true"
        $0.idempotency["key"] = #""required""#
    }

    private static let moments = ["taxes", "payment", "order"].flatMap { step in
        ["begin", "done", "told"].map { "\(step) \($0)" }
    }

    private static func completion(of cart: String) -> Call {
        Call(key: cart) { $0.target = "/carts/\(cart)/complete" }
    }

    /// Runs a gateway whose upstream is a backend that the test starts on the origin's port.
    private func run(_ body: (Site, UInt16) throws -> Void) throws {
        try Site.run(Self.configuration) { site in
            site.stopOrigin()
            try body(site, site.origin.port)
        }
    }

    @Test(arguments: Language.allCases)
    func `the configuration beside a sample has no mistakes`(_ language: Language) throws {
        let path = SampleBackend.directory(of: language) + "/gateway.json"
        let check = try runOncegate(["check", "--config", path])
        #expect(check.exit == .code(0), "\(check.errors)")
    }

    @Test(arguments: Language.allCases)
    func `a cart is completed, and its answer replayed`(_ language: Language) throws {
        try run { site, port in
            let backend = try SampleBackend(language, behind: site.gateway, port: port)
            let first = try site.send(Self.completion(of: "7"))
            expectExecuted(first)
            #expect(try first.json["cart"]?.string == "7")
            #expect(first.fields.all("Idempotency-Stage-Token") == [])
            expectReplay(try site.send(Self.completion(of: "7")), of: first)
            #expect(try backend.steps(of: "7") == [1, 1, 1])
            let direct = try RawClient(port).exchange(Self.completion(of: "8"))
            #expect(direct.status == 400)
            try backend.kill()
        }
    }

    @Test(arguments: Language.allCases)
    func `a backend that dies anywhere goes on from there, and does each step once`(
        _ language: Language
    ) throws {
        try run { site, port in
            for (index, moment) in Self.moments.enumerated() {
                let cart = "cart-\(index)"
                let mortal = try SampleBackend(
                    language, behind: site.gateway, port: port, at: moment)
                let lost = try site.send(Self.completion(of: cart))
                #expect(try mortal.waitForCrash() == .signal(SIGKILL))
                if moment == "order told" {
                    // The backend ended its record before it died.
                    expectExecuted(lost)
                } else {
                    try expectProblem(lost, 502, "in-flight", executed: "pending")
                    #expect(lost.fields["Idempotency-Status"] == "in-flight")
                }
                let heir = try SampleBackend(language, behind: site.gateway, port: port)
                let answer = try site.poll(Self.completion(of: cart)) { $0.status == 201 }
                #expect(try answer.json["cart"]?.string == cart)
                #expect(try heir.steps(of: cart) == [1, 1, 1], "\(moment)")
                try heir.kill()
            }
        }
    }

    @Test(arguments: Language.allCases)
    func `a gateway that dies anywhere finds the point, and fences off who worked before`(
        _ language: Language
    ) throws {
        try run { site, port in
            for (index, moment) in Self.moments.enumerated() {
                let cart = "cart-\(index)"
                let backend = try SampleBackend(
                    language, behind: site.gateway, port: port, at: moment, "SIGSTOP")
                let lost = site.sendInBackground(Self.completion(of: cart))
                try backend.wait(for: moment)
                try site.gateway.kill()
                #expect(throws: (any Error).self) { try lost.value() }
                try site.gateway.restart()
                backend.wake()
                let answer = try site.poll(Self.completion(of: cart)) { $0.status == 201 }
                #expect(try answer.json["cart"]?.string == cart)
                #expect(try backend.steps(of: cart) == [1, 1, 1], "\(moment)")
                try backend.kill()
            }
        }
    }

    @Test(arguments: Language.allCases)
    func `duplicates at the same time get one answer, also after a crash`(_ language: Language)
        throws
    {
        try run { site, port in
            let gateway = site.gateway.port
            let send = { @Sendable (_: Int) in
                try RawClient(gateway).exchange(Self.completion(of: "7"), within: patience)
            }
            let mortal = try SampleBackend(
                language, behind: site.gateway, port: port, at: "payment done")
            for lost in try concurrently(6, send) {
                #expect([409, 502].contains(lost.status), "\(lost.text)")
            }
            #expect(try mortal.waitForCrash() == .signal(SIGKILL))
            let heir = try SampleBackend(language, behind: site.gateway, port: port)
            let answers = try concurrently(12, send)
            #expect(answers.allSatisfy { $0.status == 201 })
            #expect(Set(answers.map(\.text)).count == 1)
            #expect(try heir.steps(of: "7") == [1, 1, 1])
            try heir.kill()
        }
    }
}
