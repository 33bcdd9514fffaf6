/// What a route's path becomes upstream: `/v2/orders/{id}`, `/internal/**`.
///
/// `{name}` is filled in with the capture, `**` at the end with what the route's own `**` stood for,
/// both with their bytes as they were received, percent-encoding and empty segments included; dot
/// segments are resolved before. Where nothing is left, the path is `/`. The query is kept.
package struct PathRewrite: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        /// The segment at this position of the path.
        case segment(Int)
    }

    /// The template as it was written.
    package let text: String
    private let pieces: [Piece]
    private let takesRest: Bool

    /// Compiles a template for the paths of `pattern`.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(_ text: String, for pattern: PathPattern) throws(PatternError) {
        let template = try PathPattern(text)
        guard !template.segments.contains(.any) else {
            throw PatternError(reason: "\"*\" has no name to be filled in by; use {name}")
        }
        guard !template.takesRest || pattern.takesRest else {
            throw PatternError(reason: "\"**\" needs a \"**\" in the route's path")
        }
        var pieces: [Piece] = []
        for segment in template.segments {
            switch segment {
            case .literal(let bytes):
                var encoded = [UInt8(ascii: "/")]
                appendPercentEncoded(bytes[...], to: &encoded)
                pieces.append(.text(encoded))
            case .capture(let position):
                let name = template.captureNames[position]
                guard let capture = pattern.captureNames.firstIndex(of: name),
                    let source = pattern.segments.firstIndex(of: .capture(capture))
                else {
                    throw PatternError(reason: "{\(name)} is not in the route's path")
                }
                pieces.append(.segment(source))
            case .any: break
            }
        }
        self.text = text
        self.pieces = pieces
        takesRest = template.takesRest
    }

    /// The target for a path that `pattern` matched.
    func target(
        for path: DecodedPath, of pattern: PathPattern, query: ArraySlice<UInt8>?
    ) -> ArraySlice<UInt8> {
        var target: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): target += bytes
            case .segment(let index):
                target.append(UInt8(ascii: "/"))
                target += path.received(index)
            }
        }
        if takesRest {
            for index in pattern.segments.count..<path.count {
                target.append(UInt8(ascii: "/"))
                target += path.received(index)
            }
        }
        if target.isEmpty { target.append(UInt8(ascii: "/")) }
        if let query {
            target.append(UInt8(ascii: "?"))
            target += query
        }
        return target[...]
    }
}
