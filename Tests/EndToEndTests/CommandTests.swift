import Glibc
import Testing

/// The command line, the configuration's errors, the admin listener and the access log.
@Suite(.ownThread) struct CommandTests {
    @Test func `check accepts a configuration without opening a socket`() throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write(
            "gateway.json",
            Configuration().text(upstreamURL: "http://127.0.0.1:9", directory: directory.path))
        let result = try runOncegate(["check", "--config", file])
        #expect(result.exit == .code(0), "\(result)")
        #expect(access("\(directory.path)/oncegate.db", F_OK) != 0)
    }

    @Test func `the least configuration that runs is enough`() throws {
        let directory = try TemporaryDirectory()
        let text = """
            { "upstreams": { "api": { "url": "http://127.0.0.1:9000" } },
              "routes": [ { "path": "/**", "upstream": "api",
                            "idempotency": { "scope": ["header:Authorization"] } } ] }
            """
        try directory.write("gateway.json", text)
        let result = try runOncegate(["check"], in: directory.path)
        #expect(result.exit == .code(0), "\(result)")
    }

    @Test(arguments: ["check", "serve"])
    func `all mistakes are reported at once, each with its path`(command: String) throws {
        let directory = try TemporaryDirectory()
        let text = """
            { "upstreams": { "api": { "url": "ftp://127.0.0.1:9000" } },
              "timeouts": { "drain": "soon" },
              "limits": { "connections": "many" },
              "routes": [
                { "path": "/a/**", "upstream": "nowhere" },
                { "path": "/**", "upstream": "api", "idempotency": { "retentoin": "24h" } } ] }
            """
        let file = try directory.write("gateway.json", text)
        let result = try runOncegate([command, "--config", file])
        guard case .code(let code) = result.exit, code != 0 else {
            Issue.record("\(result)")
            return
        }
        let said = result.output + result.errors
        for place in [
            "upstreams.api.url", "timeouts.drain", "limits.connections", "routes[0].upstream",
            "routes[1].idempotency.retentoin", "routes[1].idempotency.scope",
        ] {
            #expect(said.contains(place), "\(said)")
        }
        #expect(!said.contains("listening"))
    }

    @Test(arguments: ["check", "serve"])
    func `text that is no JSON is reported with its line`(command: String) throws {
        let directory = try TemporaryDirectory()
        let file = try directory.write("gateway.json", "{\n  \"routes\": [,]\n}\n")
        let result = try runOncegate([command, "--config", file])
        #expect(result.exit != .code(0))
        #expect((result.output + result.errors).contains("2:"), "\(result)")
    }

    @Test(arguments: ["check", "serve"])
    func `a file that is not there is named`(command: String) throws {
        let result = try runOncegate([command, "--config", "/nowhere/gateway.json"])
        #expect(result.exit != .code(0))
        #expect((result.output + result.errors).contains("/nowhere/gateway.json"), "\(result)")
    }

    @Test func `check tells a spool directory in which no files can be made`() throws {
        let directory = try TemporaryDirectory()
        let plain = try directory.write("plain", "no directory")
        for (path, reason) in [("/nowhere", "No such file"), (plain, "no directory")] {
            let text = Configuration { $0.members["spool"] = #"{"directory": "\#(path)"}"# }
                .text(upstreamURL: "http://127.0.0.1:9", directory: directory.path)
            let file = try directory.write("gateway.json", text)
            let result = try runOncegate(["check", "--config", file])
            #expect(result.exit == .code(1), "\(result)")
            #expect(
                result.errors.contains("spool.directory: files cannot be made in \"\(path)\": "),
                "\(result)")
            #expect(result.errors.contains(reason), "\(result)")
        }
        let text = Configuration { $0.members["spool"] = #"{"directory": "\#(directory.path)"}"# }
            .text(upstreamURL: "http://127.0.0.1:9", directory: directory.path)
        let file = try directory.write("gateway.json", text)
        #expect(try runOncegate(["check", "--config", file]).exit == .code(0))
    }

    @Test func `an address in use is named`() throws {
        let origin = try ScriptedOrigin()
        defer { origin.stop() }
        let directory = try TemporaryDirectory()
        let text = Configuration().text(
            upstreamURL: "http://127.0.0.1:9", directory: directory.path, port: origin.port)
        let file = try directory.write("gateway.json", text)
        let result = try runOncegate(["serve", "--config", file])
        #expect(result.exit != .code(0))
        #expect((result.output + result.errors).contains("127.0.0.1:\(origin.port)"), "\(result)")
    }

    @Test(arguments: [
        ["fly"], ["serve", "--confg", "x"], ["check", "a", "b"], ["serve", "--config"],
    ])
    func `a command line that makes no sense is refused with a hint`(arguments: [String]) throws {
        let result = try runOncegate(arguments)
        #expect(result.exit != .code(0))
        #expect(!(result.output + result.errors).isEmpty)
    }

    @Test func `version names the program`() throws {
        let result = try runOncegate(["version"])
        #expect(result.exit == .code(0))
        #expect(result.output.contains("oncegate"))
    }

    @Test func `the demo places no order twice and shows it in plain lines in a pipe`() throws {
        let result = try runOncegate(["demo"])
        #expect(result.exit == .code(0), "\(result)")
        #expect(result.output.contains("No order was placed twice."))
        #expect(result.output.contains("kill -9 after"))
        #expect(!result.output.contains("\u{1B}") && !result.output.contains("\r"))
    }

    @Test func `a secret of the configuration is in no output`() throws {
        let directory = try TemporaryDirectory()
        let secret = try directory.write("token", "s3cr3t-token\n")
        let text = Configuration {
            $0.members["admin"] =
                #"{"address": "127.0.0.1:0", "token": "${file:\#(secret)}", "colour": 1}"#
        }.text(upstreamURL: "http://127.0.0.1:9", directory: directory.path)
        let file = try directory.write("gateway.json", text)
        let result = try runOncegate(["check", "--config", file])
        #expect(result.exit != .code(0))
        #expect((result.output + result.errors).contains("admin.colour"))
        #expect(!(result.output + result.errors).contains("s3cr3t"))
    }

    @Test(arguments: ["/healthz", "/readyz"])
    func `the admin listener says that all is well`(target: String) throws {
        try Site.run { site in
            let answer = try site.admin(target)
            #expect(answer.status == 200)
        }
    }

    @Test func `the admin listener counts what happened`() throws {
        try Site.run { site in
            _ = try site.send(Call(key: "k"))
            _ = try site.send(Call(key: "k"))
            // A request is counted when it is over, which its client may see before.
            let metrics = try site.pollAdmin("/metrics") { text in
                ["executed", "replayed"].allSatisfy { outcome in
                    text.split(separator: "\n").contains {
                        !$0.hasPrefix("#") && $0.contains(outcome) && $0.hasSuffix(" 1")
                    }
                }
            }
            #expect(metrics.status == 200)
            #expect(metrics.fields["Content-Type"]?.hasPrefix("text/plain") == true)
            let lines = metrics.text.split(separator: "\n")
            for line in lines where !line.hasPrefix("#") {
                let value = line.split(separator: " ").last.map(String.init) ?? ""
                #expect(Double(value) != nil || value == "NaN" || value == "+Inf", "\(line)")
            }
        }
    }

    @Test func `the admin listener knows no other page`() throws {
        try Site.run { site in
            let answer = try site.admin("/nowhere")
            #expect(answer.status == 404)
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `what the admin listener serves is not on the public one`() throws {
        try Site.run { site in
            site.origin.answer("/metrics", 404, [], "the origin's")
            let answer = try site.send(.get("/metrics"))
            #expect(answer.text == "the origin's")
        }
    }

    @Test func `the access log has a line for each request and no credentials`() throws {
        try Site.run { site in
            _ = try site.send(Call(key: "k") { $0.target = "/orders?token=hidden" })
            _ = try site.send(Call(key: "k") { $0.target = "/orders?token=hidden" })
            let executed = try site.gateway.accessLine { $0.says("executed") }
            let replayed = try site.gateway.accessLine { $0.says("replayed") }
            #expect(executed["key_id"] == replayed["key_id"])
            for line in [executed, replayed] {
                #expect(line["time"]?.string?.hasSuffix("Z") == true, "\(line)")
                #expect(line["method"]?.string == "POST", "\(line)")
                #expect(line["path"]?.string == "/orders", "\(line)")
                #expect(line["status"]?.number == 201, "\(line)")
                #expect(line["key_id"]?.string?.hasPrefix("ikey_") == true, "\(line)")
                #expect(line["total_ms"]?.number != nil, "\(line)")
            }
            let all = site.gateway.process.output.all + site.gateway.process.errors.all
            #expect(!all.joined().contains("alice"))
            #expect(!all.joined().contains("hidden"))
        }
    }

    @Test func `every line of the log is JSON`() throws {
        try Site.run { site in
            _ = try site.send(Call(key: "k"))
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            for line in try site.gateway.process.errors.complete()
                + site.gateway.process.output.complete()
            {
                #expect(throws: Never.self) { try JSONText(parsing: line) }
            }
        }
    }
}
