/// Parses request heads, strictly (RFC 9112), from bytes that come in any pieces.
///
/// What could be read in two ways is refused: every disagreement about where a message ends is a
/// way to smuggle a request past somebody. After a refusal it refuses everything.
package struct RequestParser: ~Copyable, Sendable {
    private var reader: HeadReader
    private var start = Start()
    private let takesHTTPS: Bool
    private var failure: RequestError?

    /// A parser for one connection.
    ///
    /// - Parameter takesHTTPS: Whether requests for `https` resources may come here: over TLS, or
    ///   from a trusted gateway that ended TLS. Others are misdirected (RFC 9110 section 7.4).
    package init(limits: HTTPLimits = HTTPLimits(), takesHTTPS: Bool = false) {
        reader = HeadReader(HeadScanner(limits: limits))
        self.takesHTTPS = takesHTTPS
    }

    /// Whether no head has begun; empty lines before one do not count.
    package var isIdle: Bool { reader.isIdle }

    /// Takes the bytes that belong to one head, and returns how many these were, with the head
    /// once it is complete. Until then it keeps what it took.
    ///
    /// - Throws: ``RequestError``, at the first byte that shows that no valid head can follow.
    package mutating func parse(
        _ input: Span<UInt8>
    ) throws(RequestError) -> (consumed: Int, head: RequestHead?) {
        if let failure { throw failure }
        do throws(HeadFault) {
            let (consumed, head) = try reader.read(input, startLine: &start)
            guard let head, let line = start.line else { return (consumed, nil) }
            start = Start()
            let request = try RequestHead(head, line)
            guard line.origin?.isHTTPS != true || takesHTTPS else {
                throw HeadFault("an https resource is asked for without TLS", status: 421)
            }
            return (consumed, request)
        } catch {
            let refusal = RequestError(status: error.status, reason: error.reason)
            failure = refusal
            throw refusal
        }
    }
}

extension RequestParser {
    /// The request line, once it came, and the empty lines that came instead of it.
    private struct Start: StartLineReader {
        /// RFC 9112 section 2.2 asks for one.
        private static let emptyLineLimit = 4
        private(set) var line: RequestLine?
        private var emptyLines = 0

        mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HeadFault) -> Bool {
            guard range.isEmpty else {
                line = try RequestLine(bytes, range)
                return true
            }
            emptyLines += 1
            guard emptyLines <= Self.emptyLineLimit else {
                throw HeadFault("there are too many empty lines before the request line")
            }
            return false
        }
    }
}
