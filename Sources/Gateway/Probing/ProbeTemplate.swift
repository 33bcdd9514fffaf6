import HTTP

/// The request target by which an upstream is asked what became of a request:
/// `/orders?reference={key}`.
///
/// `{key}`, `{params.NAME}` (a capture of the route's path) and `{field.NAME}` (the first line of a
/// request's field) are filled in, with everything but the unreserved characters of RFC 3986
/// percent-encoded, so that no value can leave its place.
package struct ProbeTemplate: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        case key
        case capture(Int)
        case field(FieldName)
    }

    /// The template as it was written.
    package let text: String
    private let pieces: [Piece]

    /// Compiles a template for the requests of a route with this path.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(_ text: String, for pattern: PathPattern) throws(PatternError) {
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw PatternError(reason: "a probe's path begins with \"/\"")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw PatternError(reason: "a probe's path is visible ASCII without \"#\"")
        }
        var pieces: [Piece] = []
        var rest = text[...]
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            guard rest[brace] == "{", let end = rest[brace...].firstIndex(of: "}") else {
                throw PatternError(reason: "each \"{\" is followed by a name and \"}\"")
            }
            if brace > rest.startIndex { pieces.append(.text(Array(rest[..<brace].utf8))) }
            pieces.append(try Self.piece(rest[rest.index(after: brace)..<end], pattern))
            rest = rest[rest.index(after: end)...]
        }
        if !rest.isEmpty { pieces.append(.text(Array(rest.utf8))) }
        self.text = text
        self.pieces = pieces
    }

    private static func piece(
        _ name: Substring, _ pattern: PathPattern
    ) throws(PatternError) -> Piece {
        if name == "key" { return .key }
        if name.hasPrefix("params.") {
            let capture = name.dropFirst("params.".count)
            guard let index = pattern.captureNames.firstIndex(of: String(capture)) else {
                throw PatternError(reason: "the route's path captures no {\(capture)}")
            }
            return .capture(index)
        }
        let field = FieldName(String(name.dropFirst("field.".count)))
        guard name.hasPrefix("field."), field.isToken else {
            throw PatternError(
                reason: "{\(name)} is none of {key}, {params.NAME} and {field.NAME}")
        }
        return .field(field)
    }

    /// The target for a request; nil if it lacks a field that belongs in there.
    func target(
        key: ArraySlice<UInt8>, captures: [ArraySlice<UInt8>], fields: borrowing Fields
    ) -> String? {
        var target: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): target += bytes
            case .key: appendEncoded(key, to: &target)
            case .capture(let index): appendEncoded(captures[index], to: &target)
            case .field(let name):
                guard let value = fields[name] else { return nil }
                appendEncoded(value, to: &target)
            }
        }
        return String(decoding: target, as: UTF8.self)
    }
}

/// Appends bytes with all but the unreserved characters (RFC 3986 section 2.3) percent-encoded.
private func appendEncoded(_ bytes: ArraySlice<UInt8>, to target: inout [UInt8]) {
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in bytes {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: target.append(byte)
        default: target += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
}
