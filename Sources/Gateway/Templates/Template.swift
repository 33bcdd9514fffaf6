import HTTP
import JSON

/// A text of `gateway.json` with words in braces that a request fills in: `/carts/{id}/taxes`.
///
/// `{{` and `}}` stand for the braces themselves.
package struct Template: Sendable {
    /// What a word stands for.
    enum Word: Sendable, Hashable {
        /// The idempotency key.
        case key
        /// A capture of the route's path, by its position.
        case capture(Int)
        /// A parameter of the query, by its decoded name.
        case query(String)
        /// The first line of a request's field.
        case field(FieldName)
        /// A value in the request's JSON body.
        case body(JSONPointer)
        /// The status of an earlier stage's answer.
        case status(stage: String)
        /// A value in the JSON body of an earlier stage's answer.
        case answer(stage: String, JSONPointer)
        /// Where the request comes from, and the peer that brought it.
        case client, peer
        /// The request's `Host`, and the scheme that its client speaks.
        case host, scheme
        /// What the request is called.
        case requestID, traceID
    }

    /// Which words a template may have, beside the key, captures and fields.
    package enum Words: Sendable {
        /// No others: what is filled in is known before anything is sent.
        case ofProbe
        /// All, and of answers those of the stages with these names.
        case ofStage(after: [String])
        /// Captures and fields, and what is known of the connection; no key.
        case ofFieldRule
    }

    enum Piece: Sendable {
        case text([UInt8])
        case word(Word, written: String)
    }

    /// The template as it was written.
    package let text: String
    let pieces: [Piece]

    /// Compiles a template for the requests of a route with this path.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(
        _ text: String, for pattern: PathPattern, words: Words
    ) throws(PatternError) {
        let vocabulary = Vocabulary(words: words, pattern: pattern)
        var pieces: [Piece] = []
        var literal: [UInt8] = []
        var rest = text[...]
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            literal += rest[..<brace].utf8
            let after = rest.index(after: brace)
            if after < rest.endIndex, rest[after] == rest[brace] {
                literal += String(rest[brace]).utf8
                rest = rest[rest.index(after: after)...]
                continue
            }
            guard rest[brace] == "{", let end = rest[brace...].firstIndex(of: "}") else {
                throw PatternError(
                    reason: "each \"{\" is followed by a name and \"}\"; \"{{\" and \"}}\" stand "
                        + "for the braces themselves")
            }
            if !literal.isEmpty { pieces.append(.text(literal)) }
            literal = []
            let name = rest[after..<end]
            pieces.append(.word(try vocabulary.word(name), written: String(name)))
            rest = rest[rest.index(after: end)...]
        }
        literal += rest.utf8
        if !literal.isEmpty { pieces.append(.text(literal)) }
        self.text = text
        self.pieces = pieces
    }

    /// Compiles the template of a request target.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(
        path text: String, for pattern: PathPattern, words: Words
    ) throws(PatternError) {
        guard text.utf8.first == UInt8(ascii: "/") else {
            throw PatternError(reason: "a path begins with \"/\"")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            throw PatternError(reason: "a path is visible ASCII without \"#\"")
        }
        try self.init(text, for: pattern, words: words)
    }

    /// The one word that the template consists of; nil for any other template.
    var onlyWord: (Word, written: String)? {
        guard pieces.count == 1, case .word(let word, let written) = pieces[0] else { return nil }
        return (word, written)
    }

    /// Whether it has words at all.
    var hasWords: Bool {
        pieces.contains { if case .word = $0 { true } else { false } }
    }
}

/// What the words of one template may be.
private struct Vocabulary {
    let words: Template.Words
    let pattern: PathPattern

    func word(_ name: Substring) throws(PatternError) -> Template.Word {
        if case .ofFieldRule = words {
            if let word = Self.ofRequest[String(name)] { return word }
        } else if name == "key" {
            return .key
        }
        if let capture = name.suffix(after: "params.") { return try self.capture(capture) }
        if let field = name.suffix(after: "field.") {
            let field = FieldName(String(field))
            if field.isToken { return .field(field) }
            throw unknown(name)
        }
        guard case .ofStage(let earlier) = words else { throw unknown(name) }
        if let query = name.suffix(after: "query."), !query.isEmpty { return .query(String(query)) }
        if name == "body" || name.hasPrefix("body/") {
            return .body(try pointer(name.dropFirst("body".count), in: name))
        }
        if let rest = name.suffix(after: "stages.") {
            return try answer(rest, of: name, earlier: earlier)
        }
        if pattern.captureNames.contains(String(name)) { return try capture(name) }
        throw unknown(name)
    }

    private func capture(_ name: Substring) throws(PatternError) -> Template.Word {
        guard let index = pattern.captureNames.firstIndex(of: String(name)) else {
            throw PatternError(reason: "the route's path captures no {\(name)}")
        }
        return .capture(index)
    }

    /// `NAME.status`, `NAME.body` or `NAME.body/POINTER`; names hold no slash.
    private func answer(
        _ rest: Substring, of name: Substring, earlier: [String]
    ) throws(PatternError) -> Template.Word {
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let (head, path) = (rest[..<slash], rest[slash...])
        if path.isEmpty, head.hasSuffix(".status") {
            return .status(stage: try stage(head.dropLast(".status".count), earlier))
        }
        guard head.hasSuffix(".body") else { throw unknown(name) }
        let stage = try stage(head.dropLast(".body".count), earlier)
        return .answer(stage: stage, try pointer(path, in: name))
    }

    private func stage(
        _ name: Substring, _ earlier: [String]
    ) throws(PatternError) -> String {
        guard earlier.contains(String(name)) else {
            // The names that there are may have been filled in from a secret.
            throw PatternError(reason: "there is no earlier stage \"\(name)\"")
        }
        return String(name)
    }

    private func pointer(
        _ text: Substring, in name: Substring
    ) throws(PatternError) -> JSONPointer {
        guard let pointer = JSONPointer(String(text)) else {
            throw PatternError(
                reason: "{\(name)} holds no JSON pointer: in one, \"~\" is written \"~0\"")
        }
        return pointer
    }

    /// The words of field rules that have one form.
    private static let ofRequest: [String: Template.Word] = [
        "client": .client, "peer": .peer, "host": .host, "scheme": .scheme,
        "request_id": .requestID, "trace_id": .traceID,
    ]

    private func unknown(_ name: Substring) -> PatternError {
        switch words {
        case .ofFieldRule:
            PatternError(
                reason: "{\(name)} is none of {client}, {peer}, {host}, {scheme}, {request_id}, "
                    + "{trace_id}, {params.NAME} and {field.NAME}")
        case .ofProbe:
            PatternError(reason: "{\(name)} is none of {key}, {params.NAME} and {field.NAME}")
        case .ofStage:
            PatternError(
                reason: "{\(name)} is none of {NAME}, {params.NAME}, {query.NAME}, {key}, "
                    + "{field.NAME}, {body/POINTER}, {stages.NAME.status} and "
                    + "{stages.NAME.body/POINTER}")
        }
    }
}

extension Substring {
    /// What follows a prefix; nil without it.
    fileprivate func suffix(after prefix: String) -> Substring? {
        hasPrefix(prefix) ? dropFirst(prefix.count) : nil
    }
}
