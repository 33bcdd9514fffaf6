/// Numbers that follow from a seed (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

/// Makes inputs out of others, in ways that matter to those who read HTTP.
struct Mutator {
    let seeds: [[UInt8]]
    private var numbers: SeededNumbers

    init(_ seeds: [[UInt8]], seed: UInt64) {
        self.seeds = seeds
        numbers = SeededNumbers(seed)
    }

    /// The next input.
    mutating func next() -> [UInt8] {
        var bytes = seeds.randomElement(using: &numbers) ?? []
        for _ in 0..<Int.random(in: 1...3, using: &numbers) { mutate(&bytes) }
        return bytes
    }

    private mutating func pick(_ texts: [String]) -> [UInt8] {
        wireBytes(texts.randomElement(using: &numbers) ?? "")
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let place = Int.random(in: 0...bytes.count, using: &numbers)
        switch Int.random(in: 0..<14, using: &numbers) {
        case 0: bytes.insert(contentsOf: pick(Self.odd), at: place)
        case 1:
            guard place < bytes.count else { return }
            bytes.remove(at: place)
        case 2:
            guard place < bytes.count else { return }
            bytes[place] = UInt8.random(in: 0...255, using: &numbers)
        case 3, 4, 5:
            if let start = lineStarts(bytes).dropFirst().randomElement(using: &numbers) {
                bytes.insert(contentsOf: pick(Self.lines) + pick(Self.ends), at: start)
            }
        case 6:
            if let line = lines(bytes).randomElement(using: &numbers) {
                let copy = Array(bytes[line])
                let starts = lineStarts(bytes)
                bytes.insert(
                    contentsOf: copy, at: starts.randomElement(using: &numbers) ?? bytes.count)
            }
        case 7:
            if let line = lines(bytes).randomElement(using: &numbers) { bytes.removeSubrange(line) }
        case 8:
            if let end = lineStarts(bytes).dropFirst().randomElement(using: &numbers) {
                bytes.replaceSubrange((end - 2)..<end, with: pick(Self.ends))
            }
        case 9:
            let marks = bytes.indices.filter { [0x20, 0x3A, 0x2C, 0x3B].contains(bytes[$0]) }
            if let mark = marks.randomElement(using: &numbers) {
                bytes.insert(contentsOf: pick(Self.odd), at: mark + Int(numbers.next() & 1))
            }
        case 10:
            let digits = bytes.indices.filter { (0x30...0x39).contains(bytes[$0]) }
            if let digit = digits.randomElement(using: &numbers) {
                bytes.replaceSubrange(digit...digit, with: pick(Self.numerals))
            }
        case 11: bytes += seeds.randomElement(using: &numbers) ?? []
        case 12:
            guard place < bytes.count else { return }
            bytes[place] ^= 0x20
        default:
            let end = bytes.firstIndex(of: 0x0A) ?? bytes.count
            bytes.replaceSubrange(0..<end, with: pick(Self.requestLines) + [0x0D])
        }
        if bytes.count > 3000 { bytes = Array(bytes.prefix(3000)) }
    }

    private func lineStarts(_ bytes: [UInt8]) -> [Int] {
        [0]
            + bytes.indices.filter { $0 > 0 && bytes[$0] == 0x0A && bytes[$0 - 1] == 0x0D }
            .map { $0 + 1 }
    }

    private func lines(_ bytes: [UInt8]) -> [Range<Int>] {
        let starts = lineStarts(bytes)
        return zip(starts, starts.dropFirst()).map { $0..<$1 }
    }

    private static let ends = [
        "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\n\r", "\r\n\r\n", "", "\u{0}", "\u{85}",
    ]
    private static let odd = [
        " ", "\t", "\u{B}", "\u{C}", "\u{0}", "\u{1}", "\u{7F}", "\u{80}", "\u{A0}", "\u{FF}", ",",
        ";", ":", "\"", "\\", "#", "?", "%", "%00", "%2e", "/", "//", "/../", "+", "-", "0", "0x",
        "_", "\r", "\n", "\r\n", "\r\n ", "  ", "=", "(", "@", "*", "chunked", "close", "[", "{",
    ]
    private static let numerals = [
        "0", "1", "2", "9", "00", "10", "0x1", "+1", "-1", "1 ", " 1", "1,1", "", "a", "ff",
        "18446744073709551615", "18446744073709551616", "4294967296", "1e1", "1_0", "\u{B2}",
    ]
    private static let lines = [
        "Content-Length: 0", "Content-Length: 5", "Content-Length: 5, 5", "Content-Length: +5",
        "Content-Length : 5", "Content-Length:5", "Content-Length:", "content-length: 3",
        "Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED", "Transfer-Encoding : chunked",
        "Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: xchunked",
        "Transfer-Encoding:\u{B}chunked", "Transfer-Encoding:", "transfer-encoding: chunked",
        " Transfer-Encoding: chunked", "X: y", "X : y", ": y", "X", "X_Y: z", "Host: b", "Host:",
        "Host: b:80", "host: a", "Host: b c", "Connection: close", "Connection: keep-alive",
        "Connection: X, Host", "Connection: close, Content-Length", "Expect: 100-continue",
        "Expect: x", "Upgrade: websocket", "TE: trailers", "Max-Forwards: 0", "Keep-Alive: 5",
        "Trailer: X", "X: y\r\n z", "Cookie: a=b", "X: \u{FF}", "X: y\u{0}z", "0", "5", "",
        "GET /plain/b HTTP/1.1", "2", "hi", "0\r\n", "Idempotency-Key: k", "X;: y", "\u{1}: y",
    ]
    private static let requestLines = [
        "GET /plain/a HTTP/1.1", "GET /plain/a HTTP/1.0", "POST /plain/a HTTP/1.1",
        "HEAD /plain/a HTTP/1.1", "OPTIONS * HTTP/1.1", "TRACE /plain/a HTTP/1.1",
        "GET http://b/plain/a HTTP/1.1", "GET http://b HTTP/1.1", "GET https://b/ HTTP/1.1",
        "CONNECT b:80 HTTP/1.1", "GET /plain/a", "GET  /plain/a HTTP/1.1", "get /plain/a HTTP/1.1",
        "GET /plain/%zz HTTP/1.1", "GET /plain/a#b HTTP/1.1", "GET /../a HTTP/1.1",
        "GET //a HTTP/1.1", "GET /plain/a HTTP/1.2", "GET /plain/a HTTP/2.0",
        "GET /plain/\u{E9} HTTP/1.1", "GET * HTTP/1.1", "GET ? HTTP/1.1", "PRI * HTTP/2.0",
        "M-SEARCH /plain/a HTTP/1.1", "GET /plain/a?b c HTTP/1.1", "G!T /plain/a HTTP/1.1",
        "PUT /plain/a HTTP/1.1", "DELETE /plain/a HTTP/1.1", "GET /plain/a HTTP/1.1 ",
        "GET http://u@b/ HTTP/1.1", "OPTIONS http://b HTTP/1.1", "GET /plain/a http/1.1",
    ]
}
