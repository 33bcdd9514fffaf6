import Admin
import Glibc
import HTTP
import Idempotency
import JSON

/// `oncegate keys`: asks whoever answers for the keys, and shows what it says.
struct KeysCommand {
    private let options: KeysOptions
    private let environment: Environment
    private var now: Timestamp { Timestamp.now() }

    /// Does what the options say, and ends the process.
    static func run(_ options: KeysOptions, _ environment: Environment = .process) -> Never {
        Task {
            let command = KeysCommand(options: options, environment: environment)
            do throws(KeysFailure) {
                try await command.run()
                exit(0)
            } catch {
                error.report.finish()
            }
        }
        while true { pause() }
    }

    private func run() async throws(KeysFailure) {
        switch options.action {
        case .list: try await list()
        case .show: try await show()
        case .release, .complete, .erase: try await change()
        }
    }

    private func show() async throws(KeysFailure) {
        let source = try await source()
        defer { source.close() }
        try print(try await record(from: source))
    }

    /// Shows what is to be changed and asks, unless it is confirmed already; then changes it.
    ///
    /// Nothing is held open while somebody thinks about it.
    private func change() async throws(KeysFailure) {
        let body = try changeBody()
        if !options.isConfirmed {
            guard isatty(STDIN_FILENO) == 1 else {
                throw KeysFailure(
                    "there is no terminal to ask at: give --yes to \(options.action.rawValue) it",
                    status: 2)
            }
            let source = try await source()
            let record: KeyRecord
            do throws(KeysFailure) {
                record = try await self.record(from: source)
                source.close()
            } catch {
                source.close()
                throw error
            }
            try confirm(record)
        }
        let source = try await self.source()
        defer { source.close() }
        let target = "/v1/keys/\(options.id)/\(options.action.rawValue)"
        let answer = try await source.answer(
            KeysSource.Call(method: .post, target: target, body: body))
        try print(try record(in: answer))
    }

    private func confirm(_ record: KeyRecord) throws(KeysFailure) {
        let text =
            KeySheet.text(record, now: now) + "\n" + warning(of: record)
            + "\n\(options.action.rawValue) \(record.id)? [y/N] "
        Report.write(text, to: STDERR_FILENO)
        let reply = readLine()
        if reply == nil { Report.write("\n", to: STDERR_FILENO) }
        guard ["y", "yes"].contains(reply?.lowercased()) else {
            throw KeysFailure("not confirmed: nothing was changed", status: 2)
        }
    }

    private func warning(of record: KeyRecord) -> String {
        KeysWarning(options, record, now: now).text
    }

    private func print(_ record: KeyRecord) throws(KeysFailure) {
        try write(options.isJSON ? record.line + "\n" : KeySheet.text(record, now: now))
    }

    private func write(_ text: String) throws(KeysFailure) {
        guard Report.write(text, to: STDOUT_FILENO) else {
            throw KeysFailure("the output cannot be written")
        }
    }

    private func note(_ text: String) { Report.write("oncegate: \(text)\n", to: STDERR_FILENO) }

    private func source() async throws(KeysFailure) -> KeysSource {
        try await KeysSource.find(options, environment, note: note)
    }

    private func record(from source: KeysSource) async throws(KeysFailure) -> KeyRecord {
        try record(in: try await source.answer(KeysSource.Call(target: "/v1/keys/\(options.id)")))
    }
}

// What the answers say.
extension KeysCommand {
    private func record(in answer: AdminClient.Answer) throws(KeysFailure) -> KeyRecord {
        guard let record = KeyRecord(try json(answer)) else { throw Self.noRecords }
        return record
    }

    /// The answer's JSON, unless the answer is a refusal.
    private func json(_ answer: AdminClient.Answer) throws(KeysFailure) -> JSONValue {
        guard answer.status != 404 || options.action == .list else {
            throw KeysFailure("there is no key \(options.id)", status: 3)
        }
        guard answer.status == 200 else {
            throw KeysFailure(
                TerminalText.line(answer.problem), status: Self.exitStatus(answer.status))
        }
        guard let json = answer.json else { throw Self.noRecords }
        return json
    }

    /// The exit status for a refusal of the service's.
    private static func exitStatus(_ status: UInt16) -> Int32 {
        switch status {
        case 400, 413, 422: 2
        case 409: 4
        default: 1
        }
    }

    private static var noRecords: KeysFailure { KeysFailure("the answer is not what it should be") }
}

// Lists.
extension KeysCommand {
    /// The most records that are asked for at one time.
    private static let page = 50
    /// The most bytes of a page.
    private static let pageBytes = 32 << 20

    /// Prints page by page, so that memory does not grow with the number of keys.
    private func list() async throws(KeysFailure) {
        let source = try await source()
        defer { source.close() }
        let table = KeyTable(width: TerminalText.columns(of: STDOUT_FILENO) ?? 120, now: now)
        var left = options.filter.limit ?? .max
        var next = options.filter.before
        var size = Self.page
        var count = 0
        repeat {
            let page = try await page(from: source, before: next, limit: left, &size)
            guard let elements = page["keys"]?.elements else { throw Self.noRecords }
            let records = elements.compactMap { KeyRecord($0) }
            try write(records, after: count, table)
            count += records.count
            left -= records.count
            let last = next
            next = page["next"]?.string
            if next != nil, next == last { throw Self.noRecords }
        } while next != nil && left > 0
        if count == 0 { note("there are no such keys") }
        if let next { note("there are more: add --all, or go on with --before \(next)") }
    }

    /// A page of at most `size` records; of fewer from then on if they are too long.
    private func page(
        from source: KeysSource, before id: String?, limit: Int, _ size: inout Int
    ) async throws(KeysFailure) -> JSONValue {
        while true {
            let call = KeysSource.Call(
                target: target(before: id, limit: min(size, limit)), limit: Self.pageBytes)
            do throws(KeysFailure) {
                return try json(try await source.answer(call))
            } catch {
                guard error.isTooLong, size > 1 else { throw error }
                size /= 4
            }
        }
    }

    private func write(
        _ records: [KeyRecord], after count: Int, _ table: KeyTable
    ) throws(KeysFailure) {
        var text = ""
        if !options.isJSON, count == 0, !records.isEmpty { text += table.head }
        for record in records { text += options.isJSON ? record.line + "\n" : table.line(record) }
        try write(text)
    }

    private func target(before id: String?, limit: Int) -> String {
        var pairs = [("limit", "\(limit)")]
        if let state = options.filter.state { pairs.append(("state", state)) }
        if let route = options.filter.route { pairs.append(("route", route)) }
        if let key = options.filter.key { pairs.append(("key", key)) }
        if let id { pairs.append(("before", id)) }
        return "/v1/keys?" + pairs.map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
    }

    /// Percent-encodes all but RFC 3986's unreserved characters.
    private static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}

// Changes.
extension KeysCommand {
    /// The most bytes of an answer's body, which may get longer on its way to the service.
    private static let answerLimit = 8 << 20

    private func changeBody() throws(KeysFailure) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        if options.isForced { json.member("force", true) }
        if options.action == .complete { try write(&json, try answerBody()) }
        json.endObject()
        return json.bytes
    }

    private func write(_ json: inout JSONWriter, _ body: [UInt8]) throws(KeysFailure) {
        let answer = options.answer
        json.member("response_code", answer.status)
        var headers = answer.headers.map { ($0.name, $0.value) }
        if !headers.contains(where: { $0.0.lowercased() == "content-type" }), Self.isJSON(body) {
            headers.append(("Content-Type", "application/json"))
        }
        json.name("response_headers")
        json.beginArray()
        for (name, value) in headers {
            json.beginArray()
            json.value(name)
            json.value(value)
            json.endArray()
        }
        json.endArray()
        json.name("response_body")
        if let text = String(validating: body, as: UTF8.self) {
            json.value(text)
        } else {
            json.beginObject()
            json.member("base64", Base64.encode(body))
            json.endObject()
        }
    }

    private func answerBody() throws(KeysFailure) -> [UInt8] {
        do throws(Invalid) {
            switch options.answer.body {
            case .text(let text): return Array(text.utf8)
            case .file(let path): return try Environment.contents(of: path, limit: Self.answerLimit)
            case .standardInput:
                return
                    try Environment.contents(of: "/dev/stdin", limit: Self.answerLimit)
            case nil: return []
            }
        } catch {
            throw KeysFailure("the body cannot be read: \(error.message)", status: 2)
        }
    }

    private static func isJSON(_ body: [UInt8]) -> Bool {
        guard let value = try? JSON.parse(body[...]) else { return false }
        return value.members != nil || value.elements != nil
    }
}
