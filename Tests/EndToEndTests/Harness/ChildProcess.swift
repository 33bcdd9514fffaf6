import Glibc

/// A child process: its output line by line, its end, and a certain death.
final class ChildProcess: Sendable {
    /// How a process ended.
    enum Exit: Sendable, Equatable {
        case code(Int32)
        case signal(Int32)
    }

    let pid: pid_t
    /// The lines of the standard output so far.
    let output: Lines
    /// The lines of the standard error so far.
    let errors: Lines
    private let exit = Monitor<Exit?>(nil)

    /// Starts `path` with arguments in a directory.
    ///
    /// - Parameters:
    ///   - environment: Variables beside those of the tests.
    ///   - descriptors: What it finds at its descriptors from 3 on.
    init(
        _ path: String, _ arguments: [String], in directory: String = "/",
        environment: [String: String] = [:], descriptors: [Int32] = []
    ) throws {
        let out = try Self.pipe()
        let err = try Self.pipe()
        defer {
            close(out.write)
            close(err.write)
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        GNU.addChangeDirectory(&actions, directory)
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, out.write, 1)
        posix_spawn_file_actions_adddup2(&actions, err.write, 2)
        // Copies beyond the numbers that they are to get, so that none is overwritten too early.
        let copies = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 100) }
        defer { for copy in copies { close(copy) } }
        for (index, copy) in copies.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, copy, Int32(3 + index))
        }
        GNU.addCloseFrom(&actions, Int32(3 + copies.count))
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { argv.forEach { free($0) } }
        var variables = Self.variables(with: environment)
        defer { variables.forEach { free($0) } }
        var pid = pid_t()
        let status = posix_spawn(&pid, path, &actions, &attributes, argv, &variables)
        guard status == 0 else {
            close(out.read)
            close(err.read)
            throw HarnessError("\(path) does not start: \(String(cString: strerror(status)))")
        }
        self.pid = pid
        output = Lines(readingFrom: out.read)
        errors = Lines(readingFrom: err.read)
        startThread { [pid = self.pid, exit] in Self.reap(pid, exit) }
    }

    deinit { signal(SIGKILL) }

    /// Whether it has not ended yet.
    var isRunning: Bool { exit.with { $0 == nil } }

    /// Sends a signal, unless the process has ended.
    func signal(_ number: Int32) {
        exit.with { if $0 == nil { _ = kill(pid, number) } }
    }

    /// Waits for the end.
    @discardableResult
    func waitForExit(within duration: Duration = patience) throws -> Exit {
        try exit.wait(for: "process \(pid) to end", within: duration) { $0 }
    }

    /// A number of kilobytes from `/proc/PID/status`, as `VmRSS` or `VmHWM`.
    func memory(_ name: String) throws -> Int {
        for line in try readFile("/proc/\(pid)/status").split(separator: "\n")
        where line.hasPrefix("\(name):") {
            return line.split(separator: " ").compactMap { Int($0) }.first ?? 0
        }
        throw HarnessError("no \(name) of process \(pid)")
    }

    /// Waits without reaping, so that the number stays ours until `exit` is set under its lock.
    private static func reap(_ pid: pid_t, _ exit: Monitor<Exit?>) {
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        exit.with {
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            $0 = status & 0x7F == 0 ? .code(status >> 8 & 0xFF) : .signal(status & 0x7F)
        }
    }

    private static func variables(
        with more: [String: String]
    ) -> [UnsafeMutablePointer<CChar>?] {
        var all: [UnsafeMutablePointer<CChar>?] = []
        var next = environ
        while let variable = next.pointee {
            all.append(strdup(variable))
            next += 1
        }
        return all + more.map { strdup("\($0.key)=\($0.value)") } + [nil]
    }

    private static func pipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw HarnessError("pipe: \(errno)") }
        return (ends[0], ends[1])
    }
}

/// Spawn actions that the `Glibc` module hides: it is made without `_GNU_SOURCE`.
private enum GNU {
    private typealias CloseFrom =
        @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
    private typealias ChangeDirectory =
        @convention(c) (
            UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>
        ) -> Int32

    /// Without it a child would hold sockets of other tests open.
    static func addCloseFrom(_ actions: inout posix_spawn_file_actions_t, _ first: Int32) {
        let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np")!
        _ = unsafeBitCast(symbol, to: CloseFrom.self)(&actions, first)
    }

    static func addChangeDirectory(_ actions: inout posix_spawn_file_actions_t, _ path: String) {
        let symbol = dlsym(nil, "posix_spawn_file_actions_addchdir_np")!
        _ = unsafeBitCast(symbol, to: ChangeDirectory.self)(&actions, path)
    }
}

/// The lines that a process writes, gathered by a thread as they come.
final class Lines: Sendable {
    private struct State {
        var lines: [String] = []
        var isAtEnd = false
    }
    private let state = Monitor(State())

    init(readingFrom descriptor: Int32) {
        startThread { [state] in
            var pending: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65536)
            while true {
                let count = read(descriptor, &buffer, buffer.count)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { break }
                pending += buffer[..<count]
                while let end = pending.firstIndex(of: 10) {
                    let line = String(decoding: pending[..<end], as: UTF8.self)
                    pending.removeSubrange(...end)
                    state.with { $0.lines.append(line) }
                }
            }
            close(descriptor)
            state.with { state in
                if !pending.isEmpty { state.lines.append(String(decoding: pending, as: UTF8.self)) }
                state.isAtEnd = true
            }
        }
    }

    /// The lines so far.
    var all: [String] { state.with { $0.lines } }

    /// All lines, once the process has closed its end.
    func complete() throws -> [String] {
        try state.wait(for: "the end of the output") { $0.isAtEnd ? $0.lines : nil }
    }

    /// Waits for a line from which `pick` makes something.
    func first<Result>(
        _ what: String, within duration: Duration = patience, _ pick: (String) throws -> Result?
    ) throws -> Result {
        var seen = 0
        let found = try state.wait(for: what, within: duration) { state -> Result?? in
            while seen < state.lines.count {
                seen += 1
                if let result = try pick(state.lines[seen - 1]) { return .some(result) }
            }
            return state.isAtEnd ? .some(nil) : nil
        }
        guard let found else {
            throw HarnessError("the process ended without \(what): \(all.suffix(20))")
        }
        return found
    }
}

/// A directory that is removed with all that it holds.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/oncegate-e2e.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("mkdtemp: \(errno)") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        Self.removeAll(path)
    }

    private static func removeAll(_ path: String) {
        if remove(path) == 0 { return }
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { removeAll("\(path)/\(name)") }
        }
        closedir(directory)
        rmdir(path)
    }

    /// Writes a file and gives its path.
    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        let file = "\(path)/\(name)"
        guard let stream = fopen(file, "we") else { throw HarnessError("\(file): \(errno)") }
        defer { fclose(stream) }
        guard fputs(text, stream) >= 0 else { throw HarnessError("\(file): \(errno)") }
        return file
    }
}

/// The text of a small file.
func readFile(_ path: String) throws -> String {
    guard let stream = fopen(path, "re") else { throw HarnessError("\(path): \(errno)") }
    defer { fclose(stream) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&buffer, 1, buffer.count, stream), count > 0 {
        bytes += buffer[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
}
