import Testing

@testable import GatewayCommand

@Suite struct CommandTests {
    @Test(
        arguments: [
            (["serve"], .serve(ServeOptions())),
            (["serve", "--config", "a.json"], .serve(ServeOptions(config: "a.json"))),
            (["serve", "--config=a=b.json"], .serve(ServeOptions(config: "a=b.json"))),
            (["check", "--config", "a", "--config", "b"], .check(CheckOptions(config: "b"))),
            (["check"], .check(CheckOptions())),
            (["demo"], .demo(DemoOptions())),
            (
                ["demo", "--keys=1", "--requests", "2", "--connections", "3"],
                .demo(DemoOptions(requests: 2, keys: 1, connections: 3))
            ),
            (["reload"], .reload(ReloadOptions())),
            (
                ["reload", "--admin", "unix:/a", "--token-file", "t"],
                .reload(ReloadOptions(admin: .unix(path: "/a"), tokenFile: "t"))
            ),
            (["backup", "a.db"], .backup(BackupOptions(path: "a.db"))),
            (
                ["backup", "/b", "--config", "c.json"],
                .backup(BackupOptions(path: "/b", config: "c.json"))
            ),
            (["backup", "--help"], .help(.backup)),
            (["version"], .version), (["--version"], .version),
            (["help"], .help(nil)), (["--help"], .help(nil)), (["-h"], .help(nil)),
            (["help", "serve"], .help(.serve)), (["serve", "-h"], .help(.serve)),
            (["check", "--config", "x", "--help"], .help(.check)),
            (["help", "--help"], .help(nil)),
            (["version", "--help"], .help(.version)),
        ] as [([String], Command)])
    func `a command line is understood`(arguments: [String], command: Command) throws {
        #expect(try Command.parse(arguments) == command)
    }

    @Test(
        arguments: [
            ([], "expected a command", nil),
            (["srve"], "unknown command \"srve\"; did you mean \"serve\"?", nil),
            (["launch"], "unknown command \"launch\"", nil),
            (["--config"], "unknown option \"--config\"", nil),
            (
                ["serve", "--confg", "x"], "unknown option \"--confg\"; did you mean \"--config\"?",
                .serve
            ),
            (["serve", "--config"], "--config: expected FILE", .serve),
            (["serve", "--config="], "--config: expected FILE, found nothing", .serve),
            (["serve", "x"], "unexpected argument \"x\"", .serve),
            (
                ["demo", "--keys", "0"],
                "--keys: expected a whole number from 1 to 10000000, found \"0\"", .demo
            ),
            (
                ["demo", "--connections=many"],
                "--connections: expected a whole number from 1 to 10000, found \"many\"", .demo
            ),
            (["reload", "now"], "unexpected argument \"now\"", .reload),
            (["backup"], "expected the PATH of the copy", .backup),
            (["backup", "--config", "x"], "expected the PATH of the copy", .backup),
            (["backup", "a", "b"], "unexpected argument \"b\"", .backup),
            (["version", "now"], "unexpected argument \"now\"", .version),
            (["help", "serv"], "unknown command \"serv\"; did you mean \"serve\"?", nil),
            (["help", "serve", "check"], "unexpected argument \"check\"", .help),
        ] as [([String], String, Verb?)])
    func `what is not understood is told with the usage that helps`(
        arguments: [String], message: String, verb: Verb?
    ) {
        let error = #expect(throws: UsageError.self) { try Command.parse(arguments) }
        #expect(error == UsageError(message: message, verb: verb))
        let report = Report.usage(UsageError(message: message, verb: verb))
        #expect(report.status == 2 && report.output.isEmpty)
        #expect(report.errors.hasPrefix("oncegate: \(message)\n\nusage: oncegate "))
    }

    @Test func `the overview names every command, and a command's usage every option`() {
        let overview = Report.help(nil)
        for verb in Verb.allCases { #expect(overview.output.contains("  \(verb.rawValue) ")) }
        for option in DemoOptions.options {
            #expect(Report.help(.demo).output.contains("  --\(option.name) N "))
        }
        #expect(Report.help(.serve).output.contains("  --config FILE  "))
        #expect(overview.status == 0)
    }

    @Test func `versions are listed, our own first`() {
        let report = Report.version([("libcurl", "7.88.1"), ("SQLite", "3.40.1")])
        #expect(report.output == "oncegate \(Oncegate.version)\nlibcurl 7.88.1\nSQLite 3.40.1\n")
    }
}

@Suite struct SuggestionTests {
    @Test(arguments: [
        ("serve", "serve", 0), ("srve", "serve", 1), ("sevre", "serve", 1), ("", "abc", 3),
        ("abc", "", 3), ("kitten", "sitting", 3), ("é", "e", 1),
    ])
    func `distance counts single changes`(a: String, b: String, distance: Int) {
        #expect(Suggestion.distance(a, b) == distance)
    }

    @Test(
        arguments: [
            ("limts", "limits"), ("SCOPE", "scope"), ("path", "path"), ("zzz", nil),
            ("pth", "path"),
        ] as [(String, String?)])
    func `only what is near is suggested`(word: String, expected: String?) {
        #expect(Suggestion.nearest(to: word, among: ["limits", "scope", "path"]) == expected)
    }
}
