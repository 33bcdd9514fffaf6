private import Glibc

/// What names a record: who asks, and the key.
///
/// Both lie in one array, made once, and so does the hash by which memory is sharded.
public struct Identity: Sendable {
    /// The scope's length, the scope, the key.
    let encoded: [UInt8]
    /// A hash that differs from process to process.
    let hash: UInt64

    /// - Parameters:
    ///   - scope: An opaque hash of who asks, at most 32 bytes; empty where all share their keys.
    ///   - idempotencyKey: The client's key, unquoted.
    public init(scope: [UInt8], idempotencyKey: String) {
        self.init(scope: scope, keyBytes: idempotencyKey.utf8)
    }

    /// The same from the key's bytes, which saves the caller a string.
    public init(scope: [UInt8], keyBytes: some Collection<UInt8>) {
        precondition(scope.count <= 32, "a scope is a hash of at most 32 bytes")
        var encoded: [UInt8] = []
        encoded.reserveCapacity(1 + scope.count + keyBytes.count)
        encoded.append(UInt8(scope.count))
        encoded.append(contentsOf: scope)
        encoded.append(contentsOf: keyBytes)
        self.encoded = encoded
        hash = unsafe encoded.withUnsafeBytes { bytes in
            var hasher = Hasher()
            unsafe hasher.combine(bytes: bytes)
            return UInt64(truncatingIfNeeded: hasher.finalize())
        }
    }

    /// Who asks: an opaque hash, empty where all share their keys.
    public var scope: [UInt8] { Array(encoded[1..<keyStart]) }

    /// The client's key, unquoted.
    public var idempotencyKey: String {
        String(decoding: encoded[keyStart...], as: UTF8.self)
    }

    /// The scope's length in one byte, the scope, the key. For stores.
    package var bytes: [UInt8] { encoded }

    /// Where the key's bytes begin in ``bytes``. For stores.
    package var keyStart: Int { 1 + Int(encoded[0]) }
}

extension Identity: Hashable {
    /// Whether both hold the same bytes.
    public static func == (a: Identity, b: Identity) -> Bool {
        a.hash == b.hash && areEqual(a.encoded, b.encoded)
    }

    /// Feeds the hash that was made at first.
    public func hash(into hasher: inout Hasher) { hasher.combine(hash) }
}

/// Whether two arrays hold the same bytes, by one `memcmp`.
func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    return unsafe a.withUnsafeBytes { a in
        unsafe b.withUnsafeBytes { b in
            guard unsafe !a.isEmpty else { return true }
            return unsafe memcmp(a.baseAddress!, b.baseAddress!, a.count) == 0
        }
    }
}
