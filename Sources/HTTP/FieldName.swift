/// A field name, compared without regard to case (RFC 9110 section 5.1).
package struct FieldName: Sendable {
    /// The name as it is to be written.
    package let spelling: [UInt8]
    /// Which of the names that the gateway treats specially this is.
    package let id: ID
    /// The name in lower case.
    let lowercased: [UInt8]

    /// A name from text. Whether it is a token is the caller's to check with ``isToken``.
    package init(_ text: String) {
        let spelling = Array(text.utf8)
        self.init(text, ID(of: spelling.span))
    }

    private init(_ text: String, _ id: ID) {
        spelling = Array(text.utf8)
        lowercased = spelling.map(asciiLowercased)
        self.id = id
    }

    /// Whether the name is a token (RFC 9110 section 5.6.2), as every field name must be.
    package var isToken: Bool {
        !spelling.isEmpty && spelling.allSatisfy(isTokenByte)
    }

    /// Whether `name` is this name in any case.
    func matches(_ name: Span<UInt8>) -> Bool {
        guard name.count == lowercased.count else { return false }
        for index in lowercased.indices where asciiLowercased(name[index]) != lowercased[index] {
            return false
        }
        return true
    }
}

extension FieldName: Hashable {
    package static func == (a: FieldName, b: FieldName) -> Bool { a.lowercased == b.lowercased }
    package func hash(into hasher: inout Hasher) { hasher.combine(lowercased) }
}

extension FieldName: CustomStringConvertible {
    package var description: String { String(decoding: spelling, as: UTF8.self) }
}

extension FieldName {
    /// The names that framing, forwarding and keying look for.
    package enum ID: UInt8, Sendable, CaseIterable {
        case other
        case accept, age, authorization, cacheControl, connection, contentEncoding, contentLength
        case contentType, date, expect, forwarded, host, idempotencyKey, keepAlive, location, prefer
        case proxyAuthenticate, proxyAuthenticationInfo, proxyAuthorization, proxyConnection
        case retryAfter, server, te, trailer, transferEncoding, upgrade, via
        case xForwardedFor, xForwardedHost, xForwardedProto
        case idempotencyStatus, idempotencyExpires, idempotentReplayed
        case accessControlExposeHeaders, accessControlAllowOrigin
    }

    package static let accept = FieldName("Accept", .accept)
    package static let age = FieldName("Age", .age)
    package static let authorization = FieldName("Authorization", .authorization)
    package static let cacheControl = FieldName("Cache-Control", .cacheControl)
    package static let connection = FieldName("Connection", .connection)
    package static let contentEncoding = FieldName("Content-Encoding", .contentEncoding)
    package static let contentLength = FieldName("Content-Length", .contentLength)
    package static let contentType = FieldName("Content-Type", .contentType)
    package static let date = FieldName("Date", .date)
    package static let expect = FieldName("Expect", .expect)
    package static let forwarded = FieldName("Forwarded", .forwarded)
    package static let host = FieldName("Host", .host)
    package static let idempotencyKey = FieldName("Idempotency-Key", .idempotencyKey)
    package static let keepAlive = FieldName("Keep-Alive", .keepAlive)
    package static let location = FieldName("Location", .location)
    package static let prefer = FieldName("Prefer", .prefer)
    package static let proxyAuthenticate = FieldName("Proxy-Authenticate", .proxyAuthenticate)
    package static let proxyAuthenticationInfo = FieldName(
        "Proxy-Authentication-Info", .proxyAuthenticationInfo)
    package static let proxyAuthorization = FieldName("Proxy-Authorization", .proxyAuthorization)
    package static let proxyConnection = FieldName("Proxy-Connection", .proxyConnection)
    package static let retryAfter = FieldName("Retry-After", .retryAfter)
    package static let server = FieldName("Server", .server)
    package static let te = FieldName("TE", .te)
    package static let trailer = FieldName("Trailer", .trailer)
    package static let transferEncoding = FieldName("Transfer-Encoding", .transferEncoding)
    package static let upgrade = FieldName("Upgrade", .upgrade)
    package static let via = FieldName("Via", .via)
    package static let xForwardedFor = FieldName("X-Forwarded-For", .xForwardedFor)
    package static let xForwardedHost = FieldName("X-Forwarded-Host", .xForwardedHost)
    package static let xForwardedProto = FieldName("X-Forwarded-Proto", .xForwardedProto)
    package static let idempotencyStatus = FieldName("Idempotency-Status", .idempotencyStatus)
    package static let idempotencyExpires = FieldName("Idempotency-Expires", .idempotencyExpires)
    package static let idempotentReplayed = FieldName("Idempotent-Replayed", .idempotentReplayed)
    package static let accessControlExposeHeaders = FieldName(
        "Access-Control-Expose-Headers", .accessControlExposeHeaders)
    package static let accessControlAllowOrigin = FieldName(
        "Access-Control-Allow-Origin", .accessControlAllowOrigin)
}

extension FieldName.ID {
    /// Recognises a name in any case.
    init(of name: Span<UInt8>) {
        self = .other
        guard !name.isEmpty, let (candidate, spelling) = Self.candidate(name) else { return }
        if isEqualIgnoringCase(name, spelling) { self = candidate }
    }

    /// Recognises the name at a place in `bytes`.
    @inline(__always)
    init(of bytes: Span<UInt8>, _ range: Range<Int>) {
        self.init(of: bytes.extracting(range))
    }

    /// The one name that a name of this length and first letter can be. No two have both in
    /// common, save those of 19 letters with `i`, which the last letter tells apart.
    private static func candidate(_ name: Span<UInt8>) -> (FieldName.ID, StaticString)? {
        switch (name.count, asciiLowercased(name[0])) {
        case (2, UInt8(ascii: "t")): (.te, "te")
        case (3, UInt8(ascii: "a")): (.age, "age")
        case (3, UInt8(ascii: "v")): (.via, "via")
        case (4, UInt8(ascii: "d")): (.date, "date")
        case (4, UInt8(ascii: "h")): (.host, "host")
        case (6, UInt8(ascii: "a")): (.accept, "accept")
        case (6, UInt8(ascii: "e")): (.expect, "expect")
        case (6, UInt8(ascii: "p")): (.prefer, "prefer")
        case (6, UInt8(ascii: "s")): (.server, "server")
        case (7, UInt8(ascii: "t")): (.trailer, "trailer")
        case (7, UInt8(ascii: "u")): (.upgrade, "upgrade")
        case (8, UInt8(ascii: "l")): (.location, "location")
        case (9, UInt8(ascii: "f")): (.forwarded, "forwarded")
        case (10, UInt8(ascii: "c")): (.connection, "connection")
        case (10, UInt8(ascii: "k")): (.keepAlive, "keep-alive")
        case (11, UInt8(ascii: "r")): (.retryAfter, "retry-after")
        case (12, UInt8(ascii: "c")): (.contentType, "content-type")
        case (13, UInt8(ascii: "a")): (.authorization, "authorization")
        case (13, UInt8(ascii: "c")): (.cacheControl, "cache-control")
        case (14, UInt8(ascii: "c")): (.contentLength, "content-length")
        case (15, UInt8(ascii: "i")): (.idempotencyKey, "idempotency-key")
        case (15, UInt8(ascii: "x")): (.xForwardedFor, "x-forwarded-for")
        case (16, UInt8(ascii: "c")): (.contentEncoding, "content-encoding")
        case (16, UInt8(ascii: "p")): (.proxyConnection, "proxy-connection")
        case (16, UInt8(ascii: "x")): (.xForwardedHost, "x-forwarded-host")
        case (17, UInt8(ascii: "t")): (.transferEncoding, "transfer-encoding")
        case (17, UInt8(ascii: "x")): (.xForwardedProto, "x-forwarded-proto")
        case (18, UInt8(ascii: "i")): (.idempotencyStatus, "idempotency-status")
        case (18, UInt8(ascii: "p")): (.proxyAuthenticate, "proxy-authenticate")
        case (19, UInt8(ascii: "i")):
            asciiLowercased(name[18]) == UInt8(ascii: "s")
                ? (.idempotencyExpires, "idempotency-expires")
                : (.idempotentReplayed, "idempotent-replayed")
        case (19, UInt8(ascii: "p")): (.proxyAuthorization, "proxy-authorization")
        case (25, UInt8(ascii: "p")): (.proxyAuthenticationInfo, "proxy-authentication-info")
        case (27, UInt8(ascii: "a")): (.accessControlAllowOrigin, "access-control-allow-origin")
        case (29, UInt8(ascii: "a")): (.accessControlExposeHeaders, "access-control-expose-headers")
        default: nil
        }
    }
}

/// `A`–`Z` become `a`–`z`; other bytes stay.
@inline(__always)
package func asciiLowercased(_ byte: UInt8) -> UInt8 {
    byte &- 0x41 < 26 ? byte | 0x20 : byte
}

/// Whether a byte may stand in a token: `tchar` of RFC 9110 section 5.6.2.
@inline(__always)
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    case 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
    default: false
    }
}
