import HTTP
import JSON

/// Why a template cannot be filled in. It names the word, never a value.
struct TemplateFailure: Error, Hashable {
    /// As in the template, without braces; nil when it is not one word's fault.
    let word: String?
    /// Completes "… cannot be filled in: ".
    let reason: String
}

/// What the words of templates stand for in the work of one request.
///
/// A class, so that a JSON body is parsed once however often it is asked for. Belongs to one loop.
final class TemplateValues {
    /// A value of a word.
    enum Value {
        case text(ArraySlice<UInt8>)
        case json(JSONValue)
    }

    private let key: ArraySlice<UInt8>
    private let captures: [ArraySlice<UInt8>]
    private let query: ArraySlice<UInt8>?
    private let fields: Fields
    private let content: () -> ArraySlice<UInt8>?
    /// The answers of stages that are done, by their names.
    private let answers: [String: StageAnswer]
    private var document: Document?

    /// An answer of a stage, as far as words can name it.
    struct StageAnswer {
        let status: UInt16
        /// Its body without codings; nil where it was not kept, or cannot be decoded.
        let content: () -> ArraySlice<UInt8>?
    }

    /// A body that was looked at.
    private enum Document {
        case json(JSONValue)
        case missing(String)
    }

    private var parsedAnswers: [String: Document] = [:]

    /// - Parameter content: The request's body without codings; nil where it cannot be decoded.
    init(
        key: ArraySlice<UInt8>, captures: [ArraySlice<UInt8>], query: ArraySlice<UInt8>? = nil,
        fields: Fields, content: @escaping () -> ArraySlice<UInt8>? = { nil },
        answers: [String: StageAnswer] = [:]
    ) {
        self.key = key
        self.captures = captures
        self.query = query
        self.fields = fields
        self.content = content
        self.answers = answers
    }

    /// What a word stands for.
    ///
    /// - Parameter written: The word as the template has it, for a failure.
    func value(
        of word: Template.Word, written: String
    ) throws(TemplateFailure) -> Value {
        func fail(_ reason: String) -> TemplateFailure {
            TemplateFailure(word: written, reason: reason)
        }
        switch word {
        case .key: return .text(key)
        case .capture(let index):
            guard captures.indices.contains(index) else { throw fail("nothing was captured") }
            return .text(captures[index])
        case .query(let name):
            guard let value = parameter(name) else { throw fail("the query does not have it") }
            return .text(value)
        case .field(let name):
            guard let value = fields[name] else { throw fail("the request does not have it") }
            return .text(value)
        case .body(let pointer):
            let body = document ?? Self.document(content(), "the request's body")
            document = body
            return .json(try lookup(pointer, in: body, written))
        case .status(let stage):
            guard let answer = answers[stage] else { throw fail("the stage has no answer") }
            return .json(JSONValue(.number(String(answer.status))))
        case .answer(let stage, let pointer):
            guard let answer = answers[stage] else { throw fail("the stage has no answer") }
            let body = parsedAnswers[stage] ?? Self.document(answer.content(), "the answer's body")
            parsedAnswers[stage] = body
            return .json(try lookup(pointer, in: body, written))
        case .client, .peer, .host, .scheme, .requestID, .traceID:
            throw fail("only rules of fields have it")
        }
    }

    private func lookup(
        _ pointer: JSONPointer, in body: Document, _ written: String
    ) throws(TemplateFailure) -> JSONValue {
        switch body {
        case .missing(let reason): throw TemplateFailure(word: written, reason: reason)
        case .json(let document):
            guard let value = pointer.lookup(in: document) else {
                throw TemplateFailure(word: written, reason: "there is no such value")
            }
            return value
        }
    }

    private static func document(_ bytes: ArraySlice<UInt8>?, _ name: String) -> Document {
        guard let bytes else { return .missing("\(name) was not kept, or cannot be decoded") }
        guard bytes.count <= limit else { return .missing("\(name) is too long to be looked into") }
        guard let value = try? JSON.parse(bytes) else { return .missing("\(name) is no JSON") }
        return .json(value)
    }

    /// The most bytes of a body that are looked into: a parsed one takes many times as much.
    private static let limit = 8 << 20

    /// The first parameter of that name, decoded as forms have it: `+` is a space.
    private func parameter(_ name: String) -> ArraySlice<UInt8>? {
        let name = Array(name.utf8)
        for pair in (query ?? []).split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            guard decoded(pair[..<equals]) == name else { continue }
            return decoded(pair[equals...].dropFirst()).map { $0[...] }
        }
        return nil
    }

    private func decoded(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        percentDecoded(Array(text.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 })[...])
    }
}

extension TemplateValues.Value {
    /// The value as text within other text: strings without their quotes, numbers as they are
    /// written. What is no single value has none.
    func text(_ written: String) throws(TemplateFailure) -> ArraySlice<UInt8> {
        switch self {
        case .text(let bytes): return bytes
        case .json(let value):
            switch value.kind {
            case .string(let text): return Array(text.utf8)[...]
            case .number(let digits): return Array(digits.utf8)[...]
            case .bool(let flag): return Array((flag ? "true" : "false").utf8)[...]
            case .null, .array, .object:
                throw TemplateFailure(
                    word: written, reason: "it is no string, number, true or false")
            }
        }
    }
}
