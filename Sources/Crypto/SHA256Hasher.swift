private import CCrypto

/// SHA-256 (FIPS 180-4), one message after the other.
///
/// The algorithm is fetched once and its context reused, because both cost more than hashing a
/// short message. Not `Sendable`: one for each event loop.
@safe package final class SHA256Hasher {
    private let algorithm: OpaquePointer
    private let context: OpaquePointer

    /// A hasher at the start of a message. Traps if libcrypto offers no SHA-256, which no running
    /// process can do without.
    package init() {
        guard let algorithm = unsafe EVP_MD_fetch(nil, "SHA256", nil),
            let context = unsafe EVP_MD_CTX_new(),
            unsafe EVP_DigestInit_ex2(context, algorithm, nil) == 1
        else { fatalError("libcrypto offers no SHA-256") }
        unsafe self.algorithm = algorithm
        unsafe self.context = context
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
        unsafe EVP_MD_free(algorithm)
    }

    /// The digest of one whole message. A message under way is dropped.
    package func digest(_ message: ArraySlice<UInt8>) -> Digest {
        begin()
        update(message)
        return finish()
    }

    /// Starts a new message.
    package func begin() {
        let isReady = unsafe EVP_DigestInit_ex2(context, algorithm, nil)
        precondition(isReady == 1, "SHA-256 does not start")
    }

    /// Adds bytes to the message.
    package func update(_ bytes: ArraySlice<UInt8>) {
        let isTaken = unsafe bytes.withUnsafeBytes { buffer in
            unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        }
        precondition(isTaken == 1, "SHA-256 does not take bytes")
    }

    /// Ends the message. Call ``begin()`` before the next.
    package func finish() -> Digest {
        var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        let isDone = unsafe withUnsafeMutableBytes(of: &words) { buffer in
            let target = unsafe buffer.assumingMemoryBound(to: UInt8.self).baseAddress
            return unsafe EVP_DigestFinal_ex(context, target, nil)
        }
        precondition(isDone == 1, "SHA-256 does not end")
        return Digest(words)
    }
}

/// A SHA-256 digest: 32 bytes.
package struct Digest: Sendable, Hashable {
    /// The bytes as four big-endian words.
    private let first, second, third, fourth: UInt64

    fileprivate init(_ words: (UInt64, UInt64, UInt64, UInt64)) {
        first = UInt64(bigEndian: words.0)
        second = UInt64(bigEndian: words.1)
        third = UInt64(bigEndian: words.2)
        fourth = UInt64(bigEndian: words.3)
    }

    /// The first 16 bytes as two big-endian words; 128 bits are enough to tell requests apart.
    package var prefix: (UInt64, UInt64) { (first, second) }

    /// All 32 bytes.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        append(first, to: &bytes)
        append(second, to: &bytes)
        append(third, to: &bytes)
        append(fourth, to: &bytes)
        return bytes
    }

    private func append(_ word: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(56), through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: word >> shift))
        }
    }
}
