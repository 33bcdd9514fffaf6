import Glibc

/// Tries one input; a broken invariant traps.
///
/// Built with `-DFUZZING` there is no `main`: libFuzzer brings its own and calls this.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    check(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

#if !FUZZING
    /// Replays the directories and files that it is given, else the corpus.
    @main
    struct FuzzFingerprint {
        static func main() {
            let given = CommandLine.arguments.dropFirst()
            let paths = given.isEmpty ? ["Tests/Fuzzing/Fingerprint/Corpus"] : Array(given)
            let files = paths.flatMap(files(at:))
            for file in files { check(contents(of: file)) }
            print("\(files.count) inputs replayed")
            exit(files.isEmpty ? 1 : 0)
        }

        /// The files in a directory, or the file itself.
        private static func files(at path: String) -> [String] {
            guard let directory = opendir(path) else {
                return access(path, R_OK) == 0 ? [path] : []
            }
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

        private static func contents(of path: String) -> [UInt8] {
            guard let file = fopen(path, "rb") else { fatalError("\(path) cannot be read") }
            defer { fclose(file) }
            var bytes: [UInt8] = []
            while case let byte = getc(file), byte != EOF { bytes.append(UInt8(byte)) }
            return bytes
        }
    }
#endif
