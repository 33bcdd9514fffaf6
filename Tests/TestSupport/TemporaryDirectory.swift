import Glibc

/// A directory that is gone afterwards.
package enum TemporaryDirectory {
    /// Makes a directory, hands its path out, and removes it with all that is in it.
    package static func with<Result>(
        _ body: (String) async throws -> Result
    ) async throws -> Result {
        var template = Array("/tmp/oncegate-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StoreFailure.noDirectory(errno) }
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { remove(path) }
        return try await body(path)
    }

    private enum StoreFailure: Error { case noDirectory(Int32) }

    private static func remove(_ path: String) {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
        closedir(directory)
        rmdir(path)
    }
}
