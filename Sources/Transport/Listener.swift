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
    /// Whether another process holds the socket too: what queues when this one closes it is not
    /// lost, but left to its successor.
    package let isInherited: Bool
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
        isInherited = false
        switch address {
        case .ip:
            self.address = actual
            file = nil
        case .unix(let path):
            self.address = address
            file = SocketFile(path)
        }
    }

    /// Takes over a socket that listens already; all loops share its queue.
    package init(_ socket: InheritedSocket, count: Int) throws(ListenError) {
        address = socket.address
        // It is the service manager's to remove.
        file = nil
        isInherited = true
        let first = socket.descriptor
        var all = [first]
        for _ in 1..<max(count, 1) {
            let copy = fcntl(first, F_DUPFD_CLOEXEC, 0)
            guard copy >= 0 else {
                let cause = errno
                for descriptor in all { close(descriptor) }
                throw ListenError(address: address, reason: Self.reason(cause))
            }
            all.append(copy)
        }
        descriptors = all
    }

    /// Gives one loop's socket away.
    package mutating func take() -> ListeningSocket {
        ListeningSocket(descriptor: descriptors.removeLast(), isInherited: isInherited)
    }

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

/// One loop's listening socket, on its way to the loop's ``Listener``, which closes it.
package struct ListeningSocket: Sendable {
    let descriptor: Int32
    let isInherited: Bool
}

/// How many connections all listeners of a process may hold together.
package final class ConnectionLimit: Sendable {
    private let limit: Atomic<Int>
    private let open = Atomic<Int>(0)

    /// A limit on connections at a time.
    package init(_ limit: Int) { self.limit = Atomic(limit) }

    /// Changes the limit; connections beyond a lower one stay until they end.
    package func change(_ limit: Int) { self.limit.store(limit, ordering: .relaxed) }

    /// Connections open now.
    package var count: Int { open.load(ordering: .relaxed) }

    /// Takes a place; false when all are taken.
    func take() -> Bool {
        let taken = open.add(1, ordering: .relaxed).newValue
        if taken <= limit.load(ordering: .relaxed) { return true }
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
    private let isInherited: Bool
    private var isClosed = false
    /// The port that clients connect to; nil for a Unix socket.
    package let port: UInt16?
    /// Set while closing: how many connections may still be taken out of the queue.
    private var remaining: Int?

    /// The most connections that are taken out of the queue when the listener closes.
    private static let lastConnections = 4096

    /// Takes over a socket from ``ListeningSockets``.
    package init(_ socket: ListeningSocket, limit: ConnectionLimit, on reactor: Reactor) {
        descriptor = socket.descriptor
        isInherited = socket.isInherited
        if case .ip(_, let port) = SocketAddress.local(of: socket.descriptor) {
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
            if let left = remaining {
                guard left > 0 else { return finish() }
                remaining = left - 1
            }
            guard limit.take() else {
                if remaining != nil { return finish() }
                await sleep(.milliseconds(20))
                continue
            }
            var storage = sockaddr_storage()
            let accepted = unsafe ctransport_accept(descriptor, &storage)
            if accepted >= 0 { return Accepted(descriptor: accepted, peer: Self.name(storage)) }
            limit.release()
            switch errno {
            case EAGAIN where remaining != nil: return finish()
            case EAGAIN: await waitForConnection()
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                if remaining != nil { return finish() }
                await sleep(.milliseconds(20))
            default: continue  // That one connection failed before it was accepted.
            }
        }
        return nil
    }

    package func became(_ readiness: Readiness) {
        reactor.ignore(descriptor)
        resume()
    }

    /// Stops accepting. What queues already in a socket of our own is still given out, as far as
    /// there are places for it; the queue of an inherited one is left to the successor.
    package func close() {
        guard !isClosed, remaining == nil else { return }
        if isInherited {
            _ = finish()
        } else {
            remaining = Self.lastConnections
        }
        reactor.ignore(descriptor)
        resume()
    }

    private func finish() -> Accepted? {
        isClosed = true
        reactor.ignore(descriptor)
        Glibc.close(descriptor)
        if let pause { reactor.disarm(pause) }
        return nil
    }

    // What resumes the task is set going once it is suspended: nothing can come too early.

    private func waitForConnection() async {
        unsafe await withUnsafeContinuation { continuation in
            unsafe waiting = continuation
            if isClosed || remaining != nil {
                resume()
            } else if !reactor.observeListener(descriptor, by: self) {
                armPause(.milliseconds(20))
            }
        }
    }

    private func sleep(_ duration: Duration) async {
        unsafe await withUnsafeContinuation { continuation in
            unsafe waiting = continuation
            if isClosed || remaining != nil { resume() } else { armPause(duration) }
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
        // An IPv4 peer of a socket that listens for both.
        case .ip(let host, _) where host.hasPrefix("::ffff:") && host.contains("."):
            String(host.dropFirst("::ffff:".count))
        case .ip(let host, _): host
        case .unix, nil: "unix"
        }
    }
}
