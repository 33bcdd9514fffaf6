import Glibc
import Testing

/// Full, broken and read-only disks under the running gateway. Whatever fails, nothing is executed
/// twice, and it goes on once the disk does.
@Suite(.ownThread) struct DiskFaultTests {
    private static func site(
        _ change: (inout Configuration) -> Void = { _ in },
        _ body: (Site, Faults) throws -> Void
    ) throws {
        let faults = try Faults()
        try Site.run(
            Configuration {
                $0.faults = faults
                change(&$0)
            }
        ) { try body($0, faults) }
    }

    /// Every way in which a claim can fail to get to the disk.
    @Test(arguments: [
        "write -wal ENOSPC", "write -wal EIO", "write -wal SHORT chance=1", "write -wal EDQUOT",
        "sync -wal EIO", "write -wal EROFS",
    ])
    func `a claim that the disk does not take executes nothing, and the key is free afterwards`(
        _ rule: String
    ) throws {
        try Self.site { site, faults in
            expectExecuted(try site.send(Call(key: "before")))
            try faults.set(rule)
            let refused = try site.send(Call(key: "k"))
            if rule.contains("SHORT") {
                // SQLite writes what is left.
                expectExecuted(refused)
            } else {
                try expectProblem(refused, 503, "store-unavailable", executed: "unknown")
                #expect(refused.fields["Retry-After"] != nil)
                #expect(site.origin.executions(of: "k") == 0)
                #expect(try site.admin("/readyz").status == 503)
            }
            try faults.clear()
            let answer = try site.poll(Call(key: "k")) { $0.status == 201 }
            #expect(site.origin.executions(of: "k") == 1)
            _ = try site.pollAdmin("/readyz") { $0.contains(#""ready":true"#) }
            try site.gateway.kill()
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: answer)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test(arguments: ["write -wal ENOSPC", "write -wal EIO", "sync -wal EIO"])
    func `an answer that the disk does not take goes out as unsaved, and is stored later`(
        _ rule: String
    ) throws {
        try Self.site { site, faults in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try faults.set(rule)
                try exchange.execute()
            }
            let first = try site.send(Call(key: "k"))
            #expect(first.status == 201)
            #expect(first.fields["Idempotency-Status"] == "unsaved")
            expectReplay(try site.send(Call(key: "k")), of: first, as: "unsaved")
            try faults.clear()
            _ = try site.pollAdmin("/metrics") { $0.contains("\noncegate_unsaved 0\n") }
            try site.gateway.kill()
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: first)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test(arguments: ["write -wal ENOSPC", "sync -wal EIO"])
    func `an unsaved answer outlives kill -9 in the journal`(_ rule: String) throws {
        try Self.site { site, faults in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try faults.set(rule)
                try exchange.execute()
            }
            let first = try site.send(Call(key: "k"))
            #expect(first.fields["Idempotency-Status"] == "unsaved")
            try site.gateway.kill()
            try faults.clear()
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "k")), of: first)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `without store and journal an answer goes out, and kill -9 leaves it unknown`()
        throws
    {
        try Self.site { site, faults in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try faults.set("write -wal ENOSPC", "write .conclusions ENOSPC")
                try exchange.execute()
            }
            let first = try site.send(Call(key: "k"))
            #expect(first.status == 201)
            #expect(first.fields["Idempotency-Status"] == "unsaved")
            _ = try site.pollAdmin("/readyz") { $0.contains(#""ready":false"#) }
            try site.gateway.kill()
            try faults.clear()
            try site.gateway.restart()
            try expectProblem(
                try site.send(Call(key: "k")), 502, "outcome-unknown", executed: "unknown")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a disk that takes no long body refuses it, and nothing is forwarded`() throws {
        try Self.site { site, faults in
            expectExecuted(try site.send(Call(key: "warm")))
            let long = Call(key: "k") {
                $0.contentType = "text/plain"
                $0.body = String(repeating: "b", count: 300_000)
            }
            try faults.set("write * ENOSPC")
            try expectProblem(
                try site.send(long), 503, "store-unavailable", executed: "unknown")
            try faults.clear()
            expectExecuted(try site.poll(long) { $0.status == 201 })
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    /// The commit that failed may be in the log, and not on the disk; the next start must neither
    /// execute its key, which it finds locked, nor append to it.
    @Test func `a failed fsync and then kill -9 leave no key that is executed twice`() throws {
        try Self.site { site, faults in
            let good = try site.send(Call(key: "good"))
            try faults.set("sync -wal EIO")
            for number in 0..<3 {
                try expectProblem(
                    try site.send(Call(key: "k\(number)")), 503, "store-unavailable",
                    executed: "unknown")
            }
            try site.gateway.kill()
            try faults.clear()
            try site.gateway.restart()
            expectReplay(try site.send(Call(key: "good")), of: good)
            for number in 0..<3 {
                let answer = try site.send(Call(key: "k\(number)"))
                #expect([201, 502, 504].contains(answer.status), "\(answer.text)")
                #expect(
                    site.origin.executions(of: "k\(number)") == (answer.status == 201 ? 1 : 0))
            }
        }
    }

    /// The log still takes what the file does not.
    @Test(arguments: ["write oncegate.db EIO", "sync oncegate.db EIO", "write oncegate.db ENOSPC"])
    func `a file that fails behind its log loses nothing`(_ rule: String) throws {
        try Self.site { site, faults in
            try faults.set(rule)
            var answers: [WireResponse] = []
            for number in 0..<20 {
                let answer = try site.send(Call(key: "k\(number)"))
                expectExecuted(answer)
                answers.append(answer)
            }
            // The log is carried over when nothing is written for a while.
            try faults.waitForMore(than: 0)
            _ = try site.pollAdmin("/readyz") { $0.contains(#""ready":false"#) }
            try faults.clear()
            _ = try site.pollAdmin("/readyz") { $0.contains(#""ready":true"#) }
            try site.gateway.kill()
            try site.gateway.restart()
            for number in 0..<20 {
                expectReplay(try site.send(Call(key: "k\(number)")), of: answers[number])
                #expect(site.origin.executions(of: "k\(number)") == 1)
            }
        }
    }

    @Test func `a page that is found damaged fails its own keys and executes nothing`() throws {
        try Site.run { site in
            let body = String(repeating: "x", count: 3000)
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try exchange.execute(answering: 201, [], "\(exchange.order) \(body)")
            }
            for number in 0..<40 { expectExecuted(try site.send(Call(key: "key-\(number)."))) }
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            let path = "\(site.gateway.directory.path)/oncegate.db"
            try damage(path, where: "key-20. xxxx")
            try site.gateway.restart()
            let refused = try site.send(Call(key: "key-20."))
            try expectProblem(refused, 503, "store-unavailable", executed: "unknown")
            #expect(site.origin.executions(of: "key-20.") == 1)
            #expect(try site.send(Call(key: "key-2.")).fields["Idempotent-Replayed"] == "true")
            expectExecuted(try site.send(Call(key: "new")))
        }
    }

    @Test(arguments: ["", "-wal"])
    func `a file that is moved away under the gateway takes no keys until it is back`(
        _ suffix: String
    ) throws {
        try Site.run { site in
            let path = "\(site.gateway.directory.path)/oncegate.db\(suffix)"
            let first = try site.send(Call(key: "a"))
            #expect(rename(path, path + ".away") == 0)
            let refused = try site.send(Call(key: "b"))
            try expectProblem(refused, 503, "store-unavailable", executed: "unknown")
            #expect(try site.admin("/readyz").status == 503)
            #expect(rename(path + ".away", path) == 0)
            expectExecuted(try site.poll(Call(key: "b")) { $0.status == 201 })
            _ = try site.pollAdmin("/readyz") { $0.contains(#""ready":true"#) }
            expectReplay(try site.send(Call(key: "a")), of: first)
            #expect(site.origin.requests.count == 2)
        }
    }
}

/// What stands in the way of a start is named, with the remedy, and left as it is.
@Suite(.ownThread) struct DiskFaultAtStartTests {
    /// Starts on a database that was used before, with faults, in vain.
    private static func refuse(
        _ rules: [String], names words: [String], _ prepare: (String) throws -> Void = { _ in }
    ) throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "k")))
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            let directory = site.gateway.directory
            let path = "\(directory.path)/oncegate.db"
            try prepare(path)
            let before = try readFile(path)
            let faults = try Faults()
            try faults.set(rules.joined(separator: "\n"))
            let result = try runOncegate(
                ["serve", "--config", "\(directory.path)/gateway.json"],
                environment: faults.environment)
            #expect(result.exit == .code(1), "\(result)")
            for word in [path] + words { #expect(result.errors.contains(word), "\(result)") }
            #expect(try readFile(path) == before)
        }
    }

    @Test func `a read-only file`() throws {
        // SQLite opens it for reading when it cannot be opened for writing.
        try Self.refuse(
            ["open oncegate.db EROFS after=1 count=1"], names: ["may not write", "another path"])
    }

    @Test func `a log that cannot be made`() throws {
        try Self.refuse(["open -wal EACCES"], names: ["-wal", "directory"])
    }

    @Test func `a disk that cannot be read`() throws {
        try Self.refuse(["read oncegate.db EIO"], names: ["disk"])
    }

    @Test func `no descriptor left`() throws {
        try Self.refuse(["open oncegate.db EMFILE"], names: ["oncegate.db"])
    }

    @Test func `a file that is no database`() throws {
        try Self.refuse([], names: ["not a SQLite database", "move it away"]) { path in
            try write("this is no database, and it is dear to somebody\n", to: path)
        }
    }

    @Test func `a file that is damaged`() throws {
        try Self.refuse([], names: ["damaged", "restore"]) { path in
            try damage(path, where: "CREATE TABLE idempotency_records")
        }
    }
}

/// Overwrites the first bytes of all pages that hold a text, so that they are no pages any more.
func damage(_ path: String, where text: String) throws {
    guard let file = fopen(path, "r+e") else { throw HarnessError("\(path): \(errno)") }
    defer { fclose(file) }
    var page = [UInt8](repeating: 0, count: 4096)
    var number = 0
    var count = 0
    while fread(&page, 1, page.count, file) == page.count {
        if String(decoding: page, as: UTF8.self).contains(text) {
            let start = number == 0 ? 100 : 0
            fseek(file, number * 4096 + start, SEEK_SET)
            fwrite([UInt8](repeating: 0xA5, count: 64), 1, 64, file)
            fseek(file, (number + 1) * 4096, SEEK_SET)
            count += 1
        }
        number += 1
    }
    guard count > 0 else { throw HarnessError("\(text) is nowhere in \(path)") }
}

private func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "we") else { throw HarnessError("\(path): \(errno)") }
    defer { fclose(file) }
    guard fputs(text, file) >= 0 else { throw HarnessError("\(path): \(errno)") }
}
