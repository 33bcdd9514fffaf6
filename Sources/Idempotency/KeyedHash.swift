/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012), keyed by a secret of the
/// file that it is used in: clients choose what is hashed, so an unkeyed hash would let them
/// choose collisions.
package struct KeyedHash: Sendable {
    private let key: (UInt64, UInt64)

    /// - Parameter key: 16 bytes.
    package init(key: [UInt8]) {
        precondition(key.count == 16, "a SipHash key has 16 bytes")
        self.key = unsafe key.withUnsafeBytes { unsafe (word($0, at: 0), word($0, at: 8)) }
    }

    /// The 16 bytes of a hash, as two words of which the first byte is the lowest.
    package func callAsFunction(_ bytes: [UInt8]) -> (UInt64, UInt64) {
        unsafe bytes.withUnsafeBytes { unsafe hash($0) }
    }

    /// The hash of a part of the bytes, which has to lie within them.
    func callAsFunction(_ bytes: [UInt8], _ part: Range<Int>) -> (UInt64, UInt64) {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe hash(UnsafeRawBufferPointer(rebasing: bytes[part]))
        }
    }

    private func hash(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        var state = SipState(key)
        let whole = bytes.count & ~7
        for position in stride(from: 0, to: whole, by: 8) {
            state.absorb(unsafe word(bytes, at: position))
        }
        var last = UInt64(bytes.count & 255) << 56
        for position in whole..<bytes.count {
            last |= UInt64(unsafe bytes[position]) << UInt64(8 * (position - whole))
        }
        state.absorb(last)
        return state.finish()
    }
}

private struct SipState {
    private var v0, v1, v2, v3: UInt64

    init(_ key: (UInt64, UInt64)) {
        v0 = key.0 ^ 0x736f_6d65_7073_6575
        v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key.0 ^ 0x6c79_6765_6e65_7261
        v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    mutating func finish() -> (UInt64, UInt64) {
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        let first = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        return (first, v0 ^ v1 ^ v2 ^ v3)
    }

    private mutating func round() {
        v0 &+= v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 &+= v3
        v3 = rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
    }
}

private func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 {
    word &<< count | word &>> (64 &- count)
}

private func word(_ bytes: UnsafeRawBufferPointer, at position: Int) -> UInt64 {
    UInt64(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
}
