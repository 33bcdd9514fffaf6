/// A JSON value, read strictly (RFC 8259), for looking at what the gateway says.
enum JSONText: Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONText])
    case object([String: JSONText])

    init(parsing bytes: [UInt8]) throws {
        var reader = Reader(bytes: bytes)
        self = try reader.value()
        reader.skipSpace()
        guard reader.index == bytes.count else { throw reader.error("text after the value") }
    }

    init(parsing text: String) throws { try self.init(parsing: Array(text.utf8)) }

    /// A member of an object.
    subscript(_ name: String) -> JSONText? {
        guard case .object(let members) = self else { return nil }
        return members[name]
    }

    /// The text of a string.
    var string: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// The value of a number.
    var number: Double? {
        guard case .number(let value) = self else { return nil }
        return value
    }

    /// The elements of an array.
    var elements: [JSONText]? {
        guard case .array(let values) = self else { return nil }
        return values
    }

    /// The texts of an array of strings.
    var strings: [String]? {
        guard case .array(let values) = self else { return nil }
        return values.compactMap(\.string)
    }

    /// Whether a member of the object is this text.
    func says(_ text: String) -> Bool {
        guard case .object(let members) = self else { return false }
        return members.values.contains(.string(text))
    }

    private struct Reader {
        let bytes: [UInt8]
        var index = 0

        func error(_ what: String) -> HarnessError {
            HarnessError("\(what) at \(index) of \(String(decoding: bytes, as: UTF8.self))")
        }

        var next: UInt8? { index < bytes.count ? bytes[index] : nil }

        mutating func skipSpace() {
            while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { index += 1 }
        }

        mutating func take(_ text: StaticString) throws {
            for offset in 0..<text.utf8CodeUnitCount {
                guard next == text.utf8Start[offset] else { throw error("\(text) expected") }
                index += 1
            }
        }

        mutating func value() throws -> JSONText {
            skipSpace()
            switch next {
            case UInt8(ascii: "{"): return try object()
            case UInt8(ascii: "["): return try array()
            case UInt8(ascii: "\""): return .string(try string())
            case UInt8(ascii: "t"):
                try take("true")
                return .bool(true)
            case UInt8(ascii: "f"):
                try take("false")
                return .bool(false)
            case UInt8(ascii: "n"):
                try take("null")
                return .null
            default: return try number()
            }
        }

        mutating func object() throws -> JSONText {
            try take("{")
            var members: [String: JSONText] = [:]
            skipSpace()
            if next == UInt8(ascii: "}") {
                index += 1
                return .object(members)
            }
            while true {
                skipSpace()
                let name = try string()
                skipSpace()
                try take(":")
                guard members.updateValue(try value(), forKey: name) == nil else {
                    throw error("a second \(name)")
                }
                skipSpace()
                if next == UInt8(ascii: ",") {
                    index += 1
                } else {
                    try take("}")
                    return .object(members)
                }
            }
        }

        mutating func array() throws -> JSONText {
            try take("[")
            var values: [JSONText] = []
            skipSpace()
            if next == UInt8(ascii: "]") {
                index += 1
                return .array(values)
            }
            while true {
                values.append(try value())
                skipSpace()
                if next == UInt8(ascii: ",") {
                    index += 1
                } else {
                    try take("]")
                    return .array(values)
                }
            }
        }

        mutating func number() throws -> JSONText {
            let start = index
            while let byte = next, "+-.0123456789eE".utf8.contains(byte) { index += 1 }
            guard let value = Double(String(decoding: bytes[start..<index], as: UTF8.self)) else {
                throw error("a value expected")
            }
            return .number(value)
        }

        mutating func string() throws -> String {
            try take("\"")
            var units: [UInt8] = []
            while let byte = next, byte != UInt8(ascii: "\"") {
                index += 1
                guard byte >= 0x20 else { throw error("a control character in a string") }
                if byte == UInt8(ascii: "\\") {
                    units += try escape()
                } else {
                    units.append(byte)
                }
            }
            try take("\"")
            return String(decoding: units, as: UTF8.self)
        }

        mutating func escape() throws -> [UInt8] {
            guard let byte = next else { throw error("an escape expected") }
            index += 1
            switch byte {
            case UInt8(ascii: "n"): return [10]
            case UInt8(ascii: "r"): return [13]
            case UInt8(ascii: "t"): return [9]
            case UInt8(ascii: "b"): return [8]
            case UInt8(ascii: "f"): return [12]
            case UInt8(ascii: "u"):
                guard index + 4 <= bytes.count,
                    let unit = UInt16(
                        String(decoding: bytes[index..<(index + 4)], as: UTF8.self), radix: 16)
                else { throw error("four hexadecimal digits expected") }
                index += 4
                return Array(String(decoding: [unit], as: UTF16.self).utf8)
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [byte]
            default: throw error("an escape expected")
            }
        }
    }
}
