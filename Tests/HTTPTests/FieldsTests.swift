import Testing

@testable import HTTP

struct FieldsTests {
    @Test func `every known name is recognised in any case, and no near miss is`() {
        let known = FieldName.ID.allCases.dropFirst()
        let names: [FieldName] = [
            .accept, .age, .authorization, .cacheControl, .connection, .contentEncoding,
            .contentLength, .contentType, .date, .expect, .forwarded, .host, .idempotencyKey,
            .keepAlive, .location, .prefer, .proxyAuthenticate, .proxyAuthenticationInfo,
            .proxyAuthorization, .proxyConnection, .retryAfter, .server, .te, .trailer,
            .transferEncoding, .upgrade, .via, .xForwardedFor, .xForwardedHost, .xForwardedPort,
            .xForwardedProto, .traceparent, .tracestate, .xRequestID,
            .idempotencyStatus, .idempotencyExpires, .idempotentReplayed,
            .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken,
            .accessControlExposeHeaders, .accessControlAllowOrigin,
        ]
        #expect(names.map(\.id) == Array(known))
        for name in names {
            let text = name.description
            for spelling in [text, text.uppercased(), text.lowercased()] {
                #expect(FieldName(spelling).id == name.id)
            }
            for miss in [text + "s", String(text.dropLast()), "x" + text] {
                #expect(FieldName(miss).id == .other)
            }
            for index in name.spelling.indices {
                var miss = name.spelling
                miss[index] = UInt8(ascii: "_")
                #expect(FieldName.ID(of: miss.span) == .other)
            }
        }
        #expect(FieldName("").id == .other)
    }

    @Test func `a token has the bytes of RFC 9110 and no others`() {
        let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        let tokenBytes = Set(latin1("!#$%&'*+-.^_`|~" + alphanumeric))
        for byte in UInt8.min...UInt8.max {
            #expect(isTokenByte(byte) == tokenBytes.contains(byte))
        }
    }

    @Test func `a value cannot split a message`() {
        var fields = Fields()
        fields.append(FieldName("X"), "a\r\nSet-Cookie: b\u{0}c\r\n")
        fields.append(FieldName("Y"), " \t z \n")
        fields.append(FieldName("A: b\r\nC"), "d")
        fields.append(FieldName(""), "d")
        fields.append(name: latin1("hOSt")[...], value: latin1("")[...])
        #expect(describe(fields) == "{X=a  Set-Cookie: b c|Y=z|hOSt=}")
        #expect(fields.id(at: 2) == .host)
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        #expect(latin1(section) == "X: a  Set-Cookie: b c\r\nY: z\r\nhOSt: \r\n")
    }

    @Test(arguments: [
        "", "X: y\r\n", "Host: a\r\nX: b\r\nDate: c\r\n", "X: \r\n", "X: a: b\r\nX: c\tc\r\n",
    ])
    func `a field section is written as it was read`(text: String) {
        let fields = Fields(fieldSection: latin1(text))
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        #expect(latin1(section) == text)
    }

    @Test(arguments: [
        ("X: a\r\nY\r\nZ: b\r\n", "{X=a}"), ("X: a\r\nY: b\nZ: c\r\n", "{X=a}"),
        ("X: a\r\nY: b", "{X=a}"), ("X: a\r\n\r\nY: b\r\n", "{X=a}"),
        ("X:a\r\nY:  b \r\n", "{X=a|Y=b}"),
        ("\u{0}", "{}"),
    ])
    func `a damaged field section ends at the damage`(text: String, expected: String) {
        #expect(describe(Fields(fieldSection: latin1(text))) == expected)
    }

    @Test func `lines of every origin are written in their order`() throws {
        var parser = RequestParser()
        let input = latin1("GET / HTTP/1.1\r\nHost:a\r\nX: 1\r\nY: 2\r\nZ:  3 \r\nW: 4\r\n\r\n")
        var fields = try #require(try parser.parse(input.span).head).fields
        fields.append(FieldName("V"), "5")
        fields.removeAll(FieldName("y"))
        fields.append(line: 0, of: fields)
        var section: [UInt8] = []
        fields.appendFieldSection(to: &section)
        #expect(latin1(section) == "Host: a\r\nX: 1\r\nZ: 3\r\nW: 4\r\nV: 5\r\nHost: a\r\n")
        #expect(fields.count(of: .host) == 2)
    }
}
