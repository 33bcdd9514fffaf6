/// The shape of routes' paths, as far as it can be judged without compiling them.
enum PathShape {
    /// Checks a route's path: `/carts/{id}/*`, `/files/**`.
    ///
    /// - Returns: The names of its captures.
    @discardableResult
    static func check(_ text: String) throws(Invalid) -> Set<String> {
        guard text.hasPrefix("/") else { throw Invalid("expected a path that begins with \"/\"") }
        let segments = text.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
        var names: Set<String> = []
        for (index, segment) in segments.enumerated() {
            switch segment {
            case "*": break
            case "**":
                guard index == segments.count - 1 else {
                    throw Invalid("expected \"**\" at the end of a path only")
                }
            case _ where segment.hasPrefix("{") && segment.hasSuffix("}"):
                let name = String(segment.dropFirst().dropLast())
                try checkName(name)
                guard names.insert(name).inserted else {
                    throw Invalid("expected {\(name)} once")
                }
            default: try checkLiteral(String(segment))
            }
        }
        return names
    }

    /// Checks what a path is rewritten to: only what the path captured can be filled in.
    static func check(rewrite text: String, of path: String) throws(Invalid) {
        let captures = try check(path)
        let used = try check(text)
        if let unknown = used.subtracting(captures).sorted().first {
            throw Invalid("expected captures of the route's path, which has no {\(unknown)}")
        }
        let segments = text.split(separator: "/")
        guard !segments.contains("*") else {
            throw Invalid("expected {name} for a segment to fill in, \"*\" has no name")
        }
        guard segments.last != "**" || path.hasSuffix("/**") else {
            throw Invalid("expected \"**\" only where the route's path has it")
        }
    }

    private static func checkName(_ name: String) throws(Invalid) {
        let isName =
            name.utf8.first.map { $0 &- 0x30 >= 10 } ?? false
            && name.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
            }
        guard isName else {
            throw Invalid("expected {name} in letters, digits and \"_\"")
        }
    }

    private static func checkLiteral(_ segment: String) throws(Invalid) {
        guard !segment.contains("*") else {
            throw Invalid("expected \"*\" as a whole segment")
        }
        guard !segment.contains(where: { "{}".contains($0) }) else {
            throw Invalid("expected {name} as a whole segment")
        }
        guard segment.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }),
            !segment.contains(where: { "?#".contains($0) })
        else { throw Invalid("expected a path without spaces, \"?\" and \"#\"") }
        guard segment != ".", segment != ".." else {
            throw Invalid("expected no \"\(segment)\", which paths lose before they are matched")
        }
        let pieces = segment.utf8.split(
            separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
        for piece in pieces.dropFirst() {
            guard piece.count >= 2, UInt8(String(Substring(piece.prefix(2))), radix: 16) != nil,
                piece.first != UInt8(ascii: "+")
            else { throw Invalid("expected two hexadecimal digits after \"%\"") }
        }
    }
}

/// Checks a route's host: `api.example.com`, `*.example.com`.
func checkHost(_ text: String) throws(Invalid) {
    let name = text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
    let isBracketed = name.hasPrefix("[") && name.hasSuffix("]")
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
        !name.contains(where: { "/*@?#".contains($0) }), isBracketed || !name.contains(":")
    else {
        throw Invalid(
            "expected a host without scheme, port and path, such as \"api.example.com\" or "
                + "\"*.example.com\"")
    }
}

extension Notation<String> {
    /// A route's path.
    static var path: Notation {
        .text(
            "a path such as \"/carts/{id}/complete\" or \"/**\"",
            parse: { text throws(Invalid) in
                try PathShape.check(text)
                return text
            }, print: \.self)
    }

    /// A route's host.
    static var host: Notation {
        .text(
            "a host such as \"api.example.com\"",
            parse: { text throws(Invalid) in
                try checkHost(text)
                return text
            }, print: \.self)
    }
}
