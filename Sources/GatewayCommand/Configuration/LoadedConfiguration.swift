import Admin
import Crypto
import Glibc
import JSON

/// A configuration in use, with what a later one is compared with.
struct LoadedConfiguration: Sendable {
    let configuration: Configuration
    /// The first 16 digits of the SHA-256 of what `check` prints of it. Secrets are not in there.
    let hash: String
    /// All values, secrets too: for comparison alone.
    private let values: JSONValue
    /// The digests of the files that it names, by the paths of their names; nil if unreadable.
    private let files: [String: [UInt8]?]

    /// The configuration of a result without mistakes; nil for another one.
    init?(_ result: Configuration.Result) {
        guard let configuration = result.configuration, let effective = result.effective else {
            return nil
        }
        self.configuration = configuration
        let hasher = SHA256Hasher()
        hash = Self.hexadecimal(hasher.digest(effective[...]).bytes.prefix(8))
        var printing = Printing(secrets: nil)
        configuration.write(&printing)
        values = (try? JSON.parse(printing.json.bytes[...])) ?? JSONValue(.null)
        var files: [String: [UInt8]?] = [:]
        for (name, upstream) in configuration.upstreams.map({ ($0.name, $0.value) }) {
            let path = Cursor.path("upstreams", member: name) + ".tls."
            let named = [
                ("ca", upstream.tls.ca), ("certificate", upstream.tls.certificate),
                ("private_key", upstream.tls.privateKey),
            ]
            for (member, file) in named {
                guard let file else { continue }
                files[path + member] = .some(Self.digest(of: file, hasher))
            }
        }
        self.files = files
    }

    /// Digests of the files that an upstream's options name.
    func files(ofUpstream name: String) -> [[UInt8]?] {
        let path = Cursor.path("upstreams", member: name) + ".tls."
        return ["ca", "certificate", "private_key"].map { files[path + $0] ?? nil }
    }

    private static let longestFile = 16 << 20

    /// The digest of a file; nil if it cannot be read, or may have no end, as a pipe.
    private static func digest(of file: String, _ hasher: SHA256Hasher) -> [UInt8]? {
        var status = stat()
        guard unsafe stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            let contents = try? Environment.contents(of: file, limit: longestFile)
        else { return nil }
        return hasher.digest(contents[...]).bytes
    }

    private static func hexadecimal(_ bytes: ArraySlice<UInt8>) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }
}

/// A difference between two configurations.
struct ConfigurationChange: Sendable, Hashable {

    typealias Kind = ReloadOutcome.Change.Kind

    /// As in mistakes; routes go by their names: `routes["orders"].methods`.
    let path: String
    let kind: Kind
    /// Whether a running process cannot follow it.
    let needsRestart: Bool
}

extension LoadedConfiguration {
    /// How this configuration differs from an older one, in the order of the file.
    func changes(since old: LoadedConfiguration) -> [ConfigurationChange] {
        var comparison = Comparison()
        comparison.compare(old.values, values, at: "")
        // Secrets of their own type are never written down.
        if let token = configuration.admin?.token, let known = old.configuration.admin?.token,
            token != known
        {
            comparison.note("admin.token", .changed)
        }
        let keys = configuration.store.encryptionKeys
        if keys != old.configuration.store.encryptionKeys {
            comparison.note("store.encryption_key", .changed)
        }
        for (path, digest) in files.sorted(by: { $0.key < $1.key }) {
            guard let known = old.files[path], known != digest else { continue }
            comparison.note(path, .changed)
        }
        return comparison.changes
    }
}

/// Finds what differs in two documents.
private struct Comparison {
    private(set) var changes: [ConfigurationChange] = []
    private var paths: Set<String> = []

    mutating func note(_ path: String, _ kind: ConfigurationChange.Kind) {
        guard paths.insert(path).inserted else { return }
        changes.append(
            ConfigurationChange(path: path, kind: kind, needsRestart: Self.needsRestart(path)))
    }

    mutating func compare(_ old: JSONValue, _ new: JSONValue, at path: String) {
        switch (old.kind, new.kind) {
        case (.object(let old), .object(let new)):
            compare(
                old.map { ($0.name, $0.value) }, new.map { ($0.name, $0.value) }, at: path)
        case (.array(let old), .array(let new)) where path == "routes":
            let names = (old: old.map(Self.name), new: new.map(Self.name))
            compare(
                Array(zip(names.old, old)), Array(zip(names.new, new)), at: path)
            let kept = Set(names.old).intersection(names.new)
            if names.old.filter(kept.contains) != names.new.filter(kept.contains) {
                note("routes", .changed)
            }
        case (.array(let old), .array(let new)) where old.count == new.count:
            for (index, values) in zip(old, new).enumerated() {
                compare(values.0, values.1, at: Cursor.path(path, element: index))
            }
        case (.array, .array): note(path, .changed)
        default:
            if !Self.areEqual(old, new) { note(path, .changed) }
        }
    }

    private mutating func compare(
        _ old: [(String, JSONValue)], _ new: [(String, JSONValue)], at path: String
    ) {
        let known = Dictionary(old) { first, _ in first }
        let left = Set(new.map(\.0))
        for (name, _) in old where !left.contains(name) {
            note(Cursor.path(path, member: name), .removed)
        }
        for (name, value) in new {
            let inner = Cursor.path(path, member: name)
            if let before = known[name] {
                compare(before, value, at: inner)
            } else {
                note(inner, .added)
            }
        }
    }

    private static func name(_ route: JSONValue) -> String { route["name"]?.string ?? "" }

    private static func areEqual(_ a: JSONValue, _ b: JSONValue) -> Bool {
        switch (a.kind, b.kind) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): a.utf8.elementsEqual(b.utf8)
        default: false
        }
    }

    /// What is opened once, at start.
    private static func needsRestart(_ path: String) -> Bool {
        if path == "admin" || path == "admin.address" { return true }
        return ["listeners", "threads", "store", "spool"].contains { name in
            path == name || path.hasPrefix(name + ".") || path.hasPrefix(name + "[")
        }
    }
}
