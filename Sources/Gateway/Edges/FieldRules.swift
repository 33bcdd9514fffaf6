package import HTTP

/// What a route does with the fields of its requests, or of its answers: `request_fields` and
/// `response_fields` in `gateway.json`. Lines are removed first, then set, then added.
package struct FieldRules: Sendable {
    /// A line that is put in.
    package struct Line: Sendable {
        let name: FieldName
        private let value: Template
        /// Nil where there are words to be filled in.
        private let text: [UInt8]?

        /// A line whose value is a template with words of field rules.
        package init(_ name: FieldName, _ value: Template) {
            self.name = name
            self.value = value
            text = value.hasWords ? nil : value.literal
        }

        /// Appends the line, unless what is filled in leaves nothing of it.
        fileprivate func append(to fields: inout Fields, _ values: EdgeValues) {
            if let text { return fields.append(name, text) }
            if let line = value.line(values) { fields.append(name, line) }
        }
    }

    private let replaced: [FieldName]
    private let lines: [Line]

    /// Rules from their parts.
    package init(remove: [FieldName] = [], set: [Line] = [], add: [Line] = []) {
        replaced = remove + set.map(\.name)
        lines = set + add
    }

    /// Whether the line that came has to go.
    func drops(_ index: Int, of fields: borrowing Fields) -> Bool {
        for name in replaced where fields.isLine(at: index, named: name) { return true }
        return false
    }

    /// Puts the lines in.
    func append(to fields: inout Fields, _ values: EdgeValues) {
        for line in lines { line.append(to: &fields, values) }
    }

    /// Removes, sets and adds.
    func apply(to fields: inout Fields, _ values: EdgeValues) {
        for name in replaced { fields.removeAll(name) }
        append(to: &fields, values)
    }
}

extension FieldName {
    /// Why no rule of a route may touch the field, for the operator; nil where one may.
    package var reasonAgainstRules: String? {
        switch id {
        case .host: "an upstream's \"host\" says which Host a request leaves with"
        case .connection, .keepAlive, .proxyConnection, .te, .trailer, .upgrade,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo, .expect:
            "it belongs to one connection and is never forwarded"
        case .contentLength, .transferEncoding: "the gateway frames messages itself"
        case .idempotencyKey, .idempotencyStatus, .idempotencyExpires, .idempotentReplayed,
            .idempotencyRecordID, .idempotencyRecoveryPoint, .idempotencyStageToken:
            "the gateway itself says what becomes of keys"
        case .traceparent, .tracestate: "\"trace\" says what becomes of traces"
        case .other where self == UpstreamVerdict.fieldName: "it is for the gateway alone"
        default: nil
        }
    }
}

/// What the words of a rule stand for in one request.
struct EdgeValues {
    let head: RequestHead
    let path: DecodedPath?
    let pattern: PathPattern
    let downstream: Downstream
    let edge: RequestEdge

    init(
        _ head: RequestHead, _ path: DecodedPath?, _ pattern: PathPattern,
        from downstream: Downstream, _ edge: RequestEdge
    ) {
        self.head = head
        self.path = path
        self.pattern = pattern
        self.downstream = downstream
        self.edge = edge
    }

    /// Appends what a word stands for: nothing where there is nothing.
    func append(_ word: Template.Word, to line: inout [UInt8]) {
        switch word {
        case .client: line += edge.client(of: downstream).utf8
        case .peer: line += downstream.peer.utf8
        case .host: line += head.fields[.host] ?? []
        case .scheme: line += edge.scheme(of: head, from: downstream)
        case .requestID: line += edge.requestID
        case .traceID: line += edge.trace.traceID ?? []
        case .field(let name): line += head.fields[name] ?? []
        case .capture(let index):
            guard let path = path ?? DecodedPath(head.path), pattern.matches(path) else { return }
            line += pattern.captures(of: path)[index]
        case .key, .query, .body, .status, .answer: break
        }
    }
}

extension Template {
    /// The text of a template without words.
    var literal: [UInt8] {
        pieces.flatMap { if case .text(let bytes) = $0 { bytes } else { [UInt8]() } }
    }

    /// The text as a field's value: what is filled in has its control characters replaced by spaces,
    /// so that it cannot end the line. Nil when nothing is left, or more than 64 KiB.
    func line(_ values: EdgeValues) -> [UInt8]? {
        var line: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): line += bytes
            case .word(let word, _):
                let start = line.count
                values.append(word, to: &line)
                for index in start..<line.count where line[index] < 0x20 || line[index] == 0x7F {
                    line[index] = 0x20
                }
            }
            guard line.count <= Self.longestLine else { return nil }
        }
        return line.allSatisfy(isWhitespace) ? nil : line
    }
}
