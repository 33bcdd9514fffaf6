import Glibc
import Synchronization

/// A failure of the demo itself, in words for its user.
struct DemoError: Error {
    let description: String
    init(_ description: String) { self.description = description }
}

/// Held while a descriptor is made that cannot be born close-on-exec, and while a child is started.
let demoDescriptors = Mutex(())

/// A blocking TCP socket on the loopback interface, which one thread uses.
final class DemoSocket {
    private let descriptor: Int32
    /// Bytes received and not read yet.
    private var buffer: [UInt8] = []

    /// Takes a descriptor over: it sends at once, and gives a silent peer up after a minute.
    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var isOn: Int32 = 1
        unsafe setsockopt(
            descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn,
            socklen_t(MemoryLayout<Int32>.size))
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience,
            socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Connects; nil when nobody listens.
    convenience init?(to port: UInt16) {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        guard descriptor >= 0 else { return nil }
        self.init(descriptor)
        let status = unsafe Self.withAddress(port: port) { unsafe connect(descriptor, $0, $1) }
        guard status == 0 else { return nil }
    }

    /// A descriptor that listens on a free port.
    static func listening() throws(DemoError) -> (descriptor: Int32, port: UInt16) {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_INET, kind, 0)
        var bound = sockaddr_in()
        let status = unsafe withAddress(port: 0) { address, length in
            guard unsafe bind(descriptor, address, length) == 0, listen(descriptor, 1024) == 0
            else { return -1 }
            var length = length
            return unsafe withUnsafeMutablePointer(to: &bound) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe getsockname(descriptor, $0, &length)
                }
            }
        }
        guard status == 0 else { throw DemoError("no free port on 127.0.0.1: error \(errno)") }
        return (descriptor, UInt16(bigEndian: bound.sin_port))
    }

    /// The next connection's descriptor; nil when the listener is of no more use.
    static func accept(from listener: Int32) -> Int32? {
        while true {
            var entry = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
            unsafe poll(&entry, 1, -1)
            let connection = demoDescriptors.withLock { _ in
                let connection = Glibc.accept(listener, nil, nil)
                if connection >= 0 { _ = fcntl(connection, F_SETFD, FD_CLOEXEC) }
                return connection
            }
            if connection >= 0 { return connection }
            guard errno == EINTR || errno == ECONNABORTED else { return nil }
        }
    }

    /// Sends all bytes; false when the peer is gone.
    func send(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    /// Receives a message: a head, and as many bytes as its `Content-Length` says. It takes no
    /// other framing; nil also when the peer closed, stalled, or sent something else.
    func receive() -> DemoMessage? {
        var message: DemoMessage
        while true {
            if let end = DemoMessage.endOfHead(buffer) {
                guard let head = DemoMessage(head: buffer[..<end]) else { return nil }
                message = head
                buffer.removeFirst(end)
                break
            }
            guard buffer.count < 65536, fill() else { return nil }
        }
        while buffer.count < message.length {
            guard fill() else { return nil }
        }
        message.body = Array(buffer[..<message.length])
        buffer.removeFirst(message.length)
        return message
    }

    private func fill() -> Bool {
        var count = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 16384) { space, length in
            repeat {
                count = unsafe recv(descriptor, space.baseAddress, space.count, 0)
            } while count < 0 && errno == EINTR
            length = max(0, count)
        }
        buffer += bytes
        return count > 0
    }

    private static func withAddress(
        port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
