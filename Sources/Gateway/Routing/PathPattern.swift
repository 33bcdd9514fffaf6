/// A route's path pattern, compiled: `/carts/{id}/complete`, `/files/**`.
///
/// `*` stands for one segment, `{name}` for one segment that is captured, `**` at the end for all
/// that is left, also for nothing. The other segments are literal, compared byte by byte with the
/// decoded path.
package struct PathPattern: Sendable {
    /// What one segment of a path must be.
    enum Segment: Sendable, Hashable {
        case literal([UInt8])
        case any
        /// Takes the segment as the capture of this position in `captureNames`.
        case capture(Int)
    }

    /// The pattern as it was written.
    package let text: String
    /// The names in braces, in order.
    package let captureNames: [String]
    /// The segments before `**`.
    let segments: [Segment]
    /// Whether `**` follows the segments.
    let takesRest: Bool

    /// Compiles a pattern.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(_ text: String) throws(PatternError) {
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw PatternError(reason: "a path begins with \"/\"")
        }
        var names: [String] = []
        var segments: [Segment] = []
        var takesRest = false
        for piece in text.utf8.dropFirst().split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        {
            guard !takesRest else {
                throw PatternError(reason: "\"**\" stands at the end of a path")
            }
            switch String(decoding: piece, as: UTF8.self) {
            case "**": takesRest = true
            case "*": segments.append(.any)
            case let piece where piece.utf8.first == UInt8(ascii: "{"):
                let name = try captureName(piece)
                guard !names.contains(name) else {
                    throw PatternError(reason: "{\(name)} is there twice")
                }
                segments.append(.capture(names.count))
                names.append(name)
            case let piece: segments.append(.literal(try literal(piece)))
            }
        }
        self.text = text
        self.captureNames = names
        self.segments = segments
        self.takesRest = takesRest
    }

    /// Whether every path matches.
    var takesEverything: Bool { takesRest && segments.isEmpty }

    /// Whether the path matches. Captures are read by ``captures(of:)``, once a route is chosen.
    func matches(_ path: DecodedPath) -> Bool {
        guard takesRest ? path.count >= segments.count : path.count == segments.count else {
            return false
        }
        for (index, segment) in segments.enumerated() {
            if case .literal(let bytes) = segment, !path[index].elementsEqual(bytes) {
                return false
            }
        }
        return true
    }

    /// The captured segments of a path that matches, in the order of ``captureNames``.
    func captures(of path: DecodedPath) -> [ArraySlice<UInt8>] {
        guard !captureNames.isEmpty else { return [] }
        return segments.enumerated().compactMap { index, segment in
            if case .capture = segment { path[index] } else { nil }
        }
    }
}

/// Why a path, host or rewrite of a route makes no sense; for the operator.
package struct PatternError: Error, Sendable, Hashable {
    /// What is wrong, or what would be right.
    package let reason: String
}

/// The name in `{name}`: a letter or `_`, then letters, digits and `_`.
func captureName(_ piece: String) throws(PatternError) -> String {
    let name = piece.utf8.dropFirst().dropLast()
    guard piece.utf8.last == UInt8(ascii: "}"), let first = name.first,
        isNameByte(first), !isDigit(first), name.allSatisfy(isNameByte)
    else {
        throw PatternError(
            reason: "\"\(piece)\" is no capture; one is {name}, a whole segment, in letters, "
                + "digits and \"_\"")
    }
    return String(decoding: Array(name), as: UTF8.self)
}

private func literal(_ piece: String) throws(PatternError) -> [UInt8] {
    let bytes = Array(piece.utf8)
    guard !bytes.contains(UInt8(ascii: "*")) else {
        throw PatternError(reason: "\"\(piece)\": \"*\" stands for a whole segment")
    }
    guard !bytes.contains(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }) else {
        throw PatternError(reason: "\"\(piece)\": {name} stands for a whole segment")
    }
    guard !bytes.contains(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) else {
        throw PatternError(reason: "\"\(piece)\": a path has no \"?\" and no \"#\"")
    }
    guard let decoded = percentDecoded(bytes[...]) else {
        throw PatternError(reason: "\"\(piece)\": \"%\" is followed by two hexadecimal digits")
    }
    guard decoded != [UInt8(ascii: ".")], decoded != Array("..".utf8) else {
        throw PatternError(reason: "\"\(piece)\" never matches: dot segments are resolved first")
    }
    return decoded
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

private func isNameByte(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
    default: false
    }
}
