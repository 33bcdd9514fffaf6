import Glibc

/// A Swift file as far as the house rules look at it: lines without comments and without the
/// content of string literals.
struct SourceFile: Sendable {
    /// From the package's root, as in `Sources/HTTP/Fields.swift`.
    let path: String
    let lines: [String]

    init(path: String, text: String) {
        self.path = path
        lines = Self.code(of: text)
    }

    /// The folder in `Sources` or `Tests`.
    var room: String { String(path.split(separator: "/")[1]) }

    /// The file's name without its ending.
    var name: String { String(path.split(separator: "/").last!.dropLast(".swift".count)) }

    /// The places where `isWrong` finds something, as an editor can open them.
    func places(where isWrong: ([Substring]) -> Bool) -> [String] {
        lines.indices.compactMap { index in
            isWrong(words(lines[index])) ? "\(path):\(index + 1)" : nil
        }
    }

    /// Where a line has this text.
    func places(of text: String) -> [String] {
        lines.indices.filter { lines[$0].contains(text) }.map { "\(path):\($0 + 1)" }
    }

    /// The imports: module, and whether it is `private`.
    var imports: [(module: String, isPrivate: Bool)] {
        lines.compactMap { line in
            let words = words(line)
            guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
                words[..<at].allSatisfy({ importModifiers.contains($0) || $0.hasPrefix("@") })
            else { return nil }
            let kinds: Set<Substring> = [
                "struct", "class", "enum", "protocol", "func", "typealias",
            ]
            let module = kinds.contains(words[at + 1]) ? words[at + 2] : words[at + 1]
            return (String(module.prefix { $0 != "." }), words.contains("private"))
        }
    }

    /// The functions and initializers, with the number of lines from the first to the last.
    var functions: [(name: String, line: Int, length: Int)] {
        lines.indices.compactMap { start in
            let words = words(lines[start])
            guard let at = words.firstIndex(where: { functionWords.contains($0) }) else {
                return nil
            }
            guard words[..<at].allSatisfy({ $0.first?.isLowercase == true || $0.hasPrefix("@") })
            else { return nil }
            guard let length = blockLength(from: start) else { return nil }
            let name = words[at] == "func" && at + 1 < words.count ? words[at + 1] : words[at]
            return (String(name), start + 1, length)
        }
    }

    /// Lines from `start` to the brace that closes the first one opened there; nil without a body.
    private func blockLength(from start: Int) -> Int? {
        var depth = 0
        var parentheses = 0
        var hasBody = false
        for index in start..<lines.count {
            for character in lines[index] {
                switch character {
                case "(": parentheses += 1
                case ")": parentheses -= 1
                case "{" where parentheses == 0 || hasBody:
                    depth += 1
                    hasBody = true
                case "}" where hasBody: depth -= 1
                default: break
                }
            }
            if hasBody {
                if depth <= 0 { return index - start + 1 }
            } else if parentheses <= 0 {
                let next = index + 1 < lines.count ? lines[index + 1] : ""
                let continues = next.contains("->") || next.contains("where ")
                if !continues, !next.drop(while: { $0 == " " }).hasPrefix("{") { return nil }
            }
        }
        return nil
    }
}

private let importModifiers: Set<Substring> = [
    "private", "fileprivate", "internal", "package", "public",
]
private let functionWords: Set<Substring> = ["func", "init", "deinit"]

/// The identifiers, keywords and attributes of a line.
func words(_ line: String) -> [Substring] {
    line.split { !($0.isLetter || $0.isNumber || "_@.".contains($0)) }
}

extension SourceFile {
    /// The lines with comments cut off and string literals emptied. Block comments are not known:
    /// the formatter forbids them.
    private static func code(of text: String) -> [String] {
        var isInLongString = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let marks = line.ranges(of: "\"\"\"").count
            if isInLongString || marks % 2 == 1 {
                let wasInside = isInLongString
                if marks % 2 == 1 { isInLongString.toggle() }
                return wasInside ? "" : String(line.prefix { $0 != "\"" })
            }
            return code(ofLine: line)
        }
    }

    private static func code(ofLine line: Substring) -> String {
        var code = ""
        var isInString = false
        var isEscaped = false
        var previous: Character = " "
        for character in line {
            if isInString {
                if character == "\"", !isEscaped { isInString = false }
                isEscaped = character == "\\" && !isEscaped
                continue
            }
            if character == "/", previous == "/" { return String(code.dropLast()) }
            if character == "\"" { isInString = true }
            code.append(character)
            previous = character
        }
        return code
    }
}

extension SourceFile {
    /// All Swift files below a folder of the package, in order of their paths.
    static func all(in folder: String) -> [SourceFile] {
        entries(of: folder).flatMap { name -> [SourceFile] in
            let path = "\(folder)/\(name)"
            if isDirectory(path) { return all(in: path) }
            guard name.hasSuffix(".swift") else { return [] }
            return [SourceFile(path: path, text: contents(of: path))]
        }
    }
}

/// The package's root, seen from this file.
private let root = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined()

/// The names in a folder of the package, in order.
func entries(of folder: String) -> [String] {
    guard let directory = opendir("\(root)/\(folder)") else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// Whether the package has a folder at this path.
func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat("\(root)/\(path)", &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
}

/// The text of a file of the package.
func contents(of path: String) -> String {
    guard let file = fopen("\(root)/\(path)", "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
        bytes += chunk[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}
