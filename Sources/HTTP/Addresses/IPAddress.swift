/// An IPv4 or IPv6 address, without port and zone.
package struct IPAddress: Sendable, Hashable {
    /// Whether it is an IPv4 address; its four bytes are the lowest of ``low`` then.
    package let isV4: Bool
    private let high: UInt64
    private let low: UInt64

    private init(isV4: Bool, high: UInt64, low: UInt64) {
        self.isV4 = isV4
        self.high = high
        self.low = low
    }

    /// The address of four or sixteen bytes in network order; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var (high, low) = (UInt64(0), UInt64(0))
        for byte in bytes {
            high = high << 8 | low >> 56
            low = low << 8 | UInt64(byte)
        }
        self.init(isV4: bytes.count == 4, high: high, low: low)
    }

    /// The address that a text writes, in one of the forms that `inet_pton` takes: four decimal
    /// numbers without leading zeros, or RFC 4291 section 2.2. Nil for anything else.
    package init?(_ text: ArraySlice<UInt8>) {
        guard (2...45).contains(text.count) else { return nil }
        if text.contains(UInt8(ascii: ":")) {
            guard let groups = Self.groups(text) else { return nil }
            var halves = [UInt64](repeating: 0, count: 2)
            for (index, group) in groups.enumerated() {
                halves[index / 4] = halves[index / 4] << 16 | UInt64(group)
            }
            self.init(isV4: false, high: halves[0], low: halves[1])
        } else {
            guard let number = Self.dotted(text) else { return nil }
            self.init(isV4: true, high: 0, low: UInt64(number))
        }
    }

    /// The address that a text writes; nil for anything else.
    package init?(_ text: String) { self.init(Array(text.utf8)[...]) }

    /// Four or sixteen bytes, in network order.
    package var bytes: [UInt8] {
        let halves = isV4 ? [low << 32] : [high, low]
        return halves.flatMap { half in
            (0..<(isV4 ? 4 : 8)).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * UInt64($0))) }
        }
    }

    /// The IPv4 address that an IPv6 one stands for (`::ffff:192.0.2.1`, RFC 4291 section
    /// 2.5.5.2); any other address as it is.
    package var unmapped: IPAddress {
        guard !isV4, high == 0, low >> 32 == 0xFFFF else { return self }
        return IPAddress(isV4: true, high: 0, low: low & 0xFFFF_FFFF)
    }

    /// Whether the first `length` bits of both are the same. They are not when one is an IPv4
    /// address and the other is none.
    func sharesPrefix(_ length: Int, with other: IPAddress) -> Bool {
        guard isV4 == other.isV4 else { return false }
        if isV4 { return length == 0 || (low ^ other.low) >> UInt64(32 - min(length, 32)) == 0 }
        let first = min(length, 64)
        let rest = min(max(0, length - 64), 64)
        return (first == 0 || (high ^ other.high) >> UInt64(64 - first) == 0)
            && (rest == 0 || (low ^ other.low) >> UInt64(64 - rest) == 0)
    }
}

extension IPAddress: CustomStringConvertible {
    /// The address as text; of IPv6, the one that RFC 5952 asks for.
    package var description: String {
        let bytes = bytes
        if isV4 { return bytes.map { "\($0)" }.joined(separator: ".") }
        if unmapped.isV4 { return "::ffff:\(unmapped)" }
        let groups = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
        let zeros = Self.longestZeros(groups)
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard let zeros else { return text(0..<8) }
        return "\(text(0..<zeros.lowerBound))::\(text(zeros.upperBound..<8))"
    }

    /// The first of the longest runs of at least two zeros.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var best = 0..<1
        var start = 0
        for index in groups.indices {
            if groups[index] != 0 { start = index + 1 }
            if index + 1 - start > best.count { best = start..<index + 1 }
        }
        return best.count > 1 ? best : nil
    }
}

extension IPAddress {
    /// `192.0.2.1` as a number.
    private static func dotted(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var number: UInt32 = 0
        for part in parts {
            guard let byte = decimal(part, upTo: 255) else { return nil }
            number = number << 8 | UInt32(byte)
        }
        return number
    }

    /// The eight groups of an IPv6 address.
    private static func groups(_ text: ArraySlice<UInt8>) -> [UInt16]? {
        let colon = UInt8(ascii: ":")
        var groups: [UInt16] = []
        var gap: Int?
        var rest = text
        if rest.starts(with: [colon, colon]) {
            gap = 0
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: colon) ?? rest.endIndex
            let part = rest[..<end]
            if end == rest.endIndex, part.contains(UInt8(ascii: ".")) {
                guard let number = dotted(part) else { return nil }
                groups += [UInt16(number >> 16), UInt16(truncatingIfNeeded: number)]
            } else {
                guard let group = hexadecimal(part) else { return nil }
                groups.append(group)
            }
            guard end < rest.endIndex else { break }
            rest = rest[(end + 1)...]
            guard groups.count < 8, let next = rest.first else { return nil }
            if next == colon {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            }
        }
        guard let gap else { return groups.count == 8 ? groups : nil }
        guard groups.count < 8 else { return nil }
        groups.insert(contentsOf: [UInt16](repeating: 0, count: 8 - groups.count), at: gap)
        return groups
    }

    private static func hexadecimal(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard (1...4).contains(text.count) else { return nil }
        var number: UInt16 = 0
        for byte in text {
            guard let digit = hexadecimalDigit(byte) else { return nil }
            number = number << 4 | UInt16(digit)
        }
        return number
    }
}

/// The value of a hexadecimal digit, in any case.
func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
}

/// A decimal number without sign and leading zeros; nil for anything else, and for more than
/// `limit`, which has at most five digits.
func decimal(_ text: ArraySlice<UInt8>, upTo limit: Int) -> Int? {
    guard let first = text.first, text.count == 1 || first != 0x30, text.count <= 5 else {
        return nil
    }
    var number = 0
    for byte in text {
        guard byte &- 0x30 < 10 else { return nil }
        number = number * 10 + Int(byte - 0x30)
    }
    return number <= limit ? number : nil
}
