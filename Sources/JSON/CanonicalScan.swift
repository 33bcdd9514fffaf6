/// One pass over a text, towards its canonical form.
///
/// As long as the text is canonical nothing is written, and offsets count in the text. At the first
/// byte that has to change, what went before is copied to `output`, and from there on offsets count
/// in `output`. The order of members is not repaired on the way, which would move the bytes of deep
/// objects once per level: it is noted as a disorder, and `arranged` writes every byte once.
struct CanonicalScan {
    private struct Frame {
        let isObject: Bool
        /// The first byte after the bracket.
        let start: Int
        /// Where an object's members begin in `members`.
        let firstMember: Int
        /// How many elements an array had so far.
        var elements = 0
        var isSorted = true
        /// The pointers that lead into this container.
        let pointers: UInt64
        /// The pointers that lead to this container itself.
        let targets: UInt64
    }

    /// The bytes of a member: its name without quotes begins after `start` and ends at `nameEnd`.
    private struct Member {
        var start: UInt32
        var nameEnd: UInt32
        var end: UInt32 = 0
    }

    /// An object whose members stand in another order than they should.
    private struct Disorder {
        /// The bytes between its braces.
        let content: Range<Int>
        /// Its members in the right order, as part of `disordered`.
        let members: Range<Int>
    }

    private enum Next {
        case value, firstItem, item, afterItem, end
    }

    private let pointers: [JSONPointer]
    /// The pointers to values that are left out.
    private let ignored: UInt64
    /// Where each pointer's value is.
    private var found: [Range<Int>?]
    /// The pointers that lead to, or through, the value that comes next.
    private var live: UInt64

    private var offset = 0
    private var output: [UInt8] = []
    private var isWriting = false
    private var escape: [UInt8] = []
    private var frames: [Frame] = []
    private var isLastItemDropped = false
    /// The members of all open objects.
    private var members: [Member] = []
    private var disorders: [Disorder] = []
    private var disordered: [Member] = []

    init(ignoring: [JSONPointer], only: [JSONPointer]?) {
        pointers = ignoring + (only ?? [])
        precondition(pointers.count <= JSONCanonicalForm.maximumPointers)
        ignored = Self.mask(ignoring.count)
        live = Self.mask(pointers.count)
        found = Array(repeating: nil, count: pointers.count)
    }

    private static func mask(_ count: Int) -> UInt64 {
        count == UInt64.bitWidth ? .max : 1 << UInt64(count) - 1
    }

    /// Whether the canonical form differs from the text.
    var isChanged: Bool { isWriting || !disorders.isEmpty }

    /// Reads the text; false when it is not JSON.
    mutating func run(_ text: Span<UInt8>) -> Bool {
        guard text.count < UInt32.max else { return false }
        var next = Next.value
        while next != .end {
            skipWhitespace(text)
            guard offset < text.count, let after = step(next, text) else { return false }
            next = after
        }
        skipWhitespace(text)
        return offset == text.count
    }

    private mutating func step(_ next: Next, _ text: Span<UInt8>) -> Next? {
        switch next {
        case .value:
            return value(text)
        case .firstItem where text[offset] == closingBracket:
            return close(text)
        case .firstItem, .item:
            if frames[frames.count - 1].isObject { return name(text) ? .value : nil }
            enterElement()
            return value(text)
        case .afterItem where text[offset] == UInt8(ascii: ","):
            // Without the item before it, the comma before that one serves.
            if isLastItemDropped { offset += 1 } else { keep(text, offset + 1) }
            return .item
        case .afterItem:
            return text[offset] == closingBracket ? close(text) : nil
        case .end:
            return nil
        }
    }

    private var closingBracket: UInt8 {
        frames[frames.count - 1].isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
    }

    /// Consumes a member's name and the colon.
    private mutating func name(_ text: Span<UInt8>) -> Bool {
        let start = position
        guard text[offset] == JSONText.quote, string(text) else { return false }
        let member = Member(start: UInt32(start), nameEnd: UInt32(position - 1))
        members.append(member)
        skipWhitespace(text)
        guard offset < text.count, text[offset] == UInt8(ascii: ":") else { return false }
        keep(text, offset + 1)
        live = frames[frames.count - 1].pointers
        if live != 0 {
            let level = frames.count - 1
            live = withWritten(text) { written in
                filter(live) { pointer in
                    Self.name(member, written, equals: pointer.writtenTokens[level])
                }
            }
        }
        return true
    }

    private mutating func enterElement() {
        let level = frames.count - 1
        let index = frames[level].elements
        frames[level].elements += 1
        live = frames[level].pointers
        guard live != 0 else { return }
        live = filter(live) { JSONPointer.index($0.writtenTokens[level]) == index }
    }

    /// Consumes a scalar, or the opening bracket of a container.
    private mutating func value(_ text: Span<UInt8>) -> Next? {
        let start = position
        let level = frames.count
        let targets = live == 0 ? 0 : filter(live) { $0.tokens.count == level }
        switch text[offset] {
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard level < JSONCanonicalForm.depth else { return nil }
            let isObject = text[offset] == UInt8(ascii: "{")
            keep(text, offset + 1)
            frames.append(
                Frame(
                    isObject: isObject, start: position, firstMember: members.count,
                    pointers: live & ~targets, targets: targets))
            isLastItemDropped = false
            return .firstItem
        case JSONText.quote:
            guard string(text) else { return nil }
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            guard let end = JSONText.endOfNumber(text, offset) else { return nil }
            keep(text, end)
        default:
            guard let word = JSONText.literal(text, offset) else { return nil }
            keep(text, offset + word.utf8CodeUnitCount)
        }
        return endValue(text, start, targets)
    }

    /// Consumes a closing bracket.
    private mutating func close(_ text: Span<UInt8>) -> Next? {
        let frame = frames.removeLast()
        if isLastItemDropped, output.count > frame.start { output.removeLast() }
        if !frame.isSorted, !arrange(text, frame) { return nil }
        if frame.isObject { members.removeSubrange(frame.firstMember...) }
        keep(text, offset + 1)
        return endValue(text, frame.start - 1, frame.targets)
    }

    /// After a value: keeps it, or leaves it out.
    private mutating func endValue(
        _ text: Span<UInt8>, _ start: Int, _ targets: UInt64
    ) -> Next? {
        var rest = targets & ~ignored
        while rest != 0 {
            found[rest.trailingZeroBitCount] = start..<position
            rest &= rest - 1
        }
        let isInObject = frames.last?.isObject ?? false
        isLastItemDropped = targets & ignored != 0
        if isLastItemDropped {
            drop(text, from: isInObject ? Int(members.removeLast().start) : start)
        } else if isInObject, !endMember(text) {
            return nil
        }
        return frames.isEmpty ? .end : .afterItem
    }

    /// Completes the last member; false when its name is there twice in a row.
    private mutating func endMember(_ text: Span<UInt8>) -> Bool {
        let last = members.count - 1
        let level = frames.count - 1
        members[last].end = UInt32(position)
        guard last > frames[level].firstMember, frames[level].isSorted else { return true }
        let (before, after) = (members[last - 1], members[last])
        let order = withWritten(text) { Self.compare(before, after, $0) }
        if order > 0 { frames[level].isSorted = false }
        return order != 0
    }

    private mutating func drop(_ text: Span<UInt8>, from start: Int) {
        beginWriting(text)
        output.removeSubrange(start...)
        while let last = disorders.last, last.content.lowerBound > start {
            disordered.removeSubrange(last.members.lowerBound...)
            disorders.removeLast()
        }
        for index in found.indices where (found[index]?.lowerBound ?? -1) >= start {
            found[index] = nil
        }
    }

    /// Notes the right order of an object's members; false when a name is there twice.
    private mutating func arrange(_ text: Span<UInt8>, _ frame: Frame) -> Bool {
        var sorted = Array(members[frame.firstMember...])
        let isUnique = withWritten(text) { written in
            sorted.sort { Self.compare($0, $1, written) < 0 }
            for index in sorted.indices.dropFirst()
            where Self.compare(sorted[index - 1], sorted[index], written) == 0 {
                return false
            }
            return true
        }
        let first = disordered.count
        disordered.append(contentsOf: sorted)
        disorders.append(
            Disorder(content: frame.start..<position, members: first..<disordered.count))
        return isUnique
    }
}

// MARK: - Bytes

extension CanonicalScan {
    /// Where the next byte of the form will stand: in the text, or in the output.
    private var position: Int { isWriting ? output.count : offset }

    /// Lends the bytes in which positions count.
    private func withWritten<Result>(
        _ text: Span<UInt8>, _ body: (Span<UInt8>) -> Result
    ) -> Result {
        isWriting ? body(output.span) : body(text)
    }

    @inline(__always)
    private mutating func keep(_ text: Span<UInt8>, _ end: Int) {
        if isWriting { JSONText.append(text, offset..<end, to: &output) }
        offset = end
    }

    private mutating func beginWriting(_ text: Span<UInt8>) {
        guard !isWriting else { return }
        isWriting = true
        output.reserveCapacity(text.count)
        JSONText.append(text, 0..<offset, to: &output)
    }

    @inline(__always)
    private mutating func skipWhitespace(_ text: Span<UInt8>) {
        let end = JSONText.endOfWhitespace(text, offset)
        guard end > offset else { return }
        beginWriting(text)
        offset = end
    }

    /// Consumes a string.
    private mutating func string(_ text: Span<UInt8>) -> Bool {
        var end = offset + 1
        while true {
            end = JSONText.endOfPlainASCII(text, end)
            guard end < text.count else { return false }
            switch text[end] {
            case JSONText.quote:
                keep(text, end + 1)
                return true
            case JSONText.backslash:
                keep(text, end)
                guard escapeSequence(text) else { return false }
                end = offset
            default:
                guard text[end] >= 0x80, let length = JSONText.lengthOfUTF8(text, end) else {
                    return false
                }
                end += length
            }
        }
    }

    private mutating func escapeSequence(_ text: Span<UInt8>) -> Bool {
        guard let (value, end) = JSONText.escape(text, offset) else { return false }
        escape.removeAll(keepingCapacity: true)
        switch value {
        case .scalar(let scalar) where scalar.isASCII:
            JSONText.append(escaping: UInt8(ascii: scalar), to: &escape)
        case .scalar(let scalar):
            escape.append(contentsOf: UTF8.encode(scalar)!)
        case .loneSurrogate(let unit):
            JSONText.append(codeUnit: unit, to: &escape)
        }
        if isWriting || !Self.equal(escape.span, text, offset..<end) {
            beginWriting(text)
            output.append(contentsOf: escape)
        }
        offset = end
        return true
    }

    /// Those of the pointers in `mask` that satisfy a condition.
    private func filter(_ mask: UInt64, _ isIncluded: (JSONPointer) -> Bool) -> UInt64 {
        var (rest, result) = (mask, UInt64(0))
        while rest != 0 {
            if isIncluded(pointers[rest.trailingZeroBitCount]) { result |= rest & (~rest + 1) }
            rest &= rest - 1
        }
        return result
    }

    private static func equal(_ a: Span<UInt8>, _ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        guard a.count == range.count else { return false }
        for index in 0..<a.count where a[index] != text[range.lowerBound + index] { return false }
        return true
    }

    private static func name(
        _ member: Member, _ written: Span<UInt8>, equals token: [UInt8]
    ) -> Bool {
        equal(token.span, written, Int(member.start) + 1..<Int(member.nameEnd))
    }

    /// Compares names byte by byte: less than, equal to or greater than 0.
    private static func compare(_ a: Member, _ b: Member, _ written: Span<UInt8>) -> Int {
        var (left, right) = (Int(a.start) + 1, Int(b.start) + 1)
        let (leftEnd, rightEnd) = (Int(a.nameEnd), Int(b.nameEnd))
        while left < leftEnd, right < rightEnd {
            if written[left] != written[right] { return Int(written[left]) - Int(written[right]) }
            left += 1
            right += 1
        }
        return (leftEnd - left) - (rightEnd - right)
    }
}

// MARK: - The result

extension CanonicalScan {
    /// The whole form.
    mutating func arranged(_ text: Span<UInt8>) -> [UInt8] {
        if disorders.isEmpty { return output }
        disorders.sort { $0.content.lowerBound < $1.content.lowerBound }
        var result: [UInt8] = []
        result.reserveCapacity(position)
        append(0..<position, text, to: &result)
        return result
    }

    /// The values that the pointers beyond the ignored ones name, each ended with LF.
    mutating func selected(_ text: Span<UInt8>) -> [UInt8] {
        disorders.sort { $0.content.lowerBound < $1.content.lowerBound }
        var result: [UInt8] = []
        for range in found[ignored.nonzeroBitCount...] {
            if let range { append(range, text, to: &result) }
            result.append(UInt8(ascii: "\n"))
        }
        return result
    }

    /// Appends a part of the form, its objects in order.
    private func append(_ range: Range<Int>, _ text: Span<UInt8>, to result: inout [UInt8]) {
        var pieces = [(range: range, isFurtherMember: false)]
        while let piece = pieces.popLast() {
            if piece.isFurtherMember { result.append(UInt8(ascii: ",")) }
            guard let disorder = firstDisorder(in: piece.range) else {
                withWritten(text) { JSONText.append($0, piece.range, to: &result) }
                continue
            }
            let content = disorder.content
            withWritten(text) {
                JSONText.append($0, piece.range.lowerBound..<content.lowerBound, to: &result)
            }
            pieces.append((content.upperBound..<piece.range.upperBound, false))
            for index in disorder.members.reversed() {
                let member = disordered[index]
                pieces.append(
                    (Int(member.start)..<Int(member.end), index > disorder.members.lowerBound))
            }
        }
    }

    /// The outermost, first disorder in a range; the one that begins with the range is the one
    /// that the range is a member of.
    private func firstDisorder(in range: Range<Int>) -> Disorder? {
        var (low, high) = (0, disorders.count)
        while low < high {
            let middle = (low + high) / 2
            if disorders[middle].content.lowerBound > range.lowerBound {
                high = middle
            } else {
                low = middle + 1
            }
        }
        guard low < disorders.count, disorders[low].content.lowerBound < range.upperBound else {
            return nil
        }
        return disorders[low]
    }
}
