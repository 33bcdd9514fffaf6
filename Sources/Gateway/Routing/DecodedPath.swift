/// The path of a request as routes see it: split at `/`, percent-decoded, without dot segments
/// (RFC 3986 sections 2.1 and 5.2.4).
///
/// An encoded slash stays inside its segment and never separates, so `/a%2Fb` is one segment and
/// matches no pattern of two. Empty segments are kept. A segment that decodes to `.` or `..`
/// counts as one; above the root there is only the root. A path without anything to decode is
/// split and not copied.
package struct DecodedPath {
    private var bytes: ArraySlice<UInt8>
    /// Where each segment lies in `bytes`.
    private var segments: [Range<Int>] = []
    /// The path as it was received, and where each segment lies in it; nothing where `bytes` is it.
    private var received: ArraySlice<UInt8> = []
    private var receivedSegments: [Range<Int>] = []

    /// Nil for a malformed percent sequence or an encoded NUL. `*`, the target of `OPTIONS`, has no
    /// segments.
    package init?(_ path: ArraySlice<UInt8>) {
        bytes = path
        guard path.first == UInt8(ascii: "/") else { return }
        segments.reserveCapacity(8)
        if path.contains(UInt8(ascii: "%")) {
            guard decode(path) else { return nil }
        } else {
            var start = path.startIndex + 1
            for index in start..<path.endIndex where path[index] == UInt8(ascii: "/") {
                append(start..<index, isLast: false)
                start = index + 1
            }
            append(start..<path.endIndex, isLast: true)
        }
    }

    /// The number of segments; one, empty, for `/`.
    package var count: Int { segments.count }

    /// A segment, decoded.
    package subscript(index: Int) -> ArraySlice<UInt8> { bytes[segments[index]] }

    /// A segment as it was received.
    func received(_ index: Int) -> ArraySlice<UInt8> {
        receivedSegments.isEmpty ? self[index] : received[receivedSegments[index]]
    }

    /// Whether every percent sequence of a path can be decoded.
    package static func isWellFormed(_ path: ArraySlice<UInt8>) -> Bool {
        guard path.contains(UInt8(ascii: "%")) else { return true }
        return DecodedPath(path) != nil
    }

    private mutating func decode(_ path: ArraySlice<UInt8>) -> Bool {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(path.count)
        var ranges: [(decoded: Range<Int>, received: Range<Int>)] = []
        for piece in path.dropFirst().split(
            separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        {
            guard let segment = percentDecoded(piece), !segment.contains(0) else { return false }
            ranges.append((decoded.count..<decoded.count + segment.count, piece.indices))
            decoded += segment
        }
        bytes = decoded[...]
        received = path
        for (index, range) in ranges.enumerated() {
            append(range.decoded, as: range.received, isLast: index == ranges.count - 1)
        }
        return true
    }

    private mutating func append(
        _ range: Range<Int>, as received: Range<Int>? = nil, isLast: Bool
    ) {
        switch dots(in: range) {
        case 1: break
        case 2:
            _ = segments.popLast()
            _ = receivedSegments.popLast()
        default:
            segments.append(range)
            if let received { receivedSegments.append(received) }
            return
        }
        guard isLast else { return }
        segments.append(range.upperBound..<range.upperBound)
        if let received { receivedSegments.append(received.upperBound..<received.upperBound) }
    }

    /// 1 for `.`, 2 for `..`, 0 for any other segment.
    private func dots(in range: Range<Int>) -> Int {
        guard range.count == 1 || range.count == 2 else { return 0 }
        return bytes[range].allSatisfy { $0 == UInt8(ascii: ".") } ? range.count : 0
    }
}

/// The bytes that `%XX` sequences stand for; nil if one is malformed.
func percentDecoded(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(bytes.count)
    var index = bytes.startIndex
    while index < bytes.endIndex {
        if bytes[index] != UInt8(ascii: "%") {
            decoded.append(bytes[index])
            index += 1
            continue
        }
        guard bytes.endIndex - index >= 3, let high = hexadecimalValue(bytes[index + 1]),
            let low = hexadecimalValue(bytes[index + 2])
        else { return nil }
        decoded.append(high << 4 | low)
        index += 3
    }
    return decoded
}

/// Appends bytes as a path segment: all but `pchar` (RFC 3986 section 3.3) is percent-encoded.
func appendPercentEncoded(_ segment: ArraySlice<UInt8>, to target: inout [UInt8]) {
    appendPercentEncoded(segment, to: &target) { byte in
        switch byte {
        case 0x21, 0x24, 0x26...0x2C, 0x3B, 0x3D,  // sub-delims
            0x3A, 0x40:  // ":" and "@"
            true
        default: false
        }
    }
}

private func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}
