import Glibc

/// The real binary on a port of its own, with a database in a temporary directory.
///
/// A test keeps it alive through ``Site/run(_:_:)``; it never outlives its owner.
final class GatewayProcess {
    let directory: TemporaryDirectory
    private(set) var process: ChildProcess
    private(set) var port: UInt16
    private(set) var adminPort: UInt16
    private let configuration: Configuration
    private let upstreamURL: String
    /// The ports that the file names; 0 where the kernel picked them.
    private var writtenPorts: (UInt16, UInt16) = (0, 0)
    /// Keep its ports while it is away.
    private var reservations: [Socket] = []
    /// Whether a test ended it on purpose.
    private(set) var wasEnded = false

    /// Where the binary is: beside the tests, unless `ONCEGATE` names another.
    static let binary: String = {
        if let path = getenv("ONCEGATE") { return String(cString: path) }
        return besideTests("oncegate")
    }()

    /// The path of another product of the build.
    static func besideTests(_ name: String) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        let path = String(decoding: buffer[..<max(0, count)].map(UInt8.init), as: UTF8.self)
        return path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/" + name
    }

    /// Starts the gateway and waits until it listens.
    init(_ configuration: Configuration, upstreamURL: String) throws {
        self.configuration = configuration
        self.upstreamURL = upstreamURL
        directory = try TemporaryDirectory()
        (process, port, adminPort) = try Self.start(
            configuration.text(upstreamURL: upstreamURL, directory: directory.path), configuration,
            in: directory)
        // Sockets that the process inherited are somebody's anyhow.
        guard configuration.sockets.isEmpty else { return }
        reservations = [port, adminPort].compactMap { try? Socket.reserving($0) }
    }

    /// Starts it again after it ended, on the same database and the same ports.
    func restart(_ configuration: Configuration? = nil) throws {
        try process.waitForExit()
        let text = (configuration ?? self.configuration).text(
            upstreamURL: upstreamURL, directory: directory.path, port: port, adminPort: adminPort)
        writtenPorts = (port, adminPort)
        (process, port, adminPort) = try Self.start(
            text, configuration ?? self.configuration, in: directory)
        wasEnded = false
    }

    /// The path of its configuration.
    var file: String { "\(directory.path)/gateway.json" }

    /// Puts another configuration into its file, without telling it.
    ///
    /// - Parameter upstreamURL: Where `api` is from now on, if it is not the origin.
    func write(_ configuration: Configuration, upstreamURL: String? = nil) throws {
        try write(
            configuration.text(
                upstreamURL: upstreamURL ?? self.upstreamURL, directory: directory.path,
                port: writtenPorts.0, adminPort: writtenPorts.1))
    }

    /// Puts a text into the file of its configuration.
    func write(_ text: String) throws {
        let new = try directory.write("gateway.json.new", text)
        guard rename(new, file) == 0 else { throw HarnessError("rename: \(errno)") }
    }

    /// Sends SIGHUP, and waits for the line of the log that tells what came of it.
    ///
    /// - Parameter level: That of the line, where others may come from signals before.
    @discardableResult
    func hangUp(expecting level: String? = nil) throws -> JSONText {
        let before = process.errors.all.filter(Self.tellsOfReload).count
        process.signal(SIGHUP)
        var seen = 0
        return try process.errors.first("what came of SIGHUP") { line in
            guard Self.tellsOfReload(line) else { return nil }
            seen += 1
            guard seen > before else { return nil }
            let entry = try JSONText(parsing: line)
            return level == nil || entry["level"]?.string == level ? entry : nil
        }
    }

    private static func tellsOfReload(_ line: String) -> Bool {
        line.contains(#""message":"reloaded""#) || line.contains(#""message":"reload refused"#)
            || line.contains(#""message":"not reloaded""#)
    }

    /// Sends SIGTERM, or another signal at which the gateway is to drain.
    func terminate(by signal: Int32 = SIGTERM) {
        wasEnded = true
        process.signal(signal)
    }

    /// How many TCP sockets of its network are in a state, given as in `/proc/net/tcp`, on the way
    /// to an address that nobody has.
    func sockets(inState state: String) throws -> Int {
        try readFile("/proc/\(process.pid)/net/tcp").split(separator: "\n").filter { line in
            let words = line.split(separator: " ")
            return words.count > 3 && words[2].hasPrefix("010200C0:") && words[3] == state
        }.count
    }

    /// Sends SIGKILL and waits for the end.
    func kill() throws {
        wasEnded = true
        process.signal(SIGKILL)
        try process.waitForExit()
    }

    /// Waits for the access line of a request that `isWanted`.
    func accessLine(_ isWanted: (JSONText) -> Bool) throws -> JSONText {
        try process.output.first("an access line") { line in
            let value = try JSONText(parsing: line)
            return isWanted(value) ? value : nil
        }
    }

    /// The last log lines, to be read when a test fails.
    var lastWords: String {
        let lines = process.errors.all.suffix(30) + process.output.all.suffix(10)
        return lines.joined(separator: "\n")
    }

    private static func start(
        _ text: String, _ configuration: Configuration, in directory: TemporaryDirectory
    ) throws -> (ChildProcess, UInt16, UInt16) {
        let file = try directory.write("gateway.json", text)
        let words = configuration.launcher + [binary, "serve", "--config", file]
        let process = try ChildProcess(
            words[0], Array(words.dropFirst()), in: directory.path,
            environment: configuration.environment
                .merging(configuration.faults?.environment ?? [:]) { $1 },
            descriptors: configuration.sockets.map(\.number))
        var port: UInt16?
        var adminPort: UInt16?
        let ports = try process.errors.first("its listeners") { line -> (UInt16, UInt16)? in
            guard let entry = try? JSONText(parsing: line) else { return nil }
            let number = entry["address"]?.string?.split(separator: ":").last.flatMap { UInt16($0) }
            // A Unix socket has none.
            if entry["message"]?.string == "listening" { port = number ?? port }
            if entry["message"]?.string == "admin listening" { adminPort = number }
            guard let port, let adminPort else { return nil }
            return (port, adminPort)
        }
        return (process, ports.0, ports.1)
    }
}

/// Runs the binary with arguments until it ends by itself.
func runOncegate(
    _ arguments: [String], in directory: String = "/", environment: [String: String] = [:]
) throws -> (exit: ChildProcess.Exit, output: String, errors: String) {
    let process = try ChildProcess(
        GatewayProcess.binary, arguments, in: directory, environment: environment)
    let exit = try process.waitForExit()
    return (
        exit, try process.output.complete().joined(separator: "\n"),
        try process.errors.complete().joined(separator: "\n")
    )
}
