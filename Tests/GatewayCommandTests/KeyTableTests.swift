import Idempotency
import JSON
import Testing

@testable import GatewayCommand

private let now = Timestamp(rfc3339: "2026-01-02T03:04:05.000000Z")!

private func record(_ members: [String: String] = [:]) throws -> KeyRecord {
    var all = [
        "id": #""ikey_01M89XBN1T8KG5R0BTKH6QEXSS""#, "idempotency_key": #""order-1""#,
        "created_at": #""2026-01-02T03:02:05.000000Z""#, "recovery_point": #""finished""#,
        "request_method": #""POST""#, "request_path": #""/orders""#, "response_code": "201",
        "locked_at": "null", "expires_at": #""2026-01-03T03:02:05.000000Z""#,
    ]
    all.merge(members) { $1 }
    let text = all.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }
    let value = try JSON.parse(Array("{\(text.joined(separator: ", "))}".utf8)[...])
    return try #require(KeyRecord(value))
}

/// What a client may choose to get at a terminal with.
private let attack =
    "a\u{1B}]0;title\u{7}\u{1B}[2J\r\n\u{7F}\u{9B}31m\u{202E}\u{200B}\u{2028}\u{E000}b"

private func isHarmless(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { scalar in
        scalar == "\n" || 0x20...0x7E ~= scalar.value
            || !scalar.isASCII && scalar.value > 0x9F
                && ![0x202E, 0x200B, 0x2028, 0xE000].contains(scalar.value)
    }
}

@Suite struct KeyTableTests {
    @Test func `a record is a line, its numbers on the right`() throws {
        let table = KeyTable(now: now)
        #expect(
            table.head
                == "ID                               IDEMPOTENCY_KEY                       "
                + "STATE            REQUEST              CODE    AGE\n")
        #expect(
            try table.line(record())
                == "ikey_01M89XBN1T8KG5R0BTKH6QEXSS  order-1                               "
                + "finished         POST /orders          201     2m\n")
        #expect(
            try table.line(record(["response_code": "null"])).hasSuffix("     -     2m\n"))
    }

    @Test(arguments: [0, 100, 120, 200, 1000])
    func `a line is as wide as the table at most, whatever is in it`(width: Int) throws {
        let long = "\"" + String(repeating: "k", count: 300) + "\""
        let table = KeyTable(width: width, now: now)
        let line = try table.line(
            record([
                "idempotency_key": long, "request_path": long, "recovery_point": long,
                "created_at": #""1970-01-01T00:00:00Z""#,
            ]))
        #expect(line.count - 1 <= min(max(width, 100), 200))
        #expect(line.contains("kkk…  free: kkkkk"))
        #expect(table.head.count - 1 <= min(max(width, 100), 200))
    }

    @Test func `a hostile key, path or point cannot steer a terminal`() throws {
        var json = JSONWriter()
        json.value(attack)
        let text = String(decoding: json.bytes, as: UTF8.self)
        let record = try record(
            [
                "idempotency_key": text, "request_path": text, "request_method": text,
                "recovery_point": text, text: text, "owner": text, "response_body": text,
                "response_headers": "[[\(text), \(text)]]",
                "stages": "[{\"recovery_point\": \(text), \"reached_at\": \(text)}]",
            ].filter { $0.key != text })
        let line = KeyTable(width: 200, now: now).line(record)
        #expect(isHarmless(line) && line.split(separator: "\n").count == 1, "\(line)")
        #expect(line.contains("a\\u{1b}]0;title\\u{7}\\u{1b}[2J"))
        let sheet = KeySheet.text(record, now: now)
        #expect(isHarmless(sheet), "\(sheet)")
        #expect(record.line.unicodeScalars.allSatisfy { $0.isASCII && $0.value >= 0x20 })
        let again = try JSON.parse(Array(record.line.utf8)[...])
        #expect(again["idempotency_key"]?.string == attack)
    }

    @Test(arguments: [
        ("plain", "plain"), (#"a\u{1b}"#, #"a\\u{1b}"#), ("\u{1B}", #"\u{1b}"#), ("é漢", "é漢"),
    ])
    func `no two texts look alike on a line`(text: String, shown: String) {
        #expect(TerminalText.line(text) == shown)
    }

    @Test func `wide characters take two columns, and marks none`() {
        #expect(TerminalText.width("a漢e\u{301}") == 4)
        #expect(TerminalText.cut("漢字漢字", 6) == "漢字…")
        #expect(TerminalText.cut("漢字", 4) == "漢字")
    }

    @Test(
        arguments: [
            (["locked_at": #""2026-01-02T03:02:05Z""#, "recovery_point": #""started""#], "locked"),
            (
                ["locked_at": #""2026-01-02T03:02:05Z""#, "recovery_point": #""paid""#],
                "locked: paid"
            ),
            (["recovery_point": #""started""#], "free"),
            (["recovery_point": #""paid""#], "free: paid"),
            (["recovery_point": #""unknown""#], "unknown"), ([:], "finished"),
            (["expires_at": #""2026-01-02T03:04:05Z""#], "expired: finished"),
        ] as [([String: String], String)])
    func `the state is told`(members: [String: String], state: String) throws {
        #expect(try record(members).progress(at: now) == state)
    }

    @Test(arguments: [
        (-5, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"),
        (172_799, "47h"), (172_800, "2d"), (86_400 * 3650, "3650d"),
    ])
    func `ages are short`(seconds: Int, text: String) {
        #expect(Duration.seconds(seconds).brief == text)
    }

    @Test(arguments: [
        "1970-01-01T00:00:00.000000Z", "2024-02-29T23:59:59.999999Z", "2000-03-01T00:00:00.000001Z",
        "1969-12-31T23:59:59.500000Z", "0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.000000Z",
    ])
    func `a moment is read as it is written`(text: String) {
        #expect(Timestamp(rfc3339: text)?.description == text)
    }

    @Test(arguments: [
        "", "2024-02-29", "2024-02-29T23:59:59", "2024-13-01T00:00:00Z",
        "2024-01-01T00:00:00+01:00",
        "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00.1234567Z", "2024-01-01 00:00:00Z",
        "2024-01-01T0x:00:00Z",
    ])
    func `other texts are no moments`(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func `a record is shown whole, and without its token`() throws {
        let record = try record([
            "lock_token": #""0123456789abcdef""#, "owner": #""gate-1""#,
            "response_headers": #"[["Location", "/orders/1"], ["A", "b"]]"#,
            "response_body": #"{"total": 1.50}"#,
            "stages": """
            [{"recovery_point": "taxed", "response_code": 200,
              "reached_at": "2026-01-02T03:03:05.000000Z"}]
            """,
        ])
        let sheet = KeySheet.text(record, now: now)
        for line in [
            "id                ikey_01M89XBN1T8KG5R0BTKH6QEXSS", "state             finished",
            "request           POST /orders", "idempotency_key   order-1",
            "owner             gate-1", "locked_at         -",
            "created_at        2026-01-02T03:02:05.000000Z (2m ago)",
            "expires_at        2026-01-03T03:02:05.000000Z (in 23h)",
            "stages            taxed  200  2026-01-02T03:03:05.000000Z (60s ago)",
            "response_code     201", "response_headers  Location: /orders/1",
            "                  A: b", "response_body     JSON", "  \"total\": 1.50",
        ] {
            #expect(sheet.split(separator: "\n").contains(Substring(line)), "\(line)\n\(sheet)")
        }
        #expect(!sheet.contains("0123456789abcdef") && !record.line.contains("0123456789abcdef"))
        #expect(!record.line.contains("\n"))
    }

    @Test(arguments: [
        ("null", "response_body     not kept\n"), ("\"\"", "response_body     empty\n"),
        (#""a\r\nb\tc""#, "response_body     6 bytes of text\n\na\nb\tc\n"),
        (
            #"{"base64": "/wD+"}"#,
            "response_body     3 bytes, binary; --json shows them in base64\n"
        ),
        (
            #"{"base64": "/wA="}"#,
            "response_body     2 bytes, binary; --json shows them in base64\n"
        ),
    ])
    func `a body is shown as what it is`(body: String, shown: String) throws {
        let sheet = KeySheet.text(try record(["response_body": body]), now: now)
        #expect(sheet.hasSuffix(shown), "\(sheet)")
    }

    @Test func `a warning says what a release, a completion and an erasure bring about`() throws {
        func warning(_ action: KeysAction, force: Bool = false, _ members: [String: String])
            throws -> String
        {
            var options = KeysOptions(action)
            options.isForced = force
            options.answer.status = 201
            return KeysWarning(options, try record(members), now: now).text
        }
        let unknown = ["recovery_point": "\"unknown\""]
        let locked = [
            "recovery_point": "\"started\"", "locked_at": "\"2026-01-02T03:02:05Z\"",
            "owner": "\"gate-1\"", "lease_until": "\"2026-01-02T03:05:05Z\"",
        ]
        #expect(try warning(.release, unknown).contains("\"order-1\" WILL EXECUTE"))
        #expect(try warning(.release, unknown).contains("make sure that it did not"))
        let staged = [
            "recovery_point": "\"unknown\"", "pending_stage": "\"paid\"",
            "stages": #"[{"recovery_point": "taxed"}]"#,
        ]
        let resumed = try warning(.release, staged)
        #expect(resumed.contains("GOES ON after taxed, perhaps at once: paid WILL EXECUTE."))
        #expect(try warning(.release, [:]).contains("It is finished: this is refused."))
        #expect(try warning(.release, locked).contains("without --force"))
        #expect(try warning(.release, force: true, locked).contains("LOCKED by gate-1"))
        #expect(try warning(.complete, unknown).contains("will get status 201"))
        #expect(try warning(.erase, [:]).contains("DESTROYED for good"))
    }
}
