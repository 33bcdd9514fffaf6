package import HTTP

/// How many seconds the client wants to wait at most: `Prefer: wait=N` (RFC 7240 section 4.3); nil
/// when it does not say. The first `wait` counts, and one that makes no sense counts as none.
package func waitPreference(_ fields: borrowing Fields) -> Int? {
    var index = fields.firstIndex(of: .prefer)
    while let found = index {
        var wait: Int??
        forEachMember(of: fields.value(at: found)) { preference in
            if wait == nil { wait = waitValue(preference) }
        }
        if let wait { return wait }
        index = fields.firstIndex(of: .prefer, from: found + 1)
    }
    return nil
}

/// Nil if the preference is another one, `.some(nil)` if its value is no number of seconds.
private func waitValue(_ preference: ArraySlice<UInt8>) -> Int?? {
    let item = trimmed(preference.prefix { $0 != UInt8(ascii: ";") })
    let name = trimmed(item.prefix { $0 != UInt8(ascii: "=") })
    guard equalsIgnoringCase(name, Array("wait".utf8)[...]) else { return nil }
    var digits = trimmed(item.drop { $0 != UInt8(ascii: "=") }.dropFirst())
    if digits.count >= 2, digits.first == UInt8(ascii: "\""), digits.last == UInt8(ascii: "\"") {
        digits = digits.dropFirst().dropLast()
    }
    guard !digits.isEmpty, digits.count <= 9 else { return .some(nil) }
    var seconds = 0
    for digit in digits {
        guard digit &- 0x30 < 10 else { return .some(nil) }
        seconds = seconds * 10 + Int(digit - 0x30)
    }
    return .some(seconds)
}
