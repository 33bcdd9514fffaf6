import HTTP

/// The trace that a request belongs to (W3C Trace Context, level 1).
enum TraceContext {
    case none
    /// A valid `traceparent` came; it and `tracestate` pass as they are.
    case received(ArraySlice<UInt8>)
    /// The value of a new `traceparent`; what came of both fields stays behind.
    case made([UInt8])

    /// What is to be done with a request that has these fields.
    init(_ fields: borrowing Fields, _ tracing: Edges.Tracing, _ words: inout RandomWords) {
        guard let index = fields.firstIndex(of: .traceparent) else {
            self = if case .make = tracing { .made(Self.made(&words)) } else { .none }
            return
        }
        let value = fields.value(at: index)
        let isOnly = fields.firstIndex(of: .traceparent, from: index + 1) == nil
        self = isOnly && Self.isValid(value) ? .received(value) : .made(Self.made(&words))
    }

    /// The trace's id, 32 hexadecimal digits; nil where there is none.
    var traceID: ArraySlice<UInt8>? {
        switch self {
        case .none: nil
        case .received(let value): value.dropFirst(3).prefix(32)
        case .made(let value): value[3..<35]
        }
    }

    /// Whether a value is a `traceparent`: version, trace id, parent id and flags. Of later versions,
    /// only the part that this one knows is looked at (section 4.3).
    static func isValid(_ value: ArraySlice<UInt8>) -> Bool {
        let dash = UInt8(ascii: "-")
        let start = value.startIndex
        guard value.count >= 55, value[start + 2] == dash, value[start + 35] == dash,
            value[start + 52] == dash
        else { return false }
        let version = value[start..<(start + 2)]
        let traceID = value[(start + 3)..<(start + 35)]
        let parentID = value[(start + 36)..<(start + 52)]
        let parts = [version, traceID, parentID, value[(start + 53)..<(start + 55)]]
        guard parts.allSatisfy({ $0.allSatisfy(isLowercaseHexadecimal) }) else { return false }
        guard !version.elementsEqual("ff".utf8), traceID.contains(where: { $0 != 0x30 }),
            parentID.contains(where: { $0 != 0x30 })
        else { return false }
        guard value.count > 55 else { return true }
        return !version.elementsEqual("00".utf8) && value[start + 55] == dash
    }

    /// A new one, whose trace nobody has sampled yet.
    private static func made(_ words: inout RandomWords) -> [UInt8] {
        var value = Array("00-".utf8)
        value.reserveCapacity(55)
        value += words.hexadecimal()
        value.append(UInt8(ascii: "-"))
        value += words.hexadecimal().prefix(16)
        value += "-00".utf8
        return value
    }

    private static func isLowercaseHexadecimal(_ byte: UInt8) -> Bool {
        byte &- 0x30 < 10 || byte &- 0x61 < 6
    }
}
