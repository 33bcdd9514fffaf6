/// The lexical rules of RFC 8259 that parsing and canonical form share.
///
/// Offsets count from the start of the span. A function that recognises something returns where it
/// ends, or nil.
enum JSONText {
    static let quote = UInt8(ascii: "\"")
    static let backslash = UInt8(ascii: "\\")

    /// Where insignificant whitespace that begins at `offset` ends (section 2).
    @inline(__always)
    static func endOfWhitespace(_ text: Span<UInt8>, _ offset: Int) -> Int {
        var end = offset
        while end < text.count {
            switch text[end] {
            case 0x20, 0x09, 0x0A, 0x0D: end += 1
            default: return end
            }
        }
        return end
    }

    /// Where the number that begins at `offset` ends (section 6).
    static func endOfNumber(_ text: Span<UInt8>, _ offset: Int) -> Int? {
        var end = offset
        if end < text.count, text[end] == UInt8(ascii: "-") { end += 1 }
        guard end < text.count else { return nil }
        if text[end] == UInt8(ascii: "0") {
            end += 1
        } else {
            guard let digits = endOfDigits(text, end) else { return nil }
            end = digits
        }
        if end < text.count, text[end] == UInt8(ascii: ".") {
            guard let digits = endOfDigits(text, end + 1) else { return nil }
            end = digits
        }
        if end < text.count, text[end] | 0x20 == UInt8(ascii: "e") {
            end += 1
            if end < text.count, text[end] == UInt8(ascii: "+") || text[end] == UInt8(ascii: "-") {
                end += 1
            }
            guard let digits = endOfDigits(text, end) else { return nil }
            end = digits
        }
        return end
    }

    private static func endOfDigits(_ text: Span<UInt8>, _ offset: Int) -> Int? {
        var end = offset
        while end < text.count, text[end] &- UInt8(ascii: "0") < 10 { end += 1 }
        return end > offset ? end : nil
    }

    /// The literal name that stands at `offset`.
    static func literal(_ text: Span<UInt8>, _ offset: Int) -> StaticString? {
        switch text[offset] {
        case UInt8(ascii: "t"): holds("true", text, offset) ? "true" : nil
        case UInt8(ascii: "f"): holds("false", text, offset) ? "false" : nil
        case UInt8(ascii: "n"): holds("null", text, offset) ? "null" : nil
        default: nil
        }
    }

    private static func holds(_ word: StaticString, _ text: Span<UInt8>, _ offset: Int) -> Bool {
        let count = word.utf8CodeUnitCount
        guard text.count - offset >= count else { return false }
        let expected = unsafe UnsafeBufferPointer(start: word.utf8Start, count: count)
        for index in 0..<count where unsafe expected[index] != text[offset + index] { return false }
        return true
    }

    /// Where a run of string bytes that stand for themselves, all ASCII, ends.
    @inline(__always)
    static func endOfPlainASCII(_ text: Span<UInt8>, _ offset: Int) -> Int {
        var end = offset
        while end < text.count {
            let byte = text[end]
            if byte &- 0x20 >= 0x60 || byte == quote || byte == backslash { break }
            end += 1
        }
        return end
    }

    /// How long the UTF-8 sequence at `offset` is, if it is well-formed (Unicode table 3-7).
    static func lengthOfUTF8(_ text: Span<UInt8>, _ offset: Int) -> Int? {
        let first = text[offset]
        let left = text.count - offset
        guard first >= 0x80 else { return 1 }
        guard left >= 2 else { return nil }
        let second = text[offset + 1]
        switch first {
        case 0xC2...0xDF:
            return isContinuation(second) ? 2 : nil
        case 0xE0...0xEF:
            let lowest: UInt8 = first == 0xE0 ? 0xA0 : 0x80
            let highest: UInt8 = first == 0xED ? 0x9F : 0xBF
            guard left >= 3, second >= lowest, second <= highest else { return nil }
            return isContinuation(text[offset + 2]) ? 3 : nil
        case 0xF0...0xF4:
            let lowest: UInt8 = first == 0xF0 ? 0x90 : 0x80
            let highest: UInt8 = first == 0xF4 ? 0x8F : 0xBF
            guard left >= 4, second >= lowest, second <= highest else { return nil }
            return isContinuation(text[offset + 2]) && isContinuation(text[offset + 3]) ? 4 : nil
        default:
            return nil
        }
    }

    private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    /// What an escape sequence stands for.
    enum Escaped {
        case scalar(Unicode.Scalar)
        /// Half a surrogate pair without the other half: grammatical, yet no character.
        case loneSurrogate(UInt16)
    }

    /// Reads the escape sequence whose backslash is at `offset` (section 7).
    static func escape(_ text: Span<UInt8>, _ offset: Int) -> (value: Escaped, end: Int)? {
        guard offset + 1 < text.count else { return nil }
        let value: Unicode.Scalar
        switch text[offset + 1] {
        case UInt8(ascii: "\""): value = "\""
        case UInt8(ascii: "\\"): value = "\\"
        case UInt8(ascii: "/"): value = "/"
        case UInt8(ascii: "b"): value = "\u{8}"
        case UInt8(ascii: "f"): value = "\u{C}"
        case UInt8(ascii: "n"): value = "\n"
        case UInt8(ascii: "r"): value = "\r"
        case UInt8(ascii: "t"): value = "\t"
        case UInt8(ascii: "u"): return unicodeEscape(text, offset)
        default: return nil
        }
        return (.scalar(value), offset + 2)
    }

    private static func unicodeEscape(
        _ text: Span<UInt8>, _ offset: Int
    ) -> (value: Escaped, end: Int)? {
        guard let first = codeUnit(text, offset) else { return nil }
        if let scalar = Unicode.Scalar(first) { return (.scalar(scalar), offset + 6) }
        if UTF16.isLeadSurrogate(first), let second = codeUnit(text, offset + 6),
            UTF16.isTrailSurrogate(second)
        {
            let value = 0x10000 + (UInt32(first & 0x3FF) << 10 | UInt32(second & 0x3FF))
            if let scalar = Unicode.Scalar(value) { return (.scalar(scalar), offset + 12) }
        }
        return (.loneSurrogate(first), offset + 6)
    }

    /// The code unit of a `\uXXXX` at `offset`.
    private static func codeUnit(_ text: Span<UInt8>, _ offset: Int) -> UInt16? {
        guard text.count - offset >= 6, text[offset] == backslash,
            text[offset + 1] == UInt8(ascii: "u")
        else { return nil }
        var unit: UInt16 = 0
        for index in (offset + 2)..<(offset + 6) {
            switch text[index] {
            case let byte where byte &- 0x30 < 10: unit = unit << 4 | UInt16(byte - 0x30)
            case let byte where (byte | 0x20) &- 0x61 < 6:
                unit = unit << 4 | UInt16((byte | 0x20) - 0x61 + 10)
            default: return nil
            }
        }
        return unit
    }

    /// Appends an ASCII byte of a string's content, escaped as shortly as RFC 8259 allows.
    static func append(escaping byte: UInt8, to bytes: inout [UInt8]) {
        switch byte {
        case quote, backslash: append(backslash, byte, to: &bytes)
        case 0x08: append(backslash, UInt8(ascii: "b"), to: &bytes)
        case 0x09: append(backslash, UInt8(ascii: "t"), to: &bytes)
        case 0x0A: append(backslash, UInt8(ascii: "n"), to: &bytes)
        case 0x0C: append(backslash, UInt8(ascii: "f"), to: &bytes)
        case 0x0D: append(backslash, UInt8(ascii: "r"), to: &bytes)
        case 0x00..<0x20: append(codeUnit: UInt16(byte), to: &bytes)
        default: bytes.append(byte)
        }
    }

    private static func append(_ first: UInt8, _ second: UInt8, to bytes: inout [UInt8]) {
        bytes.append(first)
        bytes.append(second)
    }

    /// Appends `\uXXXX` in lower case.
    static func append(codeUnit: UInt16, to bytes: inout [UInt8]) {
        bytes.append(backslash)
        bytes.append(UInt8(ascii: "u"))
        for shift: UInt16 in [12, 8, 4, 0] {
            let digit = UInt8(truncatingIfNeeded: codeUnit >> shift & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
        }
    }

    /// Appends part of a text as it is.
    @inline(__always)
    static func append(_ text: Span<UInt8>, _ range: Range<Int>, to bytes: inout [UInt8]) {
        unsafe text.extracting(range).withUnsafeBufferPointer { run in
            unsafe bytes.append(contentsOf: run)
        }
    }
}
