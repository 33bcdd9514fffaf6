import HTTP

/// Which hosts a route answers for: `api.example.com`, or `*.example.com` for all names below.
package struct HostPattern: Sendable {
    /// The pattern as it was written.
    package let text: String
    /// The name, or what follows `*`, in lower case.
    private let name: [UInt8]
    private let isSuffix: Bool

    /// Compiles a pattern.
    ///
    /// - Throws: ``PatternError``, whose reason says what would be right.
    package init(_ text: String) throws(PatternError) {
        var name = text.utf8.map(asciiLowercased)
        let isSuffix = name.starts(with: Array("*.".utf8))
        if isSuffix { name.removeFirst() }
        guard !name.isEmpty, name != [UInt8(ascii: ".")] else {
            throw PatternError(reason: "a host is a name such as \"api.example.com\"")
        }
        guard !name.contains(UInt8(ascii: "*")) else {
            throw PatternError(reason: "\"*\" stands at the front, as in \"*.example.com\"")
        }
        guard !name.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "/") }),
            hostWithoutPort(name[...]).count == name.count
        else {
            throw PatternError(reason: "a host has no scheme, port or path")
        }
        self.text = text
        self.name = name
        self.isSuffix = isSuffix
    }

    /// Whether a host, without its port, matches in any case.
    func matches(_ host: ArraySlice<UInt8>) -> Bool {
        guard isSuffix ? host.count > name.count : host.count == name.count else { return false }
        return host.suffix(name.count).elementsEqual(name) { asciiLowercased($0) == $1 }
    }
}

/// A Host field's value without `:port`; an IPv6 address keeps its brackets.
func hostWithoutPort(_ host: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    guard let colon = host.lastIndex(of: UInt8(ascii: ":")),
        host[(colon + 1)...].allSatisfy({ $0 &- 0x30 < 10 })
    else { return host }
    return host[..<colon]
}
