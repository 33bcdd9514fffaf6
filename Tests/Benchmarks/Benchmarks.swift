import Glibc

/// Compares the gateway with nginx; with the argument `origin` it is the upstream behind both.
@main
struct Benchmarks {
    static func main() async {
        raiseDescriptorLimit()
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            if arguments == ["origin"] { return try Origin().run() }
            if arguments.first == "reaper" { return try await reaper(arguments.dropFirst()) }
            if arguments.contains("--help") { return print(Options.usage) }
            let report = try compare(Options(arguments))
            exit(report.isSound ? 0 : 1)
        } catch {
            complain("\(error)")
            exit(2)
        }
    }

    private static func reaper(_ arguments: ArraySlice<String>) async throws {
        if arguments.contains("--help") { return print(ReaperBenchmark.usage) }
        try await ReaperBenchmark(Array(arguments)).run()
    }

    private static func compare(_ options: Options) throws -> Report {
        let programs = try findPrograms(options)
        let folder = try makeFolder(in: options.data)
        let site = try Site(folder: folder)
        var report = Report()
        report.idleConnections = options.idleConnections
        let scenarios = Scenario.all.filter { options.scenarios.contains($0.name) }
        if !scenarios.isEmpty {
            try withCandidates(programs, site, options) { measurement in
                for (number, scenario) in scenarios.enumerated() {
                    complain("\(scenario.name): \(scenario.about)")
                    let samples = try measurement.run(scenario, seriesNumber: number)
                    let names = measurement.candidates.map(\.name)
                    let nginx = names.firstIndex(of: "nginx").map { samples[$0] }
                    for (candidate, own) in zip(measurement.candidates, samples) {
                        let other = candidate.name == "nginx" ? nil : nginx
                        report.rows.append(Row(scenario, candidate, own, nginx: other))
                    }
                }
            }
        }
        if options.scenarios.contains("idle") {
            complain("idle: \(options.idleConnections) connections")
            try withCandidates(programs, site, options) { measurement in
                let bytes = try measurement.idle(connections: options.idleConnections)
                report.idle = Array(zip(measurement.candidates.map(\.name), bytes))
                    .map { (candidate: $0.0, bytes: $0.1) }
            }
        }
        if options.scenarios.contains("stream") {
            complain("stream: a gibibyte each way")
            try withCandidates(programs, site, options) { measurement in
                report.streams = try measurement.streams()
            }
        }
        print(options.isJSON ? report.json : report.table, terminator: "")
        try? ChildProcess(["rm", "-rf", folder], core: nil, log: "/dev/null").wait()
        return report
    }

    /// The programs that are there; says which are not.
    private static func findPrograms(_ options: Options) throws -> [Program] {
        var programs: [Program] = []
        if isProgram(options.nginx) {
            programs.append(.nginx(options.nginx))
        } else {
            complain("\(options.nginx) is not there (apt-get install nginx): no rows for it")
        }
        if isProgram(options.gateway) {
            programs.append(.oncegate(options.gateway))
        } else {
            complain("\(options.gateway) is not there (swift build -c release): no rows for it")
        }
        guard !programs.isEmpty else { throw Failure("there is nothing to measure") }
        return programs
    }

    private static func withCandidates(
        _ programs: [Program], _ site: Site, _ options: Options,
        _ body: (Measurement) throws -> Void
    ) throws {
        let candidates = try programs.map { try $0.start(site) }
        defer { for candidate in candidates { candidate.stop() } }
        try body(
            Measurement(
                site: site, candidates: candidates, rounds: options.rounds,
                seconds: options.seconds))
    }

    private static func makeFolder(in parent: String) throws -> String {
        var template = Array("\(parent)/benchmark-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("cannot make a folder in \(parent)") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// To standard error, so that standard output has nothing but the result.
    private static func complain(_ text: String) {
        let line = Array("\(text)\n".utf8)
        _ = write(2, line, line.count)
    }
}

/// A program to be measured.
private enum Program {
    case nginx(String)
    case oncegate(String)

    func start(_ site: Site) throws -> Candidate {
        switch self {
        case .nginx(let path): try .nginx(path, site: site)
        case .oncegate(let path): try .oncegate(path, site: site)
        }
    }
}
