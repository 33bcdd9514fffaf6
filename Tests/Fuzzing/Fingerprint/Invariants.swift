import Compression
import Crypto
import Gateway
import JSON

/// The first byte says what the rest is taken for.
func check(_ input: [UInt8]) {
    guard let kind = input.first else { return }
    let rest = Array(input.dropFirst())
    switch kind & 3 {
    case 0: checkJSON(rest)
    case 1: checkMultipart(rest)
    case 2: checkCoding(rest)
    default: checkBoundary(rest)
    }
}

func require(_ condition: Bool, _ message: String) {
    if !condition { fatalError(message) }
}

/// A canonical form is its own canonical form, says the same value, and is that of the text with
/// whitespace around it and with its members turned round.
private func checkJSON(_ text: [UInt8]) {
    let form: [UInt8]
    switch JSONCanonicalForm.of(text[...]) {
    case .notJSON:
        checkPointers(text, nil)
        return
    case .same: form = text
    case .rewritten(let canonical): form = canonical
    }
    require(JSONCanonicalForm.of(form[...]) == .same, "a canonical form is not its own")
    let spaced = [0x20, 0x0A] + text + [0x09]
    require(JSONCanonicalForm.of(spaced[...]) == .rewritten(form), "whitespace counts")
    if let value = try? JSON.parse(text[...]) {
        var turned: [UInt8] = []
        writeTurned(value, to: &turned)
        require(canonical(turned) == form, "the order of members counts")
    }
    checkPointers(text, form)
}

/// Pointers to nothing change nothing, and a pointer to everything leaves all.
private func checkPointers(_ text: [UInt8], _ form: [UInt8]?) {
    guard let nowhere = JSONPointer("/no such member/7"), let whole = JSONPointer("") else {
        return
    }
    let ignoring = JSONCanonicalForm.of(text[...], ignoring: [nowhere])
    let only = JSONCanonicalForm.of(text[...], only: [whole])
    guard let form else {
        require(ignoring == .notJSON && only == .notJSON, "pointers make JSON of what is none")
        return
    }
    require(only == .rewritten(form + [0x0A]), "the whole is not the whole")
    switch ignoring {
    case .same: require(form == text, "a text is said to be canonical that is not")
    case .rewritten(let other): require(other == form, "a pointer to nothing counts")
    case .notJSON: fatalError("a pointer to nothing makes JSON none")
    }
}

private func canonical(_ text: [UInt8]) -> [UInt8]? {
    switch JSONCanonicalForm.of(text[...]) {
    case .same: text
    case .rewritten(let form): form
    case .notJSON: nil
    }
}

/// Writes a value with its members in the opposite order.
private func writeTurned(_ value: JSONValue, to text: inout [UInt8]) {
    switch value.kind {
    case .object(let members):
        text.append(UInt8(ascii: "{"))
        for (index, member) in members.reversed().enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            writeString(member.name, to: &text)
            text.append(UInt8(ascii: ":"))
            writeTurned(member.value, to: &text)
        }
        text.append(UInt8(ascii: "}"))
    case .array(let elements):
        text.append(UInt8(ascii: "["))
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            writeTurned(element, to: &text)
        }
        text.append(UInt8(ascii: "]"))
    case .string(let string): writeString(string, to: &text)
    case .number(let digits): text += digits.utf8
    case .bool(let flag): text += "\(flag)".utf8
    case .null: text += "null".utf8
    }
}

private func writeString(_ string: String, to text: inout [UInt8]) {
    var writer = JSONWriter()
    writer.value(string)
    text += writer.bytes
}

/// The first byte is the boundary's length. However the body is cut, and whatever its boundary is
/// called, its digest is the same; one byte more in the middle changes it.
private func checkMultipart(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let boundary = Array(input.dropFirst().prefix(1 + Int(first % 8)))
    let body = Array(input.dropFirst(1 + boundary.count))
    guard !boundary.isEmpty, boundary.allSatisfy({ $0 > 0x2D && $0 < 0x7B }) else { return }
    let whole = digest([body], boundary)
    require(whole == digest(body.map { [$0] }, boundary), "a cut changes a digest")
    let middle = body.count / 2
    let halves = [Array(body.prefix(middle)), Array(body.dropFirst(middle))]
    require(whole == digest(halves, boundary), "a cut changes a digest")
    guard whole != nil else { return }
    require(digest([body + [0x2A]], boundary) != whole, "an epilogue does not count")
    renamed(body, boundary).map {
        require(digest([$0.body], $0.boundary) == whole, "a boundary counts")
    }
}

private func digest(_ pieces: [[UInt8]], _ boundary: [UInt8]) -> Digest? {
    var digest = MultipartDigest(boundary: boundary)
    for piece in pieces { digest.append(piece[...]) }
    return digest.finish()
}

/// The body with another boundary, where that occurs nowhere else.
private func renamed(
    _ body: [UInt8], _ boundary: [UInt8]
) -> (body: [UInt8], boundary: [UInt8])? {
    let other = Array("zzOTHERzz".utf8)
    let (old, new) = ([0x2D, 0x2D] + boundary, [0x2D, 0x2D] + other)
    var result: [UInt8] = []
    var index = 0
    while index < body.count {
        let isLineStart = index == 0 || body[index - 1] == 0x0A
        if body[index...].starts(with: new) { return nil }
        if body[index...].starts(with: old) {
            guard isLineStart else { return nil }
            result += new
            index += old.count
            // Behind the last boundary nothing is one.
            if body[index...].starts(with: [0x2D, 0x2D]) {
                return (result + body[index...], other)
            }
        } else {
            result.append(body[index])
            index += 1
        }
    }
    return (result, other)
}

/// The first byte names the coding. What is decoded keeps to its limit, and a wider limit gives
/// the same.
private func checkCoding(_ input: [UInt8]) {
    guard let first = input.first else { return }
    let coding = ContentCoding.allCases[Int(first) % ContentCoding.allCases.count]
    let bytes = Array(input.dropFirst())
    let limit = 4096
    let wide = coding.decode(bytes.span, limit: 4 * limit)
    let narrow = coding.decode(bytes.span, limit: limit)
    require(narrow?.count ?? 0 <= limit, "more is decoded than allowed")
    if let wide { require(narrow == (wide.count <= limit ? wide : nil), "a limit changes a text") }
    if let compressed = Zstandard.compress(bytes) {
        require(compressed.count < bytes.count, "a text grew")
        let back = ContentCoding.zstandard.decode(compressed.span, limit: bytes.count)
        require(back == bytes, "a compressed text does not come back")
    }
}

/// A boundary is one of RFC 2046, whatever a type says.
private func checkBoundary(_ type: [UInt8]) {
    for prefix in ["", "multipart/form-data;", "multipart/x; boundary="] {
        guard let boundary = MultipartBoundary.of((Array(prefix.utf8) + type)[...]) else {
            continue
        }
        require((1...70).contains(boundary.count), "a boundary has an odd length")
        require(boundary.allSatisfy { $0 >= 0x20 && $0 < 0x7F }, "a boundary is no text")
    }
}
