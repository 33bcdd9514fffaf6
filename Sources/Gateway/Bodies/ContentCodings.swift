import Compression
import HTTP

/// The codings that a body bears, in the order in which they were applied.
struct ContentCodings {
    let codings: [ContentCoding]

    /// More than these are not taken off: each may multiply what comes out of it.
    private static let most = 2

    /// What `Content-Encoding` says (RFC 9110 section 8.4), all lines together; nil when it names
    /// a coding that cannot be taken off, or too many.
    init?(_ fields: borrowing Fields) {
        var codings: [ContentCoding] = []
        var index = fields.firstIndex(of: .contentEncoding)
        while let found = index {
            for element in fields.value(at: found).split(separator: UInt8(ascii: ",")) {
                let name = trimmed(element)
                if name.isEmpty || equalsIgnoringCase(name, Self.identity[...]) { continue }
                guard let coding = ContentCoding(name: name) else { return nil }
                codings.append(coding)
            }
            index = fields.firstIndex(of: .contentEncoding, from: found + 1)
        }
        guard codings.count <= Self.most else { return nil }
        self.codings = codings
    }

    var isEmpty: Bool { codings.isEmpty }

    /// The content without its codings; nil when it is malformed, or longer than `limit` at any
    /// step.
    func decode(_ bytes: ArraySlice<UInt8>, limit: Int) -> ArraySlice<UInt8>? {
        var content = bytes
        for coding in codings.reversed() {
            guard let decoded = coding.decode(content.span, limit: limit) else { return nil }
            content = decoded[...]
        }
        return content
    }

    private static let identity = Array("identity".utf8)
}
