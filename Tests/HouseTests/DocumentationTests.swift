import Testing

/// What the articles say of the code is in the code.
@Suite struct DocumentationTests {
    /// The articles of all catalogues, and the README.
    private static let pages: [(path: String, text: String)] = {
        let catalogues = entries(of: "Sources").map { "Sources/\($0)/\($0).docc" }
            .filter(isDirectory)
        let articles = catalogues.flatMap { folder in
            entries(of: folder).filter { $0.hasSuffix(".md") }.map { "\(folder)/\($0)" }
        }
        return (articles + ["README.md"]).map { ($0, contents(of: $0)) }
    }()

    @Test func `code in the articles is code that is compiled`() {
        var count = 0
        for (path, text) in Self.pages {
            for block in codeBlocks(of: text) {
                let place = "\(path):\(block.line)"
                guard let source = block.source else {
                    #expect(path == "README.md", "\(place) is not marked as a snippet of a file")
                    continue
                }
                count += 1
                let code = snippet(source.name, of: contents(of: source.file))
                #expect(code == block.lines, "\(place) is not \(source.file), \(source.name)")
            }
        }
        #expect(count > 5, "the articles were not found")
    }

    @Test func `examples see what strangers see`() {
        let offered = offeredRooms.union(standardLibrary).union(["Glibc"])
        let files = SourceFile.all(in: "Examples") + SourceFile.all(in: "Tests/ExternalPackage")
        let wrong = files.filter { $0.name != "Package" }.flatMap { file in
            file.imports.filter { !offered.contains($0.module) }.map { found in
                "\(file.path) imports \(found.module)"
            } + file.places(of: "@testable")
        }
        #expect(wrong == [])
        #expect(files.count > 5, "the examples were not found")
    }

    @Test func `each line of the comparison with Medusa has a test, and each test a line`() {
        let article = "Sources/Idempotency/Idempotency.docc/MedusaComparison.md"
        let tests = "Tests/IdempotencySQLiteTests/MedusaConformanceTests.swift"
        let named = contents(of: article).split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmed }
            guard line.hasPrefix("|"), let last = cells.last, last.hasPrefix("`") else {
                return nil as String?
            }
            return String(last.dropFirst().dropLast())
        }
        let written = contents(of: tests).split(separator: "\n").compactMap { line in
            let parts = line.split(separator: "`", omittingEmptySubsequences: false)
            guard parts.count == 3, parts[0].trimmed == "func" else { return nil as String? }
            return String(parts[1])
        }
        #expect(named.sorted() == written.sorted())
        #expect(Set(named).count > 20, "the table was not found")
    }
}

/// A fenced block of Swift, and where the mark above it says that it is from.
private struct CodeBlock {
    let line: Int
    let source: (file: String, name: String)?
    let lines: [Substring]
}

/// The blocks of Swift in a page. A mark is `<!-- snippet: FILE NAME -->` in the line above.
private func codeBlocks(of text: String) -> [CodeBlock] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.indices.filter { lines[$0] == "```swift" }.map { start in
        let end = lines[(start + 1)...].firstIndex(of: "```") ?? lines.endIndex
        let mark = start > 0 ? lines[start - 1].split(separator: " ") : []
        let isMark = mark.count == 5 && mark[1] == "snippet:"
        return CodeBlock(
            line: start + 1, source: isMark ? (String(mark[2]), String(mark[3])) : nil,
            lines: Array(lines[(start + 1)..<end]))
    }
}

/// The lines from `// snippet: NAME` to `// end`, without the indentation that all of them have.
private func snippet(_ name: String, of text: String) -> [Substring]? {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let start = lines.firstIndex(where: { $0.trimmed == "// snippet: \(name)" }),
        let end = lines[start...].firstIndex(where: { $0.trimmed == "// end" })
    else { return nil }
    let body = lines[(start + 1)..<end]
    let indentation = body.filter { !$0.trimmed.isEmpty }.map { $0.prefix { $0 == " " }.count }
    return body.map { $0.dropFirst(indentation.min() ?? 0) }
}

extension Substring {
    /// Without the spaces around it.
    fileprivate var trimmed: Substring {
        drop { $0 == " " }.reversed().drop { $0 == " " }.reversed().reduce(into: "") {
            $0.append($1)
        }
    }
}
