package import Crypto
import HTTP

/// The digest of a multipart body (RFC 2046 section 5.1) that its boundary takes no part in.
///
/// Each part counts by its field lines, names in lower case, sorted by them, so that lines of one
/// name keep their order, and by its bytes; what stands before the first and after the last part
/// counts too. The body comes in pieces, of which little
/// is kept. Where readers might disagree on where a part ends, the body is malformed, and is to be
/// compared byte for byte: a boundary that other bytes follow, or that a line feed alone precedes; a
/// folded line, or one that begins like a boundary; a last part without its end.
package struct MultipartDigest {
    private enum Place {
        /// In a part's bytes, or before the first part; these begin with the CR LF before them.
        case content
        /// Behind a boundary, on its line.
        case delimiter
        case fields
        /// Behind the last part.
        case end
        case malformed
    }

    /// CR LF, two hyphens, the boundary.
    private let delimiter: [UInt8]
    private let hasher = SHA256Hasher()
    private var place = Place.content
    /// Bytes that are not yet used, from `start` on. A body may begin with a boundary, as if a
    /// line end had come before.
    private var pending: [UInt8] = [0x0D, 0x0A]
    private var start = 0
    /// Up to where a line's end was looked for, so that a line is looked at once however it comes.
    private var searched = 0
    private var isContentEmpty = true
    private var fields: [(name: [UInt8], value: ArraySlice<UInt8>)] = []
    private var fieldBytes = 0
    private var partCount = 0
    /// The digests of contents and field sections, one after the other.
    private var summary = Array("multipart".utf8)

    /// Parts, and bytes of one part's fields, beyond which a body is malformed.
    private static let mostParts = 1000
    private static let mostFieldBytes = 16 << 10
    /// What may stand between a boundary and the end of its line, in bytes. Here and with fields a
    /// line counts without its end, of which a carriage return may have come already: whether a
    /// line is too long is not to depend on where the body was cut.
    private static let mostPadding = 64

    /// A digest of a body that has not begun.
    package init(boundary: [UInt8]) {
        delimiter = [0x0D, 0x0A, 0x2D, 0x2D] + boundary
        hasher.begin()
    }

    /// Takes the body's next bytes.
    package mutating func append(_ bytes: ArraySlice<UInt8>) {
        if place == .malformed { return }
        pending += bytes
        while step() {}
        pending.removeFirst(start)
        searched = max(0, searched - start)
        start = 0
    }

    /// The digest of the whole; nil when the body is malformed.
    package mutating func finish() -> Digest? {
        if place == .delimiter, isClosing(pending[...]), skipPadding(2) == pending.count {
            place = .end
            hasher.begin()
        }
        guard place == .end, partCount > 0 else { return nil }
        summary += hasher.finish().bytes
        return hasher.digest(summary[...])
    }

    /// Uses pending bytes; false when more have to come first.
    private mutating func step() -> Bool {
        switch place {
        case .content: return content()
        case .delimiter: return delimiterEnd()
        case .fields: return field()
        case .end:
            hasher.update(pending[start...])
            start = pending.count
            return false
        case .malformed:
            start = pending.count
            return false
        }
    }

    private mutating func content() -> Bool {
        guard let found = indexOfDelimiter() else {
            let kept = min(pending.count - start, delimiter.count - 1)
            useContent(pending.count - start - kept)
            return false
        }
        // The line end before a part's bytes is not the one before the next boundary.
        guard found >= start, found > start || !isContentEmpty || partCount == 0,
            pending[found] == delimiter[0]
        else { return fail() }
        useContent(found - start)
        summary += hasher.finish().bytes
        start += delimiter.count
        place = .delimiter
        return true
    }

    private mutating func useContent(_ count: Int) {
        guard count > 0 else { return }
        hasher.update(pending[start..<(start + count)])
        start += count
        isContentEmpty = false
    }

    /// Where the next boundary's line end begins, or should: it is found by its line feed.
    private func indexOfDelimiter() -> Int? {
        let wanted = delimiter.dropFirst()
        let last = pending.count - wanted.count
        var index = start
        while index <= last {
            guard let mark = pending[index...last].firstIndex(of: wanted[1]) else { return nil }
            if pending[mark...].starts(with: wanted) { return mark - 1 }
            index = mark + 1
        }
        return nil
    }

    private mutating func delimiterEnd() -> Bool {
        let rest = pending[start...]
        guard let end = indexOfLineEnd() else {
            return rest.count > Self.mostPadding + 1 ? fail() : false
        }
        let isLast = isClosing(rest)
        guard end - start <= Self.mostPadding, skipPadding(isLast ? 2 : 0) == end else {
            return fail()
        }
        start = end + 2
        if isLast {
            place = .end
            hasher.begin()
        } else {
            place = .fields
            (fields, fieldBytes) = ([], 0)
        }
        return true
    }

    private func isClosing(_ rest: ArraySlice<UInt8>) -> Bool { rest.starts(with: [0x2D, 0x2D]) }

    /// The index behind `count` bytes and the blanks that follow.
    private func skipPadding(_ count: Int) -> Int {
        var index = start + count
        while index < pending.count, pending[index] == 0x20 || pending[index] == 0x09 {
            index += 1
        }
        return index
    }

    private mutating func field() -> Bool {
        guard let end = indexOfLineEnd() else {
            return pending.count - start > Self.mostFieldBytes + 1 ? fail() : false
        }
        let line = pending[start..<end]
        guard !line.isEmpty else {
            endFields()
            return true
        }
        fieldBytes += line.count
        guard fieldBytes <= Self.mostFieldBytes,
            let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > start,
            line.prefix(upTo: colon).allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            !line.contains(0x0D), !line.contains(0x0A), !line.starts(with: delimiter.dropFirst(2))
        else { return fail() }
        let name = line.prefix(upTo: colon).map(asciiLowercased)
        fields.append((name, trimmed(line[(colon + 1)...])))
        start = end + 2
        return true
    }

    /// Leaves the line end where it is: it begins the part's content.
    private mutating func endFields() {
        partCount += 1
        guard partCount <= Self.mostParts else {
            place = .malformed
            return
        }
        fields.sort { $0.name.lexicographicallyPrecedes($1.name) }
        let lines = fields.map { $0.name + [UInt8(ascii: ":")] + $0.value }
        summary += hasher.digest(Array(lines.joined(separator: [0x0D, 0x0A]))[...]).bytes
        hasher.begin()
        isContentEmpty = true
        place = .content
    }

    private mutating func indexOfLineEnd() -> Int? {
        var index = max(start, searched)
        while index < pending.count {
            guard let mark = pending[index...].firstIndex(of: 0x0D) else {
                index = pending.count
                break
            }
            index = mark
            guard mark + 1 < pending.count else { break }
            if pending[mark + 1] == 0x0A { return mark }
            index = mark + 1
        }
        searched = index
        return nil
    }

    private mutating func fail() -> Bool {
        place = .malformed
        start = pending.count
        return false
    }
}
