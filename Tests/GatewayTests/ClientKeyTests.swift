import HTTP
import Testing

@testable import Gateway

@Suite struct ClientKeyTests {
    private func read(_ values: [String]) -> ClientKey.Reading {
        var fields: Fields = ["Host": "a"]
        for value in values { fields.append(.idempotencyKey, value) }
        return ClientKey.read(from: fields, named: .idempotencyKey)
    }

    @Test(arguments: [
        ("abc-123", "abc-123", "abc-123"), (#""abc-123""#, "abc-123", "abc-123"),
        ("x", "x", "x"),
        (
            "~!#$%&'()*+./:;<=>?@[]^_`{|}", "~!#$%&'()*+./:;<=>?@[]^_`{|}",
            "~!#$%&'()*+./:;<=>?@[]^_`{|}"
        ),
        (#"a\b"#, #"a\b"#, #"a\b"#), (#""a\\b""#, #"a\b"#, #"a\b"#),
        (#""a\"b""#, #"a"b"#, #""a\"b""#), (#""a,b""#, "a,b", #""a,b""#),
        ("ABC", "ABC", "ABC"),
    ])
    func `a key is read and told again`(_ value: String, _ key: String, _ told: String) {
        guard case .key(let read) = read([value]) else {
            Issue.record("\(value) is refused")
            return
        }
        #expect(String(decoding: read.bytes, as: UTF8.self) == key)
        #expect(String(decoding: read.fieldValue, as: UTF8.self) == told)
    }

    @Test(arguments: [
        "", #""""#, "a b", "a,b", #"a"b"#, "caf\u{e9}", "a\u{7f}", #""abc"#, #""a"b"#, #""a";x=1"#,
        #""a" , "b""#, #""a\b""#, #""a\"#, #""a b""#, "\"a\tb\"", #"abc""#,
    ])
    func `what is no key is refused`(_ value: String) {
        guard case .invalid = read([value]) else {
            Issue.record("\(value) is taken")
            return
        }
    }

    @Test(arguments: [(255, true), (256, false)])
    func `a key has at most 255 bytes in either form`(_ count: Int, isKey: Bool) {
        let key = String(repeating: "k", count: count)
        for value in [key, "\"\(key)\""] {
            if case .key = read([value]) { #expect(isKey) } else { #expect(!isKey) }
        }
    }

    @Test func `two lines are refused, even when they agree`() {
        guard case .invalid = read(["a", "a"]) else {
            Issue.record("taken")
            return
        }
    }

    @Test func `no line is no key`() {
        guard case .absent = read([]) else {
            Issue.record("not absent")
            return
        }
    }

    @Test(arguments: [
        (["wait=10"], 10), (["wait=0"], 0), (["WAIT=5"], 5), (["respond-async, wait=7"], 7),
        (["respond-async", "wait=3"], 3), (["wait=1, wait=2"], 1), (["wait = 4 ; x=y"], 4),
        ([#"wait="6""#], 6), (["wait"], nil), (["wait=x"], nil), (["wait=-1"], nil),
        (["waiting=1"], nil), ([], nil), (["wait=99999999999999999999"], nil),
        (["wait=x, wait=2"], nil),
    ])
    func `the client's patience is read`(_ values: [String], _ seconds: Int?) {
        var fields = Fields()
        for value in values { fields.append(.prefer, value) }
        #expect(waitPreference(fields) == seconds)
    }

    @Test(arguments: [
        ("keep", UpstreamVerdict(.keep)), ("keep; ttl=3600", UpstreamVerdict(.keep, ttl: 3600)),
        ("keep;ttl=0", UpstreamVerdict(.keep, ttl: 0)), ("release", UpstreamVerdict(.release)),
        ("unknown;x=1", UpstreamVerdict(.unknown)),
        (" keep ;x; ttl=5 ", UpstreamVerdict(.keep, ttl: 5)),
        ("keep;ttl=999999999999", UpstreamVerdict(.keep, ttl: 315_360_000)),
        ("keep;ttl=-1", nil), ("keep;ttl=x", nil), ("Keep", nil), ("", nil), ("maybe", nil),
        (#""keep""#, nil), ("keep, release", nil),
    ])
    func `an upstream's verdict is read`(_ value: String, _ verdict: UpstreamVerdict?) {
        #expect(UpstreamVerdict(["Idempotency-Verdict": value]) == verdict)
    }

    @Test func `two verdicts are none`() {
        let fields: Fields = ["Idempotency-Verdict": "keep", "idempotency-verdict": "keep"]
        #expect(UpstreamVerdict(fields) == nil)
    }
}
