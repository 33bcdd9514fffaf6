/// Whether a value is `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
///
/// The host must not be empty, the port must be below 65536, and a literal in brackets must be an
/// IPv6 address without a zone.
func isHost(_ value: Span<UInt8>) -> Bool {
    let hostEnd: Int
    if value.count > 0, value[0] == UInt8(ascii: "[") {
        var bracket = 1
        while bracket < value.count, value[bracket] != UInt8(ascii: "]") { bracket += 1 }
        guard bracket < value.count, isIPv6Address(value.extracting(1..<bracket)) else {
            return false
        }
        hostEnd = bracket + 1
    } else {
        hostEnd = registeredNameEnd(value)
        guard hostEnd > 0 else { return false }
    }
    guard hostEnd < value.count else { return true }
    guard value[hostEnd] == UInt8(ascii: ":") else { return false }
    return isPort(value.extracting((hostEnd + 1)..<value.count))
}

/// Whether these are at most five digits that make a port; there may be none.
private func isPort(_ digits: Span<UInt8>) -> Bool {
    if digits.isEmpty { return true }
    guard digits.count <= 5, let port = UInt64(digits: digits) else { return false }
    return port < 65536
}

/// Where the registered name at the start of `value` ends.
private func registeredNameEnd(_ value: Span<UInt8>) -> Int {
    var index = 0
    while index < value.count {
        switch value[index] {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A,
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"),
            UInt8(ascii: "!"), UInt8(ascii: "$"), 0x26...0x2C, UInt8(ascii: ";"),
            UInt8(ascii: "="):
            index += 1
        case UInt8(ascii: "%"):
            guard index + 2 < value.count, hexadecimalValue(value[index + 1]) != nil,
                hexadecimalValue(value[index + 2]) != nil
            else { return index }
            index += 3
        default: return index
        }
    }
    return index
}

/// Whether these are eight groups of an IPv6 address, or fewer around one `::`; the last two may
/// be an IPv4 address.
private func isIPv6Address(_ text: Span<UInt8>) -> Bool {
    var groups = 0
    var isElided = false
    var index = 0
    if text.count >= 2, text[0] == UInt8(ascii: ":"), text[1] == UInt8(ascii: ":") {
        isElided = true
        index = 2
    }
    while index < text.count {
        let start = index
        while index < text.count, index - start < 4, hexadecimalValue(text[index]) != nil {
            index += 1
        }
        if index < text.count, text[index] == UInt8(ascii: ".") {
            guard isIPv4Address(text.extracting(start..<text.count)) else { return false }
            groups += 2
            break
        }
        guard index > start else { return false }
        groups += 1
        if index == text.count { break }
        guard text[index] == UInt8(ascii: ":"), index + 1 < text.count else { return false }
        index += 1
        if text[index] == UInt8(ascii: ":") {
            guard !isElided else { return false }
            isElided = true
            index += 1
        }
    }
    return isElided ? groups < 8 : groups == 8
}

private func isIPv4Address(_ text: Span<UInt8>) -> Bool {
    var parts = 0
    var index = 0
    while true {
        let start = index
        while index < text.count, text[index] != UInt8(ascii: ".") { index += 1 }
        guard index - start <= 3, let part = UInt64(digits: text.extracting(start..<index)),
            part < 256
        else { return false }
        parts += 1
        if index == text.count { return parts == 4 }
        index += 1
    }
}

/// The value of a hexadecimal digit.
@inline(__always)
func hexadecimalValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte &- 0x30
    case 0x41...0x46: byte &- 0x37
    case 0x61...0x66: byte &- 0x57
    default: nil
    }
}
