import HTTP
import Testing

@testable import Gateway

@Suite struct MaxForwardsTests {
    private func decided(_ method: Method, _ values: String...) -> String {
        var fields: Fields = ["Host": "a", "Cookie": "b"]
        for value in values { fields.append(FieldName("max-forwards"), value) }
        switch MaxForwards(RequestHead(method: method, target: [0x2F], fields: fields)) {
        case .unlimited: return "unlimited"
        case .exhausted: return "exhausted"
        case .malformed: return "malformed"
        case .remaining(let fields): return fields.text(FieldName("Max-Forwards")) ?? "none"
        }
    }

    @Test(arguments: [Method.options, .trace])
    func `a request goes as far as it may`(method: Method) {
        #expect(decided(method) == "unlimited")
        #expect(decided(method, "0") == "exhausted")
        #expect(decided(method, "000") == "exhausted")
        #expect(decided(method, "1") == "0")
        #expect(decided(method, "0010") == "9")
        #expect(decided(method, "256") == "255")
        #expect(decided(method, "257") == "255")
        #expect(decided(method, "18446744073709551616") == "255")
    }

    @Test(arguments: ["", "-1", "+1", "1.0", "a", "1 1", "1, 1", "0x1"])
    func `what is no number is malformed`(value: String) {
        #expect(decided(.trace, value) == "malformed")
    }

    @Test func `two numbers are malformed`() {
        #expect(decided(.options, "1", "1") == "malformed")
    }

    @Test(arguments: [Method.get, .post, .head, .other("options")])
    func `other methods go on`(method: Method) {
        #expect(decided(method, "0") == "unlimited")
        #expect(decided(method, "a") == "unlimited")
    }

    @Test func `a trace that ends here shows its way and nothing else`() {
        let fields: Fields = [
            "Host": "a", "Authorization": "b", "via": "1.1 x", "X-Api-Key": "c",
            "Max-Forwards": "0",
        ]
        let (head, body) = MaxForwards.answer(
            to: RequestHead(method: .trace, target: Array("/d?e".utf8)[...], fields: fields))
        #expect(head.status == 200)
        #expect(head.fields.text(.contentType) == "message/http")
        #expect(
            String(decoding: body, as: UTF8.self)
                == "TRACE /d?e HTTP/1.1\r\nHost: a\r\nvia: 1.1 x\r\nMax-Forwards: 0\r\n\r\n")
    }
}
