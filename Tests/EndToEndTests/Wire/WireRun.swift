/// One case against a running gateway: sends, reads, and says what is not as expected.
struct WireRun {
    let row: WireCase
    let origin: StrictOrigin
    let port: UInt16
    /// Whether client and origin send byte by byte.
    let isBytewise: Bool
    /// Told apart from all other runs, to make keys of.
    let number: Int

    private var complaints: [String] = []
    /// No step of a case takes longer.
    private static var deadline: Deadline { Deadline(in: .seconds(10)) }
    private let smuggled = "GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n"

    init(_ row: WireCase, origin: StrictOrigin, port: UInt16, isBytewise: Bool, number: Int) {
        self.row = row
        self.origin = origin
        self.port = port
        self.isBytewise = isBytewise
        self.number = number
    }

    /// Whether what is sent is short enough to go byte by byte.
    static func canBeBytewise(_ row: WireCase) -> Bool {
        !row.isWhole
            && row.sends.joined().utf8.count + row.answers.flatMap(\.pieces).joined().count
                < 1200
    }

    /// Runs the case; nothing means that all was as expected.
    mutating func run() -> [String] {
        do {
            try perform()
        } catch {
            complain("\(error)")
        }
        return complaints
    }

    private mutating func perform() throws {
        origin.begin(row.answers.map(cut))
        let client = try Socket.connected(to: port)
        defer { client.close() }
        var bytes = row.sends.map(filled)
        if isRefusal { bytes.append(wireBytes(smuggled)) }
        if isBytewise { bytes = bytes.joined().map { [$0] } }
        for piece in bytes {
            // The gateway may refuse, and close, before the last byte.
            guard (try? client.send(piece)) != nil else { break }
        }
        if row.endsInput { client.shutWriting() }
        try read(client)
        client.close()
        try fence()
        judgeOrigin()
        if isRefusal { try checkKeys() }
    }

    private var isRefusal: Bool {
        row.end == .closed && row.forwards.isEmpty && !row.endsInput && row.sees.count == 1
            && row.sees[0].status >= 400
    }

    private func filled(_ text: String) -> [UInt8] {
        wireBytes(filledText(text))
    }

    private func filledText(_ text: String) -> String {
        guard text.contains("{") else { return text }
        return text.replacing("{key}", with: "k\(1_000_000 + number)")
            .replacing("{next}", with: "n\(1_000_000 + number)")
    }

    private func cut(_ answer: StrictOrigin.Answer) -> StrictOrigin.Answer {
        guard isBytewise else { return answer }
        var answer = answer
        answer.pieces = answer.pieces.joined().map { [$0] }
        return answer
    }

    private mutating func complain(_ text: String) { complaints.append(text) }

    // MARK: The client's side

    private mutating func read(_ client: Socket) throws {
        var parser = StrictParser(.responses)
        var isAtEnd = false
        for (index, expected) in row.sees.enumerated() {
            var interims: [Int] = []
            while true {
                guard
                    let message = message(
                        &parser, client, row.method(index), &isAtEnd, "answer \(index + 1)")
                else { return }
                let status = Int(message.start[1]) ?? 0
                let isFinal = status >= 200 || status == 101
                let isLast = index == row.sees.count - 1 && row.end == .closed
                for fault in message.faultsAsAnswer(toVersion: row.version, isLast: isLast) {
                    complain("\(fault), in \(latin(message.rawHead).debugDescription)")
                }
                if isFinal {
                    judge(message, expected, interims)
                    break
                }
                if status != 100 { interims.append(status) }
            }
        }
        try readEnd(&parser, client, &isAtEnd)
    }

    /// The next whole message; nil after a complaint.
    private mutating func message(
        _ parser: inout StrictParser, _ client: Socket, _ method: String, _ isAtEnd: inout Bool,
        _ what: String
    ) -> StrictMessage? {
        do {
            while true {
                if case .message(let message) = try parser.next(method: method, isAtEnd: isAtEnd) {
                    return message
                }
                guard !isAtEnd else {
                    complain("the connection ended before \(what): \(latin(parser.buffer))")
                    return nil
                }
                let bytes = try client.receive(by: Self.deadline)
                isAtEnd = bytes.isEmpty
                parser.append(bytes)
            }
        } catch is Socket.Reset {
            complain("the connection was reset before \(what)")
        } catch {
            complain("\(what): \(error)")
        }
        return nil
    }

    private mutating func readEnd(
        _ parser: inout StrictParser, _ client: Socket, _ isAtEnd: inout Bool
    ) throws {
        switch row.end {
        case .alive:
            try client.send(wireBytes("GET /plain/alive HTTP/1.1\r\nHost: alive\r\n\r\n"))
            guard let next = message(&parser, client, "GET", &isAtEnd, "the next answer") else {
                return
            }
            if latin(next.body) != "fence" { complain("the next answer is \(next.start)") }
        case .closed:
            let rest = rest(client, isAtEnd)
            if !parser.buffer.isEmpty || !rest.isEmpty {
                complain("after the end: \(latin(parser.buffer + rest).debugDescription)")
            }
        case .cut: try readCut(&parser, client, &isAtEnd)
        }
    }

    /// Reads until the connection breaks. A 502 instead of the beginning of an answer says as much,
    /// and comes where a reset overtakes that beginning.
    private mutating func readCut(
        _ parser: inout StrictParser, _ client: Socket, _ isAtEnd: inout Bool
    ) throws {
        while true {
            while case .message(let message)? = try? parser.next(method: row.method(0)) {
                let status = Int(message.start[1]) ?? 0
                if status == 502 { return }
                if status >= 200 { complain("the answer looks whole: \(message.start)") }
            }
            if isAtEnd { break }
            guard let bytes = try? client.receive(by: Self.deadline) else { return }
            isAtEnd = bytes.isEmpty
            parser.append(bytes)
        }
        if parser.unfinished?.framing == .untilClose {
            complain("nobody can tell that the answer was cut")
        }
    }

    private func rest(_ client: Socket, _ isAtEnd: Bool) -> [UInt8] {
        var rest: [UInt8] = []
        guard !isAtEnd else { return rest }
        while let bytes = try? client.receive(by: Self.deadline), !bytes.isEmpty { rest += bytes }
        return rest
    }

    private mutating func judge(
        _ message: StrictMessage, _ expected: WireCase.Answer, _ interims: [Int]
    ) {
        let shown = "\(latin(message.rawHead).debugDescription) \(latin(message.body.prefix(300)))"
        if message.start[1] != "\(expected.status)" {
            complain("the status is not \(expected.status): \(shown)")
            return
        }
        if let reason = expected.reason, message.start[2] != reason {
            complain("the reason is not \(reason): \(shown)")
        }
        if let body = expected.body, latin(message.body) != body {
            complain("the body is not \(body.debugDescription): \(shown)")
        }
        if let framing = expected.framing, message.framing != framing {
            complain("the framing is not \(framing): \(shown)")
        }
        if interims != expected.interims {
            complain("the interim answers are not \(expected.interims): \(interims)")
        }
        if let trailers = expected.trailers, message.trailers.map(\.line) != trailers {
            complain("the trailers are not \(trailers): \(message.trailers.map(\.line))")
        }
        complaints += lines(of: message, expected.has, expected.lacks).map { "\($0): \(shown)" }
    }

    private func lines(
        of message: StrictMessage, _ has: [String], _ lacks: [String]
    ) -> [String] {
        let lines = message.fields.map(\.line)
        let missing = has.map(filledText).filter { line in
            lines.filter { $0 == line }.count != 1
        }
        let unwanted = lacks.filter { !message.all($0).isEmpty }
        return missing.map { "there is no line \($0)" } + unwanted.map { "there is a \($0)" }
    }

    // MARK: The origin's side

    /// Waits until the origin has seen all that was sent to it before.
    private mutating func fence() throws {
        let client = try Socket.connected(to: port)
        defer { client.close() }
        try client.send(wireBytes("GET /plain/fence HTTP/1.1\r\nHost: fence\r\n\r\n"))
        var parser = StrictParser(.responses)
        var isAtEnd = false
        guard let answer = message(&parser, client, "GET", &isAtEnd, "the fence's answer") else {
            return
        }
        if latin(answer.body) != "fence" {
            complain("the fence's answer is \(answer.start) \(latin(answer.body))")
        }
    }

    private mutating func judgeOrigin() {
        let record = origin.record
        complaints += record.violations.map { "the origin: \($0)" }
        let complete = record.complete
        let lines = complete.map { "\($0.start[0]) \($0.start[1])" }
        guard lines == row.forwards.map({ filledText($0.line) }) else {
            complain("the origin got \(lines), not \(row.forwards.map(\.line))")
            return
        }
        let begun = record.requests.filter { !$0.isComplete }
        if !begun.isEmpty && !row.mayBegin {
            complain("the origin got the beginning of \(begun.map { $0.message.start })")
        }
        for (message, expected) in zip(complete, row.forwards) { judge(message, expected) }
    }

    private mutating func judge(_ message: StrictMessage, _ expected: WireCase.Request) {
        let shown = latin(message.rawHead).debugDescription
        if let body = expected.body, latin(message.body) != body {
            complain("the origin got the body \(latin(message.body)), not \(body)")
        }
        if let framing = expected.framing, message.framing != framing {
            complain("the origin's framing is not \(framing): \(shown)")
        }
        if let trailers = expected.trailers, message.trailers.map(\.line) != trailers {
            complain("the origin's trailers are \(message.trailers.map(\.line)), not \(trailers)")
        }
        complaints += lines(of: message, expected.has, expected.lacks).map {
            "at the origin, \($0): \(shown)"
        }
        let order = message.fields.map(\.line).filter { expected.inOrder.contains($0) }
        if order != expected.inOrder { complain("the origin got lines in the order \(order)") }
    }

    // MARK: Keys

    /// The keys of a refused request, and of what it tried to smuggle, are still free.
    private mutating func checkKeys() throws {
        let text = row.sends.joined()
        for key in ["{key}", "{next}"] where text.contains(key) {
            origin.begin([])
            let client = try Socket.connected(to: port)
            defer { client.close() }
            try client.send(
                filled(
                    "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: \(key)\r\n"
                        + "Content-Length: 2\r\n\r\n{}"))
            var parser = StrictParser(.responses)
            var isAtEnd = false
            guard let answer = message(&parser, client, "POST", &isAtEnd, "the key's answer")
            else { return }
            if answer.all("Idempotency-Status") != ["executed"] {
                complain("\(key) is not free: \(latin(answer.rawHead).debugDescription)")
            }
        }
    }
}

extension StrictField {
    /// As it is written.
    var line: String { "\(name): \(value)" }
}
