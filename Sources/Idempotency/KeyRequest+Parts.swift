// For programs that take the module alone: requests from their parts, fingerprinted here.

extension KeyRequest {
    /// A request from its parts. Whatever differs in them under the same key is told as `differs`.
    ///
    /// - Parameters:
    ///   - idempotencyKey: The caller's key; nil to have a random UUID (version 4) made, which is
    ///     in the `identity` and is to be told to the caller.
    ///   - scope: Who asks, as an account's name. Only its digest is kept. The same key of another
    ///     scope is another key; empty where all share theirs.
    ///   - requestMethod: The method, or what the program calls the operation.
    ///   - requestPath: What it is done to.
    ///   - requestParams: A JSON object as text. It is compared as text.
    ///   - body: What else the request says. It is compared by its digest and not kept.
    ///   - isResumable: Whether the work goes in stages and may be taken up again after a crash.
    public init(
        idempotencyKey: String?, scope: String = "", requestMethod: String, requestPath: String,
        requestParams: String = "{}", body: [UInt8] = [], isResumable: Bool = false
    ) {
        var fingerprint = Fingerprint()
        fingerprint.append(.method, digesting: Array(requestMethod.utf8))
        fingerprint.append(.path, digesting: Array(requestPath.utf8))
        fingerprint.append(.field("request_params"), digesting: Array(requestParams.utf8))
        fingerprint.append(.body, digesting: body)
        self.init(
            identity: Identity(
                scope: scope.isEmpty ? [] : SHA256Digest.digest(of: Array(scope.utf8)),
                idempotencyKey: idempotencyKey ?? randomKey()),
            fingerprint: fingerprint, requestMethod: requestMethod, requestPath: requestPath,
            requestParams: requestParams, isResumable: isResumable)
    }
}

extension Fingerprint {
    /// Adds the digest of a part's bytes: the first 16 of its SHA-256.
    ///
    /// - Parameters:
    ///   - part: What the bytes are.
    ///   - bytes: All of them. A megabyte takes some ten milliseconds; whoever has a faster hash
    ///     appends its digest instead.
    public mutating func append(_ part: Part, digesting bytes: [UInt8]) {
        let words = SHA256Digest.digest(of: bytes).prefix(16).reduce(UInt128(0)) {
            $0 << 8 | UInt128($1)
        }
        append(
            part,
            (UInt64(truncatingIfNeeded: words >> 64), UInt64(truncatingIfNeeded: words)))
    }
}

/// A random UUID, version 4 (RFC 9562, section 5.4), as 36 characters in lower case.
private func randomKey() -> String {
    let high = randomWord() & ~0xf000 | 0x4000
    let low = randomWord() & ~(3 << 62) | 2 << 62
    let digits = Array(LockToken(high: high, low: low).hexadecimal)
    var text = ""
    for (index, digit) in digits.enumerated() {
        if [8, 12, 16, 20].contains(index) { text.append("-") }
        text.append(digit)
    }
    return text
}
