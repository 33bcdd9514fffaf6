import HTTP
import JSON
import Testing

@testable import Gateway

/// Texts of `gateway.json` that requests fill in.
@Loop @Suite struct TemplateTests {
    private static let pattern = try? PathPattern("/carts/{id}/complete")

    private func template(
        _ text: String, after stages: [String] = ["tax", "pay.1"]
    ) throws -> Template {
        try Template(text, for: try #require(Self.pattern), words: .ofStage(after: stages))
    }

    private func values(
        id: String = "c 1/ü", query: String? = "a=x%20y&b=1+2&c&a=z",
        body: String? = #"{"n": 1.50, "s": "t\"x", "o": {"k": [1, true, null]}, "e": ""}"#,
        fields: Fields = ["X-A": "v a", "X-E": ""]
    ) -> TemplateValues {
        TemplateValues(
            key: Array("k-1".utf8)[...], captures: [Array(id.utf8)[...]],
            query: query.map { Array($0.utf8)[...] }, fields: fields,
            content: { body.map { Array($0.utf8)[...] } },
            answers: [
                "tax": .init(status: 201, content: { Array(#"{"total": 12.00}"#.utf8)[...] }),
                "pay.1": .init(status: 200, content: { nil }),
            ])
    }

    private func target(_ text: String, _ values: TemplateValues? = nil) throws -> String {
        String(decoding: try template(text).target(values ?? self.values()), as: UTF8.self)
    }

    private func json(_ text: String, _ values: TemplateValues? = nil) throws -> String {
        let value = try JSON.parse(Array(text.utf8)[...])
        let template = try JSONTemplate(
            value, for: try #require(Self.pattern), words: .ofStage(after: ["tax", "pay.1"]))
        return String(decoding: try template.body(values ?? self.values()), as: UTF8.self)
    }

    @Test(
        arguments: [
            ("/carts/{id}/taxes", "/carts/c%201%2F%C3%BC/taxes"),
            ("/carts/{params.id}", "/carts/c%201%2F%C3%BC"), ("/x?k={key}", "/x?k=k-1"),
            ("/x/{query.a}/{query.b}", "/x/x%20y/1%202"), ("/x?c={query.c}", "/x?c="),
            ("/x/{field.x-a}", "/x/v%20a"), ("/x/{body/n}", "/x/1.50"),
            ("/x/{body/o/k/1}", "/x/true"), ("/x/{stages.tax.status}", "/x/201"),
            ("/x/{stages.tax.body/total}", "/x/12.00"), ("/{{id}}", "/{id}"),
            ("/x/{stages.pay.1.status}", "/x/200"), ("/x?e={body/e}", "/x?e="),
        ])
    func `a path takes values percent-encoded`(_ text: String, _ expected: String) throws {
        #expect(try target(text) == expected)
    }

    @Test(
        arguments: [
            ("/x/{query.no}", "query.no"), ("/x/{field.no}", "field.no"),
            ("/x/{body/no}", "body/no"), ("/x/{body/o}", "body/o"),
            ("/x/{body/o/k/2}", "body/o/k/2"), ("/x/{body/e}", "body/e"),
            ("/x/{query.c}/y", "query.c"), ("/x/{stages.pay.1.body/id}", "stages.pay.1.body/id"),
            ("/x/{field.X-E}/y", "field.X-E"),
        ])
    func `a value that is missing fails and is named`(_ text: String, _ word: String) throws {
        let failure = #expect(throws: TemplateFailure.self) { try self.target(text) }
        #expect(failure?.word == word)
        #expect(failure?.detail.contains("{\(word)} cannot be filled in") == true)
    }

    @Test(arguments: ["..", "."])
    func `a value cannot climb out of its place`(_ id: String) throws {
        #expect(throws: TemplateFailure.self) { try self.target("/x/{id}/y", self.values(id: id)) }
        #expect(try target("/x/v{id}", values(id: id)) == "/x/v" + id)
        #expect(try target("/x?y={id}", values(id: id)) == "/x?y=" + id)
    }

    @Test(arguments: ["../v", "v/../w", "v/..", "v\\..\\w", "./v"])
    func `nor where a server decodes it before it looks for dots`(_ id: String) throws {
        #expect(throws: TemplateFailure.self) { try self.target("/x/{id}/y", self.values(id: id)) }
        #expect(try target("/x?y={id}", values(id: id)).hasPrefix("/x?y="))
    }

    @Test func `a line is bounded`() throws {
        let values = values(id: String(repeating: "x", count: 70_000))
        #expect(throws: TemplateFailure.self) { try self.target("/x/{id}", values) }
        #expect(throws: TemplateFailure.self) {
            try self.template("{id}").fieldValue(values)
        }
    }

    @Test func `field values take text, and no control characters`() throws {
        let value = try template("Bearer {field.X-A}; {body/s}").fieldValue(values())
        #expect(String(decoding: value, as: UTF8.self) == "Bearer v a; t\"x")
        for id in ["a\r\nX: y", "a\u{0}", "a\u{7F}"] {
            let failure = #expect(throws: TemplateFailure.self) {
                try self.template("{id}").fieldValue(self.values(id: id))
            }
            #expect(failure?.word == "id")
        }
    }

    @Test(
        arguments: [
            (#"{"a":"{params.id}"}"#, #"{"a":"c 1/ü"}"#),
            (#"["{body/n}","{body/o}","{body/s}"]"#, #"[1.50,{"k":[1,true,null]},"t\"x"]"#),
            (#"{"a":"n={body/n}, {stages.tax.status}"}"#, #"{"a":"n=1.50, 201"}"#),
            (#"["{stages.tax.body/total}",1.0,true,null]"#, #"[12.00,1.0,true,null]"#),
            (#""{body/o/k}""#, "[1,true,null]"), (#""{stages.tax.status}""#, "201"),
            (#"{"{id}":"{{id}}"}"#, #"{"{id}":"{id}"}"#),
            (#"["{key}","{query.a}"]"#, #"["k-1","x y"]"#),
            (#""{stages.tax.body}""#, #"{"total":12.00}"#), ("{}", "{}"), ("[]", "[]"),
        ])
    func `JSON takes values with their types`(_ text: String, _ expected: String) throws {
        #expect(try json(text) == expected)
    }

    @Test func `JSON takes no bytes that are no text`() throws {
        var fields = Fields()
        fields.append(FieldName("X-A"), [0xFF, 0x41])
        #expect(throws: TemplateFailure.self) {
            try self.json(#""{field.X-A}""#, self.values(fields: fields))
        }
        #expect(throws: TemplateFailure.self) {
            try self.json(#""x{field.X-A}""#, self.values(fields: fields))
        }
    }

    @Test(arguments: [nil, "no json", "", #"{"a":1,"a":2}"#] as [String?])
    func `a body that is no JSON has no values`(_ body: String?) throws {
        let failure = #expect(throws: TemplateFailure.self) {
            try self.json(#""{body/n}""#, self.values(body: body))
        }
        #expect(failure?.word == "body/n")
    }

    @Test(
        arguments: [
            ("/x/{no}", "is none of"), ("/x/{params.no}", "captures no {no}"),
            ("/x/{stages.no.status}", "no earlier stage \"no\""),
            ("/x/{stages.tax.no}", "is none of"), ("/x/{stages.tax.status/x}", "is none of"),
            ("/x/{body/~}", "no JSON pointer"), ("/x/{stages.tax.body/~2}", "no JSON pointer"),
            ("/x/{bodyx}", "is none of"), ("/x/{query.}", "is none of"),
            ("/x/{field.a b}", "visible ASCII"), ("/x/{id", "followed by a name"),
            ("/x/}", "followed by a name"), ("x", "begins with"), ("/a b", "visible ASCII"),
            ("/x/{}", "is none of"),
        ])
    func `a template that makes no sense is refused`(_ text: String, _ reason: String) throws {
        let pattern = try #require(Self.pattern)
        let error = #expect(throws: PatternError.self) {
            try Template(path: text, for: pattern, words: .ofStage(after: ["tax"]))
        }
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
    }
}
