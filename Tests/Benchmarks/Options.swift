import Glibc

/// What the command line asks for.
struct Options {
    static let usage = """
        Compares the gateway with nginx on this machine, by CPU time per request.

            swift build -c release && .build/release/Benchmarks [OPTION...]

          --gateway PATH      the gateway (default: oncegate beside this program)
          --nginx PATH        nginx (default: the one on PATH)
          --scenarios A,B     of: \(Scenario.all.map(\.name).joined(separator: ", ")), idle, stream
          --rounds N          slices of load for each candidate (default: 5)
          --seconds S         length of a slice (default: 1)
          --idle N            idle connections (default: 1000)
          --data FOLDER       where stores and caches lie, on a real disk
                              (default: the folder of this program)
          --json              print JSON instead of a table

        """

    var gateway: String
    var nginx = "nginx"
    var scenarios = known
    var rounds = 5
    var seconds = 1.0
    var idleConnections = 1000
    var data: String
    var isJSON = false

    init(_ arguments: [String]) throws {
        let program = Self.programFolder
        gateway = "\(program)/oncegate"
        data = program
        var rest = arguments[...]
        while let option = rest.popFirst() {
            if option == "--json" {
                isJSON = true
            } else if let value = rest.popFirst() {
                try set(option, value)
            } else {
                throw Failure("\(option) needs a value, or is unknown\n\n\(Self.usage)")
            }
        }
    }

    private mutating func set(_ option: String, _ value: String) throws {
        let wrong = Failure("\(option) \(value) is not possible\n\n\(Self.usage)")
        switch option {
        case "--gateway": gateway = value
        case "--nginx": nginx = value
        case "--data": data = value
        case "--scenarios":
            scenarios = value.split(separator: ",").map(String.init)
            guard scenarios.allSatisfy(Self.known.contains) else { throw wrong }
        case "--rounds":
            guard let number = Int(value), 1...1000 ~= number else { throw wrong }
            rounds = number
        case "--seconds":
            guard let number = Double(value), 0.05...600 ~= number else { throw wrong }
            seconds = number
        case "--idle":
            guard let number = Int(value), 1...18_000 ~= number else { throw wrong }
            idleConnections = number
        default: throw wrong
        }
    }

    private static let known = Scenario.all.map(\.name) + ["idle", "stream"]

    private static var programFolder: String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
        return path.split(separator: "/").dropLast().map { "/\($0)" }.joined()
    }
}

/// Whether a program is there: a path, or a name to be looked for on `PATH`.
func isProgram(_ name: String) -> Bool {
    if name.contains("/") { return access(name, X_OK) == 0 }
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    return (path.split(separator: ":") + ["/usr/sbin"]).contains {
        access("\($0)/\(name)", X_OK) == 0
    }
}
