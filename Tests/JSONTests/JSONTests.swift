import Testing

@testable import JSON

@Suite struct JSONTests {
    @Test(arguments: [
        "[]", "[ ]", "{}", " { } ", "null", "true", "false", "0", "-0", "1.5", "1e5", "1E+5",
        "-1.25e-7",
        "123456789012345678901234567890", "\"\"", "[1,2]", "[1 , 2]\n", "\t[\r\n]",
        "{\"a\":1,\"b\":[{}]}",
        "{\"\":0}", "{\"a\\u0000b\":1}", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\"",
        "\"\\uD834\\uDd1e\"", "\"\u{7F}\"", "\"\u{2028}\"", "\"é𝄞\"", "[[[[[[]]]]]]", "[1e400]",
    ])
    func `valid texts are accepted by parser and canonical form`(text: String) throws {
        _ = try JSON.parse(Array(text.utf8)[...])
        #expect(JSON.isValid(Array(text.utf8)[...]))
        #expect(JSONCanonicalForm.of(Array(text.utf8)[...]) != .notJSON)
    }

    @Test(arguments: [
        ("", "1:1: expected a value, found the end"),
        ("  ", "1:3: expected a value, found the end"),
        ("[", "1:2: expected an element, found the end"),
        ("[1", "1:3: expected \",\" or \"]\", found the end"),
        ("[1,", "1:4: expected an element, found the end"),
        ("[1,]", "1:4: expected an element, found \"]\""),
        ("[,1]", "1:2: expected an element, found \",\""),
        ("[1 2]", "1:4: expected \",\" or \"]\", found \"2\""),
        ("[1}", "1:3: expected \",\" or \"]\", found \"}\""),
        ("{]", "1:2: expected a member's name in double quotes, found \"]\""),
        ("{\"a\"}", "1:5: expected \":\" after a member's name, found \"}\""),
        ("{\"a\":}", "1:6: expected a value, found \"}\""),
        ("{\"a\":1,}", "1:8: expected a member's name in double quotes, found \"}\""),
        ("{\"a\":1 \"b\":2}", "1:8: expected \",\" or \"}\", found a string"),
        ("{a:1}", "1:2: expected a member's name in double quotes, found \"a\""),
        ("{1:1}", "1:2: expected a member's name in double quotes, found \"1\""),
        ("{,}", "1:2: expected a member's name in double quotes, found \",\""),
        ("[]]", "1:3: expected the end of the text, found \"]\""),
        ("1 2", "1:3: expected the end of the text, found \"2\""),
        ("{\n\"a\": tru }", "2:6: expected a value, found \"t\""),
        ("TRUE", "1:1: expected a value, found \"T\""),
        ("nulL", "1:1: expected a value, found \"n\""),
        ("01", "1:1: expected a number without a leading zero"),
        ("-", "1:1: expected a number as JSON writes it, such as 0, -1.5 or 2e3"),
        ("1.", "1:1: expected a number as JSON writes it, such as 0, -1.5 or 2e3"),
        ("-.5", "1:1: expected a number as JSON writes it, such as 0, -1.5 or 2e3"),
        ("1e", "1:1: expected a number as JSON writes it, such as 0, -1.5 or 2e3"),
        ("1e+", "1:1: expected a number as JSON writes it, such as 0, -1.5 or 2e3"),
        (".5", "1:1: expected a value, found \".\""),
        ("+1", "1:1: expected a value, found \"+\""),
        ("NaN", "1:1: expected a value, found \"N\""),
        ("0x10", "1:2: expected the end of the text, found \"x\""),
        ("'a'", "1:1: expected a value, found \"'\""),
        ("\"é", "1:1: expected a closing quote for this string"),
        ("\"a\nb\"", "1:3: expected control characters escaped, as in \\n"),
        ("[\"é\t\"]", "1:4: expected control characters escaped, as in \\n"),
        (
            "\"\\x\"",
            "1:2: expected an escape sequence: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX"
        ),
        (
            "\"\\u12G4\"",
            "1:2: expected an escape sequence: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX"
        ),
        ("\"\\", "1:2: expected an escape sequence: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX"),
        ("// no\n1", "1:1: expected a value, found \"/\""),
        ("\u{FEFF}1", "1:1: expected JSON without a byte order mark"),
        ("\u{A0}1", "1:1: expected a value, found something else"),
        ("{\"a\":1,\n \"a\":2}", "2:2: expected \"a\" once, it is there already"),
    ])
    func `a mistake is told with its place and what was expected`(text: String, message: String) {
        let error = #expect(throws: JSONError.self) { try JSON.parse(Array(text.utf8)[...]) }
        #expect(error?.description == message)
        #expect(!JSON.isValid(Array(text.utf8)[...]))
        #expect(JSONCanonicalForm.of(Array(text.utf8)[...]) == .notJSON)
    }

    @Test(
        arguments: [
            [0x80], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xE0, 0x9F, 0xBF], [0xED, 0xA0, 0x80],
            [0xE2, 0x82],
            [0xF0, 0x8F, 0xBF, 0xBF], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xFF],
            [0xF0, 0x9F, 0x98], [0xC3, 0x28],
        ] as [[UInt8]])
    func `ill-formed UTF-8 is refused`(bytes: [UInt8]) {
        let text = [0x22] + bytes + [0x22]
        #expect(throws: JSONError.self) { try JSON.parse(text[...]) }
        #expect(JSONCanonicalForm.of(text[...]) == .notJSON)
        #expect(throws: JSONError.self) { try JSON.parse(([0x22] + bytes)[...]) }
    }

    @Test(arguments: [
        "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800x\"", "\"\\ud800\\n\"",
    ])
    func `half a surrogate pair is no text`(text: String) {
        let error = #expect(throws: JSONError.self) { try JSON.parse(Array(text.utf8)[...]) }
        #expect(error?.message == "expected both halves of a surrogate pair")
    }

    @Test func `nesting is bounded`() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array(repeating: UInt8(ascii: "["), count: depth)
                + Array(repeating: UInt8(ascii: "]"), count: depth)
        }
        _ = try JSON.parse(nested(128)[...])
        #expect(throws: JSONError.self) { try JSON.parse(nested(129)[...]) }
        #expect(JSON.isValid(nested(128)[...]) && !JSON.isValid(nested(129)[...]))
        #expect(JSON.isValid(Array("[[], {}, {\"a\": {}}, []]".utf8)[...], depth: 3))
        #expect(throws: JSONError.self) { try JSON.parse(nested(100_000)[...]) }
        #expect(JSONCanonicalForm.of(nested(512)[...]) == .same)
        #expect(JSONCanonicalForm.of(nested(513)[...]) == .notJSON)
        #expect(JSONCanonicalForm.of(nested(1_000_000)[...]) == .notJSON)
    }

    @Test func `values keep their places, order and spelling`() throws {
        let text = Array("{\"b\": 1.0,\n  \"a\": [true, \"\\u0041\"], \"b\": null}".utf8)[...]
        let value = try JSON.parse(text, duplicates: .kept)
        let members = try #require(value.members)
        #expect(members.map(\.name) == ["b", "a", "b"])
        guard case .number("1.0") = members[0].value.kind else {
            Issue.record("the number changed")
            return
        }
        let elements = try #require(value["a"]?.elements)
        #expect(elements[0].bool == true && elements[1].string == "A")
        #expect(
            members.map { JSONPlace(of: $0.nameOffset, in: text).description } == [
                "1:2", "2:3", "2:26",
            ])
        #expect(JSONPlace(of: elements[1].offset, in: text).description == "2:15")
    }

    @Test func `a slice from the middle of an array counts from its own start`() throws {
        let bytes = Array("xxx[1,x]".utf8)[3...]
        let error = #expect(throws: JSONError.self) { try JSON.parse(bytes) }
        #expect(error?.description == "1:4: expected an element, found \"x\"")
        #expect(
            JSONCanonicalForm.of(Array("xx[ 1]yy".utf8)[2..<6]) == .rewritten(Array("[1]".utf8)))
    }
}

@Suite struct JSONPointerTests {
    static let document = """
        {"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\\\j": 5,
         "k\\"l": 6, " ": 7, "m~n": 8}
        """

    @Test(arguments: [
        ("/foo/0", "\"bar\""), ("/foo/1", "\"baz\""), ("/", "0"), ("/a~1b", "1"), ("/c%d", "2"),
        ("/e^f", "3"), ("/g|h", "4"), ("/i\\j", "5"), ("/k\"l", "6"), ("/ ", "7"), ("/m~0n", "8"),
        ("/foo", "[\"bar\",\"baz\"]"),
    ])
    func `the examples of RFC 6901 resolve, in values and in canonical form`(
        text: String, expected: String
    ) throws {
        let bytes = Array(Self.document.utf8)[...]
        let pointer = try #require(JSONPointer(text))
        #expect(pointer.description == text)
        let value = try #require(pointer.lookup(in: try JSON.parse(bytes)))
        #expect(written(value) == expected)
        #expect(
            JSONCanonicalForm.of(bytes, only: [pointer])
                == .rewritten(Array((expected + "\n").utf8)))
    }

    @Test(arguments: ["foo", "/~", "/~2", "/a~", "~0"])
    func `what is no pointer is refused`(text: String) { #expect(JSONPointer(text) == nil) }

    @Test(arguments: [
        "/foo/2", "/foo/00", "/foo/-", "/foo/01", "/foo/0/x", "/bar", "/foo/99999999999999999999",
    ])
    func `a pointer to nothing finds nothing`(text: String) throws {
        let bytes = Array(Self.document.utf8)[...]
        let pointer = try #require(JSONPointer(text))
        #expect(pointer.lookup(in: try JSON.parse(bytes)) == nil)
        #expect(JSONCanonicalForm.of(bytes, only: [pointer]) == .rewritten([0x0A]))
    }
}

/// A value as JSON text, members in their order.
func written(_ value: JSONValue) -> String {
    var writer = JSONWriter()
    write(value, to: &writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

private func write(_ value: JSONValue, to writer: inout JSONWriter) {
    switch value.kind {
    case .null: writer.null()
    case .bool(let flag): writer.value(flag)
    case .number(let digits): writer.value(json: Array(digits.utf8)[...])
    case .string(let text): writer.value(text)
    case .array(let elements):
        writer.beginArray()
        for element in elements { write(element, to: &writer) }
        writer.endArray()
    case .object(let members):
        writer.beginObject()
        for member in members {
            writer.name(member.name)
            write(member.value, to: &writer)
        }
        writer.endObject()
    }
}
