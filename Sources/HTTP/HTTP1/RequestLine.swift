/// A request line (RFC 9112 section 3), found valid.
struct RequestLine: Sendable {
    let method: Method
    /// Where the target lies in the head's bytes.
    let target: Range<Int>
    /// Where the target is in absolute form (RFC 9112 section 3.2.2): its scheme and authority.
    let origin: TargetOrigin?
    let version: Version

    /// Reads a line without its CRLF, which holds no control byte but HTAB.
    init(_ bytes: Span<UInt8>, _ line: Range<Int>) throws(HeadFault) {
        var methodEnd = line.lowerBound
        while methodEnd < line.upperBound, isTokenByte(bytes[methodEnd]) { methodEnd += 1 }
        guard methodEnd > line.lowerBound, methodEnd < line.upperBound, bytes[methodEnd] == 0x20
        else { throw HeadFault("the method is not a token followed by one space") }

        let targetStart = methodEnd + 1
        var targetEnd = targetStart
        while targetEnd < line.upperBound, bytes[targetEnd] != 0x20 {
            // Visible ASCII, and no fragment.
            guard bytes[targetEnd] &- 0x21 < 0x5E, bytes[targetEnd] != UInt8(ascii: "#") else {
                throw HeadFault("there is a byte in the request target that must be encoded")
            }
            targetEnd += 1
        }
        guard targetEnd > targetStart else { throw HeadFault("the request target is empty") }
        guard targetEnd < line.upperBound else { throw HeadFault("there is no HTTP version") }

        version = try Version(bytes, (targetEnd + 1)..<line.upperBound)
        method = Method(bytes.extracting(line.lowerBound..<methodEnd))
        let whole = targetStart..<targetEnd
        guard method != .connect else { throw HeadFault("CONNECT is not served", status: 501) }
        guard bytes[targetStart] != UInt8(ascii: "/") else {
            (origin, target) = (nil, whole)
            return
        }
        guard whole.count > 1 || bytes[targetStart] != UInt8(ascii: "*") else {
            guard method == .options else {
                throw HeadFault("the request target * is for OPTIONS alone")
            }
            (origin, target) = (nil, whole)
            return
        }
        let origin = try TargetOrigin(bytes, whole)
        self.origin = origin
        target = origin.authority.upperBound..<targetEnd
    }
}

/// The scheme and the authority of a request target in absolute form (RFC 9112 section 3.2.2).
struct TargetOrigin: Sendable {
    /// Whether the scheme is `https`.
    let isHTTPS: Bool
    /// Where `host [ ":" port ]` lies in the head's bytes.
    let authority: Range<Int>

    /// Reads the beginning of a target. User information, which RFC 9110 section 4.2.4 wants
    /// treated as an error, and an empty host (section 4.2.1) are refused.
    fileprivate init(_ bytes: Span<UInt8>, _ target: Range<Int>) throws(HeadFault) {
        let rest = bytes.extracting(target)
        let schemeCount: Int
        if rest.count > 7, isEqualIgnoringCase(rest.extracting(0..<7), "http://") {
            (isHTTPS, schemeCount) = (false, 7)
        } else if rest.count > 8, isEqualIgnoringCase(rest.extracting(0..<8), "https://") {
            (isHTTPS, schemeCount) = (true, 8)
        } else {
            throw HeadFault("the request target is neither a path nor an http URI")
        }
        let start = target.lowerBound + schemeCount
        var end = start
        while end < target.upperBound, bytes[end] != UInt8(ascii: "/"),
            bytes[end] != UInt8(ascii: "?")
        {
            end += 1
        }
        authority = start..<end
        guard isHost(bytes.extracting(authority)) else {
            throw HeadFault("the authority of the request target is malformed")
        }
    }
}

extension Version {
    /// Reads a version, which is all that `range` may hold. A minor version that is higher than
    /// 1.1 is taken for that (RFC 9110 section 2.5).
    init(_ bytes: Span<UInt8>, _ range: Range<Int>) throws(HeadFault) {
        let start = range.lowerBound
        guard range.count == 8,
            bytes[start] == UInt8(ascii: "H"), bytes[start + 1] == UInt8(ascii: "T"),
            bytes[start + 2] == UInt8(ascii: "T"), bytes[start + 3] == UInt8(ascii: "P"),
            bytes[start + 4] == UInt8(ascii: "/"), bytes[start + 5] &- 0x30 < 10,
            bytes[start + 6] == UInt8(ascii: "."), bytes[start + 7] &- 0x30 < 10
        else { throw HeadFault("the HTTP version is malformed") }
        switch (bytes[start + 5], bytes[start + 7]) {
        case (0x31, 0x30): self = .http10
        case (0x31, _): self = .http11
        default: throw HeadFault("the HTTP version is not supported", status: 505)
        }
    }
}

extension Method {
    /// The method that a token names.
    init(_ token: Span<UInt8>) {
        switch token.count {
        case 3 where isEqual(token, "GET"): self = .get
        case 3 where isEqual(token, "PUT"): self = .put
        case 4 where isEqual(token, "POST"): self = .post
        case 4 where isEqual(token, "HEAD"): self = .head
        case 5 where isEqual(token, "PATCH"): self = .patch
        case 5 where isEqual(token, "TRACE"): self = .trace
        case 6 where isEqual(token, "DELETE"): self = .delete
        case 7 where isEqual(token, "OPTIONS"): self = .options
        case 7 where isEqual(token, "CONNECT"): self = .connect
        default:
            var bytes: [UInt8] = []
            bytes.append(token)
            self = .other(String(decoding: bytes, as: UTF8.self))
        }
    }
}

/// Whether `bytes` are the bytes of `text`, which is ASCII.
@inline(__always)
func isEqual(_ bytes: Span<UInt8>, _ text: StaticString) -> Bool {
    guard bytes.count == text.utf8CodeUnitCount else { return false }
    for index in 0..<bytes.count where unsafe bytes[index] != text.utf8Start[index] {
        return false
    }
    return true
}

/// Whether `bytes` are the bytes of `text` in any case; `text` is ASCII in lower case.
@inline(__always)
func isEqualIgnoringCase(_ bytes: Span<UInt8>, _ text: StaticString) -> Bool {
    guard bytes.count == text.utf8CodeUnitCount else { return false }
    for index in 0..<bytes.count
    where unsafe asciiLowercased(bytes[index]) != text.utf8Start[index] {
        return false
    }
    return true
}
