/// How much of a peer's message is read before it is refused, in bytes unless said otherwise.
package struct HTTPLimits: Sendable, Hashable {
    /// A request line or status line, without its CRLF; 414 beyond.
    package var requestLine: Int
    /// All field lines of a head together, their CRLFs included; 431 beyond.
    package var fields: Int
    /// The number of field lines of a head, and of a trailer section; 431 beyond.
    package var fieldCount: Int
    /// The extensions of one chunk, with the whitespace before them.
    package var chunkExtension: Int
    /// All field lines of a trailer section together, their CRLFs included.
    package var trailers: Int
    /// The number of interim answers before a final one.
    package var interimCount: Int

    /// The defaults of `gateway.json`, and what it has no names for.
    package init(
        requestLine: Int = 16 << 10, fields: Int = 64 << 10, fieldCount: Int = 128,
        chunkExtension: Int = 256, trailers: Int = 16 << 10, interimCount: Int = 32
    ) {
        self.requestLine = requestLine
        self.fields = fields
        self.fieldCount = fieldCount
        self.chunkExtension = chunkExtension
        self.trailers = trailers
        self.interimCount = interimCount
    }
}

/// The refusal of a request: answer with the status, then close.
package struct RequestError: Error, Sendable, Hashable {
    /// 400, 414, 417, 421, 431, 501 or 505.
    package let status: UInt16
    /// The rule that was broken, for people.
    package let reason: String
}

/// The refusal of an upstream's answer; nothing after it on that connection means anything.
package struct ResponseError: Error, Sendable, Hashable {
    /// The rule that was broken, for the log.
    package let reason: String
}

/// The refusal of a body whose framing is wrong, or that was cut short.
package struct BodyError: Error, Sendable, Hashable {
    /// The rule that was broken, for people.
    package let reason: String
}

/// What is wrong with a head, before it is known who is to blame.
struct HeadFault: Error {
    /// The status with which a server refuses it.
    let status: UInt16
    let reason: String

    init(_ reason: String, status: UInt16 = 400) {
        self.status = status
        self.reason = reason
    }
}
