@testable import HTTP

/// The pieces of `input` when it is cut at each of `cuts`.
func pieces(_ input: [UInt8], _ cuts: [Int]) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var start = 0
    for cut in cuts + [input.count] where cut > start {
        pieces.append(Array(input[start..<cut]))
        start = cut
    }
    return pieces
}

/// Every way in which the tests cut an input: not at all, at each position, between all bytes.
func cuttings(_ input: [UInt8]) -> [[[UInt8]]] {
    [pieces(input, [])] + (0..<input.count).dropFirst().map { pieces(input, [$0]) }
        + [pieces(input, Array(0..<input.count))]
}

/// Text of Latin-1 characters as bytes, so that a case can hold any byte.
func latin1(_ text: String) -> [UInt8] {
    text.unicodeScalars.map { UInt8($0.value) }
}

/// The text of bytes, each byte one character.
func latin1(_ bytes: some Sequence<UInt8>) -> String {
    var text = ""
    for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
    return text
}

/// What a request parser made of an input, as text that can be compared.
func outcome(ofRequest pieces: [[UInt8]], limits: HTTPLimits = HTTPLimits()) -> String {
    var parser = RequestParser(limits: limits)
    var total = 0
    for piece in pieces {
        do {
            let (consumed, head) = try parser.parse(piece.span)
            total += consumed
            if let head { return "\(describe(head)) [\(total)]" }
            if consumed != piece.count { return "a piece was left without a head" }
        } catch { return "\(error.status)" }
    }
    return parser.isIdle ? "idle" : "more"
}

/// A head as text: method, target, version, framing, whether it persists, and its fields.
func describe(_ head: RequestHead) -> String {
    let version = head.version == .http11 ? "1.1" : "1.0"
    return [
        head.method.token, latin1(head.target), version, describe(head.framing),
        head.isPersistent ? "keep" : "close", describe(head.fields),
    ].joined(separator: " ")
}

func describe(_ framing: BodyFraming) -> String {
    switch framing {
    case .none: "none"
    case .length(let count): "\(count)"
    case .chunked: "chunked"
    case .untilClose: "untilClose"
    }
}

func describe(_ fields: Fields) -> String {
    "{"
        + fields.indices.map {
            latin1(fields.name(at: $0)) + "=" + latin1(fields.value(at: $0))
        }.joined(separator: "|") + "}"
}

/// What a response parser made of an input: all heads up to the final one.
func outcome(
    ofResponse pieces: [[UInt8]], to method: Method = .get, limits: HTTPLimits = HTTPLimits()
) -> String {
    var parser = ResponseParser(for: method, limits: limits)
    var total = 0
    var interim = ""
    for piece in pieces {
        var offset = 0
        while offset < piece.count {
            do {
                let rest = piece.span.extracting(offset..<piece.count)
                let (consumed, head) = try parser.parse(rest)
                total += consumed
                offset += consumed
                guard let head else { break }
                if !head.isInterim { return "\(interim)\(describe(head)) [\(total)]" }
                interim += describe(head) + " "
            } catch { return interim + "refused" }
        }
    }
    return interim + (parser.isIdle ? "idle" : "more")
}

func describe(_ head: ResponseHead) -> String {
    [
        "\(head.status)", latin1(head.reason), head.version == .http11 ? "1.1" : "1.0",
        describe(head.framing), head.isPersistent ? "keep" : "close", describe(head.fields),
    ].joined(separator: " ")
}

/// What a decoder made of an input: the body, whether it is complete, what is left, the trailers.
func outcome(
    ofBody pieces: [[UInt8]], _ framing: BodyFraming, limits: HTTPLimits = HTTPLimits()
) -> String {
    var decoder = BodyDecoder(framing, limits: limits)
    var body: [UInt8] = []
    var total = 0
    do {
        feeding: for piece in pieces {
            var offset = 0
            defer { total += offset }
            while true {
                switch try decoder.next(piece.span, &offset) {
                case .data(let range): body += piece[range]
                case .needMore:
                    if offset != piece.count { return "a piece was left" }
                    continue feeding
                case .end:
                    let trailers = describe(decoder.trailers)
                    return "\(latin1(body)) end \(trailers) [\(total + offset)]"
                }
            }
        }
    } catch { return "\(latin1(body)) refused" }
    return "\(latin1(body)) more"
}
