/// Splits a head into lines and field lines into names and values, resuming where it stopped.
///
/// It looks at the same bytes again and again, each time with more behind them, and reads none
/// twice. A fault shows at the same byte however the input was cut: control bytes and limits as
/// soon as they are reached, everything else at the end of its line.
struct HeadScanner: Sendable {
    /// What a scan came to.
    enum Progress {
        case needMore
        /// The start line is whole; the range is without its CRLF. Scan again to go on.
        case startLine(Range<Int>)
        /// The blank line was read; the head has that many bytes.
        case end(Int)
    }

    private let hasStartLine: Bool
    private let startLineLimit: Int
    private let sectionLimit: Int
    private let countLimit: Int
    /// Where the current line starts.
    private(set) var lineStart = 0
    /// Before this position no line end of the current line lies.
    private var cursor = 0
    /// Where the field lines start; nil while the start line is read.
    private var sectionStart: Int?
    /// The field lines so far.
    private(set) var lines: [Fields.Line] = []

    /// A scanner for a start line and the field lines that follow.
    init(limits: HTTPLimits) {
        hasStartLine = true
        startLineLimit = limits.requestLine
        sectionLimit = limits.fields
        countLimit = limits.fieldCount
    }

    /// A scanner for field lines alone.
    init(sectionLimit: Int, countLimit: Int) {
        hasStartLine = false
        startLineLimit = 0
        self.sectionLimit = sectionLimit
        self.countLimit = countLimit
        sectionStart = 0
    }

    /// Whether the start line is still to come.
    var awaitsStartLine: Bool { sectionStart == nil }

    /// Forgets what it read, before the next head.
    mutating func startAnew() {
        lineStart = 0
        cursor = 0
        sectionStart = hasStartLine ? nil : 0
        lines = []
    }

    /// Treats the start line that was just read as not there, as servers do with empty lines
    /// before a request, and everything up to it as gone from the bytes.
    mutating func dropStartLine() {
        lineStart = 0
        cursor = 0
        sectionStart = nil
    }

    /// Reads on in `bytes`, which starts with the head's first byte.
    mutating func scan(_ bytes: Span<UInt8>) throws(HeadFault) -> Progress {
        guard let sectionStart else {
            guard let line = try nextLine(bytes, end: lineStart + startLineLimit, status: 414)
            else { return .needMore }
            sectionStart = lineStart
            lines.reserveCapacity(min(16, countLimit))
            return .startLine(line)
        }
        let sectionEnd = sectionStart + sectionLimit
        while let line = try nextLine(bytes, end: sectionEnd, status: 431) {
            if line.isEmpty { return .end(lineStart) }
            guard lineStart <= sectionEnd else { throw HeadFault(tooLarge, status: 431) }
            guard lines.count < countLimit else {
                throw HeadFault("there are too many field lines", status: 431)
            }
            lines.append(try Fields.Line(bytes, line))
        }
        return .needMore
    }

    private var tooLarge: String { "a part of the head is longer than its limit" }

    /// The next whole line without its CRLF, at most up to `end`.
    private mutating func nextLine(
        _ bytes: Span<UInt8>, end: Int, status: UInt16
    ) throws(HeadFault) -> Range<Int>? {
        let stop = min(bytes.count, end &+ 1)
        while true {
            cursor = firstControlByte(bytes, from: cursor, to: stop)
            guard cursor < stop else {
                if cursor > end { throw HeadFault(tooLarge, status: status) }
                return nil
            }
            if bytes[cursor] != 0x09 { break }
            cursor += 1
        }
        guard bytes[cursor] == 0x0D else {
            throw HeadFault(
                bytes[cursor] == 0x0A
                    ? "a line ends in LF without CR" : "there is a control byte in the head")
        }
        guard cursor + 1 < bytes.count else { return nil }
        guard bytes[cursor + 1] == 0x0A else { throw HeadFault("there is a CR without LF") }
        let line = lineStart..<cursor
        cursor += 2
        lineStart = cursor
        return line
    }
}

/// The position of the first byte below 0x20 or of 0x7F, else `end`. Eight bytes at a time: in the
/// lowest byte that it flags, each of the two subtractions is exact.
@inline(__always)
func firstControlByte(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = start
    while index + 8 <= end {
        let word = UInt64(
            littleEndian: unsafe bytes.bytes.unsafeLoadUnaligned(
                fromByteOffset: index, as: UInt64.self))
        let delete = word ^ (ones &* 0x7F)
        let flags =
            (((word &- ones &* 0x20) & ~word) | ((delete &- ones) & ~delete)) & (ones &* 0x80)
        if flags != 0 { return index + flags.trailingZeroBitCount / 8 }
        index += 8
    }
    while index < end {
        let byte = bytes[index]
        if byte < 0x20 || byte == 0x7F { break }
        index += 1
    }
    return index
}

extension Fields.Line {
    /// Splits a field line, which holds no control byte but HTAB (RFC 9112 section 5).
    @inline(__always)
    init(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
        var colon = line.lowerBound
        while colon < line.upperBound, isTokenByte(bytes[colon]) { colon += 1 }
        guard colon < line.upperBound, bytes[colon] == UInt8(ascii: ":") else {
            throw HeadFault(
                isBlank(bytes[line.lowerBound])
                    ? "a field line is folded" : "a field name is not a token")
        }
        guard colon > line.lowerBound else { throw HeadFault("a field name is empty") }
        var start = colon + 1
        var end = line.upperBound
        while start < end, isBlank(bytes[start]) { start += 1 }
        while start < end, isBlank(bytes[end - 1]) { end -= 1 }
        nameStart = UInt32(truncatingIfNeeded: line.lowerBound)
        nameEnd = UInt32(truncatingIfNeeded: colon)
        valueStart = UInt32(truncatingIfNeeded: start)
        valueEnd = UInt32(truncatingIfNeeded: end)
        id = FieldName.ID(of: bytes, line.lowerBound..<colon)
    }
}

/// Whether a byte is SP or HTAB.
@inline(__always)
func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
