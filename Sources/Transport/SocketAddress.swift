import Glibc

/// Where to listen: a TCP address in numbers, or the path of a Unix socket.
package enum SocketAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 address as text, without brackets, and a port; 0 lets the kernel pick one.
    case ip(host: String, port: UInt16)
    case unix(path: String)

    /// As it is written in `gateway.json`: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/o.sock`.
    package var description: String {
        switch self {
        case .ip(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): "unix:\(path)"
        }
    }

    /// The socket's own address, as the kernel has it.
    static func local(of descriptor: Int32) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &length)
            }
        }
        return status == 0 ? SocketAddress(storage) : nil
    }

    /// The address in `storage`; a peer on a Unix socket has no path.
    init?(_ storage: sockaddr_storage) {
        var storage = storage
        switch Int32(storage.ss_family) {
        case AF_INET:
            self = unsafe withUnsafePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                    var binary = unsafe address.pointee.sin_addr
                    return .ip(
                        host: unsafe Self.text(AF_INET, &binary),
                        port: UInt16(bigEndian: unsafe address.pointee.sin_port))
                }
            }
        case AF_INET6:
            self = unsafe withUnsafePointer(to: &storage) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                    var binary = unsafe address.pointee.sin6_addr
                    return .ip(
                        host: unsafe Self.text(AF_INET6, &binary),
                        port: UInt16(bigEndian: unsafe address.pointee.sin6_port))
                }
            }
        case AF_UNIX: self = .unix(path: "")
        default: return nil
        }
    }

    private static func text(_ family: Int32, _ binary: UnsafeRawPointer) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) {
            guard let start = $0.baseAddress,
                let text = unsafe inet_ntop(family, binary, start, socklen_t(INET6_ADDRSTRLEN))
            else { return "" }
            return unsafe String(cString: text)
        }
    }

    /// A blocking stream socket that is connected to it, the caller's to close; -1 with `errno`
    /// set if nobody takes the connection.
    package func connected() -> Int32 {
        let connected = unsafe withBinary { family, binary, length in
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = socket(family, kind, 0)
            guard descriptor >= 0, unsafe connect(descriptor, binary, length) != 0 else {
                return descriptor
            }
            let cause = errno
            close(descriptor)
            errno = cause
            return -1
        }
        if connected == nil { errno = EINVAL }
        return connected ?? -1
    }

    /// Calls `body` with the binary form.
    /// - Returns: nil for a host that is no address, or a path too long for the kernel.
    func withBinary<Result>(
        _ body: (_ family: Int32, UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result? {
        switch self {
        case .ip(let host, let port):
            var v4 = sockaddr_in()
            if unsafe inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
                v4.sin_family = sa_family_t(AF_INET)
                v4.sin_port = port.bigEndian
                return unsafe Self.pass(&v4, AF_INET, MemoryLayout<sockaddr_in>.size, body)
            }
            var v6 = sockaddr_in6()
            guard unsafe inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 else { return nil }
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = port.bigEndian
            return unsafe Self.pass(&v6, AF_INET6, MemoryLayout<sockaddr_in6>.size, body)
        case .unix(let path):
            var address = sockaddr_un()
            let capacity = MemoryLayout.size(ofValue: address.sun_path)
            guard !path.isEmpty, path.utf8.count < capacity else { return nil }
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) {
                unsafe $0.copyBytes(from: path.utf8)
            }
            return unsafe Self.pass(&address, AF_UNIX, MemoryLayout<sockaddr_un>.size, body)
        }
    }

    private static func pass<Address, Result>(
        _ address: inout Address, _ family: Int32, _ size: Int,
        _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body(family, $0, socklen_t(size))
            }
        }
    }
}
