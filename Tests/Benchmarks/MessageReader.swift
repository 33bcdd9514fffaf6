/// Cuts a stream of HTTP/1.1 messages that are delimited by `Content-Length`, which is all that the
/// programs measured here send.
///
/// The usual case, a whole message in one read, copies nothing.
struct MessageReader {
    /// A whole message: its head, and how long its body was.
    struct Message {
        let head: UnsafeRawBufferPointer
        let bodyLength: Int
    }

    /// What came of a message's head in earlier reads.
    private var partialHead: [UInt8] = []
    private var bodyLength = 0
    private var bodyLeft: Int?

    /// Whether the stream may end here.
    var isBetweenMessages: Bool { partialHead.isEmpty && bodyLeft == nil }

    /// Takes what was read and hands on each message that it completes.
    ///
    /// - Returns: Whether the bytes make sense so far.
    mutating func take(
        _ input: UnsafeRawBufferPointer, _ complete: (Message) -> Void
    ) -> Bool {
        var rest = input
        while !rest.isEmpty || bodyLeft == 0 {
            if let left = bodyLeft {
                let count = min(left, rest.count)
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
                bodyLeft = left - count
                if left > count { return true }
                partialHead.withUnsafeBytes { complete(Message(head: $0, bodyLength: bodyLength)) }
                partialHead.removeAll(keepingCapacity: true)
                bodyLeft = nil
            } else if partialHead.isEmpty, let end = endOfHead(rest) {
                let head = UnsafeRawBufferPointer(rebasing: rest[..<end])
                guard let length = contentLength(head) else { return false }
                if end + length > rest.count {
                    begin(head, length)
                    rest = UnsafeRawBufferPointer(rebasing: rest[end...])
                    continue
                }
                complete(Message(head: head, bodyLength: length))
                rest = UnsafeRawBufferPointer(rebasing: rest[(end + length)...])
            } else {
                guard let used = takePartialHead(rest) else { return false }
                rest = UnsafeRawBufferPointer(rebasing: rest[used...])
            }
        }
        return true
    }

    private mutating func begin(_ head: UnsafeRawBufferPointer, _ length: Int) {
        partialHead = Array(head)
        bodyLength = length
        bodyLeft = length
    }

    /// Adds to a head in pieces; the number of bytes used, nil if it is no head.
    private mutating func takePartialHead(_ input: UnsafeRawBufferPointer) -> Int? {
        let had = partialHead.count
        partialHead += input
        let end = partialHead.withUnsafeBytes(endOfHead)
        guard let end else { return partialHead.count < 1 << 16 ? input.count : nil }
        partialHead.removeLast(partialHead.count - end)
        guard let length = partialHead.withUnsafeBytes(contentLength) else { return nil }
        bodyLength = length
        bodyLeft = length
        return end - had
    }
}

/// The offset behind the empty line.
private func endOfHead(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var offset = 3
    while offset < bytes.count {
        switch bytes[offset] {
        case 0x0A:
            if bytes[offset - 1] == 0x0D, bytes[offset - 2] == 0x0A { return offset + 1 }
            offset += 2
        case 0x0D: offset += 1
        default: offset += 4
        }
    }
    return nil
}

/// The length of the body: 0 where a message has none, nil where it is not by `Content-Length`.
private func contentLength(_ head: UnsafeRawBufferPointer) -> Int? {
    if fieldValue("transfer-encoding:", in: head) != nil { return nil }
    guard let value = fieldValue("content-length:", in: head) else { return 0 }
    var length = 0
    for byte in value where byte &- 0x30 < 10 { length = length * 10 + Int(byte & 15) }
    return length
}

/// The value of a field, whose name is given in lower case and with its colon.
func fieldValue(_ name: StaticString, in head: UnsafeRawBufferPointer) -> Slice<
    UnsafeRawBufferPointer
>? {
    let count = name.utf8CodeUnitCount
    var offset = 0
    while offset < head.count {
        let lineStart = offset
        while offset < head.count, head[offset] != 0x0A { offset += 1 }
        if offset - lineStart > count, isPrefix(name, head, lineStart) {
            var (start, end) = (lineStart + count, offset)
            while start < end, head[start] == 0x20 { start += 1 }
            while end > start, head[end - 1] == 0x0D || head[end - 1] == 0x20 { end -= 1 }
            return head[start..<end]
        }
        offset += 1
    }
    return nil
}

private func isPrefix(_ name: StaticString, _ head: UnsafeRawBufferPointer, _ start: Int) -> Bool {
    for index in 0..<name.utf8CodeUnitCount {
        var byte = head[start + index]
        if byte &- 0x41 < 26 { byte |= 0x20 }
        if byte != name.utf8Start[index] { return false }
    }
    return true
}
