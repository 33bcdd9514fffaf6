/// Field lines as they stood on the wire.
struct WireFields: Sendable, Equatable {
    struct Line: Sendable, Equatable {
        let name: String
        let value: String
    }
    var lines: [Line] = []

    /// The values of all lines of that name, in any case.
    func all(_ name: String) -> [String] {
        lines.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    /// The value of the only line of that name; nil without one, and for several.
    subscript(_ name: String) -> String? {
        let values = all(name)
        return values.count == 1 ? values[0] : nil
    }

    /// Without the lines of these names.
    func without(_ names: String...) -> WireFields {
        let unwanted = Set(names.map { $0.lowercased() })
        return WireFields(lines: lines.filter { !unwanted.contains($0.name.lowercased()) })
    }
}

/// A response as it stood on the wire, its framing removed.
struct WireResponse: Sendable {
    var version = "HTTP/1.1"
    var status = 0
    var reason = ""
    var fields = WireFields()
    var body: [UInt8] = []
    var trailers = WireFields()
    /// The interim answers that came before.
    var interims: [WireHead] = []

    /// The body as text.
    var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as JSON.
    var json: JSONText { get throws { try JSONText(parsing: body) } }
}

/// A request as it stood on the wire, its framing removed.
struct WireRequest: Sendable {
    let method: String
    let target: String
    let version: String
    let fields: WireFields
    /// The head's bytes, the empty line included.
    let rawHead: [UInt8]
    var body: [UInt8] = []
    var trailers = WireFields()
    /// On which of the origin's connections it came, from 0.
    var connection = 0

    var path: String { String(target.prefix { $0 != "?" }) }
    var text: String { String(decoding: body, as: UTF8.self) }
}

/// A start line and the fields after it.
struct WireHead: Sendable, Equatable {
    let startLine: String
    let fields: WireFields
    let raw: [UInt8]

    /// The status of a response's head.
    var status: Int { Int(startLine.split(separator: " ").dropFirst().first ?? "") ?? 0 }
}

/// Reads HTTP/1 messages from a socket, strictly and on its own: it shares no line with the
/// gateway's parser, and refuses whatever two readers could understand in two ways.
final class WireReader {
    /// The peer closed between two messages.
    struct Closed: Error {}
    /// The peer closed in the middle of a message.
    struct CutShort: Error, CustomStringConvertible {
        let description: String
    }
    /// What the peer sent is no HTTP.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    private let socket: Socket
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(_ socket: Socket) { self.socket = socket }

    /// The bytes received and not read yet.
    var rest: [UInt8] { Array(buffer[start...]) }

    /// Reads a start line and its fields.
    func head(by deadline: Deadline) throws -> WireHead {
        var raw: [UInt8] = []
        guard let startLine = try line(&raw, deadline) else { throw Closed() }
        let fields = try fieldLines(&raw, deadline)
        return WireHead(startLine: startLine, fields: fields, raw: raw)
    }

    /// Reads a response with its body; interim ones before it are gathered.
    func response(to method: String, by deadline: Deadline) throws -> WireResponse {
        var response = WireResponse()
        while true {
            let head = try head(by: deadline)
            try Self.checkStatusLine(head.startLine)
            if (100..<200).contains(head.status) && head.status != 101 {
                guard head.fields.all("Content-Length").isEmpty,
                    head.fields.all("Transfer-Encoding").isEmpty
                else { throw Malformed(description: "framing fields in a 1xx") }
                response.interims.append(head)
                continue
            }
            let parts = head.startLine.split(
                separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            response.version = String(parts[0])
            response.status = head.status
            response.reason = parts.count > 2 ? String(parts[2]) : ""
            response.fields = head.fields
            break
        }
        if method == "HEAD" || [101, 204, 304].contains(response.status) { return response }
        try body(response.fields, untilClose: true, into: &response.body, deadline) {
            response.trailers = $0
        }
        return response
    }

    /// Reads a request with its body, if `withBody` says so.
    func request(withBody: Bool = true, by deadline: Deadline) throws -> WireRequest {
        let head = try head(by: deadline)
        let parts = head.startLine.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[0].isEmpty, !parts[1].isEmpty, parts[2] == "HTTP/1.1"
        else { throw Malformed(description: "request line: \(head.startLine)") }
        var request = WireRequest(
            method: String(parts[0]), target: String(parts[1]), version: String(parts[2]),
            fields: head.fields, rawHead: head.raw)
        guard head.fields.all("Host").count == 1 else { throw Malformed(description: "no Host") }
        if withBody { try body(of: &request, by: deadline) }
        return request
    }

    /// Reads the body that a request's head has announced.
    func body(of request: inout WireRequest, by deadline: Deadline) throws {
        var bytes: [UInt8] = []
        var trailers = WireFields()
        try body(request.fields, untilClose: false, into: &bytes, deadline) { trailers = $0 }
        request.body = bytes
        request.trailers = trailers
    }

    /// Reads a chunk's data; nil for the last one, whose trailers are left to be read.
    func chunk(by deadline: Deadline) throws -> [UInt8]? {
        var raw: [UInt8] = []
        guard let text = try line(&raw, deadline) else { throw cut("a chunk") }
        guard !text.isEmpty, text.count <= 8, text.allSatisfy(\.isHexDigit),
            let size = Int(text, radix: 16)
        else { throw Malformed(description: "chunk size: \(text)") }
        guard size > 0 else { return nil }
        let data = try exactly(size, deadline)
        guard try exactly(2, deadline) == [13, 10] else {
            throw Malformed(description: "no CRLF after a chunk")
        }
        return data
    }

    /// Reads exactly so many bytes.
    func exactly(_ count: Int, _ deadline: Deadline) throws -> [UInt8] {
        while buffer.count - start < count {
            guard try fill(deadline) else { throw cut("\(count) bytes") }
        }
        defer { start += count }
        return Array(buffer[start..<(start + count)])
    }

    /// Reads and drops exactly so many bytes, without keeping them.
    func skip(_ count: Int, by deadline: Deadline) throws {
        var left = count
        while left > 0 {
            if start == buffer.count, try !fill(deadline) { throw cut("\(count) bytes") }
            let step = min(left, buffer.count - start)
            start += step
            left -= step
        }
    }

    /// Reads what is left until the peer closes.
    func untilClose(by deadline: Deadline) throws -> [UInt8] {
        while try fill(deadline) {}
        defer { start = buffer.count }
        return Array(buffer[start...])
    }

    private func body(
        _ fields: WireFields, untilClose: Bool, into bytes: inout [UInt8], _ deadline: Deadline,
        trailers: (WireFields) -> Void
    ) throws {
        let lengths = fields.all("Content-Length")
        let codings = fields.all("Transfer-Encoding")
        switch (lengths.count, codings.count) {
        case (0, 0):
            if untilClose { bytes = try self.untilClose(by: deadline) }
        case (1, 0):
            guard let length = Int(lengths[0]), lengths[0].allSatisfy(\.isNumber), length >= 0
            else { throw Malformed(description: "Content-Length: \(lengths[0])") }
            bytes = try exactly(length, deadline)
        case (0, 1):
            guard codings[0].lowercased() == "chunked" else {
                throw Malformed(description: "Transfer-Encoding: \(codings[0])")
            }
            while let data = try chunk(by: deadline) { bytes += data }
            var raw: [UInt8] = []
            trailers(try fieldLines(&raw, deadline))
        default: throw Malformed(description: "framing is said twice")
        }
    }

    private func fieldLines(_ raw: inout [UInt8], _ deadline: Deadline) throws -> WireFields {
        var fields = WireFields()
        while true {
            guard let text = try line(&raw, deadline) else { throw cut("a field line") }
            if text.isEmpty { return fields }
            guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else {
                throw Malformed(description: "field line: \(text)")
            }
            let name = String(text[..<colon])
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte) else {
                throw Malformed(description: "field name: \(name)")
            }
            let value = text[text.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            let end = value.lastIndex { $0 != " " && $0 != "\t" }
            fields.lines.append(.init(name: name, value: end.map { String(value[...$0]) } ?? ""))
        }
    }

    /// Reads up to CRLF; nil when the peer closed before the first byte.
    private func line(_ raw: inout [UInt8], _ deadline: Deadline) throws -> String? {
        var index = start
        while true {
            while index < buffer.count, buffer[index] != 10, buffer[index] != 0 { index += 1 }
            if index < buffer.count { break }
            let offset = index - start
            guard try fill(deadline) else {
                if start == buffer.count { return nil }
                throw cut("a line")
            }
            index = start + offset
        }
        let line = buffer[start..<index]
        guard buffer[index] == 10, line.last == 13, line.dropLast().allSatisfy({ $0 != 13 }) else {
            throw Malformed(
                description: "line: \(String(decoding: line, as: UTF8.self).debugDescription)")
        }
        raw += buffer[start...index]
        start = index + 1
        return String(decoding: line.dropLast(), as: UTF8.self)
    }

    private func fill(_ deadline: Deadline) throws -> Bool {
        if isAtEnd { return false }
        let bytes = try socket.receive(by: deadline)
        isAtEnd = bytes.isEmpty
        if start == buffer.count {
            buffer = bytes
            start = 0
        } else {
            buffer.append(contentsOf: bytes)
        }
        return !isAtEnd
    }

    private func cut(_ what: String) -> CutShort {
        CutShort(description: "the peer closed in the middle of \(what)")
    }

    private static func checkStatusLine(_ line: String) throws {
        let bytes = Array(line.utf8)
        guard bytes.count >= 13, line.hasPrefix("HTTP/1.1 ") || line.hasPrefix("HTTP/1.0 "),
            bytes[9..<12].allSatisfy({ (0x30...0x39).contains($0) }), bytes[12] == 0x20
        else { throw Malformed(description: "status line: \(line)") }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
