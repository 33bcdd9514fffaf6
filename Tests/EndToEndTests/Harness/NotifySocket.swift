import Glibc

/// The socket at which a service manager is told how its services do.
final class NotifySocket: Sendable {
    private struct State {
        var messages: [String] = []
        /// How many of them were waited for.
        var seen = 0
    }

    /// The value of `NOTIFY_SOCKET`.
    let path: String
    /// The descriptor.
    let number: Int32
    private let directory: TemporaryDirectory
    private let state = Monitor(State())

    /// Binds a socket in a directory of its own, or one of the abstract namespace.
    init(abstract name: String? = nil) throws {
        directory = try TemporaryDirectory()
        path = name.map { "@" + $0 } ?? "\(directory.path)/notify"
        number = socket(
            AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if name != nil { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count + (name == nil ? 1 : 0))
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, length) }
        }
        guard status == 0 else { throw HarnessError("bind \(path): \(errno)") }
        startThread { [number, state] in
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = recv(number, &buffer, buffer.count, 0)
                if count < 0 && errno == EINTR { continue }
                // Shut, when the test is over.
                if count <= 0 { break }
                state.with {
                    $0.messages.append(String(decoding: buffer[..<count], as: UTF8.self))
                }
            }
            close(number)
        }
    }

    deinit { shutdown(number, Int32(SHUT_RDWR)) }

    /// All that was told so far.
    var messages: [String] { state.with { $0.messages } }

    /// Waits for a message that comes after those that were waited for.
    @discardableResult
    func waitFor(_ isWanted: (String) -> Bool) throws -> String {
        try state.wait(for: "a notification; there are \(messages)") { state in
            guard let index = state.messages[state.seen...].firstIndex(where: isWanted) else {
                return nil
            }
            state.seen = index + 1
            return state.messages[index]
        }
    }
}
