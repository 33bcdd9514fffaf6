import HTTP

/// Where a listener listens: `host:port`, `[v6]:port` or `unix:PATH`.
enum Address: Sendable, Hashable {
    /// A host name or an address without brackets. Port 0 lets the kernel pick.
    case tcp(host: String, port: UInt16)
    case unix(path: String)

    /// The address that a text names.
    init(_ text: String) throws(Invalid) {
        if text.hasPrefix("unix:") {
            self = .unix(path: try socketPath(String(text.dropFirst(5))))
            return
        }
        guard let (host, port) = splitPort(text), let port, let host = unbracketed(host) else {
            throw Invalid(
                "expected \"host:port\", \"[v6]:port\" or \"unix:PATH\", such as \"127.0.0.1:8080\""
            )
        }
        self = .tcp(host: host, port: port)
    }

    /// The address as it is configured.
    var text: String {
        switch self {
        case .tcp(let host, let port): "\(bracketed(host)):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// Whether only this machine can reach it.
    var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp("localhost", _): true
        case .tcp(let host, _):
            if let address = IPAddress(host) {
                address.isV4 ? address.bytes[0] == 127 : address == IPAddress("::1")
            } else {
                false
            }
        }
    }
}

/// A Unix socket's path, which the kernel holds to 107 bytes.
private func socketPath(_ path: String) throws(Invalid) -> String {
    guard !path.isEmpty, path.utf8.count <= 107, !path.utf8.contains(0) else {
        throw Invalid("expected a path of 1 to 107 bytes after \"unix:\"")
    }
    return path
}

/// Splits off `:port`. A bracketed or a plain host, and the port, if there is one; nil when the
/// port is none, or the host has a colon outside brackets.
private func splitPort(_ text: String) -> (host: String, port: UInt16?)? {
    let afterHost = text.hasPrefix("[") ? text.firstIndex(of: "]") : text.startIndex
    guard let afterHost else { return nil }
    guard let colon = text[afterHost...].firstIndex(of: ":") else { return (text, nil) }
    let digits = text[text.index(after: colon)...]
    guard digits.utf8.allSatisfy({ $0 &- 0x30 < 10 }), let port = UInt16(digits) else {
        return nil
    }
    return (String(text[..<colon]), port)
}

/// A host without its brackets; nil when it is neither a name nor an address.
private func unbracketed(_ host: String) -> String? {
    if host.hasPrefix("[") {
        let inner = String(host.dropFirst().dropLast())
        guard host.hasSuffix("]"), IPAddress(inner)?.isV4 == false else { return nil }
        return inner
    }
    let isNumeric = host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || $0 &- 0x30 < 10 }
    if isNumeric { return IPAddress(host) == nil ? nil : host }
    return isHostName(host) ? host : nil
}

private func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

/// Whether a text is a host name: labels of letters, digits, `-` and `_`.
private func isHostName(_ text: String) -> Bool {
    text.utf8.count <= 253
        && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy { byte in
                    byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
                        || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
                }
        }
}

/// Whom `trusted_proxies` names: `10.0.0.0/8`, `fd00::/8`, one address, or `unix` for all peers on
/// Unix sockets.
enum TrustedProxy: Sendable, Hashable {
    case unix
    case block(AddressBlock, text: String)

    /// The peers that a text names.
    init(_ text: String) throws(Invalid) {
        guard text != "unix" else {
            self = .unix
            return
        }
        let expected =
            "expected an address, a block such as \"10.0.0.0/8\" or \"fd00::/8\", or \"unix\""
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(String(parts[0])) else {
            throw Invalid(expected)
        }
        guard address.unmapped == address else {
            throw Invalid("expected the address as IPv4, \"\(address.unmapped)\"")
        }
        let width = address.isV4 ? 32 : 128
        var length = width
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ $0 &- 0x30 < 10 }), let written = Int(parts[1]),
                written <= width
            else { throw Invalid("expected a prefix length from 0 to \(width) after \"/\"") }
            length = written
        }
        let bytes = address.bytes
        guard (length..<width).allSatisfy({ bytes[$0 / 8] & 0x80 >> UInt8($0 % 8) == 0 }) else {
            throw Invalid("expected no bits set after the first \(length)")
        }
        self = .block(AddressBlock(address, prefixLength: length), text: text)
    }

    /// The peers as they are configured.
    var text: String {
        switch self {
        case .unix: "unix"
        case .block(_, let text): text
        }
    }
}

/// A Unix socket's permissions: `"0660"`.
struct FileMode: Sendable, Hashable {
    let bits: UInt32

    /// The permissions that a text names: three octal digits, or four that begin with 0.
    init(_ text: String) throws(Invalid) {
        let digits = text.utf8.count == 4 && text.hasPrefix("0") ? text.dropFirst() : text[...]
        guard digits.utf8.count == 3, digits.utf8.allSatisfy({ $0 &- 0x30 < 8 }),
            let bits = UInt32(digits, radix: 8)
        else { throw Invalid("expected permissions such as \"0660\"") }
        self.bits = bits
    }

    /// The permissions as four octal digits.
    var text: String {
        let digits = String(bits, radix: 8)
        return String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }
}

/// Where an upstream is: `http://host:port`, `https://host`, or `unix:PATH` for HTTP over a socket.
enum UpstreamURL: Sendable, Hashable {
    /// A host without brackets; the scheme's own port is filled in.
    case tcp(isSecure: Bool, host: String, port: UInt16)
    case unix(path: String)

    /// The upstream that a text names.
    init(_ text: String) throws(Invalid) {
        let expected =
            "expected \"http://host:port\", \"https://host:port\" or \"unix:PATH\""
        if text.hasPrefix("unix:") {
            self = .unix(path: try socketPath(String(text.dropFirst(5))))
            return
        }
        guard let mark = text.firstRange(of: "://") else { throw Invalid(expected) }
        let isSecure: Bool
        switch text[..<mark.lowerBound].lowercased() {
        case "http": isSecure = false
        case "https": isSecure = true
        default: throw Invalid(expected)
        }
        var authority = String(text[mark.upperBound...])
        if authority.hasSuffix("/") { authority.removeLast() }
        guard !authority.contains(where: { "/?#".contains($0) }) else {
            throw Invalid(
                "\(expected), without a path",
                hint: "; a route's \"rewrite\" changes paths")
        }
        guard !authority.contains("@") else { throw Invalid("\(expected), without a user") }
        guard let (host, port) = splitPort(authority), let host = unbracketed(host), port != 0
        else { throw Invalid(expected) }
        self = .tcp(isSecure: isSecure, host: host, port: port ?? (isSecure ? 443 : 80))
    }

    /// Whether the connection is TLS.
    var isSecure: Bool {
        if case .tcp(true, _, _) = self { true } else { false }
    }

    /// What `Host` says of this upstream: the port only where it is not the scheme's own.
    var authority: String {
        switch self {
        case .unix: "localhost"
        case .tcp(false, let host, 80), .tcp(true, let host, 443): bracketed(host)
        case .tcp(_, let host, let port): "\(bracketed(host)):\(port)"
        }
    }

    /// The URL as it is configured, its port filled in.
    var text: String {
        switch self {
        case .tcp(let isSecure, let host, let port):
            "\(isSecure ? "https" : "http")://\(bracketed(host)):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }
}
