import Glibc

/// Tells whoever started the process how it does: `sd_notify(3)`. Without `NOTIFY_SOCKET` it tells
/// nobody.
struct Supervisor: Sendable {
    /// The path in a socket's address; an abstract one begins with a zero byte.
    private let path: [UInt8]
    /// How often a sign of life is due, `WATCHDOG_USEC`; nil if nobody waits for one.
    let watchdog: Duration?

    /// The service manager that the environment names.
    ///
    /// - Parameter process: Whose environment it is; a watchdog of another process is not ours.
    init(_ environment: Environment, process: Int32 = getpid()) {
        var path = Array((environment.variable("NOTIFY_SOCKET") ?? "").utf8)
        let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        switch path.first {
        case UInt8(ascii: "@") where path.count > 1: path[0] = 0
        case UInt8(ascii: "/"): break
        default: path = []
        }
        self.path = path.count <= capacity ? path : []
        let isOurs = environment.variable("WATCHDOG_PID").map { $0 == "\(process)" } ?? true
        let interval = environment.variable("WATCHDOG_USEC").flatMap { Int64($0) } ?? 0
        watchdog = isOurs && interval > 0 && !self.path.isEmpty ? .microseconds(interval) : nil
    }

    /// The process serves.
    func ready(_ status: String) { tell(["READY=1", "STATUS=\(status)"]) }

    /// The configuration is read anew; ``ready(_:)`` follows.
    func reloading() {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        let now = Int(time.tv_sec) * 1_000_000 + Int(time.tv_nsec) / 1000
        tell(["RELOADING=1", "MONOTONIC_USEC=\(now)", "STATUS=reading the configuration"])
    }

    /// The process is about to end.
    func stopping(_ status: String) { tell(["STOPPING=1", "STATUS=\(status)"]) }

    /// What it does now, for `systemctl status`.
    func status(_ text: String) { tell(["STATUS=\(text)"]) }

    /// It needs at least that much longer, from now.
    func extend(by time: Duration) {
        tell(["EXTEND_TIMEOUT_USEC=\(time.components.seconds * 1_000_000)"])
    }

    /// All of it works.
    func isAlive() { tell(["WATCHDOG=1"]) }

    /// Sends one datagram. A service manager that takes none for a second has missed it.
    private func tell(_ lines: [String]) {
        guard !path.isEmpty else { return }
        let kind = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path) }
        let start = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        // A path ends with a zero byte where there is room for one; an abstract name does not.
        let length = socklen_t(min(start + path.count + (path.first == 0 ? 0 : 1), Self.longest))
        let text = Array(lines.joined(separator: "\n").utf8)
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe text.withUnsafeBytes { bytes in
                    _ = unsafe sendto(
                        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), address,
                        length)
                }
            }
        }
    }

    private static let longest = MemoryLayout<sockaddr_un>.size
}
