/// What the field lines of a head say about its body and its connection, collected in one pass.
struct MessageFraming {
    /// The number of `Content-Length` lines.
    private var lengthCount = 0
    private var length: UInt64?
    /// The number of `Transfer-Encoding` lines.
    private var encodingCount = 0
    private var encoding: Range<Int>?
    private(set) var hostCount = 0
    private(set) var host: Range<Int>?
    /// Whether `Connection` has the option `close`.
    private var isClose = false
    /// Whether `Connection` has the option `keep-alive`.
    private var isKeepAlive = false
    /// Whether there is an expectation other than `100-continue`.
    private(set) var hasUnknownExpectation = false

    init(_ head: HeadReader.Head) {
        let bytes = head.bytes.span
        for line in head.lines where line.id != .other {
            let value = Int(line.valueStart)..<Int(line.valueEnd)
            switch line.id {
            case .contentLength:
                lengthCount += 1
                length = UInt64(digits: bytes.extracting(value))
            case .transferEncoding:
                encodingCount += 1
                encoding = value
            case .host:
                hostCount += 1
                host = value
            case .connection:
                forEachElement(of: bytes.extracting(value)) { option in
                    if isEqualIgnoringCase(option, "close") { isClose = true }
                    if isEqualIgnoringCase(option, "keep-alive") { isKeepAlive = true }
                }
            case .expect:
                if !isEqualIgnoringCase(bytes.extracting(value), "100-continue") {
                    hasUnknownExpectation = true
                }
            default: break
            }
        }
    }

    /// Whether the sender lets the connection live on (RFC 9112 section 9.3).
    func isPersistent(_ version: Version) -> Bool {
        !isClose && (version == .http11 || isKeepAlive)
    }

    /// The framing that the fields declare, nil if none (RFC 9112 sections 6.1 to 6.3).
    ///
    /// Stricter than the RFC: any second `Content-Length` or `Transfer-Encoding` line, any list of
    /// lengths, and any coding besides `chunked` is refused.
    func declared(
        _ version: Version, _ bytes: Span<UInt8>
    ) throws(HeadFault) -> BodyFraming? {
        if let encoding {
            guard version == .http11 else {
                throw HeadFault("Transfer-Encoding is not allowed in HTTP/1.0")
            }
            guard lengthCount == 0 else {
                throw HeadFault("there are both Content-Length and Transfer-Encoding")
            }
            guard encodingCount == 1 else {
                throw HeadFault("there is more than one Transfer-Encoding")
            }
            try requireChunked(bytes.extracting(encoding))
            return .chunked
        }
        guard lengthCount > 0 else { return nil }
        guard lengthCount == 1 else { throw HeadFault("there is more than one Content-Length") }
        guard let length else { throw HeadFault("the Content-Length is not a number") }
        return .length(length)
    }

    /// Refuses every value of `Transfer-Encoding` but `chunked`: with 501 where it is well-formed.
    private func requireChunked(_ value: Span<UInt8>) throws(HeadFault) {
        if isEqualIgnoringCase(value, "chunked") { return }
        var isWellFormed = true
        var isAfterChunked = false
        forEachElement(of: value) { coding in
            if isAfterChunked { isWellFormed = false }
            var nameEnd = 0
            while nameEnd < coding.count, isTokenByte(coding[nameEnd]) { nameEnd += 1 }
            let isChunked = isEqualIgnoringCase(coding.extracting(0..<nameEnd), "chunked")
            if isChunked { isAfterChunked = true }
            // Other codings may have parameters.
            let hasMore = nameEnd < coding.count
            if nameEnd == 0 || hasMore && (isChunked || !isBlankOrSemicolon(coding[nameEnd])) {
                isWellFormed = false
            }
        }
        guard isWellFormed else { throw HeadFault("the Transfer-Encoding is malformed") }
        throw HeadFault("there is a transfer coding besides chunked", status: 501)
    }

    private func isBlankOrSemicolon(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: ";")
    }
}

/// Calls `body` with each element of a comma-separated list, also with empty ones
/// (RFC 9110 section 5.6.1).
@inline(__always)
func forEachElement(of list: Span<UInt8>, _ body: (Span<UInt8>) -> Void) {
    var start = 0
    while start <= list.count {
        var comma = start
        while comma < list.count, list[comma] != UInt8(ascii: ",") { comma += 1 }
        var end = comma
        while start < end, isBlank(list[start]) { start += 1 }
        while start < end, isBlank(list[end - 1]) { end -= 1 }
        body(list.extracting(start..<end))
        start = comma + 1
    }
}

extension UInt64 {
    /// A number of decimal digits and nothing else; nil also when it does not fit.
    init?(digits: Span<UInt8>) {
        guard !digits.isEmpty else { return nil }
        var value: UInt64 = 0
        for index in 0..<digits.count {
            let digit = digits[index] &- 0x30
            guard digit < 10 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = product.addingReportingOverflow(UInt64(digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        self = value
    }
}

extension RequestHead {
    /// Judges a head as a whole.
    init(_ head: HeadReader.Head, _ line: RequestLine) throws(HeadFault) {
        let facts = MessageFraming(head)
        let bytes = head.bytes.span
        try facts.checkHost(line.version, bytes)
        let framing = try facts.declared(line.version, bytes) ?? .none
        if facts.hasUnknownExpectation, line.version == .http11 {
            throw HeadFault("the expectation is not known", status: 417)
        }
        self.init(
            method: line.method, target: head.bytes[line.target], version: line.version,
            fields: Fields(bytes: head.bytes, lines: head.lines), framing: framing,
            isPersistent: facts.isPersistent(line.version))
        if let origin = line.origin { take(origin) }
    }

    /// Turns absolute form into what it means: the authority replaces `Host`, whatever that says,
    /// and the target is what follows it (RFC 9112 section 3.2.2).
    private mutating func take(_ origin: TargetOrigin) {
        fields.setHost(valueAt: origin.authority)
        switch target.first {
        case UInt8(ascii: "/"): break
        case nil: target = [UInt8(ascii: method == .options ? "*" : "/")]
        default: target = [UInt8(ascii: "/")] + target
        }
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    package var expectsContinue: Bool {
        version == .http11 && framing != .none && framing != .length(0) && fields.contains(.expect)
    }
}

extension Fields {
    /// Makes the bytes at a place in the head the value of the only `Host` line, or of a new one.
    fileprivate mutating func setHost(valueAt range: Range<Int>) {
        guard let index = firstIndex(of: .host) else { return append(.host, bytes[range]) }
        lines[index].valueStart = UInt32(truncatingIfNeeded: range.lowerBound)
        lines[index].valueEnd = UInt32(truncatingIfNeeded: range.upperBound)
    }
}

extension MessageFraming {
    /// Checks `Host` (RFC 9112 section 3.2): exactly one, which may be missing in HTTP/1.0.
    fileprivate func checkHost(_ version: Version, _ bytes: Span<UInt8>) throws(HeadFault) {
        guard let host else {
            guard version == .http10 else { throw HeadFault("there is no Host") }
            return
        }
        guard hostCount == 1 else { throw HeadFault("there is more than one Host") }
        guard isHost(bytes.extracting(host)) else { throw HeadFault("the Host is malformed") }
    }
}
