import Glibc
import Testing

/// The same bytes to this gateway, nginx and HAProxy, each before an origin that records. Where one
/// of them makes other requests of the bytes than we, a rule of the article `Disagreements` has to
/// say why.
///
/// `DIFFERENTIAL_SEED` (1) chooses the mutations and is printed, `DIFFERENTIAL_COUNT` (400) how many
/// (the corpora come on top), and `DIFFERENTIAL_INPUT` tries one input alone, written with `\r`,
/// `\n`, `\t`, `\0` and `\u{…}`, as a failure prints it.
@Suite(.ownThread) struct DifferentialTests {
    private static let article = "Sources/HTTP/HTTP.docc/Disagreements.md"

    @Test func `the table of the article and the rules are the same`() throws {
        let named = try readFile(Self.article).split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|")
            guard line.hasPrefix("| `"), let cell = cells.first else { return nil as String? }
            return cell.split(separator: "`").dropFirst().first.map(String.init)
        }
        #expect(named.sorted() == Disagreement.rules.map(\.name).sorted())
    }

    @Test func `where nginx and HAProxy read bytes in another way it is known why`() throws {
        let seed = Self.number("DIFFERENTIAL_SEED") ?? 1
        let count = Int(Self.number("DIFFERENTIAL_COUNT") ?? 400)
        print("differential seed: \(seed)")
        let ours = try Candidate.oncegate()
        let peers = [try Candidate.nginx(), try Candidate.haproxy()]
        defer { for candidate in peers + [ours] { try? candidate.stop() } }
        let corpus = Self.corpus
        var mutator = Mutator(corpus, seed: seed)
        var inputs = corpus + (0..<count).map { _ in mutator.next() }
        if let input = getenv("DIFFERENTIAL_INPUT") {
            inputs = [wireBytes(unescaped(String(cString: input)))]
        }
        var tally = Tally()
        for input in inputs {
            let found = try Self.disagreements(
                on: input, ours, peers, quiet: .milliseconds(60))
            tally.add(found.all)
            guard !found.unexplained.isEmpty else { continue }
            // On a busy machine an answer may take longer than a client is quiet.
            let again = try Self.disagreements(on: input, ours, peers, quiet: .seconds(2))
            for disagreement in again.unexplained {
                tally.unexplained += 1
                if tally.unexplained <= 200 {
                    Issue.record("unexplained, seed \(seed): \(disagreement.description)")
                }
            }
        }
        print(tally.text(of: inputs.count))
        #expect(tally.unexplained == 0)
    }

    private static func disagreements(
        on input: [UInt8], _ ours: Candidate, _ peers: [Candidate], quiet: Duration
    ) throws -> (all: [(peer: String, rule: String?)], unexplained: [Disagreement]) {
        let candidates = [ours] + peers
        let seen = try concurrently(candidates.count) { index in
            try candidates[index].observe(input, quiet: quiet)
        }
        if !seen[0].violations.isEmpty {
            Issue.record(
                "we sent an origin \(seen[0].violations) for \(latin(input).debugDescription)")
        }
        var all: [(peer: String, rule: String?)] = []
        var unexplained: [Disagreement] = []
        for (peer, theirs) in zip(peers, seen.dropFirst()) {
            guard let found = Disagreement(input, seen[0], theirs, peer: peer.name) else {
                continue
            }
            let rule = Disagreement.rules.first { $0.applies(found) }
            all.append((peer.name, rule?.name))
            if rule == nil { unexplained.append(found) }
        }
        return (all, unexplained)
    }

    /// The requests of the wire suite and of the fuzzer's corpus, as far as they are short.
    private static var corpus: [[UInt8]] {
        let rows = WireSuiteTests.rows.map { row in
            wireBytes(
                row.sends.joined().replacing("{key}", with: "k").replacing("{next}", with: "n"))
        }
        let folder = "Tests/Fuzzing/HTTP1/Corpus"
        var names: [String] = []
        if let directory = opendir(folder) {
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name.hasPrefix("request") { names.append("\(folder)/\(name)") }
            }
            closedir(directory)
        }
        let files = names.sorted().map { fileBytes($0).dropFirst(2) }
        var known = Set<[UInt8]>()
        return (rows + files.map(Array.init)).filter {
            $0.count <= 3000 && known.insert($0).inserted
        }
    }

    private static func number(_ variable: String) -> UInt64? {
        getenv(variable).flatMap { UInt64(String(cString: $0)) }
    }
}

/// How often each rule explained a disagreement with each peer.
private struct Tally {
    private var counts: [String: [String: Int]] = [:]
    var unexplained = 0

    mutating func add(_ found: [(peer: String, rule: String?)]) {
        for (peer, rule) in found { counts[rule ?? "?", default: [:]][peer, default: 0] += 1 }
    }

    func text(of inputs: Int) -> String {
        let lines = counts.sorted { $0.key < $1.key }.map { rule, peers in
            "  \(rule): "
                + peers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                .joined(separator: ", ")
        }
        let total = counts.values.flatMap(\.values).reduce(0, +)
        return
            "differential: \(inputs) inputs, \(total) disagreements, \(unexplained) unexplained\n"
            + lines.joined(separator: "\n")
    }
}

private func fileBytes(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rbe") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return bytes
}

/// The text that a string literal of Swift stands for.
private func unescaped(_ literal: String) -> String {
    var text = String.UnicodeScalarView()
    var rest = literal.unicodeScalars[...]
    while let scalar = rest.popFirst() {
        guard scalar == "\\", let kind = rest.popFirst() else {
            text.append(scalar)
            continue
        }
        switch kind {
        case "r": text.append("\r")
        case "n": text.append("\n")
        case "t": text.append("\t")
        case "0": text.append("\0")
        case "u":
            let digits = rest.dropFirst().prefix { $0 != "}" }
            rest = rest.dropFirst(digits.count + 2)
            if let value = UInt32(String(digits), radix: 16), let scalar = Unicode.Scalar(value) {
                text.append(scalar)
            }
        default: text.append(kind)
        }
    }
    return String(text)
}
