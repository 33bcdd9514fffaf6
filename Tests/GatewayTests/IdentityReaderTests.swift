import Crypto
import HTTP
import Idempotency
import JSON
import Testing

@testable import Gateway

@Suite struct IdentityReaderTests {
    /// A request as the cases below vary it.
    struct Case: Sendable, CustomTestStringConvertible {
        var method: HTTP.Method = .post
        var target = "/orders"
        var type: String? = "application/json"
        var encoding: String?
        var field: String?
        var body = #"{"a":1,"b":[2]}"#

        var testDescription: String { "\(method) \(target) \(type ?? "-") \(field ?? "-") \(body)" }

        var head: RequestHead {
            var fields = Fields()
            if let type { fields.append(.contentType, type) }
            if let encoding { fields.append(.contentEncoding, encoding) }
            if let field { fields.append(FieldName("X-Tenant"), field) }
            return RequestHead(method: method, target: Array(target.utf8)[...], fields: fields)
        }
    }

    private func differences(
        _ a: Case, _ b: Case, _ change: (inout FingerprintRules) -> Void = { _ in }
    ) -> [String] {
        var rules = FingerprintRules()
        change(&rules)
        let reader = IdentityReader()
        let first = reader.fingerprint(rules, of: a.head, body: Array(a.body.utf8)[...])
        let second = reader.fingerprint(rules, of: b.head, body: Array(b.body.utf8)[...])
        let differs = first.differences(from: second)
        #expect((first == second) == differs.isEmpty)
        return differs
    }

    @Test(
        arguments: [
            (Case(), []), (Case(method: .put), ["method"]), (Case(target: "/orders/"), ["path"]),
            (Case(target: "/%6Frders"), ["path"]),
            (Case(target: "/a/path/longer/than/fifteen/bytes"), ["path"]),
            (Case(target: "/orders?a=1"), ["query"]), (Case(target: "/orders?"), ["query"]),
            (Case(type: "Application/JSON; charset=utf-8"), []),
            (Case(type: "text/json"), ["media_type", "body"]),
            (Case(type: nil, body: #"{"a":1,"b":[2]}"#), ["media_type"]),
            (Case(body: #" { "b" : [ 2 ], "a" : 1 } "#), []),
            (Case(body: #"{"a":1.0,"b":[2]}"#), ["body"]),
            (Case(body: ""), ["body"]), (Case(field: "t"), []),
            (Case(method: .put, target: "/x?y", body: "{}"), ["method", "path", "query", "body"]),
            (Case(encoding: "identity", body: #"{"b":[2],"a":1}"#), []),
            (Case(encoding: "gzip", body: #"{"b":[2],"a":1}"#), ["body"]),
        ] as [(Case, [String])])
    func `a request differs in the parts that were changed`(_ other: Case, _ parts: [String]) {
        if other.type == "text/json" {
            // The same bytes hash alike; only their reordering would tell.
            #expect(differences(Case(), other) == ["media_type"])
        } else {
            #expect(Set(differences(Case(), other)) == Set(parts))
        }
    }

    @Test func `the query can be left out`() {
        #expect(differences(Case(), Case(target: "/orders?a=1")) { $0.query = false } == [])
    }

    @Test func `chosen fields take part, and an absent one is not an empty one`() {
        func differ(_ a: String?, _ b: String?) -> [String] {
            differences(Case(field: a), Case(field: b)) { $0.fields = [FieldName("X-TENANT")] }
        }
        #expect(differ("t", "t") == [])
        #expect(differ("t", "u") == ["field:x-tenant"])
        #expect(differ(nil, "") == ["field:x-tenant"])
    }

    @Test(arguments: [
        (FingerprintRules.Body.bytes, #"{"b":[2],"a":1}"#, ["body"]),
        (.none, "other", []),
        (.pointers([JSONPointer("/a")!]), #"{"a":1,"b":3}"#, []),
        (.pointers([JSONPointer("/a")!]), #"{"a":2,"b":[2]}"#, ["body"]),
        (.pointers([JSONPointer("/a")!]), "no JSON", ["body"]),
    ])
    func `the body takes part as the route says`(
        _ mode: FingerprintRules.Body, _ body: String, _ parts: [String]
    ) {
        #expect(differences(Case(), Case(body: body)) { $0.body = mode } == parts)
    }

    @Test func `no body passes for what another one is reduced to`() throws {
        let object = Case(body: #"{"a":1,"b":2}"#)
        #expect(
            differences(object, Case(body: "1\n2\n")) {
                $0.body = .pointers([JSONPointer("/a")!, JSONPointer("/b")!])
            } == ["body"])
        var form = Case(type: "multipart/form-data; boundary=b", body: "--b\r\n\r\n1\r\n--b--")
        let hasher = SHA256Hasher()
        var summary = Array("multipart".utf8)
        for part in ["", "", "\r\n1", ""] { summary += hasher.digest(Array(part.utf8)[...]).bytes }
        let reader = IdentityReader()
        let first = reader.fingerprint(
            FingerprintRules(), of: form.head, body: Array(form.body.utf8)[...])
        let second = reader.fingerprint(FingerprintRules(), of: form.head, body: summary[...])
        #expect(first.differences(from: second) == ["body"])
        form.body += "\r\n"
        #expect(differences(form, form).isEmpty)
    }

    @Test func `of several media types none is gone by`() {
        func fingerprint(_ types: [String], _ body: String) -> Fingerprint {
            var fields = Fields()
            for type in types { fields.append(.contentType, type) }
            let head = RequestHead(method: .post, target: Array("/".utf8)[...], fields: fields)
            return IdentityReader().fingerprint(
                FingerprintRules(), of: head, body: Array(body.utf8)[...])
        }
        let (json, text) = ("application/json", "text/plain")
        let first = fingerprint([json, text], "{}")
        #expect(first.differences(from: fingerprint([json, "a/b"], "{}")) == ["media_type"])
        #expect(first.differences(from: fingerprint([json], "{}")) == ["media_type"])
        #expect(first.differences(from: fingerprint([json, text], "{ }")) == ["body"])
        #expect(first == fingerprint([json, text], "{}"))
    }

    @Test func `ignored places take no part`() {
        let other = Case(body: #"{"a":1,"b":[3]}"#)
        #expect(differences(Case(), other) { $0.ignore = [JSONPointer("/b")!] } == [])
        #expect(differences(Case(), other) { $0.ignore = [JSONPointer("/c")!] } == ["body"])
    }

    @Test func `problem types ending in +json are JSON too, and broken JSON is bytes`() {
        let a = Case(type: "application/vnd.x+json", body: #"{"a":1,"b":2}"#)
        #expect(differences(a, Case(type: a.type, body: #"{"b":2,"a":1}"#)) == [])
        #expect(differences(Case(body: "{"), Case(body: "{ ")) == ["body"])
    }

    @Test func `a scope tells callers apart however their fields are cut`() {
        let reader = IdentityReader()
        let names = [FieldName("A"), FieldName("B")]
        let callers: [Fields] = [
            [:], ["A": ""], ["B": ""], ["A": "", "B": ""], ["A": "x"], ["B": "x"],
            ["A": "xy"], ["A": "x", "A": "y"], ["A": "x", "B": "y"], ["A": "x,y"],
            ["A": "y", "A": "x"],
        ]
        let scopes = callers.map { reader.scope(.fields(names), of: $0) }
        #expect(Set(scopes).count == callers.count)
        #expect(scopes.allSatisfy { $0.count == 32 })
        #expect(reader.scope(.fields(names), of: ["a": "x", "Other": "z"]) == scopes[4])
        #expect(reader.scope(.shared, of: ["A": "x"]) == [])
    }
}
