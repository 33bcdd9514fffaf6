private import CCrypto

/// Bytes that nobody can predict. Traps if the system has none to give: a token that can be
/// guessed is worse than a process that stops.
package func randomBytes(count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
        let isFilled = unsafe RAND_bytes(buffer.baseAddress, Int32(count))
        precondition(isFilled == 1, "libcrypto has no randomness")
        initialized = count
    }
}

/// A random UUID, version 4 (RFC 9562 section 5.4), as 36 characters in lower case.
package func randomUUID() -> String {
    var bytes = randomBytes(count: 16)
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    return unsafe String(unsafeUninitializedCapacity: 36) { text in
        var end = 0
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 {
                unsafe text[end] = UInt8(ascii: "-")
                end += 1
            }
            unsafe text[end] = hexadecimalDigit(byte >> 4)
            unsafe text[end + 1] = hexadecimalDigit(byte & 0x0F)
            end += 2
        }
        return end
    }
}

private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}
