/// Finds the bytes of a body in what follows a head (RFC 9112 sections 6 and 7).
///
/// It copies nothing: it answers with ranges of the input. Trailer fields stay apart from the
/// head's; those that could change what the head said are dropped.
///
/// A body is decoded once, so that a decoder cannot be copied; across a wall, every look at a copyable
/// one would be at a copy.
package struct BodyDecoder: ~Copyable, Sendable {
    /// What the next bytes are.
    package enum Step: Sendable, Hashable {
        /// This range of the input, never empty, is body.
        case data(Range<Int>)
        /// The input is used up.
        case needMore
        /// The body is complete; what follows is not of this message.
        case end
    }

    /// What is rare lies in boxes.
    private enum State: Sendable {
        case length(UInt64)
        case untilClose
        /// In a chunk's size, with so many digits read.
        case chunkSize(UInt64, digits: Int)
        /// In the whitespace before a chunk's extensions, with so many bytes read.
        case chunkBlank(UInt64, count: Int)
        /// In a chunk's extensions, with so many bytes read.
        case chunkExtension(UInt64, count: Int)
        /// Before the LF of a chunk's first line.
        case chunkLineFeed(UInt64)
        case chunkData(UInt64)
        /// Before the CR, then the LF, after a chunk's bytes.
        case dataReturn, dataLineFeed
        indirect case trailers(HeadReader)
        case complete
        /// Complete, with trailer fields that may be kept.
        indirect case completeWith(Fields)
        indirect case failed(BodyError)
    }

    private var state: State
    private let limits: HTTPLimits

    /// A decoder for one body.
    package init(_ framing: BodyFraming, limits: HTTPLimits = HTTPLimits()) {
        self.limits = limits
        state =
            switch framing {
            case .none, .length(0): .complete
            case .length(let count): .length(count)
            case .chunked: .chunkSize(0, digits: 0)
            case .untilClose: .untilClose
            }
    }

    /// The trailer fields that may be kept; empty before the end.
    package var trailers: Fields {
        if case .completeWith(let trailers) = state { trailers } else { Fields() }
    }

    /// The bytes still owed, where a `Content-Length` tells.
    package var remaining: UInt64? {
        if case .length(let count) = state { count } else { nil }
    }

    /// Whether the whole body, trailers included, was read.
    package var isComplete: Bool {
        switch state {
        case .complete, .completeWith: true
        default: false
        }
    }

    /// Looks at `input` from `offset`, which it moves behind what it took.
    ///
    /// - Throws: ``BodyError``, then again at every call.
    package mutating func next(
        _ input: Span<UInt8>, _ offset: inout Int
    ) throws(BodyError) -> Step {
        do throws(HeadFault) {
            while true {
                switch state {
                case .complete, .completeWith: return .end
                case .failed(let error): throw HeadFault(error.reason)
                case .untilClose, .length, .chunkData:
                    guard offset < input.count else { return .needMore }
                    return .data(takeData(input, &offset))
                case .trailers(let reader):
                    guard try readTrailers(reader, input, &offset) else { return .needMore }
                case .chunkSize, .chunkBlank, .chunkExtension, .chunkLineFeed, .dataReturn,
                    .dataLineFeed:
                    guard offset < input.count else { return .needMore }
                    try readFraming(input[offset])
                    offset += 1
                }
            }
        } catch {
            let refusal = BodyError(reason: error.reason)
            state = .failed(refusal)
            throw refusal
        }
    }

    /// Notes that the peer closed.
    ///
    /// - Throws: ``BodyError`` unless the body ends with the connection, or is complete.
    package mutating func finish() throws(BodyError) {
        switch state {
        case .complete, .completeWith: break
        case .untilClose: state = .complete
        case .failed(let error): throw error
        default:
            let refusal = BodyError(reason: "the connection closed in the middle of the body")
            state = .failed(refusal)
            throw refusal
        }
    }

    /// Takes what there is of the body's bytes.
    private mutating func takeData(_ input: Span<UInt8>, _ offset: inout Int) -> Range<Int> {
        var end = input.count
        switch state {
        case .length(let count):
            if count < UInt64(end - offset) { end = offset + Int(count) }
            let rest = count - UInt64(end - offset)
            state = rest == 0 ? .complete : .length(rest)
        case .chunkData(let count):
            if count < UInt64(end - offset) { end = offset + Int(count) }
            let rest = count - UInt64(end - offset)
            state = rest == 0 ? .dataReturn : .chunkData(rest)
        default: break
        }
        defer { offset = end }
        return offset..<end
    }

    /// Reads a byte between two chunks' bytes.
    private mutating func readFraming(_ byte: UInt8) throws(HeadFault) {
        switch state {
        case .chunkSize(let size, let digits):
            state = try afterSize(size, digits, byte)
        case .chunkBlank(let size, let count):
            guard byte == UInt8(ascii: ";") || isBlank(byte) else {
                throw HeadFault("a chunk size is not hexadecimal")
            }
            let counted = try extensionByte(after: count)
            state =
                isBlank(byte)
                ? .chunkBlank(size, count: counted) : .chunkExtension(size, count: counted)
        case .chunkExtension(let size, let count):
            if byte == 0x0D {
                state = .chunkLineFeed(size)
            } else {
                guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else {
                    throw HeadFault("there is a control byte in a chunk extension")
                }
                state = .chunkExtension(size, count: try extensionByte(after: count))
            }
        case .chunkLineFeed(let size):
            guard byte == 0x0A else { throw HeadFault("there is a CR without LF") }
            state = size == 0 ? .trailers(newTrailerReader) : .chunkData(size)
        case .dataReturn:
            guard byte == 0x0D else { throw HeadFault("a chunk is longer than its size") }
            state = .dataLineFeed
        case .dataLineFeed:
            guard byte == 0x0A else { throw HeadFault("there is a CR without LF") }
            state = .chunkSize(0, digits: 0)
        default: break
        }
    }

    /// The state after one more byte of a chunk's first line, up to the end of its size.
    private func afterSize(
        _ size: UInt64, _ digits: Int, _ byte: UInt8
    ) throws(HeadFault) -> State {
        if let digit = hexadecimalValue(byte) {
            guard digits < 16 else { throw HeadFault("a chunk size has too many digits") }
            return .chunkSize(size << 4 | UInt64(digit), digits: digits + 1)
        }
        guard digits > 0 else { throw HeadFault("a chunk size has no digits") }
        switch byte {
        case 0x0D: return .chunkLineFeed(size)
        case UInt8(ascii: ";"): return try .chunkExtension(size, count: extensionByte(after: 0))
        // RFC 9112 section 7.1.1 has whitespace here, which must be taken (RFC 9110 section 5.6.3).
        case 0x20, 0x09: return try .chunkBlank(size, count: extensionByte(after: 0))
        default: throw HeadFault("a chunk size is not hexadecimal")
        }
    }

    /// The bytes of an extension with one more, if that is allowed.
    private func extensionByte(after count: Int) throws(HeadFault) -> Int {
        guard count < limits.chunkExtension else {
            throw HeadFault("a chunk extension is longer than its limit")
        }
        return count + 1
    }

    private var newTrailerReader: HeadReader {
        HeadReader(HeadScanner(sectionLimit: limits.trailers, countLimit: limits.fieldCount))
    }

    /// Reads the trailer section, and says whether it is complete.
    private mutating func readTrailers(
        _ reader: HeadReader, _ input: Span<UInt8>, _ offset: inout Int
    ) throws(HeadFault) -> Bool {
        var reader = reader
        var nothing = NoStartLine()
        let (consumed, head) = try reader.read(input, from: offset, startLine: &nothing)
        offset += consumed
        guard let head else {
            state = .trailers(reader)
            return false
        }
        guard !head.lines.isEmpty else {
            state = .complete
            return true
        }
        var trailers = Fields(bytes: head.bytes, lines: head.lines)
        trailers.removeForbiddenInTrailers()
        state = .completeWith(trailers)
        return true
    }
}

/// A trailer section has no start line.
private struct NoStartLine: StartLineReader {
    func read(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool { true }
}

extension Fields {
    /// Drops the fields that a trailer section must not have (RFC 9110 section 6.5.1): those for
    /// framing, routing, authentication, conditions, caching and the form of the content, and all
    /// that the gateway itself goes by.
    fileprivate mutating func removeForbiddenInTrailers() {
        let lines = self
        removeAll { index in
            lines.id(at: index) != .other
                || Self.forbiddenInTrailers.contains { lines.isLine(at: index, named: $0) }
        }
    }

    private static let forbiddenInTrailers = [
        "Accept-Ranges", "Allow", "Alt-Svc", "Content-Disposition", "Content-Language",
        "Content-Location", "Content-Range", "Cookie", "ETag", "Expires", "If-Match",
        "If-Modified-Since", "If-None-Match", "If-Range", "If-Unmodified-Since", "Last-Modified",
        "Max-Forwards", "Pragma", "Range", "Set-Cookie", "Vary", "Warning", "WWW-Authenticate",
        "Authentication-Info", "Strict-Transport-Security",
    ].map { FieldName($0) }
}
