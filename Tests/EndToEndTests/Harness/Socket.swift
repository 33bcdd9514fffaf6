import Glibc
import Synchronization

/// A socket on this machine whose every operation has a deadline.
final class Socket: Sendable {
    /// The peer reset the connection, or it was shut from another thread.
    struct Reset: Error {}

    /// The descriptor, -1 once closed.
    private let descriptor: Mutex<Int32>

    private init(_ descriptor: Int32) {
        self.descriptor = Mutex(descriptor)
    }

    deinit { close() }

    /// Where a socket is.
    enum Place: Sendable {
        /// A port of 127.0.0.1, and of ::1; 0 for one that the kernel picks.
        case v4(UInt16)
        case v6(UInt16)
        case unix(String)
    }

    /// Listens.
    static func listening(
        at place: Place = .v4(0), backlog: Int32 = 1024
    ) throws -> (socket: Socket, port: UInt16) {
        let result = try make(place)
        let descriptor = result.current
        set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        var port: UInt16 = 0
        let status = withAddress(of: place) { address, length -> Int32 in
            var length = length
            guard bind(descriptor, address, length) == 0, listen(descriptor, backlog) == 0,
                getsockname(descriptor, address, &length) == 0
            else { return -1 }
            // Both kinds of IP address have it in the same place; that of a path is aligned less.
            let field = UnsafeRawPointer(address).loadUnaligned(fromByteOffset: 2, as: UInt16.self)
            port = UInt16(bigEndian: field)
            return 0
        }
        guard status == 0 else { throw HarnessError("listen: \(errno)") }
        return (result, port)
    }

    /// Keeps a port of 127.0.0.1 from everybody whom the kernel lets pick one, while a gateway that
    /// ended is started again on it. Nothing connects to it.
    static func reserving(_ port: UInt16) throws -> Socket {
        let place = Place.v4(port)
        let result = try make(place)
        set(result.current, SOL_SOCKET, SO_REUSEADDR, 1)
        set(result.current, SOL_SOCKET, SO_REUSEPORT, 1)
        guard withAddress(of: place, { bind(result.current, $0, $1) }) == 0 else {
            throw HarnessError("bind: \(errno)")
        }
        return result
    }

    /// Connects; throws ``Reset`` when it is refused.
    ///
    /// - Parameter receiveBuffer: The size of the kernel's receive buffer, for stuck readers.
    static func connected(to place: Place, receiveBuffer: Int32? = nil) throws -> Socket {
        let result = try make(place)
        let descriptor = result.current
        if case .unix = place {} else { set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        if let receiveBuffer { set(descriptor, SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        guard withAddress(of: place, { connect(descriptor, $0, $1) }) == 0 else { throw Reset() }
        return result
    }

    /// Connects to a port of 127.0.0.1.
    static func connected(to port: UInt16, receiveBuffer: Int32? = nil) throws -> Socket {
        try connected(to: .v4(port), receiveBuffer: receiveBuffer)
    }

    private static func make(_ place: Place) throws -> Socket {
        let family =
            switch place {
            case .v4: AF_INET
            case .v6: AF_INET6
            case .unix: AF_UNIX
            }
        let descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | closeOnExec, 0)
        guard descriptor >= 0 else { throw HarnessError("socket: \(errno)") }
        return Socket(descriptor)
    }

    private static func withAddress(
        of place: Place, _ body: (UnsafeMutablePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        func pass<Address>(_ address: inout Address) -> Int32 {
            withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        switch place {
        case .v4(let port):
            var address = loopback(port)
            return pass(&address)
        case .v6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_addr = in6addr_loopback
            return pass(&address)
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            return pass(&address)
        }
    }

    /// The descriptor, for a process that is to inherit it; it stays this one's to close.
    var number: Int32 { current }

    /// Takes the next connection; nil once the socket was shut.
    func accepted() -> Socket? {
        let descriptor = self.descriptor.withLock { $0 }
        while true {
            let connection = accept(descriptor, nil, nil)
            if connection >= 0 {
                Self.set(connection, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
                return Socket(connection)
            }
            guard errno == EINTR || errno == ECONNABORTED else { return nil }
        }
    }

    /// Sends all bytes.
    func send(_ bytes: [UInt8], by deadline: Deadline = Deadline()) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    current, $0.baseAddress! + sent, $0.count - sent,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                try poll(POLLOUT, deadline, "room to send")
            } else if errno != EINTR {
                throw Reset()
            }
        }
    }

    /// Receives what is there, at least one byte; nothing at the end.
    func receive(upTo limit: Int = 65536, by deadline: Deadline = Deadline()) throws -> [UInt8] {
        while true {
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, length in
                count = recv(
                    current, buffer.baseAddress!, limit, Int32(MSG_DONTWAIT))
                length = max(0, count)
            }
            if count >= 0 { return bytes }
            if errno == EAGAIN {
                try poll(POLLIN, deadline, "input")
            } else if errno != EINTR {
                throw Reset()
            }
        }
    }

    /// Whether bytes or an end are there to be received.
    var hasInput: Bool {
        var entry = pollfd(fd: current, events: Int16(POLLIN), revents: 0)
        return Glibc.poll(&entry, 1, 0) > 0
    }

    /// Ends what this side sends.
    func shutWriting() { descriptor.withLock { _ = shutdown($0, Int32(SHUT_WR)) } }

    /// Ends both directions, so that whoever waits on another thread wakes up.
    func shut() { descriptor.withLock { _ = shutdown($0, Int32(SHUT_RDWR)) } }

    /// Closes the socket.
    func close() {
        descriptor.withLock {
            if $0 >= 0 { _ = Glibc.close($0) }
            $0 = -1
        }
    }

    /// Closes the socket with a reset.
    func reset() {
        descriptor.withLock {
            var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
            setsockopt(
                $0, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        }
        close()
    }

    private var current: Int32 { descriptor.withLock { $0 } }

    private func poll(_ events: Int32, _ deadline: Deadline, _ what: String) throws {
        var entry = pollfd(fd: current, events: Int16(events), revents: 0)
        let count = Glibc.poll(&entry, 1, deadline.milliseconds)
        if count == 0 || deadline.hasPassed { throw HarnessError("no \(what) in time") }
    }

    private static func loopback(_ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

private let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)
