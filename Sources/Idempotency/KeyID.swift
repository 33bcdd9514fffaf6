private import Synchronization

/// A record's own name: `ikey_` and 26 Crockford base-32 characters, in order of time.
///
/// 128 bits: 48 of milliseconds since 1970, then a part that starts at random in each millisecond
/// and rises within it. The first 63 bits alone are distinct within a process and rise with time;
/// stores take them as the row's number, so that rows made together lie together.
public struct KeyID: Sendable, Hashable {
    let high: UInt64
    let low: UInt64

    fileprivate init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A name from its two halves, the first 64 bits first.
    init(words: (UInt64, UInt64)) {
        self.init(high: words.0, low: words.1)
    }

    /// A new name, greater than all that this process made before, for a record made at `moment`.
    public init(at moment: Timestamp) {
        self = generator.withLock { $0.next(at: moment) }
    }

    /// A name from its text; nil if it is none. Letters may be of either case.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 31, bytes.starts(with: Self.prefix) else { return nil }
        var value: UInt128 = 0
        for (index, byte) in bytes.dropFirst(5).enumerated() {
            guard let digit = Self.values[Int(byte)], index > 0 || digit < 8 else { return nil }
            value = value << 5 | UInt128(digit)
        }
        self.init(
            high: UInt64(truncatingIfNeeded: value >> 64), low: UInt64(truncatingIfNeeded: value))
    }

    /// The first 63 bits: positive, and rising with time. For stores.
    package var sequence: Int64 { Int64(high >> 1) }

    private static let prefix = Array("ikey_".utf8)
    private static let digits = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// The value of each byte as a digit.
    private static let values: [UInt8?] = {
        var values = [UInt8?](repeating: nil, count: 256)
        for (value, digit) in digits.enumerated() {
            values[Int(digit)] = UInt8(value)
            if digit >= 0x41 { values[Int(digit | 0x20)] = UInt8(value) }
        }
        return values
    }()
}

extension KeyID: CustomStringConvertible {
    /// `ikey_` and 26 characters in upper case.
    public var description: String {
        unsafe String(unsafeUninitializedCapacity: 31) { unsafe write(to: $0) }
    }

    /// Writes the 31 bytes of the text. For stores.
    package func write(to buffer: UnsafeMutableBufferPointer<UInt8>) -> Int {
        _ = unsafe buffer.update(fromContentsOf: Self.prefix)
        var value = UInt128(high) << 64 | UInt128(low)
        for index in stride(from: 30, through: 5, by: -1) {
            unsafe buffer[index] = Self.digits[Int(truncatingIfNeeded: value & 31)]
            value >>= 5
        }
        return 31
    }
}

extension KeyID: Comparable {
    /// Whether `a` comes before `b`.
    public static func < (a: KeyID, b: KeyID) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

private let generator = Mutex(Generator())

/// Makes rising names: 48 bits of time, a counter of 15 bits, 65 random bits.
private struct Generator {
    /// The time and the counter: the first 63 bits of the last name.
    private var last: UInt64 = 0

    /// In a new millisecond the counter starts anywhere in its lower half; when it is used up, and
    /// while the clock stands or runs backwards, it carries over into the time.
    mutating func next(at moment: Timestamp) -> KeyID {
        let random = randomWord()
        let milliseconds = UInt64(max(0, moment.microseconds) / 1000) & (1 << 48 - 1)
        let fresh = milliseconds << 15 | random >> 50
        last = max(last &+ 1, fresh) & (1 << 63 - 1)
        return KeyID(high: last << 1 | random & 1, low: randomWord())
    }
}
