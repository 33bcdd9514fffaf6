/// An option of a command: with a value, as in `--config FILE` or `--config=FILE`, or without one,
/// as in `--json`. One that is given again replaces what it said before, or adds to it.
struct Option<Options>: Sendable {
    /// Without the dashes.
    let name: String
    /// What its value is, for people; nil for an option without a value.
    let placeholder: String?
    let summary: String
    /// Takes the value, or says what was expected.
    let apply: @Sendable (inout Options, String) throws(Invalid) -> Void

    /// How it is written, for people.
    var usage: String { "--\(name)" + (placeholder.map { " \($0)" } ?? "") }

    /// An option whose value is checked.
    static func value(
        _ name: String, _ placeholder: String, _ summary: String,
        _ apply: @escaping @Sendable (inout Options, String) throws(Invalid) -> Void
    ) -> Option {
        Option(name: name, placeholder: placeholder, summary: summary, apply: apply)
    }

    /// An option with any text but the empty one.
    static func text(
        _ name: String, _ placeholder: String, _ summary: String,
        _ set: @escaping @Sendable (inout Options, String) -> Void
    ) -> Option {
        .value(name, placeholder, summary) { options, value throws(Invalid) in
            guard !value.isEmpty else { throw Invalid("expected \(placeholder), found nothing") }
            set(&options, value)
        }
    }

    /// An option with a whole number.
    static func count(
        _ name: String, _ range: ClosedRange<Int>, _ summary: String,
        _ set: @escaping @Sendable (inout Options, Int) -> Void
    ) -> Option {
        .value(name, "N", summary) { options, value throws(Invalid) in
            guard let number = Int(value), range.contains(number) else {
                throw Invalid(
                    "expected a whole number from \(range.lowerBound) to \(range.upperBound), "
                        + "found \"\(value)\"")
            }
            set(&options, number)
        }
    }

    /// An option without a value.
    static func flag(
        _ name: String, _ summary: String, _ set: @escaping @Sendable (inout Options) -> Void
    ) -> Option {
        Option(name: name, placeholder: nil, summary: summary) { options, _ in set(&options) }
    }
}

extension Option {
    /// Reads a command's arguments.
    ///
    /// - Parameter takeWord: Takes an argument that is no option; false for one too many.
    static func read(
        _ arguments: ArraySlice<String>, into defaults: Options, by table: [Option],
        takeWord: (inout Options, String) throws(Invalid) -> Bool = { _, _ in false }
    ) throws(Invalid) -> Options {
        var result = defaults
        var rest = arguments
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("-") else {
                guard try takeWord(&result, argument) else {
                    throw Invalid("unexpected argument \"\(argument)\"")
                }
                continue
            }
            let parts = argument.split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let option = try option(String(parts[0]), table)
            try option.take(parts.count == 2 ? String(parts[1]) : nil, &rest, &result)
        }
        return result
    }

    /// Takes the value that is written behind the name, or is the next argument.
    private func take(
        _ written: String?, _ rest: inout ArraySlice<String>, _ result: inout Options
    ) throws(Invalid) {
        var value = written
        if let placeholder {
            value = value ?? rest.popFirst()
            if value == nil { throw Invalid("--\(name): expected \(placeholder)") }
        } else if written != nil {
            throw Invalid("--\(name): it takes no value")
        }
        do throws(Invalid) {
            try apply(&result, value ?? "")
        } catch {
            throw Invalid("--\(name): \(error.message)")
        }
    }

    private static func option(_ word: String, _ table: [Option]) throws(Invalid) -> Option {
        if let option = table.first(where: { "--" + $0.name == word }) { return option }
        let hint = Suggestion.phrase(for: word, among: table.map { "--" + $0.name } + ["--help"])
        throw Invalid("unknown option \"\(word)\"" + hint)
    }
}
