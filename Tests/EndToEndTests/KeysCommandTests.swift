import Glibc
import Testing

/// `oncegate keys`, at a running gateway and at the file of one that does not run.
@Suite(.ownThread) struct KeysCommandTests {
    private static let guarded = Configuration {
        $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "sesame"}"#
    }
    private static let nobody = "ikey_00000000000000000000000000"

    /// A file for the command, which has to know the gateway's port.
    private func file(
        _ site: Site, adminPort: UInt16? = nil, _ change: (inout Configuration) -> Void = { _ in }
    ) throws -> String {
        let address = "127.0.0.1:\(adminPort ?? site.gateway.adminPort)"
        let configuration = Configuration {
            change(&$0)
            $0.members["admin"] = #"{"address": "\#(address)", "token": "sesame"}"#
        }
        let text = configuration.text(
            upstreamURL: "http://127.0.0.1:\(site.origin.port)",
            directory: site.gateway.directory.path)
        return try site.gateway.directory.write("command.json", text)
    }

    /// Leaves an unknown outcome behind; the record's id.
    private func lose(_ site: Site, _ key: String = "k") throws -> String {
        site.origin.on("/orders") { exchange in
            try exchange.readBody()
            exchange.executeSilently()
            exchange.reset()
        }
        try expectProblem(
            try site.send(Call(key: key)), 502, "outcome-unknown", executed: "unknown")
        site.origin.answer("/orders", 201, [], "anew")
        return try id(site) { $0["status"]?.number == 502 }
    }

    private func id(_ site: Site, _ isWanted: (JSONText) -> Bool) throws -> String {
        let line = try site.gateway.accessLine { isWanted($0) && $0["key_id"]?.string != nil }
        return try #require(line["key_id"]?.string)
    }

    private func keys(
        _ arguments: [String], _ file: String, environment: [String: String] = [:]
    ) throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
        try runOncegate(["keys"] + arguments + ["--config", file], environment: environment)
    }

    /// The audit's line among others.
    private func audit(_ lines: [String]) throws -> JSONText {
        let found = lines.compactMap { try? JSONText(parsing: $0) }.filter {
            $0["operation"] != nil
        }
        return try #require(found.last, "\(lines)")
    }

    @Test func `a running gateway's keys are listed, shown and completed`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            let list = try keys(["list", "--state", "unknown"], file)
            #expect(list.exit == .code(0), "\(list)")
            #expect(
                list.errors == "oncegate: asking the gateway at 127.0.0.1:\(site.gateway.adminPort)"
            )
            let lines = list.output.split(separator: "\n")
            try #require(lines.count == 2, "\(list)")
            #expect(lines[0].hasPrefix("ID  ") && lines[0].hasSuffix("  AGE"))
            #expect(lines[1].hasPrefix("\(id)  k  ") && lines[1].hasSuffix("s"))
            #expect(lines[1].contains("  unknown   ") && lines[1].contains("  POST /orders  "))

            let json = try keys(["list", "--state=unknown", "--json"], file)
            let record = try JSONText(parsing: json.output)
            #expect(record["id"]?.string == id && record["recovery_point"]?.string == "unknown")

            let body = #"{"order": 7}"#
            let changed = try keys(
                [
                    "complete", id, "--status", "201", "--body", body, "--header", "X-By: hand",
                    "--yes",
                ],
                file)
            #expect(changed.exit == .code(0), "\(changed)")
            #expect(changed.output.contains("state             finished"))
            let shown = try keys(["show", id, "--json"], file)
            #expect(try JSONText(parsing: shown.output)["response_code"]?.number == 201)
            let sheet = try keys(["show", id], file)
            #expect(sheet.output.contains("response_headers  X-By: hand"), "\(sheet)")

            let retry = try site.send(Call(key: "k"))
            #expect(retry.status == 201 && retry.text == body)
            #expect(retry.fields["X-By"] == "hand")
            #expect(retry.fields["Content-Type"] == "application/json")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `keys are filtered, running and stopped`() throws {
        try Site.run(Self.guarded) { site in
            for number in 0..<3 { expectExecuted(try site.send(Call(key: "done-\(number)"))) }
            let id = try lose(site)
            let file = try file(site)
            for isRunning in [true, false] {
                if !isRunning { try site.gateway.kill() }
                for (filter, count) in [
                    ([], 4), (["--state", "finished"], 3), (["--state", "unknown"], 1),
                    (["--state", "free"], 0), (["--key", "done-1"], 1), (["--route", "/**"], 4),
                    (["--route", "other"], 0), (["--before", id], 3), (["--limit", "2"], 2),
                    (["--all"], 4),
                ] {
                    let list = try keys(["list", "--json"] + filter, file)
                    #expect(list.exit == .code(0), "\(filter): \(list)")
                    #expect(
                        list.output.split(separator: "\n").count == count, "\(filter): \(list)")
                }
            }
        }
    }

    @Test func `a gateway elsewhere is asked without a configuration`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let admin = "http://localhost:\(site.gateway.adminPort)"
            let token = try site.gateway.directory.write("token", "sesame\n")
            let show = ["keys", "show", id, "--admin", admin]
            let byFile = try runOncegate(show + ["--token-file", token])
            #expect(byFile.exit == .code(0) && byFile.output.contains("unknown"), "\(byFile)")
            let byVariable = try runOncegate(
                show, environment: ["ONCEGATE_ADMIN_TOKEN": "sesame"])
            #expect(byVariable.exit == .code(0), "\(byVariable)")
            let wrong = try runOncegate(show, environment: ["ONCEGATE_ADMIN_TOKEN": "sesam"])
            #expect(wrong.exit == .code(1) && wrong.errors.contains("admin token"), "\(wrong)")
            let none = try runOncegate(show)
            #expect(none.exit == .code(1), "\(none)")
            let missing = try runOncegate(show + ["--token-file", "/nowhere"])
            #expect(missing.exit == .code(1) && missing.errors.contains("/nowhere"), "\(missing)")
            let split = try runOncegate(
                show, environment: ["ONCEGATE_ADMIN_TOKEN": "a\r\nHost: b"])
            #expect(split.exit == .code(1) && split.errors.contains("character"), "\(split)")
            let dead = try runOncegate(["keys", "show", id, "--admin", "http://127.0.0.1:1"])
            #expect(dead.exit == .code(1) && dead.errors.contains("no gateway answers"), "\(dead)")
            let other = try runOncegate(
                ["keys", "show", id, "--admin", "http://127.0.0.1:\(site.gateway.port)"])
            #expect(other.exit != .code(0), "\(other)")
        }
    }

    @Test func `every change is in the gateway's log, refused ones too`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            #expect(try keys(["release", id, "--yes"], file).exit == .code(0))
            expectExecuted(try site.send(Call(key: "k")))
            #expect(try keys(["release", id, "--yes", "--force"], file).exit == .code(4))
            #expect(try keys(["erase", id, "--yes"], file).exit == .code(0))
            let wanted = [
                ("release", "done", "unknown", "started"), ("release", "refused", "finished", nil),
                ("erase", "done", "finished", "finished"),
            ]
            let lines = try wanted.indices.map { index in
                try site.gateway.process.errors.first("an audit line") { line in
                    let value = try JSONText(parsing: line)
                    let isWanted =
                        value["operation"]?.string == wanted[index].0
                        && value["outcome"]?.string == wanted[index].1
                    return isWanted ? value : nil
                }
            }
            for (line, (_, _, from, to)) in zip(lines, wanted) {
                #expect(line["level"]?.string == "info", "\(line)")
                #expect(line["key_id"]?.string == id, "\(line)")
                #expect(line["route"]?.string == "/**", "\(line)")
                #expect(line["from"]?.string == from && line["to"]?.string == to, "\(line)")
                #expect(line["peer"]?.string == "127.0.0.1", "\(line)")
            }
        }
    }

    @Test func `a change of which nobody knows whether it was made is told and logged so`() throws {
        let faults = try Faults()
        let faulty = Configuration {
            $0.members["admin"] = Self.guarded.members["admin"]
            $0.faults = faults
        }
        try Site.run(faulty) { site in
            let id = try lose(site)
            let file = try file(site)
            try faults.set("write -wal ENOSPC")
            let failed = try keys(["release", id, "--yes"], file)
            #expect(failed.exit == .code(1), "\(failed)")
            #expect(failed.errors.contains("may or may not have been made"), "\(failed)")
            let line = try site.gateway.process.errors.first("an audit line") { line in
                let value = try JSONText(parsing: line)
                return value["operation"] == nil ? nil : value
            }
            #expect(line["outcome"]?.string == "unknown" && line["key_id"]?.string == id)
            try faults.clear()
            #expect(try keys(["release", id, "--yes"], file).exit == .code(0))
        }
    }

    @Test func `a stopped gateway's keys are changed in its file, and that is told`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            try site.gateway.kill()
            let list = try keys(["list", "--state", "unknown"], file)
            #expect(list.exit == .code(0) && list.output.contains(id), "\(list)")
            let database = "\(site.gateway.directory.path)/oncegate.db"
            #expect(
                list.errors
                    == "oncegate: no gateway answers at 127.0.0.1:\(site.gateway.adminPort):"
                    + " using the file \(database)")
            let changed = try keys(["release", id, "--yes"], file)
            #expect(changed.exit == .code(0), "\(changed)")
            #expect(changed.output.contains("state             free"))
            let line = try audit(changed.errors.split(separator: "\n").map(String.init))
            #expect(line["operation"]?.string == "release" && line["outcome"]?.string == "done")
            #expect(line["key_id"]?.string == id && line["route"]?.string == "/**")
            #expect(line["peer"]?.string?.hasPrefix("uid \(getuid())") == true, "\(line)")
            try site.gateway.restart()
            expectExecuted(try site.send(Call(key: "k")))
            #expect(site.origin.executions(of: "k") == 2)
        }
    }

    @Test func `an encrypted file is read with its key, and with no other`() throws {
        let secret = String(repeating: "0123456789abcdef", count: 4)
        let other = String(repeating: "f", count: 64)
        let encrypted = Configuration {
            $0.members["admin"] = Self.guarded.members["admin"]
            $0.store["encryption_key"] = "\"\(secret)\""
        }
        try Site.run(encrypted) { site in
            site.origin.answer("/orders", 201, [("X-A", "b")], "a sealed answer")
            expectExecuted(try site.send(Call(key: "k")))
            let id = try id(site) { $0["outcome"]?.string == "executed" }
            try site.gateway.kill()
            let shown = try keys(
                ["show", id], try file(site) { $0.store["encryption_key"] = "\"\(secret)\"" })
            #expect(shown.exit == .code(0), "\(shown)")
            #expect(shown.output.contains("\n\na sealed answer"), "\(shown)")
            for wrong in ["\"\(other)\"", "null"] {
                let refused = try keys(
                    ["show", id], try file(site) { $0.store["encryption_key"] = wrong })
                #expect(refused.exit == .code(1), "\(refused)")
                #expect(refused.errors.contains("encryption_key"), "\(refused)")
            }
        }
    }

    @Test func `a file that a running gateway holds is left to it`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let refused = try keys(["release", id, "--yes"], try file(site, adminPort: 1))
            #expect(refused.exit == .code(1), "\(refused)")
            #expect(refused.errors.contains("no gateway answers at 127.0.0.1:1"))
            #expect(refused.errors.contains("a running process holds"), "\(refused)")
            try expectProblem(
                try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
        }
    }

    @Test func `what the journal holds is in the file before anything is shown`() throws {
        let faults = try Faults()
        let faulty = Configuration {
            $0.members["admin"] = Self.guarded.members["admin"]
            $0.faults = faults
        }
        try Site.run(faulty) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/hang") { exchange in
                try exchange.readBody()
                try gate.pass()
            }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try faults.set("write -wal ENOSPC")
                try exchange.execute()
            }
            let hanging = site.sendInBackground(Call(key: "h") { $0.target = "/hang" })
            try site.origin.waitForRequests(1)
            #expect(try site.send(Call(key: "k")).fields["Idempotency-Status"] == "unsaved")
            let id = try id(site) { $0["status"]?.number == 201 }
            try site.gateway.kill()
            #expect(throws: (any Error).self) { try hanging.value() }
            let file = try file(site)
            let shown = try keys(["show", id, "--json"], file)
            #expect(shown.exit == .code(0), "\(shown)")
            let record = try JSONText(parsing: shown.output)
            #expect(record["recovery_point"]?.string == "finished", "\(shown)")
            #expect(record["response_body"]?["order"]?.number == 1, "\(shown)")
            #expect(shown.errors.contains("conclusion delivered"), "\(shown)")
            // What the dead process left locked is not judged.
            #expect(
                try StoredRecords(in: site.gateway.directory).rows
                    == ["h started locked", "k finished free"])
            #expect(!(try keys(["show", id], file).errors.contains("conclusion delivered")))
        }
    }

    @Test func `a live lock is broken by force alone`() throws {
        try Site.run(Self.guarded) { site in
            let gate = Gate()
            defer { gate.open() }
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try gate.pass()
                try exchange.execute()
            }
            let first = site.sendInBackground(Call(key: "k"))
            try site.origin.waitForRequests(1)
            try site.gateway.kill()
            #expect(throws: (any Error).self) { try first.value() }
            let file = try file(site)
            let database = "\(site.gateway.directory.path)/oncegate.db"
            let id = try #require(try Self.ids(in: database).first)
            let locked = try keys(["show", id], file)
            #expect(locked.output.contains("state             locked"), "\(locked)")
            for action in [["release", id], ["complete", id, "--status", "200"], ["erase", id]] {
                let refused = try keys(action + ["--yes"], file)
                #expect(refused.exit == .code(4), "\(refused)")
                #expect(
                    try audit(refused.errors.split(separator: "\n").map(String.init))["outcome"]?
                        .string == "refused")
            }
            #expect(try keys(["release", id, "--yes", "--force"], file).exit == .code(0))
        }
    }

    /// The records' names, read without the gateway's own code.
    private static func ids(in database: String) throws -> [String] {
        let program = """
            import sqlite3, sys
            base = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
            for row in base.execute("SELECT id FROM idempotency_keys"): print(row[0])
            """
        let process = try ChildProcess("/usr/bin/python3", ["-c", program, database])
        try process.waitForExit()
        return try process.output.complete()
    }

    @Test func `the exit status says what became of it`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            #expect(try keys(["complete", id, "--status", "200", "--yes"], file).exit == .code(0))
            for isRunning in [true, false] {
                if !isRunning { try site.gateway.kill() }
                for (arguments, status) in [
                    (["show", id], 0), (["show", Self.nobody], 3),
                    (["release", Self.nobody, "--yes"], 3), (["release", id, "--yes"], 4),
                    (["complete", id, "--status", "200", "--yes"], 4), (["show", "k"], 2),
                    (["release", id], 2),
                    (["complete", id, "--status", "200", "--yes", "--body-file", "/nowhere"], 2),
                    (
                        [
                            "complete", id, "--status", "200", "--yes", "--header",
                            "Content-Length: 1",
                        ],
                        2
                    ),
                ] as [([String], Int32)] {
                    let result = try keys(arguments, file)
                    #expect(result.exit == .code(status), "\(arguments): \(result)")
                    #expect(status == 0 || result.output.isEmpty, "\(arguments): \(result)")
                }
            }
        }
    }

    @Test func `where there is no store none is made`() throws {
        let directory = try TemporaryDirectory()
        let text = Configuration { $0.members["admin"] = "null" }
            .text(upstreamURL: "http://127.0.0.1:9", directory: directory.path)
        let file = try directory.write("gateway.json", text)
        let result = try keys(["list"], file)
        #expect(result.exit == .code(1))
        #expect(result.errors.contains("admin is null in \(file)"), "\(result)")
        #expect(result.errors.contains("there is no store at"), "\(result)")
        #expect(access("\(directory.path)/oncegate.db", F_OK) != 0)
        let mistaken = try directory.write("mistaken.json", "{}")
        let mistakes = try keys(["list"], mistaken)
        #expect(mistakes.exit == .code(1) && mistakes.errors.contains("upstreams"), "\(mistakes)")
    }

    @Test func `without a terminal a change needs yes, and nothing is done before`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            for action in [["release", id], ["complete", id, "--status", "200"], ["erase", id]] {
                let refused = try keys(action, file)
                #expect(refused.exit == .code(2) && refused.errors.contains("--yes"), "\(refused)")
            }
            #expect(!site.gateway.process.errors.all.joined().contains("operation"))
        }
    }

    /// Starts the command on a terminal, and types something when it asks and there is a file of
    /// that name.
    private func typing(
        _ reply: String, once path: String = "/", _ arguments: [String], _ file: String
    ) throws -> ChildProcess {
        let program = """
            import os, pty, sys, time
            pid, terminal = pty.fork()
            if pid == 0: os.execv(sys.argv[3], sys.argv[3:])
            text, hasAnswered = b"", False
            while True:
                try: part = os.read(terminal, 4096)
                except OSError: break
                if not part: break
                text += part
                if b"[y/N] " in text and not hasAnswered:
                    hasAnswered = True
                    print("asking", flush=True)
                    while not os.path.exists(sys.argv[2]): time.sleep(0.01)
                    os.write(terminal, sys.argv[1].encode())
            sys.stdout.write(text.decode())
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """
        return try ChildProcess(
            "/usr/bin/python3",
            ["-c", program, reply, path, GatewayProcess.binary, "keys"] + arguments
                + ["--config", file])
    }

    private func end(_ process: ChildProcess) throws -> (exit: ChildProcess.Exit, output: String) {
        let exit = try process.waitForExit()
        return (exit, try process.output.complete().joined(separator: "\n"))
    }

    @Test(arguments: ["n\n", "\n", "ye\n", "\u{4}"])
    func `on a terminal a change is made after a yes alone`(reply: String) throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            let refused = try end(typing(reply, ["release", id], file))
            #expect(refused.exit == .code(2), "\(refused)")
            #expect(refused.output.contains("\"k\" WILL EXECUTE"), "\(refused)")
            #expect(refused.output.contains("recovery_point    unknown"), "\(refused)")
            #expect(refused.output.contains("nothing was changed"), "\(refused)")
            #expect(!site.gateway.process.errors.all.joined().contains("operation"))
            let done = try end(typing("Yes\n", ["release", id], file))
            #expect(done.exit == .code(0) && done.output.contains("state             free"))
            expectExecuted(try site.send(Call(key: "k")))
        }
    }

    @Test func `a gateway can start while somebody thinks about a change`() throws {
        try Site.run(Self.guarded) { site in
            let id = try lose(site)
            let file = try file(site)
            try site.gateway.kill()
            let go = "\(site.gateway.directory.path)/go"
            let process = try typing("y\n", once: go, ["release", id], file)
            _ = try process.output.first("a question") { $0 == "asking" ? true : nil }
            let admin = #"{"address": "127.0.0.1:\#(site.gateway.adminPort)", "token": "sesame"}"#
            try site.gateway.restart(Configuration { $0.members["admin"] = admin })
            _ = try site.gateway.directory.write("go", "")
            let done = try end(process)
            #expect(done.exit == .code(0), "\(done)")
            #expect(done.output.contains("using the file"), "\(done)")
            #expect(done.output.contains("asking the gateway"), "\(done)")
            expectExecuted(try site.send(Call(key: "k")))
        }
    }
}
