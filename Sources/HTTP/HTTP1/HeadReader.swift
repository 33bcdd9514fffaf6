/// Judges start lines as soon as they are whole.
protocol StartLineReader {
    /// Reads a start line without its CRLF.
    ///
    /// - Returns: whether it is one; if not, it is skipped.
    mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HeadFault) -> Bool
}

/// Collects one head from however many pieces it comes in.
///
/// A head that lies whole in the input is read there and copied once. Only what is incomplete is
/// kept, so that an idle connection holds nothing.
struct HeadReader: Sendable {
    /// A whole head: its bytes, and where its field lines lie in them.
    struct Head {
        var bytes: [UInt8]
        var lines: [Fields.Line]
    }

    private var scanner: HeadScanner
    private var pending: [UInt8] = []

    init(_ scanner: HeadScanner) { self.scanner = scanner }

    /// Whether not a byte of a head is held.
    var isIdle: Bool { pending.isEmpty }

    /// Takes bytes of `input` from `start` on, up to the end of the head.
    mutating func read(
        _ input: Span<UInt8>, from start: Int = 0, startLine: inout some StartLineReader
    ) throws(HeadFault) -> (consumed: Int, head: Head?) {
        if pending.isEmpty { return try readInPlace(input, from: start, &startLine) }
        var bytes: [UInt8] = []
        swap(&bytes, &pending)
        var taken = start
        while taken < input.count {
            // In small steps, lest a body that follows is copied along.
            let held = bytes.count
            let step = min(input.count - taken, 1024)
            bytes.append(input.extracting(taken..<(taken + step)))
            guard let end = try Self.advance(&scanner, bytes.span, &startLine) else {
                taken += step
                continue
            }
            bytes.removeLast(bytes.count - end.position)
            taken += end.position - held
            if end.isHead { return (taken - start, take(bytes)) }
            let rest = try readInPlace(input, from: taken, &startLine)
            return (taken - start + rest.consumed, rest.head)
        }
        pending = bytes
        return (taken - start, nil)
    }

    /// Reads a head whose first byte is at `start`.
    private mutating func readInPlace(
        _ input: Span<UInt8>, from start: Int, _ startLine: inout some StartLineReader
    ) throws(HeadFault) -> (consumed: Int, head: Head?) {
        var origin = start
        while origin < input.count {
            let rest = input.extracting(origin..<input.count)
            guard let end = try Self.advance(&scanner, rest, &startLine) else {
                pending.append(rest)
                return (input.count - start, nil)
            }
            origin += end.position
            if end.isHead {
                var bytes: [UInt8] = []
                bytes.append(rest.extracting(0..<end.position))
                return (origin - start, take(bytes))
            }
        }
        return (origin - start, nil)
    }

    private mutating func take(_ bytes: [UInt8]) -> Head {
        let head = Head(bytes: bytes, lines: scanner.lines)
        scanner.startAnew()
        return head
    }

    /// Scans on to the end of the head, or to that of a start line that is none.
    private static func advance(
        _ scanner: inout HeadScanner, _ bytes: Span<UInt8>, _ startLine: inout some StartLineReader
    ) throws(HeadFault) -> (position: Int, isHead: Bool)? {
        while true {
            switch try scanner.scan(bytes) {
            case .needMore: return nil
            case .end(let position): return (position, true)
            case .startLine(let range):
                if try startLine.read(bytes, range) { continue }
                let position = scanner.lineStart
                scanner.dropStartLine()
                return (position, false)
            }
        }
    }
}

extension [UInt8] {
    /// Adds a copy of some bytes.
    @inline(__always)
    mutating func append(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// Adds a text that is part of the program.
    @inline(__always)
    mutating func append(_ text: StaticString) {
        unsafe append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Adds a number in decimal.
    mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(truncatingIfNeeded: value / divisor % 10) + 0x30)
            divisor /= 10
        }
    }
}
