import Crypto
import Gateway
import HTTP
import Idempotency

/// The first byte says what the rest is taken for.
func check(_ input: [UInt8]) {
    guard let kind = input.first else { return }
    let rest = Array(input.dropFirst())
    switch kind % 6 {
    case 0: checkKey(rest)
    case 1: checkPath(rest)
    case 2: checkItems(rest)
    case 3: checkReply(rest)
    case 4: checkPatterns(rest)
    default: _ = try? HostPattern(String(decoding: rest, as: UTF8.self))
    }
}

func require(_ condition: Bool, _ message: String) {
    if !condition { fatalError(message) }
}

private func fields(_ name: FieldName, _ values: [UInt8]...) -> Fields {
    var fields = Fields()
    for value in values { fields.append(name, value) }
    return fields
}

private func key(_ value: some Collection<UInt8>) -> ClientKey? {
    let name = FieldName.idempotencyKey
    guard case .key(let key) = ClientKey.read(from: fields(name, Array(value)), named: name) else {
        return nil
    }
    return key
}

/// A key is text, and the same when it is written and read again; so is one made of a value.
private func checkKey(_ value: [UInt8]) {
    if let read = key(value) { checkWritten(read) }
    let source = FieldName("X-Delivery")
    let derived = DerivedKeys()
    guard let made = derived.key(.header(source), of: fields(source, value)) else { return }
    checkWritten(made)
    let again = derived.key(.header(source), of: fields(source, value))
    require(again?.bytes == made.bytes, "a value makes two keys")
}

private func checkWritten(_ read: ClientKey) {
    require((1...255).contains(read.bytes.count), "a key has an odd length")
    require(read.bytes.allSatisfy { $0 > 0x20 && $0 < 0x7F }, "a key is no text")
    require(key(read.fieldValue)?.bytes == read.bytes, "a written key is another")
}

/// A decoded path has no dot segments, and is its own path when it is encoded again.
private func checkPath(_ text: [UInt8]) {
    // As a request target may have them.
    let path = [UInt8(ascii: "/")] + text.filter { $0 > 0x20 && $0 < 0x7F && $0 != 0x3F }
    let decoded = DecodedPath(path[...])
    require(DecodedPath.isWellFormed(path[...]) == (decoded != nil), "two judge differently")
    guard let decoded else { return }
    require(decoded.count > 0, "a path has no segment")
    var encoded: [UInt8] = []
    for index in 0..<decoded.count {
        let segment = Array(decoded[index])
        require(segment != [0x2E] && segment != [0x2E, 0x2E], "a dot segment is left")
        encoded.append(UInt8(ascii: "/"))
        for byte in segment {
            encoded.append(UInt8(ascii: "%"))
            encoded += [byte >> 4, byte & 15].map { $0 < 10 ? $0 + 0x30 : $0 + 0x37 }
        }
    }
    guard let again = DecodedPath(encoded[...]) else { fatalError("an encoded path is none") }
    require(again.count == decoded.count, "an encoded path has other segments")
    for index in 0..<decoded.count {
        require(again[index] == decoded[index], "a segment is another")
    }
}

/// What stands before or behind them changes neither a preference nor a verdict.
private func checkItems(_ value: [UInt8]) {
    let wait = waitPreference(fields(.prefer, value))
    if let wait { require((0...999_999_999).contains(wait), "a wait is out of bounds") }
    let other = Array("x;y=z".utf8)
    require(waitPreference(fields(.prefer, other, value)) == wait, "a line before it counts")
    require(
        waitPreference(fields(.prefer, other + [0x2C, 0x20] + value)) == wait,
        "a preference before it counts")
    let name = UpstreamVerdict.fieldName
    guard let verdict = UpstreamVerdict(fields(name, value)) else { return }
    if let ttl = verdict.ttl { require((0...315_360_000).contains(ttl), "a ttl is out of bounds") }
    require(
        UpstreamVerdict(fields(name, value + Array(";a=b".utf8))) == verdict,
        "an unknown parameter counts")
    require(UpstreamVerdict(fields(name, value, value)) == nil, "two verdicts are one")
}

private let id = KeyID(at: Timestamp(microseconds: 1_800_000_000_000_000))
private let secret = SealingKey([UInt8](repeating: 7, count: 32))
private let codings = [
    SealedReplies(compressAbove: nil, keys: []), SealedReplies(compressAbove: 16, keys: []),
    SealedReplies(compressAbove: 16, keys: secret.map { [$0] } ?? []),
]

/// Whatever is in the store is read or refused; what was written comes back, and nothing else does
/// once a byte of a sealed reply is changed.
private func checkReply(_ bytes: [UInt8]) {
    let half = bytes.count / 2
    let stored = StoredReply(
        responseCode: 200, responseHeaders: Array(bytes[..<half]),
        responseBody: Array(bytes[half...]))
    for coding in codings {
        let whole = StoredReply(responseCode: 200, responseHeaders: bytes, responseBody: nil)
        _ = try? coding.decode(whole, of: id)
        _ = try? coding.decode(stored, of: id)
        guard bytes.first != 0 else { continue }
        guard let written = try? coding.encode(stored, of: id),
            let read = try? coding.decode(written, of: id)
        else { fatalError("a reply cannot be written or read") }
        require(read == stored, "a reply is another")
        guard let last = codings.last, let sealed = try? last.encode(stored, of: id),
            secret != nil, half > 0
        else { continue }
        var changed = sealed.responseHeaders
        changed[changed.count - 1 - Int(bytes[0]) % changed.count] ^= 1
        let reply = StoredReply(
            responseCode: 200, responseHeaders: changed, responseBody: sealed.responseBody)
        if changed.first == 0, let opened = try? last.decode(reply, of: id) {
            require(opened == stored, "a changed reply is read as another")
            fatalError("a changed reply is read")
        }
    }
}

/// A path, what it is rewritten to and a template, a line each; they compile or are refused.
private func checkPatterns(_ text: [UInt8]) {
    let lines = text.split(separator: 0x0A, omittingEmptySubsequences: false)
        .map { String(decoding: $0, as: UTF8.self) }
    guard let first = lines.first, let pattern = try? PathPattern(first) else { return }
    require(pattern.text == first, "a pattern has another text")
    require(Set(pattern.captureNames).count == pattern.captureNames.count, "a name is there twice")
    guard lines.count > 1 else { return }
    if let rewrite = try? PathRewrite(lines[1], for: pattern) {
        require(rewrite.text == lines[1], "a rewrite has another text")
    }
    guard lines.count > 2 else { return }
    for words in [Template.Words.ofProbe, .ofStage(after: ["a", "b"])] {
        guard let template = try? Template(lines[2], for: pattern, words: words) else { continue }
        require(template.text == lines[2], "a template has another text")
    }
}
