import Glibc
import Synchronization

/// The gateway as a child process of the same executable, with its database in a temporary
/// directory. Nothing of it stays after ``cleanUp()``.
final class DemoGateway: Sendable {
    private let directory: String
    private let child: Mutex<Child>
    private let upstreamPort: UInt16

    private struct Child {
        /// 0 while none runs.
        var pid: pid_t = 0
        /// 0 until the kernel picked one; a restart keeps it.
        var port: UInt16 = 0
        /// Whether no further child may be started.
        var isOver = false
    }

    /// Makes the directory; ``start()`` starts the child.
    init(upstreamPort: UInt16) throws(DemoError) {
        self.upstreamPort = upstreamPort
        var template = Array("\(Self.temporaryDirectory)/oncegate-demo.XXXXXX".utf8) + [0]
        let isMade = unsafe template.withUnsafeMutableBytes { bytes in
            unsafe mkdtemp(bytes.assumingMemoryBound(to: CChar.self).baseAddress!) != nil
        }
        guard isMade else { throw DemoError("no temporary directory: error \(errno)") }
        directory = String(decoding: template.dropLast(), as: UTF8.self)
        child = Mutex(Child())
    }

    /// Where it listens.
    var port: UInt16 { child.withLock { $0.port } }

    /// Starts the child and waits until it listens, for at most 30 seconds.
    func start() throws(DemoError) {
        let file = "\(directory)/gateway.json"
        try write(configuration(port: port), to: file)
        var ends: [Int32] = [-1, -1]
        let pid = child.withLock { child -> pid_t in
            guard !child.isOver else { return -1 }
            return demoDescriptors.withLock { _ in
                guard unsafe pipe(&ends) == 0 else { return -1 }
                _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
                child.pid =
                    Self.spawn(
                        ["oncegate", "serve", "--config", file], errors: ends[1]) ?? 0
                close(ends[1])
                return child.pid
            }
        }
        guard pid > 0 else { throw DemoError("the gateway does not start: error \(errno)") }
        let port = try Self.awaitListener(on: ends[0])
        child.withLock { $0.port = port }
        let errors = ends[0]
        DemoThread { Self.drain(errors) }?.detach()
    }

    /// Ends the child as a power cut would: SIGKILL.
    func kill() {
        child.withLock { Self.end(&$0) }
    }

    /// Ends the child for good and removes the directory. Safe from any thread, also twice.
    func cleanUp() {
        child.withLock { child in
            child.isOver = true
            Self.end(&child)
        }
        for name in Self.entries(of: directory) { unsafe unlink("\(directory)/\(name)") }
        unsafe rmdir(directory)
    }

    private func configuration(port: UInt16) -> String {
        """
        {
          "listeners": [ { "address": "127.0.0.1:\(port)" } ],
          "admin": null,
          "store": { "type": "sqlite", "path": "\(directory)/oncegate.db" },
          "log": { "level": "info", "access": false },
          "upstreams": { "orders": { "url": "http://127.0.0.1:\(upstreamPort)" } },
          "routes": [
            { "path": "/**", "upstream": "orders", "idempotency": { "scope": "shared" } }
          ]
        }

        """
    }

    private func write(_ text: String, to file: String) throws(DemoError) {
        let descriptor = unsafe open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw DemoError("\(file) cannot be written: error \(errno)")
        }
        DemoScreen.write(text, to: descriptor)
        close(descriptor)
    }

    private static func end(_ child: inout Child) {
        guard child.pid > 0 else { return }
        Glibc.kill(child.pid, SIGKILL)
        while waitpid(child.pid, nil, 0) < 0 && errno == EINTR {}
        child.pid = 0
    }

    /// Starts this executable in a process group of its own, so that a key pressed at the terminal
    /// reaches the demo alone.
    private static func spawn(_ arguments: [String], errors: Int32) -> pid_t? {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
        if errors != 2 { unsafe posix_spawn_file_actions_addclose(&actions, errors) }
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe sigfillset(&signals)
        unsafe posix_spawnattr_setsigdefault(&attributes, &signals)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var strings = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe strings.forEach { unsafe free($0) } }
        var pid = pid_t()
        let status = unsafe posix_spawn(
            &pid, "/proc/self/exe", &actions, &attributes, &strings, environ)
        errno = status
        return status == 0 ? pid : nil
    }

    /// Reads the child's log until it says where it listens.
    private static func awaitListener(on descriptor: Int32) throws(DemoError) -> UInt16 {
        var log: [UInt8] = []
        while log.count < 1 << 20 {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&entry, 1, 30_000) > 0, let bytes = read(descriptor) else { break }
            log += bytes
            for line in String(decoding: log, as: UTF8.self).split(separator: "\n") {
                if let port = port(in: line) { return port }
            }
        }
        close(descriptor)
        let last = String(decoding: log.suffix(2000), as: UTF8.self)
        throw DemoError("the gateway does not listen; its log ends with:\n\(last)")
    }

    /// The port in a log line with the message `listening`.
    private static func port(in line: Substring) -> UInt16? {
        guard line.contains(#""message":"listening""#) else { return nil }
        let parts = line.split(separator: "\"")
        guard let name = parts.firstIndex(of: "address"), name + 2 < parts.count else { return nil }
        return parts[name + 2].split(separator: ":").last.flatMap { UInt16($0) }
    }

    /// Keeps the child from waiting for somebody who reads its log.
    private static func drain(_ descriptor: Int32) {
        while read(descriptor) != nil {}
        close(descriptor)
    }

    private static func read(_ descriptor: Int32) -> [UInt8]? {
        var count = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 16384) { space, length in
            repeat {
                count = unsafe Glibc.read(descriptor, space.baseAddress, space.count)
            } while count < 0 && errno == EINTR
            length = max(0, count)
        }
        return count > 0 ? bytes : nil
    }

    private static var temporaryDirectory: String {
        guard let path = unsafe getenv("TMPDIR"), unsafe path.pointee != 0 else { return "/tmp" }
        return unsafe String(cString: path)
    }

    private static func entries(of directory: String) -> [String] {
        guard let stream = unsafe opendir(directory) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }
}
