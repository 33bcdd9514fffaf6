import Testing

/// What `oncegate keys list` asks an admin listener for, and what it makes of the answers. The
/// listener is scripted.
@Suite(.ownThread) struct KeysListTests {
    private func run(
        _ arguments: [String], _ script: @escaping ScriptedOrigin.Script
    ) throws -> (
        result: (exit: ChildProcess.Exit, output: String, errors: String), targets: [String]
    ) {
        let listener = try ScriptedOrigin()
        defer { listener.stop() }
        listener.on("/v1/keys", script)
        let result = try runOncegate(
            ["keys", "list", "--admin", "http://127.0.0.1:\(listener.port)"] + arguments,
            environment: ["ONCEGATE_ADMIN_TOKEN": "sesame"])
        let tokens = listener.requests.map { $0.fields["Authorization"] }
        #expect(tokens.allSatisfy { $0 == "Bearer sesame" })
        return (result, listener.requests.map(\.target))
    }

    /// As many records as are asked for, from a number downwards; the last one is 0.
    private static let numbers: ScriptedOrigin.Script = { exchange in
        var pairs: [Substring: Substring] = [:]
        for pair in exchange.request.target.split(separator: "?")[1].split(separator: "&") {
            let sides = pair.split(separator: "=")
            pairs[sides[0]] = sides[1]
        }
        let before = pairs["before"].flatMap { Int($0.suffix(6)) } ?? 120
        let limit = Int(pairs["limit"] ?? "") ?? 0
        let numbers = (max(0, before - limit)..<before).reversed()
        try answer(
            exchange, numbers.map { record($0) }, next: numbers.last.flatMap { $0 > 0 ? $0 : nil })
    }

    private static func id(_ number: Int) -> String {
        "ikey_" + String(repeating: "0", count: 26 - "\(number)".count) + "\(number)"
    }

    private static func record(_ number: Int, _ body: String = "null") -> String {
        #"{"id": "\#(id(number))", "idempotency_key": "k\#(number)", "response_body": \#(body)}"#
    }

    private static func answer(
        _ exchange: OriginExchange, _ records: [String], next: Int?
    ) throws {
        let next = next.map { "\"\(id($0))\"" } ?? "null"
        let body = #"{"keys": [\#(records.joined(separator: ","))], "next": \#(next)}"#
        try exchange.reply(200, [("Connection", "close")], Array(body.utf8))
        exchange.close()
    }

    @Test func `fifty are shown, and how to go on`() throws {
        let (result, targets) = try run([], Self.numbers)
        #expect(result.exit == .code(0), "\(result)")
        #expect(result.output.split(separator: "\n").count == 51)
        #expect(targets == ["/v1/keys?limit=50"])
        #expect(result.errors.hasSuffix("go on with --before \(Self.id(70))"), "\(result.errors)")
    }

    @Test func `all are read page by page, and the titles are written once`() throws {
        let (result, targets) = try run(["--all"], Self.numbers)
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 121 && lines.count { $0.hasPrefix("ID ") } == 1)
        #expect(lines.last?.hasPrefix(Self.id(0)) == true)
        #expect(
            targets == [
                "/v1/keys?limit=50", "/v1/keys?limit=50&before=\(Self.id(70))",
                "/v1/keys?limit=50&before=\(Self.id(20))",
            ])
        #expect(!result.errors.contains("more"))
    }

    @Test func `a limit beyond a page is kept`() throws {
        let (result, targets) = try run(["--limit", "60", "--json"], Self.numbers)
        #expect(result.output.split(separator: "\n").count == 60)
        #expect(targets.last == "/v1/keys?limit=10&before=\(Self.id(70))")
        #expect(result.errors.contains("--before \(Self.id(60))"))
    }

    @Test func `filters are sent, whatever is in them`() throws {
        let (_, targets) = try run(
            [
                "--state", "locked", "--route", "/a/{id}?&=+", "--key", "ä %", "--before",
                Self.id(7),
            ],
            Self.numbers)
        #expect(
            targets == [
                "/v1/keys?limit=50&state=locked&route=%2Fa%2F%7Bid%7D%3F%26%3D%2B&key=%C3%A4%20%25"
                    + "&before=\(Self.id(7))"
            ])
    }

    @Test func `empty pages are gone over, and a list that does not get on ends`() throws {
        let (result, targets) = try run(["--limit", "1"]) { exchange in
            let isSecond = exchange.request.target.contains("before")
            try Self.answer(exchange, isSecond ? [Self.record(7)] : [], next: isSecond ? nil : 9)
        }
        #expect(result.exit == .code(0) && targets.count == 2, "\(result)")
        #expect(result.output.contains(Self.id(7)))
        let (stuck, _) = try run([]) { try Self.answer($0, [], next: 9) }
        #expect(stuck.exit == .code(1), "\(stuck)")
        let (none, _) = try run([]) { try Self.answer($0, [], next: nil) }
        #expect(none.exit == .code(0) && none.output.isEmpty, "\(none)")
        #expect(none.errors.contains("there are no such keys"))
    }

    @Test func `pages that are too long are asked for in smaller ones`() throws {
        let long = "\"" + String(repeating: "x", count: 2 << 20) + "\""
        let (result, targets) = try run(["--json"]) { exchange in
            let limit = exchange.request.target.split(separator: "=").last.flatMap { Int($0) } ?? 0
            let body = limit == 50 ? long : "null"
            try Self.answer(exchange, (0..<min(limit, 20)).map { Self.record($0, body) }, next: nil)
        }
        #expect(result.exit == .code(0), "\(result.errors)")
        #expect(targets == ["/v1/keys?limit=50", "/v1/keys?limit=12"])
        #expect(result.output.split(separator: "\n").count == 12)
    }

    @Test func `what a hostile record holds does not reach a terminal`() throws {
        for arguments in [[], ["--json"]] {
            let (result, _) = try run(arguments) { exchange in
                let key = #"\u001b]0;x\u0007\#u{9B}m"#
                let record = #"{"id": "a\u001b[2J", "idempotency_key": "\#(key)"}"#
                try Self.answer(exchange, [record], next: nil)
            }
            #expect(result.exit == .code(0), "\(result)")
            let bad = result.output.unicodeScalars.filter {
                $0 != "\n" && $0.properties.generalCategory == .control
            }
            #expect(bad.isEmpty, "\(result)")
        }
    }

    @Test(arguments: ["", "[]", "{}", "{\"keys\": 1}", "HTTP/1.1 200 OK\r\n\r\n"])
    func `an answer that is none is told`(text: String) throws {
        let (result, _) = try run([]) { exchange in
            if text.hasPrefix("HTTP") {
                try exchange.send(String(text.dropLast(4)))
            } else {
                try exchange.reply(200, [("Connection", "close")], Array(text.utf8))
            }
            exchange.close()
        }
        #expect(result.exit == .code(1), "\(result)")
        #expect(result.errors.contains("not what it should be") || text.hasPrefix("HTTP"))
    }
}
