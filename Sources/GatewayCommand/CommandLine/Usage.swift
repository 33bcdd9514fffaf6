/// What `help` prints, made from the same tables that command lines are parsed by.
enum Usage {
    /// The usage of a command, or the overview.
    static func text(_ verb: Verb?) -> String {
        switch verb {
        case nil: overview
        case .serve: text(.serve, ServeOptions.options)
        case .check: text(.check, CheckOptions.options)
        case .backup: text(.backup, BackupOptions.options, argument: "PATH")
        case .demo: text(.demo, DemoOptions.options)
        case .version: text(.version, [Option<Never>]())
        case .help: text(.help, [Option<Never>](), argument: "[COMMAND]")
        }
    }

    /// A mistake in a command line and the usage that helps.
    static func text(_ error: UsageError) -> String {
        "oncegate: \(error.message)\n\n\(text(error.verb))"
    }

    private static var overview: String {
        let verbs = Verb.allCases.map { ($0.rawValue, $0.summary) }
        return """
            usage: oncegate COMMAND [OPTIONS]

            A gateway that makes retries of HTTP requests safe.

            commands:
            \(columns(verbs))
            `oncegate help COMMAND` tells its options.

            """
    }

    private static func text<Options>(
        _ verb: Verb, _ options: [Option<Options>], argument: String? = nil
    ) -> String {
        let rows =
            options.map { ("--\($0.name) \($0.placeholder)", $0.summary) }
            + [("-h, --help", "print this")]
        let words =
            [verb.rawValue] + (argument.map { [$0] } ?? []) + (options.isEmpty ? [] : ["[OPTIONS]"])
        return """
            usage: oncegate \(words.joined(separator: " "))

            \(verb.summary).

            options:
            \(columns(rows))
            """
    }

    private static func columns(_ rows: [(String, String)]) -> String {
        let width = rows.map(\.0.count).max() ?? 0
        return rows.map { name, summary in
            let gap = String(repeating: " ", count: width - name.count + 2)
            return "  \(name)\(gap)\(summary)\n"
        }.joined()
    }
}
