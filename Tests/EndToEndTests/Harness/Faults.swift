import Glibc

/// Makes calls of the gateway's on files fail, while it runs: see `FaultInjection.h` for the rules.
final class Faults: Sendable {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private var control: String { "\(directory.path)/faults" }

    /// The library lies beside the binary.
    private static var library: String {
        GatewayProcess.binary.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/") + "/libFaultInjection.so"
    }

    /// What the gateway is started with.
    var environment: [String: String] {
        ["LD_PRELOAD": Self.library, "ONCEGATE_FAULTS": control]
    }

    /// From the gateway's next call on these rules hold, and no others.
    func set(_ rules: String...) throws { try set(rules) }

    /// From the gateway's next call on these rules hold, and no others.
    func set(_ rules: [String]) throws {
        let text = rules.map { $0 + "\n" }.joined()
        let file = try directory.write("faults.new", text)
        guard rename(file, control) == 0 else { throw HarnessError("rename: \(errno)") }
    }

    /// From the gateway's next call on nothing fails.
    func clear() throws { try set([]) }

    /// How many calls failed so far.
    var count: Int {
        (try? readFile(control + ".log"))?.split(separator: "\n").count ?? 0
    }

    /// Waits until more calls failed than those.
    func waitForMore(than count: Int) throws {
        let deadline = Deadline()
        while self.count <= count {
            guard !deadline.hasPassed else { throw HarnessError("nothing failed") }
            _ = poll(nil, 0, 5)
        }
    }
}
