/// The answer that is stored and replayed.
///
/// It never changes and is shared by reference, so that a replay copies nothing.
public final class StoredReply: Sendable {
    /// The status code.
    public let responseCode: UInt16
    /// Field lines exactly as they are to be replayed, `Name: value` and CR LF each.
    public let responseHeaders: [UInt8]
    /// The body's exact bytes; nil if it was not kept (too long, live, or erased).
    public let responseBody: [UInt8]?

    /// An answer from its parts.
    public init(responseCode: UInt16, responseHeaders: [UInt8], responseBody: [UInt8]?) {
        self.responseCode = responseCode
        self.responseHeaders = responseHeaders
        self.responseBody = responseBody
    }

    /// The same without body and fields.
    var bare: StoredReply {
        StoredReply(responseCode: responseCode, responseHeaders: [], responseBody: nil)
    }

    /// The bytes that it keeps in memory, more or less.
    var weight: Int { 64 + responseHeaders.count + (responseBody?.count ?? 0) }
}

extension StoredReply {
    /// An answer with a JSON body.
    ///
    /// - Parameters:
    ///   - responseCode: The status code.
    ///   - json: The document's text, which is taken as it is.
    public convenience init(_ responseCode: UInt16, json: String) {
        self.init(
            responseCode: responseCode,
            responseHeaders: Array("Content-Type: application/json\r\n".utf8),
            responseBody: Array(json.utf8))
    }
}

extension StoredReply: Equatable {
    /// Whether both hold the same bytes.
    public static func == (a: StoredReply, b: StoredReply) -> Bool {
        a === b
            || a.responseCode == b.responseCode
                && areEqual(a.responseHeaders, b.responseHeaders)
                && a.responseBody == b.responseBody
    }
}
