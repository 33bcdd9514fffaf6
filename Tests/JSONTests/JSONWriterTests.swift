import Testing

@testable import JSON

private func text(_ write: (inout JSONWriter) -> Void, indentation: Int = 0) -> String {
    var writer = JSONWriter(indentation: indentation)
    write(&writer)
    return String(decoding: writer.bytes, as: UTF8.self)
}

@Suite struct JSONWriterTests {
    @Test func `commas and colons stand where they belong`() {
        let result = text { json in
            json.beginObject()
            json.member("a", 1)
            json.name("b")
            json.beginArray()
            json.beginObject()
            json.endObject()
            json.value(true)
            json.null()
            json.beginArray()
            json.endArray()
            json.value(json: [0x37])
            json.endArray()
            json.member("c", "d:")
            json.member("e", false)
            json.member("f", nil as String?)
            json.member("g", 0.5, decimals: 3)
            json.member("h", UInt64.max)
            json.endObject()
        }
        #expect(
            result
                == "{\"a\":1,\"b\":[{},true,null,[],7],\"c\":\"d:\",\"e\":false,\"f\":null,"
                + "\"g\":0.500,\"h\":18446744073709551615}")
    }

    @Test func `lines follow each other without commas`() {
        let result = text { json in
            for number in 1...2 {
                json.beginObject()
                json.member("n", number)
                json.endObject()
                json.endLine()
            }
        }
        #expect(result == "{\"n\":1}\n{\"n\":2}\n")
    }

    @Test func `indented text keeps chosen arrays on one line`() {
        let result = text(
            { json in
                json.beginObject()
                json.name("a")
                json.beginArray(onOneLine: true)
                json.value(1)
                json.value("x ")
                json.beginObject()
                json.member("n", 2)
                json.member("o", 3)
                json.endObject()
                json.endArray()
                json.name("b")
                json.beginArray()
                json.value(2)
                json.endArray()
                json.name("c")
                json.beginObject()
                json.endObject()
                json.endObject()
            }, indentation: 2)
        #expect(
            result == """
                {
                  "a": [1, "x ", {"n": 2, "o": 3}],
                  "b": [
                    2
                  ],
                  "c": {}
                }
                """)
    }

    @Test(arguments: [
        (0, "0"), (-1, "-1"), (Int.min, "-9223372036854775808"), (Int.max, "9223372036854775807"),
        (10, "10"),
    ])
    func `integers are written whole`(number: Int, expected: String) {
        #expect(text { $0.value(number) } == expected)
    }

    @Test(
        arguments: [
            (0, 0, "0"), (0.05, 1, "0.1"), (-0.04, 1, "0.0"), (-1.26, 1, "-1.3"),
            (1234.5678, 3, "1234.568"),
            (0.000001, 6, "0.000001"), (1e300, 2, "1e+300"), (.infinity, 2, "null"),
            (.nan, 0, "null"),
            (2.5, 0, "3"),
        ] as [(Double, Int, String)])
    func `numbers are rounded`(number: Double, decimals: Int, expected: String) throws {
        let result = text { $0.value(number, decimals: decimals) }
        #expect(result == expected)
        _ = try JSON.parse(Array(result.utf8)[...])
    }

    @Test(arguments: [
        "", "plain", "a\"b\\c", "\u{0}\u{1F}\u{7F}", "\n\r\t\u{8}\u{C}", "é😀\u{2028}",
        "a long text that is not held inline, with \"quotes\" and é",
    ])
    func `a string is read back as it was`(string: String) throws {
        let asString = text { $0.value(string) }
        let asBytes = text { $0.value(bytes: Array(string.utf8)[...]) }
        #expect(asString == asBytes)
        #expect(try JSON.parse(Array(asString.utf8)[...]).string == string)
    }

    @Test(
        arguments: [
            ([0x61, 0xFF, 0x62], "a\u{FFFD}b"), ([0xC3], "\u{FFFD}"),
            ([0xE2, 0x82], "\u{FFFD}\u{FFFD}"),
            ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC3, 0xA9], "é"),
        ] as [([UInt8], String)])
    func `ill-formed UTF-8 is repaired`(bytes: [UInt8], expected: String) {
        #expect(text { $0.value(bytes: bytes[...]) } == "\"\(expected)\"")
    }

    @Test func `a writer is used again`() {
        var writer = JSONWriter(indentation: 2)
        writer.beginObject()
        writer.name("a")
        writer.removeAll()
        writer.value(1)
        #expect(writer.bytes == [0x31])
    }
}
