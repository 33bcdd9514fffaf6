import Glibc
import Testing

/// The journal beside the store, in the running gateway.
@Suite(.ownThread) struct JournalTests {
    @Test func `a journal is kept beside the store, for its owner alone`() throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "k")))
            var status = stat()
            let path = "\(site.gateway.directory.path)/oncegate.db.conclusions"
            #expect(stat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func `without a journal there is no file`() throws {
        try Site.run(.init { $0.store["journal"] = #""none""# }) { site in
            expectExecuted(try site.send(Call(key: "k")))
            #expect(access("\(site.gateway.directory.path)/oncegate.db.conclusions", F_OK) != 0)
        }
    }

    @Test func `another program's file in its place stops the start and stays as it is`() throws {
        try Site.run { site in
            let directory = try TemporaryDirectory()
            let text = Configuration().text(
                upstreamURL: "http://127.0.0.1:\(site.origin.port)", directory: directory.path)
            let file = try directory.write("gateway.json", text)
            let words = "a file that somebody wrote by hand, longer than a header"
            let foreign = try directory.write("oncegate.db.conclusions", words)
            let refused = try runOncegate(["serve", "--config", file])
            #expect(refused.exit != .code(0))
            if case .signal = refused.exit { Issue.record("it crashed: \(refused.errors)") }
            #expect(refused.errors.contains(foreign), "\(refused.errors)")
            #expect(refused.errors.contains("move it away"), "\(refused.errors)")
        }
    }
}
