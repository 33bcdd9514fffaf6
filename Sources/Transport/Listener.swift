private import CTransport
private import Glibc
import Synchronization

/// Why an address cannot be listened on.
package struct ListenError: Error, Sendable, CustomStringConvertible {
    package let address: SocketAddress
    /// For people, with the remedy where there is one.
    package let reason: String

    package var description: String { "cannot listen on \(address): \(reason)" }
}

/// A bound address with one listening socket per event loop.
///
/// TCP sockets share the port by `SO_REUSEPORT`, so that the kernel deals connections out without a
/// lock between loops; on a Unix path the loops share one queue.
package struct ListeningSockets: ~Copyable {
    /// Where clients connect; the port is the one that the kernel picked.
    package let address: SocketAddress
    /// The file of a Unix socket, to be removed when it is listened on no more.
    package let file: SocketFile?
    private var descriptors: [Int32]

    /// Binds and listens; connections queue in the kernel from now on.
    ///
    /// - Parameters:
    ///   - mode: The permissions of a Unix socket's file; nil for what the umask leaves.
    ///   - backlog: How many may queue per socket; the kernel caps it at `somaxconn`.
    package init(
        _ address: SocketAddress, count: Int, mode: UInt32? = nil, backlog: Int32 = 4096
    ) throws(ListenError) {
        let first = try Self.listen(address, mode, backlog)
        var all = [first]
        let actual = SocketAddress.local(of: first) ?? address
        for _ in 1..<max(count, 1) {
            do throws(ListenError) {
                if case .ip = address {
                    all.append(try Self.listen(actual, nil, backlog))
                } else {
                    all.append(fcntl(first, F_DUPFD_CLOEXEC, 0))
                }
            } catch {
                for descriptor in all { close(descriptor) }
                throw error
            }
        }
        descriptors = all
        switch address {
        case .ip:
            self.address = actual
            file = nil
        case .unix(let path):
            self.address = address
            file = SocketFile(path)
        }
    }

    /// Gives one loop's socket away.
    package mutating func take() -> Int32 { descriptors.removeLast() }

    deinit { for descriptor in descriptors { close(descriptor) } }

    private static func listen(
        _ address: SocketAddress, _ mode: UInt32?, _ backlog: Int32
    ) throws(ListenError) -> Int32 {
        if case .unix(let path) = address { try removeStale(path, address) }
        let bound = unsafe address.withBinary { family, binary, length in
            let descriptor = ctransport_socket(family)
            guard descriptor >= 0 else { return Int32(-1) }
            var on: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            if family != AF_UNIX {
                // TCP_NODELAY is inherited by what is accepted.
                for (level, option) in [
                    (SOL_SOCKET, SO_REUSEADDR), (SOL_SOCKET, SO_REUSEPORT),
                    (Int32(IPPROTO_TCP), TCP_NODELAY),
                ] { _ = unsafe setsockopt(descriptor, level, option, &on, size) }
            }
            // What the file may allow at most is known before it is there.
            if family == AF_UNIX, let mode { fchmod(descriptor, mode) }
            if family == AF_INET6 {
                _ = unsafe setsockopt(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &on, size)
            }
            if unsafe bind(descriptor, binary, length) == 0, setMode(mode, address),
                Glibc.listen(descriptor, backlog) == 0
            {
                return descriptor
            }
            let cause = errno
            close(descriptor)
            errno = cause
            return -1
        }
        guard let bound else {
            throw ListenError(
                address: address, reason: "it is neither an IP address nor a path of usable length")
        }
        guard bound >= 0 else { throw ListenError(address: address, reason: reason(errno)) }
        return bound
    }

    /// Gives the file of a Unix socket what its umask took away.
    private static func setMode(_ mode: UInt32?, _ address: SocketAddress) -> Bool {
        guard let mode, case .unix(let path) = address else { return true }
        return unsafe chmod(path, mode) == 0
    }

    /// Removes the socket that a dead process left behind; one that answers is left alone.
    private static func removeStale(
        _ path: String, _ address: SocketAddress
    ) throws(ListenError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ListenError(address: address, reason: "\(path) exists and is not a socket")
        }
        let answers = unsafe address.withBinary { family, binary, length in
            let descriptor = ctransport_socket(family)
            defer { close(descriptor) }
            return unsafe connect(descriptor, binary, length) == 0 || errno == EAGAIN
        }
        if answers == true {
            throw ListenError(address: address, reason: "another process listens there")
        }
        unsafe unlink(path)
    }

    private static func reason(_ code: Int32) -> String {
        let text = unsafe String(cString: strerror(code))
        switch code {
        case EADDRINUSE: return "another process listens there (\(text))"
        case EACCES: return "not allowed; ports below 1024 need CAP_NET_BIND_SERVICE (\(text))"
        case EADDRNOTAVAIL: return "this machine does not have that address (\(text))"
        default: return text
        }
    }
}

/// How many connections all listeners of a process may hold together.
package final class ConnectionLimit: Sendable {
    private let limit: Int
    private let open = Atomic<Int>(0)

    /// A limit on connections at a time.
    package init(_ limit: Int) { self.limit = limit }

    /// Connections open now.
    package var count: Int { open.load(ordering: .relaxed) }

    /// Takes a place; false when all are taken.
    func take() -> Bool {
        if open.add(1, ordering: .relaxed).newValue <= limit { return true }
        open.subtract(1, ordering: .relaxed)
        return false
    }

    /// Gives a place back when its connection is closed.
    package func release() { open.subtract(1, ordering: .relaxed) }
}

/// Accepts connections on one loop.
@safe package final class Listener: ReadinessObserver {
    private let descriptor: Int32
    private let reactor: Reactor
    private let limit: ConnectionLimit
    private var waiting: UnsafeContinuation<Void, Never>?
    private var pause: LoopTimer?
    private var isClosed = false
    /// The port that clients connect to; nil for a Unix socket.
    package let port: UInt16?

    /// Takes over a socket from ``ListeningSockets``.
    package init(_ descriptor: Int32, limit: ConnectionLimit, on reactor: Reactor) {
        self.descriptor = descriptor
        if case .ip(_, let port) = SocketAddress.local(of: descriptor) {
            self.port = port
        } else {
            port = nil
        }
        self.limit = limit
        self.reactor = reactor
        pause = reactor.timer { [weak self] in self?.resume() }
    }

    /// An accepted connection.
    package struct Accepted {
        package let descriptor: Int32
        /// The peer's address; `unix` for a Unix socket.
        package let peer: String
    }

    /// The next connection; nil once closed.
    ///
    /// At the limit, or when the process has no descriptor left, clients wait in the kernel's
    /// queue, which is looked at again every 20 ms. Every place taken is to be given back by
    /// ``ConnectionLimit/release()``.
    package func accept() async -> Accepted? {
        while !isClosed {
            guard limit.take() else {
                await sleep(.milliseconds(20))
                continue
            }
            var storage = sockaddr_storage()
            let accepted = unsafe ctransport_accept(descriptor, &storage)
            if accepted >= 0 { return Accepted(descriptor: accepted, peer: Self.name(storage)) }
            limit.release()
            switch errno {
            case EAGAIN: await waitForConnection()
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: await sleep(.milliseconds(20))
            default: continue  // That one connection failed before it was accepted.
            }
        }
        return nil
    }

    package func became(_ readiness: Readiness) {
        reactor.ignore(descriptor)
        resume()
    }

    /// Stops accepting; the kernel refuses what still queues.
    package func close() {
        guard !isClosed else { return }
        isClosed = true
        reactor.ignore(descriptor)
        Glibc.close(descriptor)
        if let pause { reactor.disarm(pause) }
        resume()
    }

    // What resumes the task is set going once it is suspended: nothing can come too early.

    private func waitForConnection() async {
        unsafe await withUnsafeContinuation { continuation in
            unsafe waiting = continuation
            if isClosed {
                resume()
            } else if !reactor.observeListener(descriptor, by: self) {
                armPause(.milliseconds(20))
            }
        }
    }

    private func sleep(_ duration: Duration) async {
        unsafe await withUnsafeContinuation { continuation in
            unsafe waiting = continuation
            if isClosed { resume() } else { armPause(duration) }
        }
    }

    private func armPause(_ duration: Duration) {
        if let pause { reactor.arm(pause, at: reactor.now + duration) }
    }

    private func resume() {
        guard let continuation = unsafe waiting else { return }
        unsafe waiting = nil
        unsafe continuation.resume()
    }

    private static func name(_ storage: sockaddr_storage) -> String {
        switch SocketAddress(storage) {
        case .ip(let host, _): host
        case .unix, nil: "unix"
        }
    }
}
