import Glibc

/// What a command that ends by itself has to say.
struct Report: Sendable, Hashable {
    /// For standard output.
    var output = ""
    /// For standard error.
    var errors = ""
    /// The process's exit status: 1 for a refused configuration, 2 for a command line.
    var status: Int32 = 0

    /// What `check` says of a configuration: all of it with its defaults, or all its mistakes.
    static func check(
        _ options: CheckOptions, _ environment: Environment = .process
    ) -> Report {
        let result = Configuration.read(file: options.config, environment)
        guard let effective = result.effective else {
            return mistakes(result.mistakes, in: options.config)
        }
        return Report(output: String(decoding: effective, as: UTF8.self))
    }

    /// Mistakes as compilers tell them: `gateway.json:12:9: routes[0].path: …`, then their number.
    static func mistakes(_ mistakes: [Mistake], in file: String) -> Report {
        let lines = mistakes.map { mistake in
            "\(file):\(mistake.place == nil ? " " : "")\(mistake)\n"
        }
        let count = mistakes.count == 1 ? "1 mistake" : "\(mistakes.count) mistakes"
        return Report(errors: lines.joined() + "\(count) in \(file)\n", status: 1)
    }

    /// What `version` says.
    ///
    /// - Parameter libraries: Names and versions of what the process is linked to.
    static func version(_ libraries: [(name: String, version: String)]) -> Report {
        let rows = [(name: "oncegate", version: Oncegate.version)] + libraries
        return Report(output: rows.map { "\($0.name) \($0.version)\n" }.joined())
    }

    /// The usage of a command.
    static func help(_ verb: Verb?, _ action: KeysAction? = nil) -> Report {
        Report(output: Usage.text(verb, action))
    }

    /// A command line that was not understood.
    static func usage(_ error: UsageError) -> Report {
        Report(errors: Usage.text(error), status: 2)
    }

    /// Writes everything, and ends the process.
    func finish() -> Never {
        Self.write(errors, to: STDERR_FILENO)
        exit(Self.write(output, to: STDOUT_FILENO) ? status : max(status, 1))
    }

    /// Writes a text; whether all of it could be written.
    @discardableResult
    static func write(_ text: String, to descriptor: Int32) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { bytes in
                unsafe Glibc.write(descriptor, bytes.baseAddress, bytes.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
