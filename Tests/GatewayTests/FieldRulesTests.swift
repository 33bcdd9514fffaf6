import HTTP
import Testing

@testable import Gateway

@Suite struct FieldRulesTests {
    private func ruled(
        _ fields: Fields, remove: [String] = [], set: [(String, String)] = [],
        add: [(String, String)] = [], target: String = "/a/b", request: Fields = ["Host": "h"]
    ) throws -> [String] {
        let pattern = try PathPattern("/a/{id}")
        func lines(_ pairs: [(String, String)]) throws -> [FieldRules.Line] {
            try pairs.map { name, value in
                FieldRules.Line(
                    FieldName(name), try Template(value, for: pattern, words: .ofFieldRule))
            }
        }
        let rules = FieldRules(
            remove: remove.map { FieldName($0) }, set: try lines(set), add: try lines(add))
        let head = RequestHead(method: .get, target: Array(target.utf8)[...], fields: request)
        let values = EdgeValues(
            head, nil, pattern, from: Downstream(peer: "192.0.2.1"), RequestEdge())
        var fields = fields
        rules.apply(to: &fields, values)
        return fields.pairs.map { "\($0.name): \($0.value)" }
    }

    @Test func `lines are removed, then set, then added`() throws {
        let fields: Fields = ["A": "1", "B": "1", "a": "2", "C": "1"]
        #expect(
            try ruled(
                fields, remove: ["c", "B"], set: [("A", "3"), ("B", "2")],
                add: [("A", "4"), ("A", "5")]) == ["A: 3", "B: 2", "A: 4", "A: 5"])
    }

    @Test func `what is filled in cannot end its line`() throws {
        #expect(
            try ruled([:], add: [("X", "<{params.id}>")], target: "/a/%0d%0aY:%20b%01%7f")
                == ["X: <  Y: b  >"])
        #expect(try ruled([:], add: [("X", "{field.F}")], request: ["F": "a\tb"]) == ["X: a b"])
    }

    @Test func `a line of which nothing is left is not there, and one set is gone`() throws {
        #expect(
            try ruled(
                ["X": "1"], set: [("X", "{field.None}")],
                add: [("Y", " {params.id} "), ("Z", "{{{request_id}}}")], target: "/other") == [
                    "Z: {}"
                ]
        )
        let long = String(repeating: "x", count: 40 << 10)
        #expect(
            try ruled([:], add: [("X", "{field.F}{field.F}")], request: ["F": long]).isEmpty)
    }

    @Test func `words stand for what is known`() throws {
        #expect(
            try ruled([:], add: [("X", "{client} {peer} {host} {scheme} {params.id}")])
                == ["X: 192.0.2.1 192.0.2.1 h http b"])
    }

    @Test(arguments: ["{key}", "{id}", "{body}", "{query.a}", "{stages.a.status}", "{}", "{x"])
    func `other words are refused`(_ text: String) throws {
        let pattern = try PathPattern("/a/{id}")
        #expect(throws: PatternError.self) {
            try Template(text, for: pattern, words: .ofFieldRule)
        }
    }

    @Test func `words of rules are none of stages and probes`() throws {
        let pattern = try PathPattern("/a/{id}")
        for word in ["{client}", "{peer}", "{host}", "{scheme}", "{request_id}", "{trace_id}"] {
            for words in [Template.Words.ofProbe, .ofStage(after: [])] {
                #expect(throws: PatternError.self) {
                    try Template(word, for: pattern, words: words)
                }
            }
        }
    }
}
