import HTTP

/// Which fields of one message belong to its connection alone (RFC 9110 section 7.6.1), and so are
/// not forwarded.
struct HopByHop {
    /// What `Connection` nominates beside the usual options; mostly nothing.
    private var nominated: [ArraySlice<UInt8>] = []

    /// The rules of a message with these fields.
    init(_ fields: borrowing Fields) {
        var index = fields.firstIndex(of: .connection)
        while let found = index {
            nominate(fields.value(at: found))
            index = fields.firstIndex(of: .connection, from: found + 1)
        }
    }

    /// Whether the line stays behind.
    func drops(_ index: Int, of fields: borrowing Fields) -> Bool {
        let id = fields.id(at: index)
        return Self.isAlwaysDropped(id) || !nominated.isEmpty && id != .host && names(index, fields)
    }

    /// The fields that belong to a connection whatever `Connection` says, and those of framing,
    /// which each side makes anew.
    private static func isAlwaysDropped(_ id: FieldName.ID) -> Bool {
        switch id {
        case .connection, .keepAlive, .proxyConnection, .te, .trailer, .transferEncoding, .upgrade,
            .proxyAuthenticate, .proxyAuthorization, .proxyAuthenticationInfo, .contentLength:
            true
        default: false
        }
    }

    private func names(_ index: Int, _ fields: borrowing Fields) -> Bool {
        let name = fields.name(at: index)
        return nominated.contains { equalsIgnoringCase($0, name) }
    }

    /// Whether some line of `Connection` has the option, given in lower case.
    static func hasOption(_ option: StaticString, _ fields: borrowing Fields) -> Bool {
        var isThere = false
        var index = fields.firstIndex(of: .connection)
        while let found = index {
            forEachMember(of: fields.value(at: found)) { member in
                if equalsIgnoringCase(member, option) { isThere = true }
            }
            index = fields.firstIndex(of: .connection, from: found + 1)
        }
        return isThere
    }

    private mutating func nominate(_ list: ArraySlice<UInt8>) {
        forEachMember(of: list) { option in
            for usual in Self.usualOptions where equalsIgnoringCase(option, usual) { return }
            nominated.append(option)
        }
    }

    private static let usualOptions = ["close", "keep-alive", "te", "upgrade"].map {
        Array($0.utf8)[...]
    }
}

/// Calls `body` with every member of a comma-separated list that has no quoted strings (RFC 9110
/// section 5.6.1), without the whitespace around it. Empty members are skipped.
func forEachMember(of list: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>) -> Void) {
    var start = list.startIndex
    while start < list.endIndex {
        let end = list[start...].firstIndex(of: UInt8(ascii: ",")) ?? list.endIndex
        let member = trimmed(list[start..<end])
        if !member.isEmpty { body(member) }
        start = end + 1
    }
}

/// Bytes without the spaces and tabs around them.
func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var bytes = bytes
    while let first = bytes.first, isWhitespace(first) { bytes.removeFirst() }
    while let last = bytes.last, isWhitespace(last) { bytes.removeLast() }
    return bytes
}

/// Whether two texts are equal when ASCII case does not count.
func equalsIgnoringCase(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Bool {
    guard a.count == b.count else { return false }
    var offset = b.startIndex
    for byte in a {
        guard asciiLowercased(byte) == asciiLowercased(b[offset]) else { return false }
        offset += 1
    }
    return true
}

/// Whether a text is one in lower-case ASCII when case does not count.
func equalsIgnoringCase(_ a: ArraySlice<UInt8>, _ b: StaticString) -> Bool {
    guard a.count == b.utf8CodeUnitCount else { return false }
    return unsafe a.elementsEqual(
        UnsafeBufferPointer(start: b.utf8Start, count: b.utf8CodeUnitCount)
    ) { asciiLowercased($0) == $1 }
}

func isWhitespace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
