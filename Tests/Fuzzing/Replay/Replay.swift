import Glibc

/// Tries the inputs in the files and directories that the command line names, else those of a
/// fuzzer's corpus, and ends the process.
public func replay(corpus: String, _ check: ([UInt8]) -> Void) -> Never {
    let given = CommandLine.arguments.dropFirst()
    let paths = given.isEmpty ? ["Tests/Fuzzing/\(corpus)/Corpus"] : Array(given)
    let files = paths.flatMap(files(at:))
    for file in files { check(contents(of: file)) }
    print("\(files.count) inputs replayed")
    exit(files.isEmpty ? 1 : 0)
}

/// The files in a directory, or the file itself.
private func files(at path: String) -> [String] {
    guard let directory = opendir(path) else { return access(path, R_OK) == 0 ? [path] : [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if !name.hasPrefix(".") { names.append("\(path)/\(name)") }
    }
    return names.sorted()
}

private func contents(of path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { fatalError("\(path) cannot be read") }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return bytes
}
