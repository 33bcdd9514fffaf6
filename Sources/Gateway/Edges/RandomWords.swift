/// Numbers that name requests and traces: unlike each other, not secret. Each loop has its own, and
/// none costs a call of the system.
struct RandomWords: RandomNumberGenerator {
    /// The state of xoshiro256**, never all zeros.
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// A generator that starts where the system's numbers say.
    init() {
        var system = SystemRandomNumberGenerator()
        state = (system.next() | 1, system.next(), system.next(), system.next())
    }

    mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = state.3 << 45 | state.3 >> 19
        return result
    }

    /// 128 bits as 32 hexadecimal digits in lower case; the first 16 are never all zeros.
    mutating func hexadecimal() -> [UInt8] {
        let (high, low) = (next() | 1, next())
        return unsafe [UInt8](unsafeUninitializedCapacity: 32) { digits, count in
            for index in 0..<16 {
                let shift = UInt64(60 - 4 * index)
                unsafe digits[index] = hexadecimalDigit(high >> shift)
                unsafe digits[index + 16] = hexadecimalDigit(low >> shift)
            }
            count = 32
        }
    }
}

/// The digit of the lowest four bits.
@inline(__always)
private func hexadecimalDigit(_ number: UInt64) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: number) & 15
    return digit < 10 ? digit + 0x30 : digit + 0x57
}
