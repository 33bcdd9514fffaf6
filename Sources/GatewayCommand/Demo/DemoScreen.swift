import Glibc

/// What the demo shows: on a terminal a bar that moves and colours, in a pipe plain lines.
struct DemoScreen {
    /// Meanings that have a colour.
    enum Colour: String {
        case good = "32"
        case bad = "31;1"
        case faint = "2"
        case strong = "1"
    }

    private let isTerminal: Bool
    private let hasColours: Bool

    init() {
        isTerminal = isatty(1) == 1
        let isRefused = unsafe getenv("NO_COLOR").map { unsafe $0.pointee != 0 } ?? false
        hasColours = isTerminal && !isRefused
    }

    /// Writes a line.
    func line(_ text: String = "") { write(text + "\n") }

    /// Shows how far a phase is; in a pipe it is told once, when it is done.
    func progress(_ name: String, _ done: Int, of total: Int, note: String = "") {
        let tail = note.isEmpty ? "" : "  " + paint(note, .faint)
        let count = Self.padded("\(done)/\(total)", 9)
        if isTerminal {
            let filled = total == 0 ? 0 : done * 30 / total
            let bar =
                String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
            write("\r\u{1B}[2K  \(Self.filled(name, 22))\(bar)\(count)\(tail)")
            if done == total { write("\n") }
        } else if done == total {
            write("  \(Self.filled(name, 22))\(count)\(tail)\n")
        }
    }

    /// Writes a row of the table; `notes` explain it.
    func row(
        _ name: String, _ direct: String, _ guarded: String, _ note: String = "",
        colours: (Colour?, Colour?) = (nil, nil)
    ) {
        let first = paint(Self.padded(direct, 14), colours.0)
        let second = paint(Self.padded(guarded, 16), colours.1)
        line("  \(Self.filled(name, 26))\(first)\(second)" + (note.isEmpty ? "" : "  \(note)"))
    }

    /// A text in a colour, where there are colours.
    func paint(_ text: String, _ colour: Colour?) -> String {
        guard hasColours, let colour else { return text }
        return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
    }

    private func write(_ text: String) { Self.write(text, to: 1) }

    /// Writes a text to a descriptor, whole, unless nobody reads it any more.
    static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.write(descriptor, $0.baseAddress, $0.count)
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return
            }
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private static func filled(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
