private import CTransport
private import Glibc

/// Why a socket that the process was started with cannot be listened on.
package struct InheritedSocketError: Error, Sendable, CustomStringConvertible {
    /// For people; begins with the descriptor, and its name where it has one.
    package let description: String
}

/// A listening socket that the process was started with: socket activation, `sd_listen_fds(3)`.
///
/// Whoever started the process holds it too, so that connections queue in it while no process, or
/// the next one, is there to accept them.
package struct InheritedSocket: Sendable, CustomStringConvertible {
    /// What the socket is bound to; a socket of the abstract namespace has a path with `@` before
    /// its name.
    package let address: SocketAddress
    let descriptor: Int32
    private let name: String?

    /// As it is told to people: `descriptor 3 ("http", 127.0.0.1:8080)`.
    package var description: String {
        "descriptor \(descriptor) (" + (name.map { "\"\($0)\", " } ?? "") + "\(address))"
    }

    /// Takes a descriptor, which from now on is not passed on to other programs and does not block.
    ///
    /// - Parameter name: What whoever started the process calls it.
    /// - Throws: When it is not a stream socket that listens at an address.
    package init(_ descriptor: Int32, name: String?) throws(InheritedSocketError) {
        let title = "descriptor \(descriptor)" + (name.map { " (\"\($0)\")" } ?? "")
        func option(_ number: Int32) -> Int32? {
            var value: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            let status = unsafe getsockopt(descriptor, SOL_SOCKET, number, &value, &size)
            return status == 0 ? value : nil
        }
        guard let kind = option(SO_TYPE) else {
            throw InheritedSocketError(description: "\(title) is no open socket")
        }
        guard kind == Int32(SOCK_STREAM.rawValue) else {
            throw InheritedSocketError(
                description: "\(title) is no stream socket; use ListenStream=")
        }
        guard option(SO_ACCEPTCONN) == 1 else {
            throw InheritedSocketError(
                description: "\(title) does not listen; use Accept=no")
        }
        guard let address = SocketAddress.bound(descriptor) else {
            throw InheritedSocketError(
                description: "\(title) listens at neither an IP address nor a Unix path")
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
        if case .ip = address {
            var on: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            _ = unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
        }
        self.descriptor = descriptor
        self.address = address
        self.name = name
    }
}

extension SocketAddress {
    /// The same address as the kernel writes it, so that two spellings are equal.
    package var canonical: SocketAddress {
        let known = unsafe withBinary { family, binary, length -> SocketAddress? in
            guard family != AF_UNIX else { return nil }
            var storage = sockaddr_storage()
            unsafe withUnsafeMutableBytes(of: &storage) {
                unsafe $0.copyMemory(
                    from: UnsafeRawBufferPointer(start: binary, count: Int(length)))
            }
            return SocketAddress(storage)
        }
        return (known ?? nil) ?? self
    }

    /// What a socket is bound to, the path of a Unix socket included; nil for other families.
    fileprivate static func bound(_ descriptor: Int32) -> SocketAddress? {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        guard status == 0 else { return nil }
        guard Int32(address.sun_family) == AF_UNIX else { return local(of: descriptor) }
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        let bytes = unsafe withUnsafeBytes(of: &address) { raw in
            unsafe raw[start..<min(max(Int(length), start), raw.count)].map { $0 }
        }
        guard bytes.first == 0 else {
            return .unix(path: String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self))
        }
        return .unix(path: "@" + String(decoding: bytes.dropFirst(), as: UTF8.self))
    }
}
