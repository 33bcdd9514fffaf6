import Glibc

/// Where secrets and files come from.
struct Environment: Sendable {
    /// The value of an environment variable; nil when it is not set.
    let variable: @Sendable (String) -> String?
    /// The bytes of a file, at most ``maximumFileSize``.
    let file: @Sendable (String) throws(Invalid) -> [UInt8]
    /// Throws for what is no directory in which files can be made.
    var directory: @Sendable (String) throws(Invalid) -> Void = { _ in }

    /// The most bytes that a file may have.
    static let maximumFileSize = 1 << 20

    /// This process's own.
    static let process = Environment(
        variable: { name in
            guard let value = unsafe getenv(name) else { return nil }
            return unsafe String(cString: value)
        },
        file: { path throws(Invalid) in try contents(of: path, limit: maximumFileSize) },
        directory: { path throws(Invalid) in
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { throw failure() }
            guard status.st_mode & S_IFMT == S_IFDIR else { throw Invalid("it is no directory") }
            guard unsafe access(path, W_OK | X_OK) == 0 else { throw failure() }
        })

    /// The bytes of a file, or of a pipe, at most `limit`.
    static func contents(of path: String, limit: Int) throws(Invalid) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure() }
            if count == 0 { return contents }
            contents += chunk.prefix(count)
            guard contents.count <= limit else { throw Invalid("more than \(limit >> 20)MiB") }
        }
    }

    private static func failure() -> Invalid {
        guard let text = unsafe strerror(errno) else { return Invalid("error \(errno)") }
        return Invalid(unsafe String(cString: text))
    }

    /// Replaces `${NAME}` and `${file:PATH}`. What is filled in is not looked at again.
    func fillIn(_ written: String) throws(Invalid) -> String {
        var result = ""
        var rest = written[...]
        while let mark = rest.firstRange(of: "${") {
            result += rest[..<mark.lowerBound]
            rest = rest[mark.upperBound...]
            guard let end = rest.firstIndex(of: "}") else {
                throw Invalid("expected \"}\" after \"${\", as in \"${NAME}\" or \"${file:PATH}\"")
            }
            result += try secret(String(rest[..<end]))
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private func secret(_ reference: String) throws(Invalid) -> String {
        if reference.hasPrefix("file:") { return try secretFile(String(reference.dropFirst(5))) }
        let isName =
            reference.utf8.first.map { $0 &- 0x30 >= 10 } ?? false
            && reference.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || byte &- 0x30 < 10 || (byte | 0x20) &- 0x61 < 26
            }
        guard isName else {
            throw Invalid(
                "expected \"${NAME}\" or \"${file:PATH}\", found \"${\(reference)}\"")
        }
        guard let value = variable(reference) else {
            throw Invalid("the environment variable \(reference) is not set")
        }
        return value
    }

    /// A file's text without the line end that editors put behind it.
    func secretFile(_ path: String) throws(Invalid) -> String {
        let contents: [UInt8]
        do {
            contents = try file(path)
        } catch {
            throw Invalid("the file \"\(path)\" cannot be read: \(error.message)")
        }
        guard let text = String(validating: contents, as: UTF8.self), !text.contains("\0") else {
            throw Invalid("the file \"\(path)\" holds no text")
        }
        return text.last?.isNewline == true ? String(text.dropLast()) : text
    }
}
