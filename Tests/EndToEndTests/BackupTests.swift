import Glibc
import Testing

/// `POST /v1/backup`, and the command that calls it.
@Suite(.ownThread) struct BackupTests {
    private static func adminMember(_ site: Site) -> String {
        #"{"address": "127.0.0.1:\#(site.gateway.adminPort)", "token": "sesame"}"#
    }

    private static var guarded: Configuration {
        Configuration { $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "sesame"}"# }
    }

    /// A file for the command, which has to know the port.
    private func commandFile(_ site: Site) throws -> String {
        let text = Configuration { $0.members["admin"] = Self.adminMember(site) }.text(
            upstreamURL: "http://127.0.0.1:\(site.origin.port)",
            directory: site.gateway.directory.path)
        return try site.gateway.directory.write("command.json", text)
    }

    @Test func `a copy made under load replays what was stored before it`() throws {
        try Site.run(Self.guarded) { site in
            var answers: [WireResponse] = []
            for number in 0..<50 { answers.append(try site.send(Call(key: "early-\(number)"))) }
            let port = site.gateway.port
            let load = Background {
                try concurrently(4, within: .seconds(60)) { client in
                    let connection = try RawClient(port)
                    for number in 0..<100 {
                        expectExecuted(
                            try connection.exchange(Call(key: "late-\(client)-\(number)")))
                    }
                }
            }
            let file = try commandFile(site)
            let directory = try TemporaryDirectory()
            let result = try runOncegate(
                ["backup", "copy.db", "--config", file], in: directory.path)
            #expect(result.exit == .code(0), "\(result)")
            #expect(result.output == "\(directory.path)/copy.db")
            _ = try load.value(within: .seconds(60))
            let again = try runOncegate(
                ["backup", "copy.db", "--config", file], in: directory.path)
            #expect(again.exit == .code(1) && again.errors.contains("it exists"), "\(again)")
            site.gateway.terminate()
            try site.gateway.process.waitForExit()
            try site.gateway.restart(
                Configuration { $0.store["path"] = #""\#(directory.path)/copy.db""# })
            for number in 0..<50 {
                expectReplay(try site.send(Call(key: "early-\(number)")), of: answers[number])
            }
            expectExecuted(try site.send(Call(key: "new")))
        }
    }

    @Test func `only who shows the token may have a copy made`() throws {
        try Site.run(Self.guarded) { site in
            let path = "\(site.gateway.directory.path)/copy.db"
            let body = #"{"path": "\#(path)"}"#
            for token in [nil, "", "sesam", "sesame1"] {
                let refused = try site.admin(post: "/v1/backup", body, token: token)
                #expect(refused.status == 401, "\(refused.text)")
                #expect(refused.fields["WWW-Authenticate"] == "Bearer realm=\"oncegate\"")
            }
            #expect(access(path, F_OK) != 0)
            for text in ["", "{}", #"{"path": "copy.db"}"#, #"{"path": 1}"#, "nonsense"] {
                let refused = try site.admin(post: "/v1/backup", text, token: "sesame")
                #expect(refused.status == 400, "\(text): \(refused.text)")
            }
            let made = try site.admin(post: "/v1/backup", body, token: "sesame")
            #expect(made.status == 201, "\(made.text)")
            #expect(access(path, F_OK) == 0)
        }
    }

    @Test func `without a token in the configuration nobody may`() throws {
        try Site.run { site in
            let path = "\(site.gateway.directory.path)/copy.db"
            let refused = try site.admin(
                post: "/v1/backup", #"{"path": "\#(path)"}"#, token: "sesame")
            #expect(refused.status == 403)
            #expect(refused.text.contains("admin.token"))
            #expect(access(path, F_OK) != 0)
        }
    }

    @Test func `a gateway that does not run is said not to`() throws {
        let directory = try TemporaryDirectory()
        let text = Configuration {
            $0.members["admin"] = #"{"address": "127.0.0.1:1", "token": "sesame"}"#
        }.text(upstreamURL: "http://127.0.0.1:9", directory: directory.path)
        let file = try directory.write("gateway.json", text)
        let result = try runOncegate(["backup", "/tmp/never.db", "--config", file])
        #expect(result.exit == .code(1))
        #expect(result.errors.contains("127.0.0.1:1"), "\(result.errors)")
    }

    /// A disk that fills up while the copy is made.
    @Test func `a copy that fails leaves nothing, and the gateway as it is`() throws {
        let faults = try Faults()
        try Site.run(
            Configuration {
                $0.faults = faults
                $0.members["admin"] = Self.guarded.members["admin"]
            }
        ) { site in
            expectExecuted(try site.send(Call(key: "k")))
            let path = "\(site.gateway.directory.path)/copy.db"
            for rule in ["write copy.db.part ENOSPC after=2", "sync copy.db.part EIO"] {
                try faults.set(rule)
                let failed = try site.admin(
                    post: "/v1/backup", #"{"path": "\#(path)"}"#, token: "sesame")
                #expect(failed.status == 503, "\(failed.text)")
                #expect(try failed.json["detail"]?.string?.contains(path) == true)
                #expect(access(path, F_OK) != 0 && access(path + ".part", F_OK) != 0)
                #expect(try site.admin("/readyz").status == 200)
            }
            expectExecuted(try site.send(Call(key: "l")))
        }
    }
}
