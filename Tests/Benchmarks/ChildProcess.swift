import Glibc

/// A program that runs beside this one, on one core.
final class ChildProcess {
    let id: pid_t
    private let standardInput: Int32
    private let standardOutput: Int32
    private var hasEnded = false

    /// Starts a program, found on `PATH` unless it is a path.
    ///
    /// - Parameters:
    ///   - core: The core it may use; nil for all.
    ///   - log: Where its messages go, and its output unless `readsOutput`.
    init(_ arguments: [String], core: Int?, log: String, readsOutput: Bool = false) throws {
        let pinned = core.map { ["taskset", "--cpu-list", "\($0)"] + arguments } ?? arguments
        let (input, output) = (try Self.makePipe(), try Self.makePipe())
        standardInput = input.write
        standardOutput = output.read
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input.read, 0)
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, readsOutput ? output.write : 2, 1)
        var pointers = pinned.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process = pid_t()
        let status = posix_spawnp(&process, pinned[0], &actions, nil, &pointers, environ)
        close(input.read)
        close(output.write)
        guard status == 0 else { throw Failure("cannot start \(pinned[0])") }
        id = process
    }

    deinit {
        stop()
        close(standardOutput)
    }

    /// The first line that it prints.
    func line() -> String {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while bytes.last != UInt8(ascii: "\n") {
            let count = read(standardOutput, &byte, 1)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits until it ends by itself.
    func wait() {
        if isRunning { waitpid(id, nil, 0) }
        hasEnded = true
    }

    /// Whether it still runs.
    var isRunning: Bool {
        if !hasEnded { hasEnded = waitpid(id, nil, WNOHANG) == id }
        return !hasEnded
    }

    /// Ends it: by the end of its input and SIGTERM, after five seconds by SIGKILL.
    func stop() {
        guard isRunning else { return }
        close(standardInput)
        kill(id, SIGTERM)
        for _ in 0..<500 where isRunning { usleep(10_000) }
        guard isRunning else { return }
        kill(id, SIGKILL)
        waitpid(id, nil, 0)
        hasEnded = true
    }

    private static func makePipe() throws -> (read: Int32, write: Int32) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Failure("no descriptor left for a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }
}
