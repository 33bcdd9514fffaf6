/// What the command line asks for.
enum Command: Sendable, Hashable {
    case serve(ServeOptions)
    case check(CheckOptions)
    case demo(DemoOptions)
    case reload(ReloadOptions)
    case backup(BackupOptions)
    case keys(KeysOptions)
    case version
    /// A command, nil for the overview, and what `keys` is to do.
    case help(Verb?, KeysAction? = nil)
}

/// The first word of a command line.
enum Verb: String, Sendable, CaseIterable {
    case serve, check, reload, keys, backup, demo, version, help

    /// One line of the overview.
    var summary: String {
        switch self {
        case .serve: "Serve as the configuration says, until SIGTERM"
        case .check: "Print the effective configuration, or all mistakes in it"
        case .reload: "Have the running gateway read its configuration anew"
        case .keys: "Look at keys, and settle those whose outcome is unknown"
        case .backup: "Copy the running gateway's store to a new file"
        case .demo: "Send retries through a gateway in front of a small backend, and count"
        case .version: "Print the versions of Oncegate and its libraries"
        case .help: "Explain a command"
        }
    }
}

/// How `serve` runs.
struct ServeOptions: Sendable, Hashable {
    /// The path of the configuration.
    var config = "gateway.json"

    static let options: [Option<ServeOptions>] = [
        .text("config", "FILE", "the configuration (gateway.json)") { $0.config = $1 }
    ]
}

/// What `check` reads.
struct CheckOptions: Sendable, Hashable {
    /// The path of the configuration.
    var config = "gateway.json"

    static let options: [Option<CheckOptions>] = [
        .text("config", "FILE", "the configuration (gateway.json)") { $0.config = $1 }
    ]
}

/// How much `demo` does.
struct DemoOptions: Sendable, Hashable {
    /// Requests in all.
    var requests = 200
    /// Different keys among them.
    var keys = 20
    /// Open at one time.
    var connections = 50

    static let options: [Option<DemoOptions>] = [
        .count("requests", 1...10_000_000, "how many requests are sent (200)") {
            $0.requests = $1
        },
        .count("keys", 1...10_000_000, "how many keys they share (20)") { $0.keys = $1 },
        .count("connections", 1...10_000, "how many are open at one time (50)") {
            $0.connections = $1
        },
    ]
}

/// A command line that makes no sense.
struct UsageError: Error, Hashable {
    let message: String
    /// Whose usage helps; nil for the overview.
    let verb: Verb?
    /// Which usage of `keys`; nil for that of all.
    var action: KeysAction?
}

extension Command {
    /// The command that the arguments after the program's name ask for.
    static func parse(_ arguments: [String]) throws(UsageError) -> Command {
        guard let first = arguments.first else {
            throw UsageError(message: "expected a command", verb: nil)
        }
        if isHelp(first) { return .help(nil) }
        if first == "--version" { return .version }
        let verb = try verb(first)
        let rest = arguments.dropFirst()
        if verb != .help, rest.contains(where: isHelp) {
            return .help(verb, verb == .keys ? rest.first.flatMap(KeysAction.init) : nil)
        }
        switch verb {
        case .serve: return .serve(try options(rest, ServeOptions(), ServeOptions.options, verb))
        case .check: return .check(try options(rest, CheckOptions(), CheckOptions.options, verb))
        case .reload:
            return .reload(try options(rest, ReloadOptions(), ReloadOptions.options, verb))
        case .demo: return .demo(try options(rest, DemoOptions(), DemoOptions.options, verb))
        case .backup: return .backup(try backup(rest))
        case .keys where rest.first == Verb.help.rawValue:
            return try help([verb.rawValue] + rest.dropFirst())
        case .keys: return .keys(try KeysOptions.parse(rest))
        case .version:
            try expectEnd(rest, verb)
            return .version
        case .help: return try help(rest)
        }
    }

    private static func help(_ rest: ArraySlice<String>) throws(UsageError) -> Command {
        guard let topic = rest.first, !isHelp(topic) else {
            try expectEnd(rest.dropFirst(), .help)
            return .help(nil)
        }
        let verb = try self.verb(topic)
        guard verb == .keys, let action = rest.dropFirst().first else {
            try expectEnd(rest.dropFirst(), .help)
            return .help(verb)
        }
        try expectEnd(rest.dropFirst(2), .help)
        return .help(verb, try KeysAction.named(action))
    }

    /// The path of the copy is the one argument that is no option.
    private static func backup(
        _ arguments: ArraySlice<String>
    ) throws(UsageError) -> BackupOptions {
        guard let path = arguments.first, !path.isEmpty, !path.hasPrefix("-") else {
            throw UsageError(message: "expected the PATH of the copy", verb: .backup)
        }
        return try options(
            arguments.dropFirst(), BackupOptions(path: path), BackupOptions.options, .backup)
    }

    private static func options<Options>(
        _ arguments: ArraySlice<String>, _ defaults: Options, _ table: [Option<Options>],
        _ verb: Verb
    ) throws(UsageError) -> Options {
        do throws(Invalid) {
            return try Option.read(arguments, into: defaults, by: table)
        } catch {
            throw UsageError(message: error.message, verb: verb)
        }
    }

    private static func isHelp(_ argument: String) -> Bool {
        argument == "--help" || argument == "-h"
    }

    private static func verb(_ word: String) throws(UsageError) -> Verb {
        if let verb = Verb(rawValue: word) { return verb }
        let kind = word.hasPrefix("-") ? "option" : "command"
        let hint = Suggestion.phrase(for: word, among: Verb.allCases.map(\.rawValue))
        throw UsageError(message: "unknown \(kind) \"\(word)\"" + hint, verb: nil)
    }

    private static func expectEnd(_ rest: ArraySlice<String>, _ verb: Verb) throws(UsageError) {
        guard let extra = rest.first else { return }
        throw UsageError(message: "unexpected argument \"\(extra)\"", verb: verb)
    }
}
