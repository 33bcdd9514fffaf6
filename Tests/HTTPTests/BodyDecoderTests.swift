import Testing

@testable import HTTP

struct BodyDecoderTests {
    /// Framing, input, and what becomes of it.
    static let cases: [(BodyFraming, String, String)] = [
        (.none, "abc", " end {} [0]"), (.length(0), "abc", " end {} [0]"),
        (.length(3), "abcdef", "abc end {} [3]"), (.length(3), "ab", "ab more"),
        (.length(.max), "ab", "ab more"), (.untilClose, "abc", "abc more"),
        (.chunked, "3\r\nabc\r\n0\r\n\r\nX", "abc end {} [13]"),
        (.chunked, "0\r\n\r\n", " end {} [5]"), (.chunked, "00000\r\n\r\n", " end {} [9]"),
        (.chunked, "003\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "abcd end {} [21]"),
        (
            .chunked, "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n",
            "01234567890123456789 end {} [35]"
        ),
        (.chunked, "2\r\n\r\n\r\n0\r\n\r\n", "\r\n end {} [12]"),
        (.chunked, "0000000000000001\r\na\r\n0\r\n\r\n", "a end {} [26]"),
        (.chunked, "1;a=b;c=\"d\"\r\na\r\n0;x\r\n\r\n", "a end {} [23]"),
        (.chunked, "1;\ta \r\na\r\n0\r\n\r\n", "a end {} [15]"),
        (.chunked, "1 \t; a\r\na\r\n0 ;\r\n\r\n", "a end {} [18]"),
        (.chunked, "0\r\nX: y\r\nX:z\r\n\r\n", " end {X=y|X=z} [16]"),
        (
            .chunked, "1\r\na\r\n0\r\nDigest: q\r\nContent-Length: 5\r\nHost: b\r\n\r\n",
            "a end {Digest=q} [50]"
        ),
        (.chunked, "FFFFFFFFFFFFFFFF\r\nab", "ab more"),
        (.chunked, "8000000000000000\r\na", "a more"),
        (.chunked, "", " more"), (.chunked, "3", " more"), (.chunked, "3\r\nab", "ab more"),
        (.chunked, "3\r\nabc\r", "abc more"), (.chunked, "0\r\n", " more"),
        (.chunked, "0\r\nX: y\r\n\r", " more"),
        // Refused.
        (.chunked, "\r\n", " refused"), (.chunked, "0x3\r\nabc\r\n", " refused"),
        (.chunked, "+3\r\nabc", " refused"), (.chunked, "-3\r\nabc", " refused"),
        (.chunked, " 3\r\nabc", " refused"), (.chunked, "3 \r\nabc", " refused"),
        (.chunked, "3 a\r\nabc", " refused"), (.chunked, "3\tabc", " refused"),
        (.chunked, "3 \t 3;a\r\nabc", " refused"), (.chunked, "3 \n;a\r\nabc", " refused"),
        (.chunked, "3 \r;a\r\nabc", " refused"), (.chunked, " ;a\r\nabc", " refused"),
        (.chunked, "g\r\n", " refused"), (.chunked, ";a\r\n", " refused"),
        (.chunked, "3,3\r\nabc", " refused"), (.chunked, "3.\r\nabc", " refused"),
        (.chunked, "3_0\r\nabc", " refused"), (.chunked, "\u{0}", " refused"),
        (.chunked, "00000000000000003\r\nabc", " refused"),
        (.chunked, "10000000000000000\r\n", " refused"), (.chunked, "3\nabc\r\n", " refused"),
        (.chunked, "3\r\rabc", " refused"), (.chunked, "3\rabc", " refused"),
        (.chunked, "3;a\nabc", " refused"), (.chunked, "3;a\r\rabc", " refused"),
        (.chunked, "3;a\u{0}\r\n", " refused"), (.chunked, "3;\u{7F}\r\n", " refused"),
        (.chunked, "3;a=\"\n\"\r\n", " refused"), (.chunked, "3\r\nabcd\r\n", "abc refused"),
        (.chunked, "3\r\nabc0\r\n\r\n", "abc refused"),
        (.chunked, "3\r\nabc\n0\r\n", "abc refused"),
        (.chunked, "3\r\nabc\r0", "abc refused"), (.chunked, "3\r\nabc\r\r\n", "abc refused"),
        (.chunked, "3\r\nabc\r\n\r\n", "abc refused"), (.chunked, "0\r\n\n", " refused"),
        (.chunked, "0\n\n", " refused"), (.chunked, "0\r\nX : y\r\n\r\n", " refused"),
        (.chunked, "0\r\nX\r\n\r\n", " refused"), (.chunked, "0\r\n X: y\r\n\r\n", " refused"),
        (.chunked, "0\r\nX: y\r\n z\r\n\r\n", " refused"), (.chunked, "0\r\nX: \u{0}", " refused"),
        (.chunked, "0\r\nX: a\rb", " refused"), (.chunked, "0\r\nGET / HTTP/1.1\r\n", " refused"),
    ]

    @Test(arguments: cases)
    func `a body is read the same however it is cut`(
        framing: BodyFraming, input: String, expected: String
    ) {
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofBody: cutting, framing) == expected)
        }
    }

    /// Limits of 5 bytes for an extension, 10 for trailers, 2 trailer lines.
    @Test(arguments: [
        ("1;2345\r\na\r\n0\r\n\r\n", "a end {} [16]"), ("1;23456", " refused"),
        ("1    ;\r\na\r\n0\r\n\r\n", "a end {} [16]"), ("1      ", " refused"),
        ("1   ;56", " refused"),
        ("0\r\nX: 1\r\nY:1\r\n", " refused"), ("0\r\nX:1\r\nX:2\r\n\r\n", " end {X=1|X=2} [15]"),
        ("0\r\nX:1\r\nX: 2\r\n\r\n", " refused"), ("0\r\n0123456789abc", " refused"),
        ("0\r\nX:\r\nX:\r\nX:\r\n", " refused"),
    ])
    func `a limit is kept to the byte`(input: String, expected: String) {
        var limits = HTTPLimits()
        limits.chunkExtension = 5
        limits.trailers = 10
        limits.fieldCount = 2
        for cutting in cuttings(latin1(input)) {
            #expect(outcome(ofBody: cutting, .chunked, limits: limits) == expected)
        }
    }

    @Test(arguments: [
        "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Idempotency-Key",
        "Connection", "Cookie", "set-cookie", "Content-Encoding", "Content-Range", "TRAILER",
        "Cache-Control", "If-Match", "X-Forwarded-For", "WWW-Authenticate", "Idempotency-Status",
    ])
    func `a trailer that would change the head is dropped`(name: String) {
        let input = latin1("0\r\nA: 1\r\n\(name): 1\r\nB: 2\r\n\r\n")
        #expect(outcome(ofBody: [input], .chunked).hasPrefix(" end {A=1|B=2}"))
    }

    @Test func `the bytes still owed are told where they are known`() throws {
        var decoder = BodyDecoder(.length(5))
        #expect((decoder.remaining as UInt64?) == 5)
        var offset = 0
        #expect(try decoder.next(latin1("abc").span, &offset) == .data(0..<3))
        #expect((decoder.remaining as UInt64?) == 2)
        #expect((decoder.isComplete as Bool) == false)
        offset = 1
        #expect(try decoder.next(latin1("xdefg").span, &offset) == .data(1..<3))
        #expect(offset == 3)
        #expect((decoder.isComplete as Bool) == true)
        #expect((decoder.remaining as UInt64?) == nil)
    }

    @Test(arguments: [
        (BodyFraming.none, "", true), (.length(1), "a", true), (.length(2), "a", false),
        (.untilClose, "", true), (.untilClose, "abc", true), (.chunked, "", false),
        (.chunked, "1\r\na\r\n0\r\n", false), (.chunked, "0\r\n\r\n", true),
    ])
    func `a close ends a body only where it may`(
        framing: BodyFraming, input: String, isAllowed: Bool
    ) throws {
        var decoder = BodyDecoder(framing)
        let bytes = latin1(input)
        var offset = 0
        while case .data = try decoder.next(bytes.span, &offset) {}
        if isAllowed {
            try decoder.finish()
            #expect((decoder.isComplete as Bool) == true)
        } else {
            #expect(throws: BodyError.self) { try decoder.finish() }
            #expect(throws: BodyError.self) { try decoder.next(bytes.span, &offset) }
        }
    }

    @Test func `a large chunk is one range`() throws {
        let input = latin1("10000\r\n") + [UInt8](repeating: 7, count: 65536)
        var decoder = BodyDecoder(.chunked)
        var offset = 0
        #expect(try decoder.next(input.span, &offset) == .data(7..<65543))
        #expect(try decoder.next(input.span, &offset) == .needMore)
    }
}
