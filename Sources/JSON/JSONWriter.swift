/// Appends JSON text to a byte array: log lines, problem documents, admin answers.
///
/// Commas and colons are put where they belong; that containers are closed and that members have
/// names is the caller's to see to. Text that is not valid UTF-8 is repaired with U+FFFD, so what
/// comes out is always valid JSON text.
package struct JSONWriter: Sendable {
    /// The text so far.
    package var bytes: [UInt8]
    /// Spaces per level; 0 writes without insignificant whitespace.
    private let indentation: Int
    private var depth = 0
    private var position = Position.start
    /// The depth of the container that is written on one line; nothing in it is broken either.
    private var unbrokenDepth = Int.max

    private enum Position {
        /// Nothing stands before what comes next, in this container or text.
        case start
        case afterName
        case afterValue
    }

    /// An empty text.
    ///
    /// - Parameters:
    ///   - reserving: Bytes to make room for at once.
    ///   - indentation: Spaces per level, for text that people read.
    package init(reserving: Int = 256, indentation: Int = 0) {
        bytes = []
        bytes.reserveCapacity(reserving)
        self.indentation = indentation
    }

    /// Forgets the text and keeps its memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        depth = 0
        position = .start
        unbrokenDepth = .max
    }

    /// Ends a line after a whole value, so that another text may follow.
    package mutating func endLine() {
        bytes.append(UInt8(ascii: "\n"))
        position = .start
    }

    /// Begins an object; what follows are members, up to ``endObject()``.
    package mutating func beginObject() { begin(UInt8(ascii: "{"), onOneLine: false) }

    /// Ends the object.
    package mutating func endObject() { end(UInt8(ascii: "}")) }

    /// Begins an array; what follows are values, up to ``endArray()``.
    ///
    /// - Parameter onOneLine: Whether indented text keeps the whole array on one line.
    package mutating func beginArray(onOneLine: Bool = false) {
        begin(UInt8(ascii: "["), onOneLine: onOneLine)
    }

    /// Ends the array.
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    /// Writes a member's name; its value follows.
    package mutating func name(_ name: String) {
        separate()
        appendString(name)
        bytes.append(UInt8(ascii: ":"))
        if indentation > 0 { bytes.append(UInt8(ascii: " ")) }
        position = .afterName
    }

    /// Writes a string.
    package mutating func value(_ text: String) {
        separateValue()
        appendString(text)
        position = .afterValue
    }

    /// Writes bytes that should be UTF-8 as a string; each ill-formed byte becomes U+FFFD.
    package mutating func value(bytes text: ArraySlice<UInt8>) {
        separateValue()
        bytes.append(JSONText.quote)
        appendRepaired(text.span)
        bytes.append(JSONText.quote)
        position = .afterValue
    }

    /// Writes an integer.
    package mutating func value(_ number: Int) {
        separateValue()
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(UInt64(number.magnitude))
        position = .afterValue
    }

    /// Writes an integer.
    package mutating func value(_ number: UInt64) {
        separateValue()
        appendDigits(number)
        position = .afterValue
    }

    /// Writes a number rounded to `decimals` places, 0 to 9; null when it is not finite.
    package mutating func value(_ number: Double, decimals: Int) {
        guard number.isFinite else { return null() }
        var scale: UInt64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = number.magnitude * Double(scale) + 0.5
        separateValue()
        position = .afterValue
        guard scaled < 0x1p63 else { return bytes.append(contentsOf: number.description.utf8) }
        let (whole, fraction) = UInt64(scaled).quotientAndRemainder(dividingBy: scale)
        if number < 0, scaled >= 1 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(whole)
        guard decimals > 0 else { return }
        bytes.append(UInt8(ascii: "."))
        appendDigits(fraction, atLeast: decimals)
    }

    /// Writes `true` or `false`.
    package mutating func value(_ flag: Bool) {
        separateValue()
        bytes.append(contentsOf: flag ? "true".utf8 : "false".utf8)
        position = .afterValue
    }

    /// Writes `null`.
    package mutating func null() {
        separateValue()
        bytes.append(contentsOf: "null".utf8)
        position = .afterValue
    }

    /// Writes a value that is JSON text already. The caller vouches for it.
    package mutating func value(json text: ArraySlice<UInt8>) {
        separateValue()
        bytes.append(contentsOf: text)
        position = .afterValue
    }
}

extension JSONWriter {
    /// Writes a member; null when there is no text.
    package mutating func member(_ name: String, _ text: String?) {
        self.name(name)
        if let text { value(text) } else { null() }
    }

    /// Writes a member; bytes that should be UTF-8.
    package mutating func member(_ name: String, bytes text: ArraySlice<UInt8>) {
        self.name(name)
        value(bytes: text)
    }

    /// Writes a member; null when there is no number.
    package mutating func member(_ name: String, _ number: Int?) {
        self.name(name)
        if let number { value(number) } else { null() }
    }

    /// Writes a member.
    package mutating func member(_ name: String, _ number: UInt64) {
        self.name(name)
        value(number)
    }

    /// Writes a member, rounded to `decimals` places.
    package mutating func member(_ name: String, _ number: Double, decimals: Int) {
        self.name(name)
        value(number, decimals: decimals)
    }

    /// Writes a member.
    package mutating func member(_ name: String, _ flag: Bool) {
        self.name(name)
        value(flag)
    }

    /// Writes a member that is JSON text already. The caller vouches for it.
    package mutating func member(_ name: String, json text: ArraySlice<UInt8>) {
        self.name(name)
        value(json: text)
    }
}

extension JSONWriter {
    private mutating func begin(_ bracket: UInt8, onOneLine: Bool) {
        separateValue()
        bytes.append(bracket)
        depth += 1
        if onOneLine, unbrokenDepth == .max { unbrokenDepth = depth }
        position = .start
    }

    private mutating func end(_ bracket: UInt8) {
        depth -= 1
        if indentation > 0, position == .afterValue, depth + 1 < unbrokenDepth { breakLine() }
        if depth + 1 == unbrokenDepth { unbrokenDepth = .max }
        bytes.append(bracket)
        position = .afterValue
    }

    /// Before a value: an element needs what a member's name has had already.
    @inline(__always)
    private mutating func separateValue() {
        if position != .afterName { separate() }
    }

    @inline(__always)
    private mutating func separate() {
        if position == .afterValue { bytes.append(UInt8(ascii: ",")) }
        guard indentation > 0, depth > 0 else { return }
        if depth < unbrokenDepth {
            breakLine()
        } else if position == .afterValue {
            bytes.append(UInt8(ascii: " "))
        }
    }

    private mutating func breakLine() {
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<(depth * indentation) { bytes.append(UInt8(ascii: " ")) }
    }

    private mutating func appendString(_ text: String) {
        bytes.append(JSONText.quote)
        let isDone: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { utf8 in
            appendEscaped(unsafe utf8.span)
        }
        if isDone == nil { appendEscaped(Array(text.utf8).span) }
        bytes.append(JSONText.quote)
    }

    /// Appends well-formed UTF-8.
    private mutating func appendEscaped(_ text: Span<UInt8>) {
        var start = 0
        var offset = 0
        while offset < text.count {
            let byte = text[offset]
            if byte < 0x20 || byte == JSONText.quote || byte == JSONText.backslash {
                JSONText.append(text, start..<offset, to: &bytes)
                JSONText.append(escaping: byte, to: &bytes)
                start = offset + 1
            }
            offset += 1
        }
        JSONText.append(text, start..<offset, to: &bytes)
    }

    private mutating func appendRepaired(_ text: Span<UInt8>) {
        var offset = 0
        while offset < text.count {
            let end = JSONText.endOfPlainASCII(text, offset)
            JSONText.append(text, offset..<end, to: &bytes)
            offset = end
            guard offset < text.count else { return }
            if text[offset] < 0x80 {
                JSONText.append(escaping: text[offset], to: &bytes)
                offset += 1
            } else if let length = JSONText.lengthOfUTF8(text, offset) {
                JSONText.append(text, offset..<(offset + length), to: &bytes)
                offset += length
            } else {
                bytes.append(contentsOf: "\u{FFFD}".utf8)
                offset += 1
            }
        }
    }

    private mutating func appendDigits(_ number: UInt64, atLeast width: Int = 1) {
        let start = bytes.count
        var rest = number
        var count = 0
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
            count += 1
        } while rest > 0 || count < width
        bytes[start...].reverse()
    }
}
