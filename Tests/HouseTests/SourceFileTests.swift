import Testing

/// The rules are only as good as the reader that looks for breaches.
@Suite struct SourceFileTests {
    private func file(_ text: String) -> SourceFile {
        SourceFile(path: "Sources/Room/File.swift", text: text)
    }

    @Test func `imports are read with their access`() {
        let found = file(
            """
            import A
            package import B
            private import CRoom
            @testable import D
            import struct E.Part
            // import F
            let text = "import G"
            func important() {}
            """
        ).imports
        #expect(found.map(\.module) == ["A", "B", "CRoom", "D", "E"])
        #expect(found.map(\.isPrivate) == [false, false, true, false, false])
    }

    @Test func `comments and texts are no code`() {
        let quotes = "\"\"\""
        let found = file(
            """
            /// A public thing: try!
            let a = "public \\"try!\\" // x" // try!
            let b = \(quotes)
                public try!
                \(quotes)
            let c = try! d()
            """)
        #expect(found.places(of: "try!") == ["Sources/Room/File.swift:6"])
        #expect(found.places { $0.contains("public") } == [])
    }

    @Test func `a function's length runs from its first line to its closing brace`() {
        let found = file(
            """
            struct S {
                func short() {}
                init(
                    a: Int = { 1 }(),
                    b: Int
                ) {
                    if a { b() }
                }
                package func long(
                    _ a: Int
                ) -> Int
                where A: B {
                    a.map { }
                }
            }
            protocol P {
                func none() -> Int
            }
            """
        ).functions
        #expect(found.map(\.name) == ["short", "init", "long"])
        #expect(found.map(\.length) == [1, 6, 6])
        #expect(found.map(\.line) == [2, 3, 9])
    }
}
