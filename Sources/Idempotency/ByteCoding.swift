/// Writes numbers and byte strings one after the other.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    /// Writes a number, little-endian.
    mutating func write<Number: FixedWidthInteger>(_ number: Number) {
        for shift in stride(from: 0, to: Number.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: number >> Number(shift)))
        }
    }

    /// Writes bytes as they are.
    mutating func write(raw string: [UInt8]) { bytes += string }

    /// Writes a byte string after its length in four bytes.
    mutating func write(_ string: [UInt8]) throws(StoreError) {
        guard let length = UInt32(exactly: string.count) else {
            throw StoreError(.tooLarge, "a part of \(string.count) bytes")
        }
        write(length)
        bytes += string
    }

    /// Writes 1 and a value, or 0 for nil.
    mutating func writeOptional<Value>(
        _ value: Value?, _ write: (inout ByteWriter, Value) throws(StoreError) -> Void
    ) throws(StoreError) {
        self.write(value == nil ? 0 : 1 as UInt8)
        if let value { try write(&self, value) }
    }
}

/// Reads what ``ByteWriter`` wrote, and refuses everything else.
struct ByteReader {
    private let all: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        all = bytes
    }

    /// Whether everything was read.
    var isAtEnd: Bool { position == all.count }

    /// What is thrown for what cannot be read on from here.
    var malformed: StoreError {
        StoreError(.corrupt, "a conclusion that is malformed before byte \(position)")
    }

    /// What was not read.
    var rest: [UInt8] { Array(all[position...]) }

    /// A number, little-endian.
    mutating func number<Number: FixedWidthInteger>() throws(StoreError) -> Number {
        let width = Number.bitWidth / 8
        guard all.count - position >= width else { throw malformed }
        var number: Number = 0
        for index in 0..<width {
            number |= Number(truncatingIfNeeded: all[position + index]) << Number(8 * index)
        }
        position += width
        return number
    }

    /// A byte string.
    mutating func bytes() throws(StoreError) -> [UInt8] {
        let length = Int(try number() as UInt32)
        guard all.count - position >= length else { throw malformed }
        defer { position += length }
        return Array(all[position..<(position + length)])
    }

    /// A text, which has to be well-formed.
    mutating func text() throws(StoreError) -> String {
        let bytes = try bytes()
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed }
        return text
    }

    /// A value or nil.
    mutating func optional<Value>(
        _ read: (inout ByteReader) throws(StoreError) -> Value
    ) throws(StoreError) -> Value? {
        let tag: UInt8 = try number()
        switch tag {
        case 0: return nil
        case 1: return try read(&self)
        default: throw malformed
        }
    }
}
