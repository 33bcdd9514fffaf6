/// Which `Idempotency-Key` each request carries. The n-th key of a seed is always the same.
enum RequestKeys: Equatable {
    /// None.
    case none
    /// A new one each.
    case new(first: Int)
    /// One of the first `space`, at random.
    case stored(space: Int)
    /// The same one on `duplicates` connections at once; a new one when all have their answers.
    case storm(first: Int, duplicates: Int)

    /// Length of a key's text.
    static let length = 36

    /// Writes the n-th key: a version 4 UUID in text, random looking.
    static func write(_ number: Int, seed: UInt64, to text: UnsafeMutablePointer<UInt8>) {
        let hexadecimal: StaticString = "0123456789abcdef"
        let mixed = mix(seed ^ mix(UInt64(number)))
        let high = mixed & ~0xF000 | 0x4000
        let low = mix(mixed) & ~(3 << 62) | 2 << 62
        var offset = 0
        for digit in 0..<32 {
            if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
                text[offset] = UInt8(ascii: "-")
                offset += 1
            }
            let half = digit < 16 ? high : low
            let value = half >> UInt64(60 - 4 * (digit % 16)) & 15
            text[offset] = hexadecimal.utf8Start[Int(value)]
            offset += 1
        }
    }

    /// SplitMix64's output function.
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
