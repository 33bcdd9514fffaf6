import HTTP

/// The syntax of an element of `Forwarded` (RFC 7239 section 4).
enum ForwardedElement {
    /// Reads an element: pairs of a token and a value with `;` between them, none twice.
    ///
    /// - Returns: nil for a malformed one, also one whose `for` is no node.
    static func hop(_ element: ArraySlice<UInt8>) -> ForwardedChain.Hop? {
        var values: [(name: [UInt8], value: ArraySlice<UInt8>)] = []
        var rest = element
        while true {
            if rest.first != semicolon, !rest.isEmpty {
                guard let (name, value) = pair(&rest), !values.contains(where: { $0.name == name })
                else { return nil }
                values.append((name, value))
            }
            guard let next = rest.popFirst() else { break }
            guard next == semicolon else { return nil }
        }
        func value(_ name: String) -> ArraySlice<UInt8>? {
            values.first { $0.name.elementsEqual(name.utf8) }?.value
        }
        var address: IPAddress?
        let node = value("for")
        if let node {
            guard let read = Self.address(node) else { return nil }
            address = read
        }
        return ForwardedChain.Hop(
            address: address, node: node ?? [], text: element, scheme: value("proto"),
            host: value("host"))
    }

    /// Whether a node is `unknown` or an obfuscated name (section 6.3).
    static func isHidden(_ node: ArraySlice<UInt8>) -> Bool {
        equalsIgnoringCase(node, unknown[...]) || isObfuscated(node)
    }

    /// A node's address (section 6): nil within for one that is hidden, nil for what is no node.
    private static func address(_ node: ArraySlice<UInt8>) -> IPAddress?? {
        if let endpoint = Endpoint(node) {
            // An IPv6 address has its brackets.
            guard endpoint.address.isV4 || node.first == UInt8(ascii: "[") else { return nil }
            return .some(endpoint.address)
        }
        if isHidden(node) { return .some(nil) }
        guard let colon = node.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let (name, port) = (node[..<colon], node[(colon + 1)...])
        guard isObfuscated(port) || isPort(port) else { return nil }
        if isHidden(name) { return .some(nil) }
        guard let endpoint = Endpoint(name), endpoint.port == nil,
            endpoint.address.isV4 || name.first == UInt8(ascii: "[")
        else { return nil }
        return .some(endpoint.address)
    }

    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        (1...5).contains(text.count) && text.allSatisfy { $0 &- 0x30 < 10 }
    }

    private static func isObfuscated(_ text: ArraySlice<UInt8>) -> Bool {
        text.count > 1 && text.first == UInt8(ascii: "_")
            && text.dropFirst().allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F: true
                default: false
                }
            }
    }

    /// Takes `name=value`, its quotes and backslashes taken away; the name in lower case.
    private static func pair(
        _ rest: inout ArraySlice<UInt8>
    ) -> (name: [UInt8], value: ArraySlice<UInt8>)? {
        let name = rest.prefix { isTokenByte($0) }
        rest = rest.dropFirst(name.count)
        guard !name.isEmpty, rest.popFirst() == UInt8(ascii: "=") else { return nil }
        let lowercased = name.map(asciiLowercased)
        guard rest.first == UInt8(ascii: "\"") else {
            let value = rest.prefix { isTokenByte($0) }
            rest = rest.dropFirst(value.count)
            return value.isEmpty ? nil : (lowercased, value)
        }
        rest = rest.dropFirst()
        var value: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return (lowercased, value[...])
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return nil }
                value.append(escaped)
            default: value.append(byte)
            }
        }
        return nil
    }

    /// Appends `name=value`, quoted where the value is no token.
    static func append(_ name: String, _ value: ArraySlice<UInt8>, to line: inout [UInt8]) {
        line += name.utf8
        line.append(UInt8(ascii: "="))
        if !value.isEmpty, value.allSatisfy(isTokenByte) {
            line += value
            return
        }
        line.append(UInt8(ascii: "\""))
        for byte in value {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                line.append(UInt8(ascii: "\\"))
            }
            line.append(byte)
        }
        line.append(UInt8(ascii: "\""))
    }

    /// A node as `for` has it: an IPv6 address in brackets.
    static func node(_ address: IPAddress) -> [UInt8] {
        Array((address.isV4 ? "\(address)" : "[\(address)]").utf8)
    }

    static let unknown = Array("unknown".utf8)
    private static let semicolon = UInt8(ascii: ";")
}
