import Idempotency
import JSON

/// All that is known of a record, for people.
struct KeySheet {
    private let record: KeyRecord
    private let now: Timestamp
    private var text = ""

    /// The sheet of a record.
    static func text(_ record: KeyRecord, now: Timestamp) -> String {
        var sheet = KeySheet(record: record, now: now)
        sheet.write()
        return sheet.text
    }

    private init(record: KeyRecord, now: Timestamp) {
        self.record = record
        self.now = now
    }

    /// The members that have lines of their own way; all others are written as they are.
    private static let own: Set<String> = Set(
        [
            .id, .requestMethod, .requestPath, .responseCode, .responseHeaders, .responseBody,
            .stages,
        ].map { (field: IdempotencyKey.Field) in field.rawValue })

    private mutating func write() {
        line("id", record.id)
        line("state", record.state(at: now))
        line("request", "\(record.text(.requestMethod)) \(record.text(.requestPath))")
        for member in record.value.members ?? [] where !Self.own.contains(member.name) {
            line(member.name, plain(member.value))
        }
        stages()
        answer()
    }

    /// Names and their values in two columns, the lines below the first one too.
    private mutating func line(_ name: String, _ value: String) {
        line(name, escaped: TerminalText.line(value))
    }

    private mutating func line(_ name: String, escaped value: String) {
        let name = TerminalText.line(name)
        text += name + String(repeating: " ", count: max(1, 18 - name.count)) + value + "\n"
    }

    /// A value on one line; moments with their distance from now.
    private func plain(_ value: JSONValue) -> String {
        if value.isNull { return "-" }
        guard let string = value.string else { return Self.json(value, indentation: 0) }
        guard let moment = Timestamp(rfc3339: string) else { return string }
        return moment <= now
            ? "\(string) (\((now - moment).brief) ago)" : "\(string) (in \((moment - now).brief))"
    }

    private mutating func stages() {
        var name = "stages"
        for stage in record[.stages]?.elements ?? [] {
            let point = stage["recovery_point"]?.string ?? ""
            let code = stage["response_code"]?.integer
            let moment = stage["reached_at"].map(plain) ?? ""
            line(name, "\(point)  \(code.map { "\($0)" } ?? "-")  \(moment)")
            name = ""
        }
    }

    private mutating func answer() {
        guard let code = record[.responseCode] else { return line("response_code", "-") }
        line("response_code", plain(code))
        var name = IdempotencyKey.Field.responseHeaders.rawValue
        for pair in record[.responseHeaders]?.elements ?? [] {
            let sides = pair.elements?.map { $0.string ?? "" } ?? []
            line(name, sides.joined(separator: ": "))
            name = ""
        }
        body(record[.responseBody])
    }

    private mutating func body(_ body: JSONValue?) {
        let name = IdempotencyKey.Field.responseBody.rawValue
        guard let body else { return line(name, "not kept") }
        if let text = body.string {
            guard !text.isEmpty else { return line(name, "empty") }
            line(name, "\(text.utf8.count) bytes of text")
            self.text += "\n" + TerminalText.lines(text)
            if self.text.last != "\n" { self.text += "\n" }
        } else if let count = Self.bytes(ofBase64: body) {
            line(name, "\(count) bytes, binary; --json shows them in base64")
        } else {
            line(name, "JSON")
            text += "\n" + TerminalText.lines(Self.json(body, indentation: 2)) + "\n"
        }
    }

    /// How many bytes `{"base64": "…"}` stands for; nil for anything else.
    private static func bytes(ofBase64 body: JSONValue) -> Int? {
        guard let members = body.members, members.count == 1, members[0].name == "base64",
            let digits = members[0].value.string?.utf8, digits.count.isMultiple(of: 4)
        else { return nil }
        return digits.count / 4 * 3 - digits.reversed().prefix { $0 == UInt8(ascii: "=") }.count
    }

    private static func json(_ value: JSONValue, indentation: Int) -> String {
        var json = JSONWriter(indentation: indentation)
        json.value(value)
        return String(decoding: json.bytes, as: UTF8.self)
    }
}
