import Testing

/// The house rules that a machine can be sure of. A failure lists the places.
@Suite struct HouseTests {
    private static let sources = SourceFile.all(in: "Sources")
    private static let tests = SourceFile.all(in: "Tests")

    @Test func `the top level holds what it should and nothing else`() {
        let allowed: Set = [
            "Package.swift", "Package.resolved", "Sources", "Tests", "gateway.json", "Dockerfile",
            "README.md", "Examples",
        ]
        let visible = entries(of: ".").filter { !$0.hasPrefix(".") && !$0.contains(".db") }
        #expect(visible.filter { !allowed.contains($0) } == [])
    }

    @Test func `every folder in Sources is a room of the table`() {
        let unknown = entries(of: "Sources").filter {
            importsByRoom[$0] == nil && cRooms[$0] == nil
        }
        #expect(unknown == [])
        #expect(Self.sources.count > 20, "the files were not found")
    }

    @Test func `a room imports only what the table allows it`() {
        let wrong = Self.sources.flatMap { file in
            let allowed = importsByRoom[file.room, default: []].union(standardLibrary)
            return file.imports.filter { !allowed.contains($0.module) }.map { found in
                "\(file.path) imports \(found.module)"
            }
        }
        #expect(wrong == [])
    }

    @Test func `a C room is imported by its room alone, and privately`() {
        let wrong = (Self.sources + Self.tests).flatMap { file in
            file.imports.filter { found in
                guard let owner = cRooms[found.module] else { return false }
                return !found.isPrivate || file.room != owner
            }.map { "\(file.path) imports \($0.module)" }
        }
        #expect(wrong == [])
    }

    @Test func `only rooms that are offered to other packages have public names`() {
        let wrong = Self.sources.filter { !offeredRooms.contains($0.room) }.flatMap { file in
            file.places { $0.contains("public") || $0.contains("open") && $0.contains("class") }
        }
        #expect(wrong == [])
    }

    @Test func `no type, file or folder has a name that says nothing`() {
        let types: Set<Substring> = ["class", "struct", "enum", "actor", "protocol", "typealias"]
        let files = Self.sources + Self.tests
        let wrongTypes = files.flatMap { file in
            file.places { words in
                zip(words, words.dropFirst()).contains {
                    types.contains($0) && saysNothing($1)
                }
            }
        }
        let wrongPaths = files.map(\.path).filter { path in
            path.dropLast(".swift".count).split(separator: "/").contains { saysNothing($0) }
        }
        #expect(wrongTypes + wrongPaths == [])
    }

    @Test func `unchecked Sendable stays in Transport and StoreThread`() {
        let wrong = Self.sources.filter { $0.room != "Transport" && $0.name != "StoreThread" }
            .flatMap { $0.places { $0.contains("@unchecked") } }
        #expect(wrong == [])
    }

    @Test func `nothing in Sources is tried by force`() {
        #expect(Self.sources.flatMap { $0.places(of: "try!") } == [])
    }

    @Test func `the longest functions and files are printed, and none fails`() {
        let functions = Self.sources.flatMap { file in
            file.functions.map { (place: "\(file.path):\($0.line) \($0.name)", length: $0.length) }
        }.sorted { $0.length > $1.length }
        let files = Self.sources.map { (place: $0.path, length: $0.lines.count) }
            .sorted { $0.length > $1.length }
        for (title, list) in [("functions", functions), ("files", files)] {
            print("longest \(title):")
            for entry in list.prefix(10) { print("    \(entry.length) lines  \(entry.place)") }
        }
        #expect(!functions.isEmpty)
    }
}

/// Whether a name ends in one of the words that fit everything.
private func saysNothing(_ name: Substring) -> Bool {
    ["Manager", "Helper", "Helpers", "Util", "Utils", "Utilities", "Impl", "Common"]
        .contains { name.hasSuffix($0) }
}
