private import CCrypto

/// HKDF's second step with SHA-256 (RFC 5869 section 2.3). The first one, extraction, is for keys
/// that are not uniform.
///
/// - Parameters:
///   - key: Random.
///   - info: What the result is for.
///   - count: Up to 8160 bytes.
func hkdfExpand(_ key: [UInt8], info: [UInt8], count: Int) -> [UInt8] {
    precondition(count <= 255 * 32, "HKDF gives 8160 bytes at most")
    var result: [UInt8] = []
    var block: [UInt8] = []
    var number: UInt8 = 0
    while result.count < count {
        number += 1
        block = hmac(key, block + info + [number])
        result += block
    }
    return Array(result.prefix(count))
}

/// HMAC with SHA-256 (RFC 2104).
private func hmac(_ key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
        var written: UInt32 = 0
        let tag = unsafe HMAC(
            EVP_sha256(), key, Int32(key.count), message, message.count, buffer.baseAddress,
            &written)
        unsafe precondition(tag != nil && written == 32, "libcrypto offers no HMAC")
        count = 32
    }
}
