import Glibc
import JSON

/// The middle of some values, and how far they spread.
struct Spread {
    let median: Double
    let least: Double
    let most: Double

    init(_ values: [Double]) {
        let sorted = values.sorted()
        least = sorted.first ?? .nan
        most = sorted.last ?? .nan
        let (low, high) = ((sorted.count - 1) / 2, sorted.count / 2)
        median = sorted.isEmpty ? .nan : (sorted[low] + sorted[high]) / 2
    }

    /// As in `11.2 [10.9–12.0]`.
    func text(decimals: Int) -> String {
        let parts = [median, least, most].map { fixed($0, decimals) }
        return "\(parts[0]) [\(parts[1])–\(parts[2])]"
    }
}

/// The figures of one candidate in one scenario.
struct Row {
    let scenario: String
    let about: String
    let candidate: String
    let cpuMicroseconds: Spread
    /// To nginx in the same round; nil where nginx is not measured, and for nginx itself.
    let ratio: Spread?
    let requestsPerSecond: Spread
    let p50: Spread
    let p99: Spread
    /// To nginx in the same round.
    let p99Ratio: Spread?
    let mebibytes: Double
    /// How much of the machine everything else used, from 0 to 1.
    let disturbance: Spread
    /// What makes the row worthless; empty if nothing does.
    let faults: [String]

    init(_ scenario: Scenario, _ candidate: Candidate, _ samples: [Sample], nginx: [Sample]?) {
        self.scenario = scenario.name
        about = scenario.about
        self.candidate = candidate.name
        cpuMicroseconds = Spread(samples.map(\.cpuMicroseconds))
        ratio = nginx.map { nginx in
            Spread(zip(samples, nginx).map { $0.cpuMicroseconds / $1.cpuMicroseconds })
        }
        requestsPerSecond = Spread(samples.map { Double($0.load.completed) / $0.load.seconds })
        p50 = Spread(samples.map(\.load.p50))
        p99 = Spread(samples.map(\.load.p99))
        p99Ratio = nginx.map { nginx in
            Spread(zip(samples, nginx).map { $0.load.p99 / $1.load.p99 })
        }
        mebibytes = Double(samples.map(\.memoryBytes).max() ?? 0) / 1_048_576
        disturbance = Spread(samples.map(\.disturbance))
        let counted = [
            ("without an answer", samples.reduce(0) { $0 + $1.load.errors }),
            ("not 2xx", samples.reduce(0) { $0 + $1.load.refused }),
            ("wrongly executed", samples.reduce(0) { $0 + $1.wrongExecutions }),
        ]
        faults = counted.filter { $0.1 > 0 }.map { "\($0.1) \($0.0)" }
    }

    /// The cells of the table.
    var cells: [String] {
        [
            scenario, candidate, cpuMicroseconds.text(decimals: 1),
            ratio?.text(decimals: 2) ?? "", fixed(requestsPerSecond.median, 0),
            fixed(p50.median, 0), fixed(p99.median, 0),
            p99Ratio.map { fixed($0.median, 2) } ?? "", fixed(mebibytes, 0),
            faults.joined(separator: ", "),
        ]
    }

    static let header = [
        "scenario", "candidate", "CPU µs/request", "CPU / nginx", "requests/s", "p50 µs", "p99 µs",
        "p99 / nginx", "MiB", "faults",
    ]
}

/// Everything that was measured.
struct Report {
    var rows: [Row] = []
    /// Bytes of memory for each idle connection, by candidate.
    var idle: [(candidate: String, bytes: Double)] = []
    var idleConnections = 0
    /// What a gibibyte each way took, by candidate.
    var streams: [(candidate: String, Streamed)] = []

    /// Whether every answer was right.
    var isSound: Bool { rows.allSatisfy(\.faults.isEmpty) }

    /// A table for people.
    var table: String {
        let lines = [Row.header] + rows.map(\.cells)
        let widths = Row.header.indices.map { column in
            lines.map { $0[column].count }.max() ?? 0
        }
        var text = ""
        for line in lines {
            let cells = zip(line, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            text += trimmed(cells.joined(separator: "  ")) + "\n"
        }
        for (candidate, bytes) in idle {
            text += "idle: \(candidate) takes \(fixed(bytes / 1024, 1)) KiB for each of "
            text += "\(idleConnections) idle connections\n"
        }
        for (candidate, streamed) in streams {
            text +=
                "stream: \(candidate) takes \(fixed(streamed.downMebibytes, 1)) MiB more at most "
            text +=
                "while 1 GiB goes down, \(fixed(streamed.upMebibytes, 1)) MiB while 1 GiB goes up; "
            text +=
                "\(fixed(streamed.downSeconds, 2)) and \(fixed(streamed.upSeconds, 2)) CPU seconds\n"
        }
        let worst = rows.map(\.disturbance.most).max() ?? 0
        return text + """
            Medians of the rounds, with the least and the most in brackets. Everything else used \
            at most \(fixed(worst * 100, 0)) % of the machine during a slice; above 10 % only the \
            ratios mean something.

            """
    }

    /// The same for programs.
    var json: String {
        var json = JSONWriter(indentation: 2)
        json.beginObject()
        json.name("rows")
        json.beginArray()
        for row in rows { write(row, to: &json) }
        json.endArray()
        json.name("idle")
        json.beginArray()
        for (candidate, bytes) in idle {
            json.beginObject()
            json.member("candidate", candidate)
            json.member("connections", idleConnections)
            json.member("bytes_each", bytes, decimals: 0)
            json.endObject()
        }
        json.endArray()
        json.name("stream")
        json.beginArray()
        for (candidate, streamed) in streams {
            json.beginObject()
            json.member("candidate", candidate)
            json.member("down_mib", streamed.downMebibytes, decimals: 1)
            json.member("up_mib", streamed.upMebibytes, decimals: 1)
            json.member("down_cpu_s", streamed.downSeconds, decimals: 3)
            json.member("up_cpu_s", streamed.upSeconds, decimals: 3)
            json.endObject()
        }
        json.endArray()
        json.endObject()
        return String(decoding: json.bytes, as: UTF8.self) + "\n"
    }

    private func write(_ row: Row, to json: inout JSONWriter) {
        json.beginObject()
        json.member("scenario", row.scenario)
        json.member("about", row.about)
        json.member("candidate", row.candidate)
        write("cpu_us", row.cpuMicroseconds, to: &json)
        if let ratio = row.ratio { write("cpu_to_nginx", ratio, to: &json) }
        write("requests_per_second", row.requestsPerSecond, to: &json)
        write("p50_us", row.p50, to: &json)
        write("p99_us", row.p99, to: &json)
        if let ratio = row.p99Ratio { write("p99_to_nginx", ratio, to: &json) }
        json.member("memory_mib", row.mebibytes, decimals: 1)
        write("disturbance", row.disturbance, to: &json)
        json.name("faults")
        json.beginArray()
        for fault in row.faults { json.value(fault) }
        json.endArray()
        json.endObject()
    }

    private func write(_ name: String, _ spread: Spread, to json: inout JSONWriter) {
        json.name(name)
        json.beginObject()
        json.member("median", spread.median, decimals: 3)
        json.member("min", spread.least, decimals: 3)
        json.member("max", spread.most, decimals: 3)
        json.endObject()
    }
}

private func trimmed(_ text: String) -> String {
    String(text.reversed().drop { $0 == " " }.reversed())
}

/// A number with so many decimals.
private func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "-" }
    let scale = decimals == 0 ? 1 : decimals == 1 ? 10 : 100
    let scaled = Int((abs(value) * Double(scale)).rounded())
    let fraction = decimals == 0 ? "" : ".\(String(scaled % scale + scale).dropFirst())"
    return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / scale)\(fraction)"
}
