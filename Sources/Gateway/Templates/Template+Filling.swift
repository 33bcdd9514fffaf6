import HTTP
import JSON

extension Template {
    /// The most bytes that a request target or a field's value may become.
    static let longestLine = 64 << 10

    /// The text as a request target: each value percent-encoded, all but the unreserved characters.
    ///
    /// No value can leave its place: not as a dot segment, and not by being empty where it stands
    /// in the path.
    func target(_ values: TemplateValues) throws(TemplateFailure) -> [UInt8] {
        var target: [UInt8] = []
        var isInQuery = false
        for piece in pieces {
            switch piece {
            case .text(let bytes):
                target += bytes
                isInQuery = isInQuery || bytes.contains(UInt8(ascii: "?"))
            case .word(let word, let written):
                let text = try values.value(of: word, written: written).text(written)
                guard isInQuery || !text.isEmpty else {
                    throw TemplateFailure(word: written, reason: "it is empty, within a path")
                }
                appendPercentEncoded(text, to: &target) { _ in false }
            }
            try Self.checkLength(target)
        }
        guard !hasWords || !Self.hasDotSegment(target) else {
            throw TemplateFailure(word: nil, reason: "the path would have a dot segment")
        }
        return target
    }

    /// The text as a field's value.
    func fieldValue(_ values: TemplateValues) throws(TemplateFailure) -> [UInt8] {
        var line: [UInt8] = []
        for piece in pieces {
            switch piece {
            case .text(let bytes): line += bytes
            case .word(let word, let written):
                let text = try values.value(of: word, written: written).text(written)
                guard text.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
                    throw TemplateFailure(word: written, reason: "it has control characters")
                }
                line += text
            }
            try Self.checkLength(line)
        }
        return line
    }

    /// Writes the text as a JSON value: a string, or, where the template is one word, the word's
    /// own value with its type.
    func write(_ values: TemplateValues, to json: inout JSONWriter) throws(TemplateFailure) {
        if let (word, written) = onlyWord {
            switch try values.value(of: word, written: written) {
            case .json(let value): return json.write(value)
            case .text(let bytes): return json.value(try Self.unicode(bytes, written))
            }
        }
        var text = ""
        for piece in pieces {
            switch piece {
            case .text(let bytes): text += String(decoding: bytes, as: UTF8.self)
            case .word(let word, let written):
                let bytes = try values.value(of: word, written: written).text(written)
                text += try Self.unicode(bytes, written)
                guard text.utf8.count <= JSONTemplate.limit else { throw JSONTemplate.tooLong }
            }
        }
        json.value(text)
    }

    private static func unicode(
        _ bytes: ArraySlice<UInt8>, _ written: String
    ) throws(TemplateFailure) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw TemplateFailure(word: written, reason: "it is no UTF-8")
        }
        return text
    }

    private static func checkLength(_ line: [UInt8]) throws(TemplateFailure) {
        guard line.count <= longestLine else {
            throw TemplateFailure(word: nil, reason: "it would be longer than 64 KiB")
        }
    }

    private static func hasDotSegment(_ target: [UInt8]) -> Bool {
        target.prefix { $0 != UInt8(ascii: "?") }.split(separator: UInt8(ascii: "/")).contains {
            // Some servers take an encoded slash, or a backslash, for one that separates.
            let parts = (percentDecoded($0) ?? []).split { $0 == 0x2F || $0 == 0x5C }
            return parts.contains { $0 == [0x2E] || $0 == [0x2E, 0x2E] }
        }
    }
}
