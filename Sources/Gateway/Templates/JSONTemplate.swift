package import JSON

/// A JSON value of `gateway.json` whose strings are templates.
package struct JSONTemplate: Sendable {
    private indirect enum Node: Sendable {
        /// JSON text without words.
        case literal([UInt8])
        case text(Template)
        case array([Node])
        case object([(name: String, Node)])
    }

    private let root: Node

    /// The most bytes that it may become.
    static let limit = 64 << 20
    static let tooLong = TemplateFailure(word: nil, reason: "it would be longer than 64 MiB")

    /// Compiles the strings of a value; names of members stay as they are.
    ///
    /// - Throws: ``PatternError`` for the first string that is no template.
    package init(
        _ value: JSONValue, for pattern: PathPattern, words: Template.Words
    ) throws(PatternError) {
        root = try Self.node(value, pattern, words)
    }

    private static func node(
        _ value: JSONValue, _ pattern: PathPattern, _ words: Template.Words
    ) throws(PatternError) -> Node {
        switch value.kind {
        case .string(let text): return .text(try Template(text, for: pattern, words: words))
        case .array(let elements):
            var nodes: [Node] = []
            for element in elements { nodes.append(try node(element, pattern, words)) }
            return .array(nodes)
        case .object(let members):
            var nodes: [(name: String, Node)] = []
            for member in members {
                nodes.append((member.name, try node(member.value, pattern, words)))
            }
            return .object(nodes)
        case .null, .bool, .number:
            var json = JSONWriter()
            json.write(value)
            return .literal(json.bytes)
        }
    }

    /// The value's text with all words filled in.
    func body(_ values: TemplateValues) throws(TemplateFailure) -> [UInt8] {
        var json = JSONWriter()
        try Self.write(root, values, &json)
        return json.bytes
    }

    private static func write(
        _ node: Node, _ values: TemplateValues, _ json: inout JSONWriter
    ) throws(TemplateFailure) {
        switch node {
        case .literal(let text): json.value(json: text[...])
        case .text(let template): try template.write(values, to: &json)
        case .array(let nodes):
            json.beginArray()
            for node in nodes { try write(node, values, &json) }
            json.endArray()
        case .object(let members):
            json.beginObject()
            for (name, node) in members {
                json.name(name)
                try write(node, values, &json)
            }
            json.endObject()
        }
        guard json.bytes.count <= limit else { throw tooLong }
    }
}

extension JSONWriter {
    /// Writes a parsed value, its numbers exactly as they were written.
    mutating func write(_ value: JSONValue) {
        switch value.kind {
        case .null: null()
        case .bool(let flag): self.value(flag)
        case .number(let digits): self.value(json: Array(digits.utf8)[...])
        case .string(let text): self.value(text)
        case .array(let elements):
            beginArray()
            for element in elements { write(element) }
            endArray()
        case .object(let members):
            beginObject()
            for member in members {
                name(member.name)
                write(member.value)
            }
            endObject()
        }
    }
}
