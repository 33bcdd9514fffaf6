import Glibc

/// A process with all its descendants, as the kernel accounts for them.
struct ProcessTree {
    let root: pid_t

    /// User and system time that the processes' threads have used, in nanoseconds.
    func cpuNanoseconds() -> Int {
        processes().reduce(0) { total, process in
            total
                + names(in: "/proc/\(process)/task").reduce(0) { sum, thread in
                    let text = contents(of: "/proc/\(process)/task/\(thread)/schedstat")
                    return sum + (text.split(separator: " ").first.flatMap { Int($0) } ?? 0)
                }
        }
    }

    /// Resident memory in bytes; pages that processes share count once (proportional set size).
    func memoryBytes() -> Int {
        processes().reduce(0) { total, process in
            let lines = contents(of: "/proc/\(process)/smaps_rollup").split(separator: "\n")
            let line = lines.first { $0.hasPrefix("Pss:") }
            return total + (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
                * 1024
        }
    }

    private func processes() -> [pid_t] {
        var children: [pid_t: [pid_t]] = [:]
        for name in names(in: "/proc") {
            guard let process = pid_t(name) else { continue }
            let text = contents(of: "/proc/\(name)/stat")
            let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
            if fields.count > 1, let parent = pid_t(fields[1]) {
                children[parent, default: []].append(process)
            }
        }
        var found = [root]
        var next = 0
        while next < found.count {
            found += children[found[next], default: []]
            next += 1
        }
        return found
    }
}

/// Time that all cores of the machine were busy so far, or taken by other machines, in nanoseconds.
func machineBusyNanoseconds() -> Int {
    let line = contents(of: "/proc/stat").prefix { $0 != "\n" }
    let ticks = line.split(separator: " ").dropFirst().prefix(8).map { Int($0) ?? 0 }
    guard ticks.count == 8 else { return 0 }
    let (idle, waiting) = (ticks[3], ticks[4])
    return (ticks.reduce(0, +) - idle - waiting) * 1_000_000_000 / sysconf(Int32(_SC_CLK_TCK))
}

/// The names in a directory; none if it cannot be read.
private func names(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if !name.hasPrefix(".") { names.append(name) }
    }
    return names
}

/// The text of a small file; none if it cannot be read.
private func contents(of path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
}
