import Glibc

/// Text that others chose, on its way to a terminal.
///
/// Keys, paths and bodies come from clients. What is not printed but obeyed or hidden (control
/// characters, changes of direction, joiners, private use) becomes `\u{1b}`.
enum TerminalText {
    /// A text for one line. A backslash becomes two, so that no text looks like another one.
    static func line(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar == "\\" { result += "\\\\" } else { append(scalar, to: &result) }
        }
        return result
    }

    /// A text of many lines, whose ends and tabs stay.
    static func lines(_ text: String) -> String {
        var result = ""
        var scalars = text.unicodeScalars[...]
        while let scalar = scalars.popFirst() {
            switch scalar {
            case "\n", "\t": result.unicodeScalars.append(scalar)
            case "\r" where scalars.first == "\n": break
            default: append(scalar, to: &result)
            }
        }
        return result
    }

    /// JSON text whose strings hold nothing that a terminal obeys. It stays the same JSON.
    static func json(_ text: [UInt8]) -> String {
        let text = String(decoding: text, as: UTF8.self)
        guard text.utf8.contains(where: { $0 >= 0x7F }) else { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isPrinted(scalar) || scalar.value < 0x7F {
                result.unicodeScalars.append(scalar)
            } else {
                for unit in UTF16.encode(scalar) ?? .init() {
                    let digits = String(unit, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return result
    }

    /// How many columns a text takes, more or less.
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { $0 + width($1) }
    }

    /// A text cut to a number of columns, the cut marked.
    static func cut(_ text: String, _ columns: Int) -> String {
        guard width(text) > columns else { return text }
        var result = ""
        var room = columns - 1
        for scalar in text.unicodeScalars {
            room -= width(scalar)
            if room < 0 { break }
            result.unicodeScalars.append(scalar)
        }
        return result + "…"
    }

    /// The columns of the terminal that a descriptor is, or nil.
    static func columns(of descriptor: Int32) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else {
            return nil
        }
        return Int(size.ws_col)
    }

    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        if isPrinted(scalar) {
            result.unicodeScalars.append(scalar)
        } else {
            result += "\\u{\(String(scalar.value, radix: 16))}"
        }
    }

    private static func isPrinted(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return 0x20...0x7E ~= scalar.value }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
            .unassigned, .enclosingMark:
            return false
        default: return true
        }
    }

    private static func width(_ scalar: Unicode.Scalar) -> Int {
        guard !scalar.isASCII else { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark: return 0
        default: return wide.contains { $0.contains(scalar.value) } ? 2 : 1
        }
    }

    /// The larger blocks of characters that take two columns.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
    ]
}
