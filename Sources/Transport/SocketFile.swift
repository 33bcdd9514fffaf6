private import Glibc

/// The file of a Unix socket that is listened on.
package struct SocketFile: Sendable {
    private let path: String
    private let device: UInt64
    private let number: UInt64

    /// Nil when there is no such file.
    init?(_ path: String) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        self.path = path
        device = UInt64(status.st_dev)
        number = UInt64(status.st_ino)
    }

    /// Removes the file, unless another one has taken its place. To be called while the socket is
    /// still listened on: then nobody else takes it for one that a dead process left behind.
    package func remove() {
        guard let now = SocketFile(path), now.device == device, now.number == number else { return }
        unsafe unlink(path)
    }
}
