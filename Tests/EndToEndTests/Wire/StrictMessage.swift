/// One HTTP/1 message as it stood on the wire, read by a parser that shares nothing with the
/// gateway's and takes only what two readers cannot understand in two ways.
struct StrictMessage: Sendable {
    /// A request line's or a status line's three parts; the last of a status line may be empty.
    var start: [String] = []
    var fields: [StrictField] = []
    var framing = Framing.none
    var body: [UInt8] = []
    var trailers: [StrictField] = []
    /// The head's bytes, the empty line included.
    var rawHead: [UInt8] = []
    /// What is wrong with it, beyond what ends the reading.
    var faults: [String] = []

    /// How a body is delimited.
    enum Framing: Sendable, Equatable {
        case none, length(Int), chunked, untilClose
    }

    /// The values of all lines of that name, in any case.
    func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }

    /// The options that `Connection` lists, in lower case.
    var connectionOptions: [String] {
        all("Connection").flatMap { value in
            value.split(separator: ",").map { option in
                option.lowercased().filter { $0 != " " && $0 != "\t" }
            }
        }
    }
}

/// A field line. Bytes beyond ASCII are read as Latin-1, one character each.
struct StrictField: Sendable, Equatable {
    let name: String
    let value: String
}

/// Bytes as text, one character for each.
func latin(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}

/// The bytes of a text whose characters are all below U+0100.
func wireBytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
}

/// Reads one message after the other from bytes that come in pieces.
struct StrictParser: Sendable {
    /// Whose messages these are.
    enum Role: Sendable {
        case requests
        /// The answers to these methods, one for each request.
        case responses
    }

    /// What the bytes so far came to.
    enum Step: Sendable {
        case needMore
        case message(StrictMessage)
    }

    /// What cannot be read on.
    struct Malformed: Error, CustomStringConvertible {
        let description: String
    }

    let role: Role
    /// Whether numbers and codings have to be written in the one way that nobody misreads.
    let isExacting: Bool
    /// Received and not read yet.
    private(set) var buffer: [UInt8] = []
    private var current: StrictMessage?

    init(_ role: Role, isExacting: Bool = true) {
        self.role = role
        self.isExacting = isExacting
    }

    /// Adds what was received.
    mutating func append(_ bytes: [UInt8]) { buffer += bytes }

    /// The message whose head was read and whose body is not complete.
    var unfinished: StrictMessage? { current }

    /// Whether nothing of a next message is there.
    var isIdle: Bool { current == nil && buffer.isEmpty }

    /// Reads on.
    ///
    /// - Parameters:
    ///   - method: Of the request that a response answers.
    ///   - isAtEnd: Whether the peer has closed.
    mutating func next(method: String = "", isAtEnd: Bool = false) throws -> Step {
        if current == nil {
            guard let head = try takeHead() else { return .needMore }
            current = try judged(head, method)
        }
        guard var message = current else { return .needMore }
        guard try takeBody(of: &message, isAtEnd) else {
            current = message
            return .needMore
        }
        current = nil
        return .message(message)
    }

    // MARK: Heads

    private mutating func takeHead() throws -> StrictMessage? {
        var message = StrictMessage()
        var index = 0
        var lines: [[UInt8]] = []
        while true {
            guard let line = try line(from: index) else { return nil }
            index += line.count + 2
            if line.isEmpty { break }
            lines.append(line)
        }
        guard let first = lines.first else {
            throw Malformed(description: "an empty line where a message should begin")
        }
        message.rawHead = Array(buffer[..<index])
        buffer.removeFirst(index)
        message.start = try start(latin(first))
        message.fields = try lines.dropFirst().map(Self.field)
        return message
    }

    /// The line that starts at `index`, without its CRLF; nil while it is not whole.
    private func line(from index: Int) throws -> [UInt8]? {
        var end = index
        while end < buffer.count, buffer[end] != 13 {
            let byte = buffer[end]
            guard byte >= 0x20 && byte != 0x7F || byte == 9 else {
                throw Malformed(description: "byte \(byte) in a line: \(shown(index))")
            }
            end += 1
        }
        guard end + 1 < buffer.count else { return nil }
        guard buffer[end + 1] == 10 else {
            throw Malformed(description: "CR without LF: \(shown(index))")
        }
        return Array(buffer[index..<end])
    }

    private func shown(_ index: Int) -> String {
        latin(buffer[index...].prefix(80)).debugDescription
    }

    private func start(_ line: String) throws -> [String] {
        let parts = line.split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            .map(String.init)
        guard parts.count == 3 else { throw Malformed(description: "start line: \(line)") }
        switch role {
        case .requests:
            guard !parts[0].isEmpty, parts[0].unicodeScalars.allSatisfy(isTokenScalar),
                !parts[1].isEmpty,
                parts[1].unicodeScalars.allSatisfy({ (0x21...0x7E).contains($0.value) }),
                parts[2] == "HTTP/1.1" || parts[2] == "HTTP/1.0"
            else { throw Malformed(description: "request line: \(line)") }
        case .responses:
            guard parts[0] == "HTTP/1.1", parts[1].count == 3,
                parts[1].unicodeScalars.allSatisfy({ (0x30...0x39).contains($0.value) }),
                let status = Int(parts[1]), status >= 100
            else { throw Malformed(description: "status line: \(line)") }
        }
        return parts
    }

    private static func field(_ line: [UInt8]) throws -> StrictField {
        let text = latin(line)
        guard let colon = line.firstIndex(of: 0x3A) else {
            throw Malformed(description: "field line without a colon: \(text)")
        }
        let name = latin(line[..<colon])
        guard !name.isEmpty, name.unicodeScalars.allSatisfy(isTokenScalar) else {
            throw Malformed(description: "field name: \(text.debugDescription)")
        }
        var value = line[(colon + 1)...]
        while let first = value.first, first == 0x20 || first == 9 { value.removeFirst() }
        while let last = value.last, last == 0x20 || last == 9 { value.removeLast() }
        return StrictField(name: name, value: latin(value))
    }

    // MARK: Framing

    private func judged(_ head: StrictMessage, _ method: String) throws -> StrictMessage {
        var message = head
        let lengths = head.all("Content-Length")
        let codings = head.all("Transfer-Encoding")
        let status = role == .responses ? Int(head.start[1]) ?? 0 : 200
        guard lengths.count <= 1, codings.count <= 1, lengths.isEmpty || codings.isEmpty else {
            throw Malformed(description: "framing is said twice: \(lengths) \(codings)")
        }
        if status < 200 || status == 204, !lengths.isEmpty || !codings.isEmpty {
            throw Malformed(description: "framing fields in a \(status)")
        }
        if let coding = codings.first {
            guard (isExacting ? coding : coding.lowercased()) == "chunked" else {
                throw Malformed(description: "Transfer-Encoding: \(coding)")
            }
            message.framing = .chunked
        } else if let length = lengths.first {
            message.framing = .length(try count(length))
        } else if role == .responses {
            message.framing = .untilClose
        }
        if role == .responses, status < 200 || status == 204 || status == 304 || method == "HEAD" {
            message.framing = .none
        }
        return message
    }

    private func count(_ digits: String) throws -> Int {
        guard !digits.isEmpty,
            digits.unicodeScalars.allSatisfy({ $0.properties.numericType != nil && $0.isASCII })
        else { throw Malformed(description: "Content-Length: \(digits)") }
        guard let count = Int(digits) else { return Int.max }
        guard !isExacting || "\(count)" == digits else {
            throw Malformed(description: "Content-Length: \(digits)")
        }
        return count
    }

    private mutating func takeBody(of message: inout StrictMessage, _ isAtEnd: Bool) throws -> Bool
    {
        switch message.framing {
        case .none: return true
        case .untilClose:
            message.body += buffer
            buffer = []
            return isAtEnd
        case .length(let count):
            let taken = min(count - message.body.count, buffer.count)
            message.body += buffer[..<taken]
            buffer.removeFirst(taken)
            return message.body.count == count
        case .chunked:
            while let size = try chunkSize() {
                guard size.value > 0 else { return try takeTrailers(of: &message, size.count) }
                let end = size.count + size.value
                guard buffer.count >= end + 2 else { return false }
                guard buffer[end] == 13, buffer[end + 1] == 10 else {
                    throw Malformed(description: "no CRLF after a chunk: \(shown(end))")
                }
                message.body += buffer[size.count..<end]
                buffer.removeFirst(end + 2)
            }
            return false
        }
    }

    /// The size at the start of the buffer, and the bytes of its line; nil while it is not whole.
    private func chunkSize() throws -> (value: Int, count: Int)? {
        guard let line = try line(from: 0) else { return nil }
        let text = latin(line)
        guard let size = Int(text, radix: 16), size >= 0, text.first != "+",
            !isExacting || String(size, radix: 16) == text
        else {
            throw Malformed(description: "chunk size: \(text.debugDescription)")
        }
        return (size, line.count + 2)
    }

    private mutating func takeTrailers(of message: inout StrictMessage, _ start: Int) throws -> Bool
    {
        var index = start
        var trailers: [StrictField] = []
        while let line = try line(from: index) {
            index += line.count + 2
            guard line.isEmpty else {
                trailers.append(try Self.field(line))
                continue
            }
            buffer.removeFirst(index)
            message.trailers = trailers
            return true
        }
        return false
    }
}

private func isTokenScalar(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".unicodeScalars.contains(scalar)
    }
}

// MARK: - What a gateway must not send

extension StrictMessage {
    /// What is wrong with a request that a gateway forwarded, to the next server.
    var faultsAsForwardedRequest: [String] {
        var faults = self.faults
        let target = start[1]
        if start[2] != "HTTP/1.1" { faults.append("the version is \(start[2])") }
        if !target.hasPrefix("/") && !(target == "*" && start[0] == "OPTIONS") {
            faults.append("the target is \(target)")
        }
        if target.contains("#") { faults.append("there is a fragment in \(target)") }
        if all("Host").count != 1 { faults.append("there are \(all("Host").count) Host lines") }
        if all("Host").contains(where: { $0.isEmpty || $0.contains(",") || $0.contains(" ") }) {
            faults.append("Host is \(all("Host"))")
        }
        if all("Via").last?.hasSuffix(" oncegate") != true { faults.append("there is no Via") }
        faults += hopByHopFaults
        for field in trailers where Self.notInTrailers.contains(field.name.lowercased()) {
            faults.append("\(field.name) in a trailer section")
        }
        return faults
    }

    /// What is wrong with an answer that a gateway sent, to a client that spoke `version`.
    func faultsAsAnswer(toVersion version: String, isLast: Bool) -> [String] {
        var faults = self.faults
        guard let status = Int(start[1]) else { return faults + ["no status"] }
        if status >= 200, all("Date").count != 1 { faults.append("Date lines: \(all("Date"))") }
        if version == "HTTP/1.0", !all("Transfer-Encoding").isEmpty {
            faults.append("a transfer coding for HTTP/1.0")
        }
        if version == "HTTP/1.0", status < 200 { faults.append("an interim answer for HTTP/1.0") }
        if framing == .untilClose, version != "HTTP/1.0" {
            faults.append("the body ends with the connection")
        }
        if connectionOptions.contains("close") != isLast, status >= 200, version == "HTTP/1.1" {
            faults.append("Connection says \(connectionOptions), and it is the last: \(isLast)")
        }
        if status != 101 { faults += hopByHopFaults }
        for field in trailers where Self.notInTrailers.contains(field.name.lowercased()) {
            faults.append("\(field.name) in a trailer section")
        }
        return faults
    }

    /// Fields that belong to one connection and were passed on.
    private var hopByHopFaults: [String] {
        let allowed: Set = ["close", "keep-alive", "upgrade", "te"]
        var faults = connectionOptions.filter { !allowed.contains($0) }.map {
            "Connection names \($0)"
        }
        let options = Set(connectionOptions)
        for field in fields {
            switch field.name.lowercased() {
            case "keep-alive", "proxy-connection": faults.append("\(field.name) is passed on")
            case "te":
                if field.value.lowercased() != "trailers" || !options.contains("te") {
                    faults.append("TE: \(field.value)")
                }
            case "upgrade": if !options.contains("upgrade") { faults.append("Upgrade alone") }
            default: break
            }
        }
        return faults
    }

    /// RFC 9110 section 6.5.1: what frames, routes, or authenticates.
    private static let notInTrailers: Set = [
        "transfer-encoding", "content-length", "host", "authorization", "connection", "te",
        "trailer", "content-type", "content-encoding", "cookie", "set-cookie", "cache-control",
        "expect", "idempotency-key", "upgrade", "via", "keep-alive", "max-forwards",
    ]
}
