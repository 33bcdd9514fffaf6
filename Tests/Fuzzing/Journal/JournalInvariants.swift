import Idempotency

/// Checks what must hold for every input.
///
/// The first byte says what the rest is: `c` a conclusion, `f` a journal's file, anything else
/// entries and what happens to the file that holds them.
func check(_ input: [UInt8]) {
    guard let kind = input.first else { return }
    let rest = Array(input.dropFirst())
    switch kind {
    case UInt8(ascii: "c"): checkConclusion(rest)
    case UInt8(ascii: "f"): checkFile(rest)
    default: checkDamage(rest)
    }
}

private func require(_ condition: Bool, _ message: String) {
    if !condition { fatalError(message) }
}

/// Requires that what is read as a conclusion is written with the same bytes.
private func checkConclusion(_ bytes: [UInt8]) {
    guard let again = try? ConclusionCodec.rewrite(bytes) else { return }
    require(again == bytes, "a conclusion has two encodings")
}

/// Requires that what is found in a file lies in it, in order.
private func checkFile(_ bytes: [UInt8]) {
    guard let format = try? JournalFormat(header: bytes) else { return }
    check(format.scan(bytes), of: bytes, format)
}

private func check(_ scan: JournalFormat.Scan, of bytes: [UInt8], _ format: JournalFormat) {
    var end = format.header.count
    var position: UInt64 = 0
    for frame in scan.frames {
        require(frame.range.lowerBound >= end, "frames overlap")
        require(frame.position > position, "positions do not rise")
        let isDamaged = frame.range.lowerBound > end
        require(
            scan.damage.contains(end..<frame.range.lowerBound) == isDamaged,
            "damage is not what lies between frames")
        (end, position) = (frame.range.upperBound, frame.position)
    }
    require(scan.end == end, "the end is not that of the last frame")
    require(end + scan.torn <= bytes.count, "more is torn than is there")
}

/// Writes entries, spoils the file, and requires that nothing is found that was not written, and
/// that everything is found that was not spoilt.
///
/// Input: a count of entries, for each its length and its bytes, then triples of two bytes of a
/// place and what is put there; the place after the end is a cut.
private func checkDamage(_ input: [UInt8]) {
    var input = input[...]
    let format = JournalFormat(key: Array(repeating: 0x5A, count: 16))
    var bytes = format.header
    var entries: [(position: UInt64, range: Range<Int>, bytes: [UInt8])] = []
    for index in 0..<UInt64((input.popFirst() ?? 0) % 8) {
        let entry = Array(input.prefix(Int(input.popFirst() ?? 0)))
        input = input.dropFirst(entry.count)
        let start = bytes.count
        guard format.append(entry, position: index + 1, to: &bytes) else { continue }
        entries.append((index + 1, start..<bytes.count, entry))
    }
    let written = bytes
    while input.count >= 3 {
        let place = Int(input.removeFirst()) | Int(input.removeFirst()) << 8
        let byte = input.removeFirst()
        if place >= format.header.count, place < bytes.count {
            bytes[place] = byte
        } else if place >= bytes.count {
            bytes.removeLast(min(Int(byte), bytes.count - format.header.count))
        }
    }
    let scan = format.scan(bytes)
    check(scan, of: bytes, format)
    let whole = entries.filter { entry in
        entry.range.upperBound <= bytes.count && bytes[entry.range] == written[entry.range]
    }
    let found = scan.frames.map { ($0.position, format.entry(in: bytes, $0.range)) }
    require(found.count == whole.count, "another number of entries")
    for (entry, found) in zip(whole, found) {
        require(entry.position == found.0 && entry.bytes == found.1, "another entry")
    }
}
