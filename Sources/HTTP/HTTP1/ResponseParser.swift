/// Parses an upstream's response heads, as strictly as ``RequestParser`` does those of requests.
package struct ResponseParser: ~Copyable, Sendable {
    private var reader: HeadReader
    private var start = Start()
    private let method: Method
    private let interimLimit: Int
    private var interimCount = 0
    private var failure: ResponseError?

    /// A parser for the answers to one request with this method.
    package init(for method: Method, limits: HTTPLimits = HTTPLimits()) {
        self.method = method
        interimLimit = limits.interimCount
        reader = HeadReader(HeadScanner(limits: limits))
    }

    /// Whether no head has begun.
    package var isIdle: Bool { reader.isIdle }

    /// Takes the bytes that belong to one head, and returns how many these were, with the head
    /// once it is complete. Until then it keeps what it took.
    ///
    /// Interim heads come out one by one; call again for the next. After a 101, which counts as
    /// interim here, the connection no longer speaks HTTP.
    ///
    /// - Throws: ``ResponseError``, at the first byte that shows that no valid head can follow.
    package mutating func parse(
        _ input: Span<UInt8>
    ) throws(ResponseError) -> (consumed: Int, head: ResponseHead?) {
        if let failure { throw failure }
        do throws(HeadFault) {
            let (consumed, head) = try reader.read(input, startLine: &start)
            guard let head, let line = start.line else { return (consumed, nil) }
            start = Start()
            let response = try ResponseHead(head, line, for: method)
            if response.isInterim {
                interimCount += 1
                guard interimCount <= interimLimit else {
                    throw HeadFault("there are too many interim answers")
                }
            }
            return (consumed, response)
        } catch {
            let refusal = ResponseError(reason: error.reason)
            failure = refusal
            throw refusal
        }
    }
}

extension ResponseParser {
    /// The status line, once it came.
    private struct Start: StartLineReader {
        private(set) var line: StatusLine?

        mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HeadFault) -> Bool {
            line = try StatusLine(bytes, range)
            return true
        }
    }
}

/// A status line (RFC 9112 section 4), found valid.
struct StatusLine: Sendable {
    let version: Version
    let status: UInt16
    /// Where the reason phrase lies in the head's bytes.
    let reason: Range<Int>

    /// Reads a line without its CRLF. The space before an empty reason phrase may be missing.
    init(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
        let start = line.lowerBound
        guard line.count >= 12, bytes[start + 8] == 0x20 else {
            throw HeadFault("the status line is malformed")
        }
        version = try Version(bytes, start..<(start + 8))
        let (a, b, c) = (
            bytes[start + 9] &- 0x30, bytes[start + 10] &- 0x30, bytes[start + 11] &- 0x30
        )
        guard a > 0, a < 10, b < 10, c < 10, line.count == 12 || bytes[start + 12] == 0x20 else {
            throw HeadFault("the status is not a number of three digits")
        }
        status = UInt16(a) * 100 + UInt16(b) * 10 + UInt16(c)
        reason = min(start + 13, line.upperBound)..<line.upperBound
    }
}

extension ResponseHead {
    /// Judges a head as a whole (RFC 9112 section 6.3).
    ///
    /// 1xx and 204 have no body and must not say otherwise; where they do, the fields that do are
    /// dropped. After HEAD and in 304 they tell of another response, and stay.
    init(_ head: HeadReader.Head, _ line: StatusLine, for method: Method) throws(HeadFault) {
        let facts = MessageFraming(head)
        let isBodiless = line.status < 200 || line.status == 204
        var lines = head.lines
        var framing = BodyFraming.none
        if isBodiless {
            lines.removeAll { $0.id.isFraming }
        } else {
            framing = try facts.declared(line.version, head.bytes.span) ?? .untilClose
            if line.status == 304 || method == .head { framing = .none }
        }
        self.init(
            status: line.status, reason: head.bytes[line.reason], version: line.version,
            fields: Fields(bytes: head.bytes, lines: lines), framing: framing,
            isPersistent: framing != .untilClose && facts.isPersistent(line.version))
    }
}

extension FieldName.ID {
    /// Whether the name is one that says where a body ends.
    @inline(__always)
    var isFraming: Bool { self == .contentLength || self == .transferEncoding }
}
