/// A field name, compared without regard to case (RFC 9110 section 5.1).
package struct FieldName: Sendable {
    /// The name as it is to be written.
    package let spelling: [UInt8]
    /// Which of the names that the gateway treats specially this is.
    package let id: ID
    /// The name in lower case.
    let lowercased: [UInt8]
    /// The name with the colon and the space that are written behind it.
    let prefix: [UInt8]

    /// A name from text. Whether it is a token is the caller's to check with ``isToken``.
    package init(_ text: String) {
        let spelling = Array(text.utf8)
        self.init(text, ID(of: spelling.span))
    }

    private init(_ text: String, _ id: ID) {
        spelling = Array(text.utf8)
        lowercased = spelling.map(asciiLowercased)
        prefix = spelling + [0x3A, 0x20]
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
        case xForwardedFor, xForwardedHost, xForwardedPort, xForwardedProto
        case traceparent, tracestate, xRequestID
        case idempotencyStatus, idempotencyExpires, idempotentReplayed
        case idempotencyRecordID, idempotencyRecoveryPoint, idempotencyStageToken
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
    package static let xForwardedPort = FieldName("X-Forwarded-Port", .xForwardedPort)
    package static let xForwardedProto = FieldName("X-Forwarded-Proto", .xForwardedProto)
    package static let traceparent = FieldName("traceparent", .traceparent)
    package static let tracestate = FieldName("tracestate", .tracestate)
    package static let xRequestID = FieldName("X-Request-Id", .xRequestID)
    package static let idempotencyStatus = FieldName("Idempotency-Status", .idempotencyStatus)
    package static let idempotencyExpires = FieldName("Idempotency-Expires", .idempotencyExpires)
    package static let idempotentReplayed = FieldName("Idempotent-Replayed", .idempotentReplayed)
    package static let idempotencyRecordID = FieldName(
        "Idempotency-Record-Id", .idempotencyRecordID)
    package static let idempotencyRecoveryPoint = FieldName(
        "Idempotency-Recovery-Point", .idempotencyRecoveryPoint)
    package static let idempotencyStageToken = FieldName(
        "Idempotency-Stage-Token", .idempotencyStageToken)
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
    /// common, save those of 19 letters with `i` and of 16 with `x`, which one more letter tells
    /// apart.
    ///
    /// Two switches, which become jumps; one over both values would become a chain of comparisons.
    @inline(__always)
    private static func candidate(_ name: Span<UInt8>) -> (FieldName.ID, StaticString)? {
        let first = asciiLowercased(name[0])
        switch name.count {
        case 2:
            switch first {
            case UInt8(ascii: "t"): return (.te, "te")
            default: return nil
            }
        case 3:
            switch first {
            case UInt8(ascii: "a"): return (.age, "age")
            case UInt8(ascii: "v"): return (.via, "via")
            default: return nil
            }
        case 4:
            switch first {
            case UInt8(ascii: "d"): return (.date, "date")
            case UInt8(ascii: "h"): return (.host, "host")
            default: return nil
            }
        case 6:
            switch first {
            case UInt8(ascii: "a"): return (.accept, "accept")
            case UInt8(ascii: "e"): return (.expect, "expect")
            case UInt8(ascii: "p"): return (.prefer, "prefer")
            case UInt8(ascii: "s"): return (.server, "server")
            default: return nil
            }
        case 7:
            switch first {
            case UInt8(ascii: "t"): return (.trailer, "trailer")
            case UInt8(ascii: "u"): return (.upgrade, "upgrade")
            default: return nil
            }
        case 8:
            switch first {
            case UInt8(ascii: "l"): return (.location, "location")
            default: return nil
            }
        case 9:
            switch first {
            case UInt8(ascii: "f"): return (.forwarded, "forwarded")
            default: return nil
            }
        case 10:
            switch first {
            case UInt8(ascii: "c"): return (.connection, "connection")
            case UInt8(ascii: "k"): return (.keepAlive, "keep-alive")
            case UInt8(ascii: "t"): return (.tracestate, "tracestate")
            default: return nil
            }
        case 11:
            switch first {
            case UInt8(ascii: "r"): return (.retryAfter, "retry-after")
            case UInt8(ascii: "t"): return (.traceparent, "traceparent")
            default: return nil
            }
        case 12:
            switch first {
            case UInt8(ascii: "c"): return (.contentType, "content-type")
            case UInt8(ascii: "x"): return (.xRequestID, "x-request-id")
            default: return nil
            }
        case 13:
            switch first {
            case UInt8(ascii: "a"): return (.authorization, "authorization")
            case UInt8(ascii: "c"): return (.cacheControl, "cache-control")
            default: return nil
            }
        case 14:
            switch first {
            case UInt8(ascii: "c"): return (.contentLength, "content-length")
            default: return nil
            }
        case 15:
            switch first {
            case UInt8(ascii: "i"): return (.idempotencyKey, "idempotency-key")
            case UInt8(ascii: "x"): return (.xForwardedFor, "x-forwarded-for")
            default: return nil
            }
        case 16:
            switch first {
            case UInt8(ascii: "c"): return (.contentEncoding, "content-encoding")
            case UInt8(ascii: "p"): return (.proxyConnection, "proxy-connection")
            case UInt8(ascii: "x"):
                return asciiLowercased(name[12]) == UInt8(ascii: "h")
                    ? (.xForwardedHost, "x-forwarded-host")
                    : (.xForwardedPort, "x-forwarded-port")
            default: return nil
            }
        case 17:
            switch first {
            case UInt8(ascii: "t"): return (.transferEncoding, "transfer-encoding")
            case UInt8(ascii: "x"): return (.xForwardedProto, "x-forwarded-proto")
            default: return nil
            }
        case 18:
            switch first {
            case UInt8(ascii: "i"): return (.idempotencyStatus, "idempotency-status")
            case UInt8(ascii: "p"): return (.proxyAuthenticate, "proxy-authenticate")
            default: return nil
            }
        case 19:
            switch first {
            case UInt8(ascii: "i"):
                return asciiLowercased(name[18]) == UInt8(ascii: "s")
                    ? (.idempotencyExpires, "idempotency-expires")
                    : (.idempotentReplayed, "idempotent-replayed")
            case UInt8(ascii: "p"): return (.proxyAuthorization, "proxy-authorization")
            default: return nil
            }
        case 21:
            switch first {
            case UInt8(ascii: "i"): return (.idempotencyRecordID, "idempotency-record-id")
            default: return nil
            }
        case 23:
            switch first {
            case UInt8(ascii: "i"): return (.idempotencyStageToken, "idempotency-stage-token")
            default: return nil
            }
        case 25:
            switch first {
            case UInt8(ascii: "p"): return (.proxyAuthenticationInfo, "proxy-authentication-info")
            default: return nil
            }
        case 26:
            switch first {
            case UInt8(ascii: "i"):
                return (.idempotencyRecoveryPoint, "idempotency-recovery-point")
            default: return nil
            }
        case 27:
            switch first {
            case UInt8(ascii: "a"):
                return (.accessControlAllowOrigin, "access-control-allow-origin")
            default: return nil
            }
        case 29:
            switch first {
            case UInt8(ascii: "a"):
                return (.accessControlExposeHeaders, "access-control-expose-headers")
            default: return nil
            }
        default: return nil
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
package func isTokenByte(_ byte: UInt8) -> Bool {
    // One bit per byte: `!#$%&'*+-.0-9`, then `A-Z^_`a-z|~`.
    let set: UInt64 = byte < 64 ? 0x03FF_6CFA_0000_0000 : 0x57FF_FFFF_C7FF_FFFE
    return byte < 128 && set &>> UInt64(byte) & 1 != 0
}
