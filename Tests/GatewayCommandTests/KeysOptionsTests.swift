import Testing

@testable import GatewayCommand

private let id = "ikey_01M89XBN1T8KG5R0BTKH6QEXSS"

private func options(
    _ action: KeysAction, _ change: (inout KeysOptions) -> Void = { _ in }
) -> KeysOptions {
    var options = KeysOptions(action)
    change(&options)
    return options
}

@Suite struct KeysOptionsTests {
    @Test(
        arguments: [
            (["list"], options(.list)),
            (
                ["list", "--state", "unknown", "--route=/**", "--key", "a b", "--json"],
                options(.list) {
                    $0.filter.state = "unknown"
                    $0.filter.route = "/**"
                    $0.filter.key = "a b"
                    $0.isJSON = true
                }
            ),
            (
                ["list", "--before", id.lowercased(), "--limit", "7"],
                options(.list) {
                    $0.filter.before = id
                    $0.filter.limit = 7
                }
            ),
            (["list", "--all"], options(.list) { $0.filter.limit = nil }),
            (["show", id], options(.show) { $0.id = id }),
            (
                ["show", "--json", id],
                options(.show) {
                    $0.id = id
                    $0.isJSON = true
                }
            ),
            (
                ["release", id, "--force", "--yes", "--config", "a.json"],
                options(.release) {
                    $0.id = id
                    $0.isForced = true
                    $0.isConfirmed = true
                    $0.config = "a.json"
                }
            ),
            (
                [
                    "complete", id, "--status", "201", "--body", "", "--header", "A:  b c ",
                    "--header=A: x:y",
                ],
                options(.complete) {
                    $0.id = id
                    $0.answer.status = 201
                    $0.answer.body = .text("")
                    $0.answer.headers = [
                        .init(name: "A", value: "b c"), .init(name: "A", value: "x:y"),
                    ]
                }
            ),
            (
                ["complete", id, "--body", "-", "--status=200"],
                options(.complete) {
                    $0.id = id
                    $0.answer.status = 200
                    $0.answer.body = .standardInput
                }
            ),
            (
                ["complete", "--body-file", "f", "--status=200", id],
                options(.complete) {
                    $0.id = id
                    $0.answer.status = 200
                    $0.answer.body = .file("f")
                }
            ),
            (
                ["erase", id, "--admin", "http://[::1]:99", "--token-file", "t"],
                options(.erase) {
                    $0.id = id
                    $0.admin = .tcp(host: "::1", port: 99)
                    $0.tokenFile = "t"
                }
            ),
            (
                ["list", "--admin", "unix:/run/admin"],
                options(.list) { $0.admin = .unix(path: "/run/admin") }
            ),
            (
                ["list", "--admin", "http://gate.example"],
                options(.list) { $0.admin = .tcp(host: "gate.example", port: 80) }
            ),
        ] as [([String], KeysOptions)])
    func `a command line is understood`(arguments: [String], expected: KeysOptions) throws {
        #expect(try Command.parse(["keys"] + arguments) == .keys(expected))
    }

    @Test(
        arguments: [
            ([], "keys: expected \"list\", \"show\"", nil),
            (["lst"], "did you mean \"list\"?", nil),
            (["list", "x"], "unexpected argument \"x\"", .list),
            (["list", "--state", "unknwon"], "did you mean \"unknown\"?", .list),
            (["list", "--limit", "0"], "expected a whole number from 1 to ", .list),
            (["list", "--before", "x"], "--before: expected an ID", .list),
            (["list", "--jsn"], "did you mean \"--json\"?", .list),
            (["list", "--json=yes"], "--json: it takes no value", .list),
            (["list", "--yes"], "unknown option \"--yes\"", .list),
            (["list", "--admin", "https://a"], "speaks no TLS", .list),
            (["list", "--admin", "http://a/b"], "expected http://HOST:PORT or unix:PATH", .list),
            (["list", "--admin", "127.0.0.1:9901"], "expected http://HOST:PORT", .list),
            (["show"], "expected the ID of a key", .show),
            (["show", "order-1"], "`oncegate keys list --key KEY` finds it", .show),
            (["show", id, id], "unexpected argument \"\(id)\"", .show),
            (["show", id, "--force"], "unknown option \"--force\"", .show),
            (["complete", id], "expected --status N", .complete),
            (["complete", id, "--status", "99"], "from 200 to 599", .complete),
            (["complete", id, "--header", "A b"], "--header: expected \"NAME: VALUE\"", .complete),
            (["complete", id, "--header", "A: \u{1B}"], "has a control character", .complete),
            (
                ["complete", id, "--status", "200", "--body", "a", "--body-file", "b"],
                "--body-file: the body is given already", .complete
            ),
            (["release", "--yes"], "expected the ID of a key", .release),
            (["erase", id, "--status", "200"], "unknown option \"--status\"", .erase),
        ] as [([String], String, KeysAction?)])
    func `what is not understood is told with the usage that helps`(
        arguments: [String], message: String, action: KeysAction?
    ) throws {
        let error = try #require(
            #expect(throws: UsageError.self) { try Command.parse(["keys"] + arguments) })
        #expect(error.message.contains(message), "\(error.message)")
        #expect(error.verb == .keys && error.action == action)
        let report = Report.usage(error)
        #expect(report.status == 2)
        #expect(report.errors.contains("\n\nusage: oncegate keys \(action?.rawValue ?? "ACTION")"))
    }

    @Test(
        arguments: [
            (["help", "keys"], .help(.keys)), (["keys", "help"], .help(.keys)),
            (["keys", "--help"], .help(.keys)), (["keys", "-h"], .help(.keys)),
            (["help", "keys", "list"], .help(.keys, .list)),
            (["keys", "help", "erase"], .help(.keys, .erase)),
            (["keys", "release", "--help"], .help(.keys, .release)),
            (["keys", "complete", id, "--status", "200", "-h"], .help(.keys, .complete)),
        ] as [([String], Command)])
    func `help is given for all of it and for each action`(
        arguments: [String], command: Command
    ) throws {
        #expect(try Command.parse(arguments) == command)
    }

    @Test(arguments: [
        ["help", "keys", "lst"], ["help", "keys", "list", "x"], ["help", "demo", "x"],
    ])
    func `help for what there is not is refused`(arguments: [String]) {
        #expect(throws: UsageError.self) { try Command.parse(arguments) }
    }

    @Test(arguments: KeysAction.allCases)
    func `an action's usage names every option, and the exit statuses`(action: KeysAction) {
        let text = Report.help(.keys, action).output
        for option in KeysOptions.options(of: action) {
            #expect(text.contains("  \(option.usage) "))
        }
        for status in 0...4 { #expect(text.contains("\n  \(status)  ")) }
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(text)")
        #expect(Report.help(.keys).output.contains("\n  \(action.rawValue) "))
    }
}
