/// The way to one value inside a JSON text (RFC 6901).
package struct JSONPointer: Sendable, Hashable {
    /// The reference tokens, unescaped.
    package let tokens: [String]
    /// The tokens as canonical form writes member names, between the quotes.
    let writtenTokens: [[UInt8]]

    /// A pointer from its text: empty for the whole document, else tokens that each begin with `/`.
    ///
    /// Nil when the text does not begin with `/`, or has a `~` that is not `~0` or `~1`.
    package init?(_ text: String) {
        var tokens: [String] = []
        if !text.isEmpty {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false)
            guard parts[0].isEmpty else { return nil }
            for part in parts.dropFirst() {
                guard let token = Self.unescape(part) else { return nil }
                tokens.append(token)
            }
        }
        self.init(tokens: tokens)
    }

    /// A pointer from unescaped tokens.
    package init(tokens: [String]) {
        self.tokens = tokens
        writtenTokens = tokens.map { token in
            var written: [UInt8] = []
            for byte in token.utf8 { JSONText.append(escaping: byte, to: &written) }
            return written
        }
    }

    private static func unescape(_ part: Substring) -> String? {
        var token = ""
        var isEscape = false
        for scalar in part.unicodeScalars {
            switch (isEscape, scalar) {
            case (true, "0"): token.unicodeScalars.append("~")
            case (true, "1"): token.unicodeScalars.append("/")
            case (true, _): return nil
            case (false, "~"): break
            case (false, _): token.unicodeScalars.append(scalar)
            }
            isEscape = !isEscape && scalar == "~"
        }
        return isEscape ? nil : token
    }

    /// The value that the pointer names in `document`; nil when there is none.
    package func lookup(in document: JSONValue) -> JSONValue? {
        var value = document
        for token in tokens {
            switch value.kind {
            case .object:
                guard let member = value[token] else { return nil }
                value = member
            case .array(let elements):
                guard let index = Self.index(Array(token.utf8)), index < elements.count else {
                    return nil
                }
                value = elements[index]
            default: return nil
            }
        }
        return value
    }

    /// The array index that a token spells: digits without a leading zero (section 4).
    static func index(_ token: [UInt8]) -> Int? {
        guard let first = token.first, first != UInt8(ascii: "0") || token.count == 1,
            token.count < 10
        else { return nil }
        var index = 0
        for byte in token {
            guard byte &- UInt8(ascii: "0") < 10 else { return nil }
            index = index * 10 + Int(byte - UInt8(ascii: "0"))
        }
        return index
    }
}

extension JSONPointer: CustomStringConvertible {
    package var description: String {
        tokens.map { token in
            "/"
                + token.unicodeScalars.reduce(into: "") { text, scalar in
                    switch scalar {
                    case "~": text += "~0"
                    case "/": text += "~1"
                    default: text.unicodeScalars.append(scalar)
                    }
                }
        }.joined()
    }
}
