/// What the command line asks for.
enum Command: Sendable, Hashable {
    case serve(ServeOptions)
    case check(CheckOptions)
    case demo(DemoOptions)
    case backup(BackupOptions)
    case version
    /// Nil for the overview.
    case help(Verb?)
}

/// The first word of a command line.
enum Verb: String, Sendable, CaseIterable {
    case serve, check, backup, demo, version, help

    /// One line of the overview.
    var summary: String {
        switch self {
        case .serve: "Serve as the configuration says, until SIGTERM"
        case .check: "Print the effective configuration, or all mistakes in it"
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
}

/// An option with a value: `--config FILE` or `--config=FILE`.
struct Option<Options>: Sendable {
    /// Without the dashes.
    let name: String
    let placeholder: String
    let summary: String
    /// Takes the value, or says what was expected.
    let apply: @Sendable (inout Options, String) throws(Invalid) -> Void

    /// An option with any text but the empty one.
    static func text(
        _ name: String, _ placeholder: String, _ summary: String,
        _ set: @escaping @Sendable (inout Options, String) -> Void
    ) -> Option {
        Option(name: name, placeholder: placeholder, summary: summary) {
            options, value throws(Invalid) in
            guard !value.isEmpty else { throw Invalid("expected \(placeholder), found nothing") }
            set(&options, value)
        }
    }

    /// An option with a whole number.
    static func count(
        _ name: String, _ range: ClosedRange<Int>, _ summary: String,
        _ set: @escaping @Sendable (inout Options, Int) -> Void
    ) -> Option {
        Option(name: name, placeholder: "N", summary: summary) { options, value throws(Invalid) in
            guard let number = Int(value), range.contains(number) else {
                throw Invalid(
                    "expected a whole number from \(range.lowerBound) to \(range.upperBound), "
                        + "found \"\(value)\"")
            }
            set(&options, number)
        }
    }
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
        if verb != .help, rest.contains(where: isHelp) { return .help(verb) }
        switch verb {
        case .serve: return .serve(try options(rest, ServeOptions(), ServeOptions.options, verb))
        case .check: return .check(try options(rest, CheckOptions(), CheckOptions.options, verb))
        case .demo: return .demo(try options(rest, DemoOptions(), DemoOptions.options, verb))
        case .backup: return .backup(try backup(rest))
        case .version:
            try expectEnd(rest, verb)
            return .version
        case .help:
            try expectEnd(rest.dropFirst(), verb)
            guard let topic = rest.first, !isHelp(topic) else { return .help(nil) }
            return .help(try self.verb(topic))
        }
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

    private static func options<Options>(
        _ arguments: ArraySlice<String>, _ defaults: Options, _ table: [Option<Options>],
        _ verb: Verb
    ) throws(UsageError) -> Options {
        var result = defaults
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-") else {
                throw UsageError(message: "unexpected argument \"\(argument)\"", verb: verb)
            }
            let parts = argument.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let option = try option(String(parts[0]), table, verb)
            guard let value = parts.count == 2 ? String(parts[1]) : rest.popFirst() else {
                throw UsageError(
                    message: "--\(option.name): expected \(option.placeholder)", verb: verb)
            }
            do throws(Invalid) {
                try option.apply(&result, value)
            } catch {
                throw UsageError(message: "--\(option.name): \(error.message)", verb: verb)
            }
        }
        return result
    }

    private static func option<Options>(
        _ word: String, _ table: [Option<Options>], _ verb: Verb
    ) throws(UsageError) -> Option<Options> {
        if let option = table.first(where: { "--" + $0.name == word }) { return option }
        let hint = Suggestion.phrase(for: word, among: table.map { "--" + $0.name } + ["--help"])
        throw UsageError(message: "unknown option \"\(word)\"" + hint, verb: verb)
    }
}
