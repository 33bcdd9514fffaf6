import HTTP

/// The boundary of a multipart body.
package enum MultipartBoundary {
    /// What a `Content-Type` says separates the parts (RFC 2046 section 5.1.1); nil where it is no
    /// multipart type, or says nothing that can be, or says it twice.
    package static func of(_ contentType: ArraySlice<UInt8>) -> [UInt8]? {
        guard contentType.count > 10,
            equalsIgnoringCase(contentType.prefix(10), multipart[...])
        else { return nil }
        var rest = contentType.drop { $0 != UInt8(ascii: ";") }
        var boundary: [UInt8]?
        while rest.first == UInt8(ascii: ";") {
            rest = trimmed(rest.dropFirst())
            guard !rest.isEmpty else { break }
            let name = rest.prefix { $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: ";") }
            rest = rest.dropFirst(name.count)
            guard rest.first == UInt8(ascii: "=") else { return nil }
            guard let value = takeValue(&rest) else { return nil }
            guard equalsIgnoringCase(trimmed(name), Self.name[...]) else { continue }
            guard boundary == nil, isBoundary(value) else { return nil }
            boundary = value
        }
        return rest.isEmpty ? boundary : nil
    }

    /// Takes `=` and a token or a quoted string off `rest`, and what stands before the next `;`.
    private static func takeValue(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
        rest = rest.dropFirst()
        var value: [UInt8] = []
        if rest.first == UInt8(ascii: "\"") {
            rest = rest.dropFirst()
            while let byte = rest.first, byte != UInt8(ascii: "\"") {
                rest = rest.dropFirst()
                guard byte == UInt8(ascii: "\\") else {
                    value.append(byte)
                    continue
                }
                guard let escaped = rest.popFirst() else { return nil }
                value.append(escaped)
            }
            guard rest.popFirst() != nil else { return nil }
        } else {
            let token = rest.prefix { $0 != UInt8(ascii: ";") }
            rest = rest.dropFirst(token.count)
            value = Array(trimmed(token))
        }
        rest = trimmed(rest)
        guard rest.isEmpty || rest.first == UInt8(ascii: ";") else { return nil }
        return value
    }

    /// RFC 2046's `boundary`: 1 to 70 of its characters, the last one no space.
    private static func isBoundary(_ bytes: [UInt8]) -> Bool {
        guard (1...70).contains(bytes.count), bytes.last != UInt8(ascii: " ") else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: marks.contains(byte)
            }
        }
    }

    private static let multipart = Array("multipart/".utf8)
    private static let name = Array("boundary".utf8)
    private static let marks = Array("'()+_,-./:=? ".utf8)
}
