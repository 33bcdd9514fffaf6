/// Field lines in the order in which they came, with their bytes untouched.
///
/// All names and values live in one array, so that a head costs two allocations however many
/// lines it has, and forwarding one copies bytes instead of making strings. A line whose name the
/// gateway has an interest in is marked with its ``FieldName/ID`` when it is appended; looking it
/// up again reads one byte per line.
///
/// Values carry no leading or trailing whitespace (RFC 9110 section 5.5). Several lines of one
/// name stay several lines.
package struct Fields: Sendable {
    /// Where one line's name and value lie in `bytes`.
    struct Line: Sendable {
        var nameStart: UInt32
        var nameEnd: UInt32
        var valueStart: UInt32
        var valueEnd: UInt32
        var id: FieldName.ID
    }

    /// Names and values, and between them whatever else the head held.
    var bytes: [UInt8]
    var lines: [Line]

    /// No lines.
    package init() {
        bytes = []
        lines = []
    }

    /// For parsers: lines that lie in `bytes` already.
    init(bytes: [UInt8], lines: [Line]) {
        self.bytes = bytes
        self.lines = lines
    }

    /// The number of lines.
    package var count: Int { lines.count }

    /// The positions of the lines, for iteration.
    package var indices: Range<Int> { 0..<lines.count }

    /// What the gateway knows this line's name as; `.other` for all the names it does not care for.
    package func id(at index: Int) -> FieldName.ID { lines[index].id }

    /// The name of a line, as it was written.
    package func name(at index: Int) -> ArraySlice<UInt8> {
        let line = lines[index]
        return bytes[Int(line.nameStart)..<Int(line.nameEnd)]
    }

    /// The value of a line.
    package func value(at index: Int) -> ArraySlice<UInt8> {
        let line = lines[index]
        return bytes[Int(line.valueStart)..<Int(line.valueEnd)]
    }

    /// Whether a line has this name, in any case.
    package func isLine(at index: Int, named name: FieldName) -> Bool {
        let line = lines[index]
        if name.id != .other { return line.id == name.id }
        guard line.id == .other else { return false }
        return name.matches(bytes.span.extracting(Int(line.nameStart)..<Int(line.nameEnd)))
    }

    /// The position of the first line of that name at or after `start`.
    package func firstIndex(of name: FieldName, from start: Int = 0) -> Int? {
        var index = start
        let id = name.id
        guard id == .other else {
            while index < lines.count {
                if lines[index].id == id { return index }
                index += 1
            }
            return nil
        }
        while index < lines.count {
            if isLine(at: index, named: name) { return index }
            index += 1
        }
        return nil
    }

    /// Whether there is a line of that name.
    package func contains(_ name: FieldName) -> Bool { firstIndex(of: name) != nil }

    /// The value of the first line of that name.
    package subscript(_ name: FieldName) -> ArraySlice<UInt8>? {
        firstIndex(of: name).map { value(at: $0) }
    }

    /// The value of the first line of that name as text; malformed UTF-8 is repaired.
    package func text(_ name: FieldName) -> String? {
        self[name].map { String(decoding: $0, as: UTF8.self) }
    }

    /// The number of lines of that name.
    package func count(of name: FieldName) -> Int {
        indices.reduce(0) { $0 + (isLine(at: $1, named: name) ? 1 : 0) }
    }

    /// Adds a line at the end. In the value, whitespace at the ends is left out, and CR, LF and NUL
    /// become spaces (RFC 9110 section 5.5). A name that is no token adds nothing.
    package mutating func append(_ name: FieldName, _ value: ArraySlice<UInt8>) {
        guard name.id != .other || name.isToken else { return }
        let start = bytes.count
        bytes.append(contentsOf: name.prefix)
        finishLine(start, nameCount: name.spelling.count, name.id, value)
    }

    /// Adds a line at the end.
    package mutating func append(_ name: FieldName, _ value: [UInt8]) {
        append(name, value[...])
    }

    /// Adds a line at the end, with a text as its value.
    package mutating func append(_ name: FieldName, _ value: String) {
        append(name, Array(value.utf8))
    }

    /// Adds a line whose name is kept as it is written.
    package mutating func append(name: ArraySlice<UInt8>, value: ArraySlice<UInt8>) {
        guard !name.isEmpty, name.allSatisfy(isTokenByte) else { return }
        append(name, nil, value)
    }

    /// Adds a copy of another list's line.
    package mutating func append(line index: Int, of other: Fields) {
        append(other.name(at: index), other.id(at: index), other.value(at: index))
    }

    private mutating func append(
        _ name: ArraySlice<UInt8>, _ id: FieldName.ID?, _ value: ArraySlice<UInt8>
    ) {
        let start = bytes.count
        bytes.append(contentsOf: name)
        bytes.append(": ")
        finishLine(
            start, nameCount: name.count,
            id ?? FieldName.ID(of: bytes.span, start..<(start + name.count)), value)
    }

    /// Adds what follows a line's name, in the form in which it will be written.
    ///
    /// Takes slices and nothing generic: this is done several times for every request.
    private mutating func finishLine(
        _ start: Int, nameCount: Int, _ id: FieldName.ID, _ value: ArraySlice<UInt8>
    ) {
        let value = withoutBlankEnds(value)
        let valueStart = bytes.count
        bytes.append(contentsOf: value)
        let valueEnd = bytes.count
        if firstControlByte(bytes.span, from: valueStart, to: valueEnd) < valueEnd {
            for index in valueStart..<valueEnd where isBreak(bytes[index]) { bytes[index] = 0x20 }
        }
        lines.append(
            Line(
                nameStart: UInt32(start), nameEnd: UInt32(start + nameCount),
                valueStart: UInt32(valueStart), valueEnd: UInt32(valueEnd), id: id))
        bytes.append("\r\n")
    }

    /// Drops the lines for which `isUnwanted` says so.
    package mutating func removeAll(where isUnwanted: (Int) -> Bool) {
        var kept: [Line] = []
        // A head that is forwarded gets a few lines in their place.
        kept.reserveCapacity(lines.count + 8)
        for index in lines.indices where !isUnwanted(index) { kept.append(lines[index]) }
        lines = kept
    }

    /// Drops all lines of that name.
    package mutating func removeAll(_ name: FieldName) {
        guard contains(name) else { return }
        let all = self
        removeAll { all.isLine(at: $0, named: name) }
    }

    /// Name and value of each line as text, for logs and tests; malformed UTF-8 is repaired.
    package var pairs: [(name: String, value: String)] {
        indices.map {
            (
                String(decoding: name(at: $0), as: UTF8.self),
                String(decoding: value(at: $0), as: UTF8.self)
            )
        }
    }
}

extension Fields: ExpressibleByDictionaryLiteral {
    /// Lines written out, for answers that the gateway makes itself and for tests.
    package init(dictionaryLiteral elements: (String, String)...) {
        self.init()
        for (name, value) in elements { append(FieldName(name), value) }
    }
}

/// Whether a byte would end a field value: CR, LF or NUL.
@inline(__always)
private func isBreak(_ byte: UInt8) -> Bool { byte == 0x0D || byte == 0x0A || byte == 0 }

private func withoutBlankEnds(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var (start, end) = (value.startIndex, value.endIndex)
    while start < end, isBlankOrBreak(value[start]) { start += 1 }
    while end > start, isBlankOrBreak(value[end - 1]) { end -= 1 }
    return value[start..<end]
}

@inline(__always)
private func isBlankOrBreak(_ byte: UInt8) -> Bool { isBlank(byte) || isBreak(byte) }
