import TestSupport
import Testing

@testable import JSON

private func canonical(
    _ text: String, ignoring: [String] = [], only: [String]? = nil
) -> String? {
    let bytes = Array(text.utf8)
    let result = JSONCanonicalForm.of(
        bytes[...], ignoring: ignoring.map { JSONPointer($0)! },
        only: only?.map { JSONPointer($0)! })
    return switch result {
    case .same: text
    case .rewritten(let form): String(decoding: form, as: UTF8.self)
    case .notJSON: nil
    }
}

@Suite struct JSONCanonicalFormTests {
    @Test(arguments: [
        "{}", "[]", "0", "\"\"", "{\"a\":1,\"b\":[1,1.0,1e0,true,null]}",
        "{\"\":1,\"a\":2,\"aa\":3,\"b\":4}",
        "\"é\\n\\\"\\\\\\u0001\"", "\"\\ud800\"", "{\"a\":{\"b\":{},\"c\":[{}]}}",
    ])
    func `a canonical text is the same`(text: String) {
        #expect(JSONCanonicalForm.of(Array(text.utf8)[...]) == .same)
    }

    @Test(arguments: [
        (" { \"a\" : [ 1 , 2 ] }\n", "{\"a\":[1,2]}"),
        ("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"),
        (
            "{\"b\":{\"d\":1,\"c\":2},\"a\":[{\"z\":0,\"y\":0},{\"x\":1}]}",
            "{\"a\":[{\"y\":0,\"z\":0},{\"x\":1}],\"b\":{\"c\":2,\"d\":1}}"
        ),
        (
            "{\"c\":1,\"a\":{\"y\":1,\"x\":{\"q\":1,\"p\":2}},\"b\":{\"n\":1,\"m\":2}}",
            "{\"a\":{\"x\":{\"p\":2,\"q\":1},\"y\":1},\"b\":{\"m\":2,\"n\":1},\"c\":1}"
        ),
        ("{\"b\":1, \"a\":2,\"\":{\"y\":1,\"x\":2}}", "{\"\":{\"x\":2,\"y\":1},\"a\":2,\"b\":1}"),
        ("\"\\u0041\\/\\u000A\\u001F\\u00e9\\uD83D\\uDE00\"", "\"A/\\n\\u001fé😀\""),
        ("\"\\uD800\\uDBFF\"", "\"\\ud800\\udbff\""),
        ("{\"\\u0062\":1,\"a\":2}", "{\"a\":2,\"b\":1}"),
        ("[3,1,2, 1.0]", "[3,1,2,1.0]"),
        ("[1E2,-0]\n", "[1E2,-0]"),
        ("{\"a b\":1,\"a\":2,\"a!\":3}", "{\"a\":2,\"a b\":1,\"a!\":3}"),
    ])
    func `whitespace, order of members and escapes do not matter`(text: String, form: String) {
        #expect(canonical(text) == form)
        #expect(JSONCanonicalForm.of(Array(text.utf8)[...]) == .rewritten(Array(form.utf8)))
        #expect(JSONCanonicalForm.of(Array(form.utf8)[...]) == .same)
    }

    @Test(arguments: [
        ("1", "1.0"), ("1", "1e0"), ("1.0", "1e0"), ("[1,2]", "[2,1]"), ("0", "-0"), ("1", "\"1\""),
        ("\"\\ud800\"", "\"\\ud801\""), ("\"\\ud800\"", "\"\u{FFFD}\""), ("{}", "[]"),
        ("\"\\ud800\"", "\"\\\\ud800\""), ("{\"a\":null}", "{}"),
    ])
    func `what may mean something else stays apart`(a: String, b: String) {
        #expect(canonical(a) != canonical(b))
    }

    @Test(arguments: [
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":2}", "{\"b\":1,\"a\":1,\"b\":1}",
        "[{\"x\":{\"a\":1,\"c\":2,\"b\":0,\"a\":3}}]",
        "{\"\":1,\"\":2}", "{\"b\":0,\"a\":1,\"a\":2}",
    ])
    func `a name that is there twice is no meaning to compare`(text: String) {
        #expect(canonical(text) == nil)
    }

    @Test(arguments: [
        ("{\"a\":1,\"b\":2}", ["/a"], "{\"b\":2}"), ("{\"a\":1,\"b\":2}", ["/b"], "{\"a\":1}"),
        ("{\"a\":1,\"b\":2}", ["/a", "/b"], "{}"),
        ("{\"a\":1,\"b\":2,\"c\":3}", ["/b"], "{\"a\":1,\"c\":3}"),
        ("{\"c\":1,\"b\":2,\"a\":3}", ["/b"], "{\"a\":3,\"c\":1}"),
        (
            "{\"a\":{\"t\":{\"z\":1,\"y\":2},\"s\":1},\"b\":{\"t\":1}}", ["/a/t"],
            "{\"a\":{\"s\":1},\"b\":{\"t\":1}}"
        ),
        ("[1,2,3]", ["/1"], "[1,3]"), ("[1,2,3]", ["/0", "/2"], "[2]"), ("[1]", ["/0"], "[]"),
        ("{\"\\u0061\":1}", ["/a"], "{}"), ("{\"a\":1}", ["/b", "/a/b"], "{\"a\":1}"),
        ("{}", [""], ""),
        ("{\"x\\ny\":1}", ["/x\ny"], "{}"),
        (
            "{\"b\":{\"q\":1,\"p\":2},\"a\":[{\"d\":1,\"c\":2}]}", ["/b"],
            "{\"a\":[{\"c\":2,\"d\":1}]}"
        ),
        ("{\"a\":1,\"a\":2}", ["/a"], "{}"),
        ("{\"a\":{\"b\":1},\"c\":{\"b\":2}}", ["/a/b"], "{\"a\":{},\"c\":{\"b\":2}}"),
    ])
    func `ignored values are left out`(text: String, pointers: [String], form: String) {
        #expect(canonical(text, ignoring: pointers) == form)
    }

    @Test(arguments: [
        ("{\"b\":1,\"a\":{\"y\":1,\"x\":2}}", ["/a", "/b"], "{\"x\":2,\"y\":1}\n1\n"),
        ("{\"b\":1,\"a\":2}", ["/b", "/a"], "1\n2\n"), ("{\"b\":1}", ["/a", "/b"], "\n1\n"),
        ("{\"b\":[5, 6]}", ["/b/1", "/b", ""], "6\n[5,6]\n{\"b\":[5,6]}\n"), ("7", [""], "7\n"),
        ("{}", [], ""),
    ])
    func `only the named values count`(text: String, pointers: [String], form: String) {
        #expect(canonical(text, only: pointers) == form)
    }

    @Test func `what is ignored is missing where it was named, too`() {
        #expect(
            canonical(
                "{\"b\":{\"d\":1,\"c\":2},\"a\":1}", ignoring: ["/b/c", "/a"],
                only: ["/b", "/a", "/b/c"])
                == "{\"d\":1}\n\n\n")
    }

    @Test func `sixty-four pointers are taken`() {
        let pointers = (0..<64).map { "/m\($0)" }
        #expect(canonical("{\"m0\":1,\"m63\":2,\"n\":3}", ignoring: pointers) == "{\"n\":3}")
    }

    @Test func `random texts agree with a slow model, however they are spelled`() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed: seed)
        for _ in 0..<2000 {
            let value = Shape.random(&random, depth: 4)
            let form = value.canonical
            let spelled = value.spelled(&random)
            #expect(canonical(spelled) == form, "seed \(seed): \(spelled)")
            let name = ["a", "b", "0", "é"].randomElement(using: &random)!
            let rest = value.without(name).canonical
            #expect(canonical(spelled, ignoring: ["/" + name]) == rest, "seed \(seed): \(spelled)")
            let parsed = try JSON.parse(Array(spelled.utf8)[...])
            #expect(canonical(written(parsed)) == form, "seed \(seed): \(spelled)")
        }
    }

    @Test func `a text cut anywhere is no JSON, and never traps`() {
        let text = Array(
            "{\"b\" : [1.5e3, {\"d\":\"\\u00e9\\ud83d\\ude00é\", \"c\": null}], \"a\":true}".utf8)
        for end in text.indices {
            #expect(
                JSONCanonicalForm.of(text[..<end], ignoring: [JSONPointer("/b/1/c")!]) == .notJSON)
            #expect(throws: JSONError.self) { try JSON.parse(text[..<end]) }
        }
    }

    @Test func `random bytes are judged alike by parser and canonical form`() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SplitMix(seed: seed)
        let alphabet = Array("[]{}:,\"\\un0123456789.eE+- tfalse\u{1}é".utf8)
        for _ in 0..<20000 {
            let text = (0..<Int.random(in: 1...12, using: &random)).map { _ in
                alphabet.randomElement(using: &random)!
            }
            let isParsed = (try? JSON.parse(text[...])) != nil
            let isForm = JSONCanonicalForm.of(text[...]) != .notJSON
            #expect(isParsed == isForm, "seed \(seed): \(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test func `deep disorder is written once per byte`() {
        // 500 levels, each out of order, around a long string: moved at each level it would take
        // 500 times as long as it does.
        let depth = 500
        let filler = String(repeating: "x", count: 100_000)
        let text =
            String(repeating: "{\"b\":1,\"a\":", count: depth) + "\"\(filler)\""
            + String(repeating: "}", count: depth)
        let form =
            String(repeating: "{\"a\":", count: depth) + "\"\(filler)\""
            + String(repeating: ",\"b\":1}", count: depth)
        #expect(canonical(text) == form)
    }
}

/// A value without places: the slow model of canonical form.
private indirect enum Shape {
    case scalar(String)
    case text(String)
    case array([Shape])
    case object([(String, Shape)])

    static func random(_ random: inout SplitMix, depth: Int) -> Shape {
        let names = ["a", "b", "ab", "a b", "", "0", "1", "é", "\"", "\\", "\n", "😀", "z"]
        switch Int.random(in: 0..<(depth > 0 ? 4 : 2), using: &random) {
        case 0:
            return .scalar(
                ["0", "-1.0", "1e9", "true", "false", "null"].randomElement(using: &random)!)
        case 1:
            return .text(
                names.randomElement(using: &random)! + names.randomElement(using: &random)!)
        case 2:
            let count = Int.random(in: 0...3, using: &random)
            return .array((0..<count).map { _ in Shape.random(&random, depth: depth - 1) })
        default:
            let chosen = names.shuffled(using: &random).prefix(
                Int.random(in: 0...5, using: &random))
            return .object(chosen.map { ($0, Shape.random(&random, depth: depth - 1)) })
        }
    }

    func without(_ name: String) -> Shape {
        switch self {
        case .object(let members): .object(members.filter { $0.0 != name })
        case .array(let elements):
            .array(elements.enumerated().filter { String($0.offset) != name }.map(\.element))
        default: self
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    var canonical: String {
        switch self {
        case .scalar(let word): return word
        case .text(let text): return Self.quoted(text)
        case .array(let elements):
            return "[" + elements.map(\.canonical).joined(separator: ",") + "]"
        case .object(let members):
            let sorted = members.map { (Self.quoted($0.0), $0.1) }.sorted {
                $0.0.utf8.dropFirst().dropLast().lexicographicallyPrecedes(
                    $1.0.utf8.dropFirst().dropLast())
            }
            return "{" + sorted.map { "\($0.0):\($0.1.canonical)" }.joined(separator: ",") + "}"
        }
    }

    /// The value with random whitespace and escapes.
    func spelled(_ random: inout SplitMix) -> String {
        func gap(_ random: inout SplitMix) -> String {
            ["", "", "", "", " ", "\n\t"].randomElement(using: &random)!
        }
        func quoted(_ text: String, _ random: inout SplitMix) -> String {
            var result = "\""
            for scalar in text.unicodeScalars {
                if Bool.random(using: &random) {
                    for unit in String(scalar).utf16 {
                        let digits = String(unit, radix: 16, uppercase: Bool.random(using: &random))
                        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                    }
                } else {
                    result += Self.quoted(String(scalar)).dropFirst().dropLast()
                }
            }
            return result + "\""
        }
        switch self {
        case .scalar(let word): return gap(&random) + word + gap(&random)
        case .text(let text): return gap(&random) + quoted(text, &random) + gap(&random)
        case .array(let elements):
            let items = elements.map { $0.spelled(&random) }
            return "[" + gap(&random) + items.joined(separator: ",") + "]" + gap(&random)
        case .object(let members):
            let items = members.map {
                "\(quoted($0.0, &random))\(gap(&random)):\($0.1.spelled(&random))"
            }
            return "{" + gap(&random) + items.joined(separator: "," + gap(&random)) + "}"
        }
    }
}
