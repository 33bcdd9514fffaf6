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

    /// 128 bits as 32 hexadecimal digits in lower case; never all zeros.
    mutating func hexadecimal() -> [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity(32)
        appendHexadecimal(next() | 1, to: &digits)
        appendHexadecimal(next(), to: &digits)
        return digits
    }
}

/// Appends 16 hexadecimal digits in lower case.
func appendHexadecimal(_ number: UInt64, to text: inout [UInt8]) {
    for shift in stride(from: 60, through: 0, by: -4) {
        let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift)) & 15
        text.append(digit < 10 ? digit + 0x30 : digit + 0x57)
    }
}
