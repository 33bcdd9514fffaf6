import Glibc

/// A sample backend of `Examples`, on a port of a site's, with its data in the site's directory.
final class SampleBackend {
    /// What it is written in.
    enum Language: String, CaseIterable, Sendable {
        case swift, python
    }

    private let process: ChildProcess
    private let port: UInt16

    /// Starts it and waits until it listens.
    ///
    /// - Parameters:
    ///   - moment: Where it gets the signal from itself, by name.
    ///   - signal: `SIGKILL` or `SIGSTOP`.
    init(
        _ language: Language, behind gateway: GatewayProcess, port: UInt16, at moment: String = "",
        _ signal: String = "SIGKILL"
    ) throws {
        self.port = port
        let directory = gateway.directory.path
        let words =
            switch language {
            case .swift: [GatewayProcess.besideTests("SwiftBackend")]
            case .python:
                ["/usr/bin/env", "python3", Self.directory(of: language) + "/backend.py"]
            }
        process = try ChildProcess(
            words[0], Array(words.dropFirst()), in: directory,
            environment: [
                "PORT": "\(port)", "ADMIN": "http://127.0.0.1:\(gateway.adminPort)",
                "ADMIN_PORT": "\(gateway.adminPort)", "CRASH_AT": moment, "CRASH_WITH": signal,
            ])
        try wait(for: "listening on 127.0.0.1:\(port)")
    }

    /// Waits until it says that it is somewhere.
    func wait(for moment: String) throws {
        _ = try process.output.first(moment) { $0 == moment ? true : nil }
    }

    /// Waits until it was killed by itself.
    func waitForCrash() throws -> ChildProcess.Exit { try process.waitForExit() }

    /// Has it go on after it was stopped.
    func wake() { process.signal(SIGCONT) }

    /// Kills it, and waits for the end.
    func kill() throws {
        process.signal(SIGKILL)
        try process.waitForExit()
    }

    /// How often each step was done for a cart.
    func steps(of cart: String) throws -> [Int] {
        let done = try RawClient(port).exchange(.get("/")).json
        return [["taxes"], ["payment", "payments"], ["order", "orders"]].map { names in
            names.compactMap { done[$0]?.strings }.joined().count { $0 == cart }
        }
    }

    /// Where the sample is.
    static func directory(of language: Language) -> String {
        let root = #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 }
        return root + "/Examples/\(language)-backend"
    }
}
