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
    ///
    /// - Parameter patience: Milliseconds for which a pipe may give nothing. Without a bound, one
    ///   that nobody writes to would hold up this reload and all later ones.
    static func contents(
        of path: String, limit: Int, patience: Int32 = 10_000
    ) throws(Invalid) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        var status = stat()
        // Before somebody writes to a pipe, reading it is as at its end.
        var mayBegin = unsafe fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
        var contents: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { buffer in
                unsafe read(descriptor, buffer.baseAddress, buffer.count)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 && errno == EAGAIN || count == 0 && mayBegin {
                mayBegin = false
                try wait(for: descriptor, patience)
                continue
            }
            guard count >= 0 else { throw failure() }
            if count == 0 { return contents }
            mayBegin = false
            contents += chunk.prefix(count)
            guard contents.count <= limit else { throw Invalid("more than \(limit >> 20)MiB") }
        }
    }

    private static func wait(for descriptor: Int32, _ patience: Int32) throws(Invalid) {
        var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let ready = unsafe poll(&wait, 1, patience)
            if ready < 0, errno == EINTR { continue }
            guard ready >= 0 else { throw failure() }
            guard ready > 0 else { throw Invalid("nothing came for \(patience / 1000) seconds") }
            return
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
