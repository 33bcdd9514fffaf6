private import CCrypto

/// A key for AES-256-GCM (NIST SP 800-38D): whoever has it can read what was sealed under it, and
/// nobody else can make anything that opens.
package struct SealingKey: Sendable {
    private let bytes: [UInt8]

    /// The number of bytes of a key.
    package static let length = 32
    /// How much longer a sealed text is: a nonce and a tag.
    package static let overhead = nonceLength + tagLength

    private static let nonceLength = 12
    private static let tagLength = 16

    /// A key of ``length`` bytes; nil for any other number.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = bytes
    }

    /// A key from 64 hexadecimal digits; nil for anything else.
    package init?(hexadecimal text: String) {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == 2 * Self.length else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        self.init(bytes)
    }

    /// Eight bytes that name the key without telling it.
    package var id: [UInt8] {
        Array(SHA256Hasher().digest((Self.idContext + bytes)[...]).bytes.prefix(8))
    }

    private static let idContext = Array("oncegate key id".utf8)

    /// A key of its own for one subject, from which neither this key nor another subject's can be
    /// found.
    ///
    /// Nonces are random, and a key may seal 2^32 texts before two of its nonces are likely enough
    /// to be equal (SP 800-38D section 8.3). With a derived key that bound is the subject's alone.
    package func derived(for subject: [UInt8]) -> SealingKey {
        SealingKey(unchecked: hkdfExpand(bytes, info: subject, count: Self.length))
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }

    /// Encrypts a text: a random nonce, the tag, the encrypted bytes.
    ///
    /// - Parameter context: What the text belongs to. It is not kept, and has to be given again to
    ///   open.
    package func seal(_ text: [UInt8], context: [UInt8]) -> [UInt8] {
        seal(text, context: context, nonce: randomBytes(count: Self.nonceLength))
    }

    /// For ``seal(_:context:)``, and for tests that need the nonce of a published vector.
    func seal(_ text: [UInt8], context: [UInt8], nonce: [UInt8]) -> [UInt8] {
        let cipher = Cipher(bytes, nonce: nonce, isSealing: true)
        cipher.authenticate(context)
        let sealed = unsafe [UInt8](
            unsafeUninitializedCapacity: text.count + Self.overhead
        ) { buffer, count in
            for index in 0..<Self.nonceLength { unsafe buffer[index] = nonce[index] }
            let tag = unsafe UnsafeMutableBufferPointer(
                rebasing: buffer[Self.nonceLength..<Self.overhead])
            let body = unsafe UnsafeMutableBufferPointer(rebasing: buffer[Self.overhead...])
            unsafe cipher.update(text[...], into: body)
            let isSealed = unsafe cipher.finish(writingTag: tag)
            precondition(isSealed, "AES-256-GCM does not end")
            count = text.count + Self.overhead
        }
        return sealed
    }

    /// The text that was sealed; nil if it was sealed under another key or for another context, or
    /// was changed since. The tags are compared in constant time.
    package func open(_ sealed: ArraySlice<UInt8>, context: [UInt8]) -> [UInt8]? {
        guard sealed.count >= Self.overhead else { return nil }
        let cipher = Cipher(
            bytes, nonce: Array(sealed.prefix(Self.nonceLength)), isSealing: false)
        cipher.authenticate(context)
        let tag = Array(sealed.dropFirst(Self.nonceLength).prefix(Self.tagLength))
        var isGenuine = false
        let text = unsafe [UInt8](
            unsafeUninitializedCapacity: sealed.count - Self.overhead
        ) { buffer, count in
            let room = unsafe UnsafeMutableBufferPointer(rebasing: buffer[...])
            unsafe cipher.update(sealed.dropFirst(Self.overhead), into: room)
            isGenuine = cipher.finish(expecting: tag)
            count = sealed.count - Self.overhead
        }
        return isGenuine ? text : nil
    }
}

extension SealingKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Not the key.
    package var description: String { "a key" }
    /// Not the key.
    package var debugDescription: String { description }
    /// Nothing of the key.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

/// AES-256-GCM over one text. Traps where libcrypto cannot work, which is no matter of the input.
@safe private final class Cipher {
    private let context: OpaquePointer

    /// - Parameter nonce: Twelve bytes.
    init(_ key: [UInt8], nonce: [UInt8], isSealing: Bool) {
        guard let context = unsafe EVP_CIPHER_CTX_new() else { fatalError("no memory") }
        unsafe self.context = context
        let isReady = unsafe EVP_CipherInit_ex(
            context, EVP_aes_256_gcm(), nil, key, nonce, isSealing ? 1 : 0)
        precondition(isReady == 1, "libcrypto offers no AES-256-GCM")
    }

    deinit { unsafe EVP_CIPHER_CTX_free(context) }

    /// Adds what is authenticated and not encrypted.
    func authenticate(_ bytes: [UInt8]) {
        var count: Int32 = 0
        let isTaken = unsafe EVP_CipherUpdate(context, nil, &count, bytes, Int32(bytes.count))
        precondition(isTaken == 1, "AES-256-GCM does not take its context")
    }

    /// Encrypts or decrypts all of the text, in pieces that libcrypto can count.
    func update(_ text: ArraySlice<UInt8>, into room: UnsafeMutableBufferPointer<UInt8>) {
        var offset = 0
        while offset < text.count {
            let piece = text.dropFirst(offset).prefix(1 << 30)
            var count: Int32 = 0
            let isTaken = unsafe piece.withUnsafeBufferPointer { source in
                unsafe EVP_CipherUpdate(
                    context, room.baseAddress.map { unsafe $0 + offset }, &count,
                    source.baseAddress, Int32(piece.count))
            }
            precondition(isTaken == 1, "AES-256-GCM does not take bytes")
            offset += piece.count
        }
    }

    func finish(writingTag tag: UnsafeMutableBufferPointer<UInt8>) -> Bool {
        guard end() else { return false }
        return unsafe EVP_CIPHER_CTX_ctrl(
            context, EVP_CTRL_AEAD_GET_TAG, Int32(tag.count), tag.baseAddress) == 1
    }

    func finish(expecting tag: [UInt8]) -> Bool {
        var tag = tag
        let count = Int32(tag.count)
        let isSet = unsafe EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, count, &tag)
        return isSet == 1 && end()
    }

    private func end() -> Bool {
        var count: Int32 = 0
        var nothing: UInt8 = 0
        return unsafe EVP_CipherFinal_ex(context, &nothing, &count) == 1
    }
}
