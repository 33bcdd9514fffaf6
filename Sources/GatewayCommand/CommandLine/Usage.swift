/// What `help` prints, made from the same tables that command lines are parsed by.
enum Usage {
    /// The usage of a command, or the overview; for `keys` that of one of its actions, or of all.
    static func text(_ verb: Verb?, _ action: KeysAction? = nil) -> String {
        switch verb {
        case nil: overview
        case .keys: action.map { keys($0) } ?? keys
        case .serve: text(.serve, ServeOptions.options)
        case .check: text(.check, CheckOptions.options)
        case .reload: text(.reload, ReloadOptions.options)
        case .backup: text(.backup, BackupOptions.options, argument: "PATH")
        case .demo: text(.demo, DemoOptions.options)
        case .version: text(.version, [Option<Never>]())
        case .help: text(.help, [Option<Never>](), argument: "[COMMAND]")
        }
    }

    /// A mistake in a command line and the usage that helps.
    static func text(_ error: UsageError) -> String {
        "oncegate: \(error.message)\n\n\(text(error.verb, error.action))"
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

    private static var keys: String {
        let actions = KeysAction.allCases.map { action in
            (
                ([action.rawValue] + [action.argument].compactMap(\.self)).joined(separator: " "),
                action.summary
            )
        }
        return """
            usage: oncegate keys ACTION [OPTIONS]

            \(Verb.keys.summary).

            actions:
            \(columns(actions))
            `oncegate help keys ACTION` tells its options.

            \(keysNotes)
            """
    }

    private static func keys(_ action: KeysAction) -> String {
        let words = ["keys", action.rawValue] + [action.argument].compactMap(\.self)
        let usage = text(
            words, action.summary, KeysOptions.options(of: action).map { ($0.usage, $0.summary) })
        return usage + "\n" + keysNotes
    }

    private static let keysNotes = """
        A running gateway is asked at its admin listener, which needs admin.token. Where none
        answers, the store's file is opened, with what its journal holds; a note on standard
        error says which it was, and tells of every change that was made to the file.

        exit status:
          0  done
          1  failed: no gateway, a wrong token, a store that cannot be read or is in use
          2  a command line that makes no sense, or a change that was not confirmed
          3  there is no such key
          4  refused, because of the state that the key is in

        """

    private static func text<Options>(
        _ verb: Verb, _ options: [Option<Options>], argument: String? = nil
    ) -> String {
        text(
            [verb.rawValue] + [argument].compactMap(\.self), verb.summary,
            options.map { ($0.usage, $0.summary) })
    }

    private static func text(
        _ words: [String], _ summary: String, _ options: [(String, String)]
    ) -> String {
        let words = words + (options.isEmpty ? [] : ["[OPTIONS]"])
        return """
            usage: oncegate \(words.joined(separator: " "))

            \(summary).

            options:
            \(columns(options + [("-h, --help", "print this")]))
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
