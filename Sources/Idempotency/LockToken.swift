/// Proves that a claim on a record is one's own: 128 random bits, new for every claim.
///
/// Whoever knows it can conclude the record, so it has no description that shows it.
public struct LockToken: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A token from the kernel's random numbers.
    public static func random() -> LockToken {
        LockToken(high: randomWord(), low: randomWord())
    }

    /// A token from 32 hexadecimal digits; nil for anything else.
    public init?(hexadecimal text: String) {
        let digits = text.utf8
        guard digits.count == 32 else { return nil }
        guard
            let high = UInt64(hexadecimal: digits.prefix(16)),
            let low = UInt64(hexadecimal: digits.dropFirst(16))
        else { return nil }
        self.init(high: high, low: low)
    }

    /// 32 hexadecimal digits in lower case.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        let bytes = (0..<32).map { index in
            let word = index < 16 ? high : low
            return digits[Int(word >> UInt64(60 - 4 * (index & 15)) & 15)]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A token from its two halves, the first 64 bits first. For stores.
    package init(words: (UInt64, UInt64)) {
        self.init(high: words.0, low: words.1)
    }

    /// The two halves, the first 64 bits first. For stores.
    package var words: (UInt64, UInt64) { (high, low) }
}

extension LockToken: CustomStringConvertible, CustomReflectable {
    /// The type's name alone.
    public var description: String { "LockToken" }
    /// Shows nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}

extension UInt64 {
    /// A number from hexadecimal digits alone: no sign, no prefix.
    fileprivate init?(hexadecimal digits: Substring.UTF8View) {
        var value: UInt64 = 0
        for digit in digits {
            switch digit {
            case 0x30...0x39: value = value << 4 | UInt64(digit - 0x30)
            case 0x41...0x46: value = value << 4 | UInt64(digit - 0x37)
            case 0x61...0x66: value = value << 4 | UInt64(digit - 0x57)
            default: return nil
            }
        }
        self = value
    }
}
