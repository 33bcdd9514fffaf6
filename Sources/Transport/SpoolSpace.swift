private import CTransport
private import Glibc
private import Synchronization

/// Room on a disk for what is too long for memory: files without names, of which nothing is left
/// when the process ends, however it ends. Shared by all loops.
package final class SpoolSpace: Sendable {
    /// The most bytes that all files may have together.
    package let limit: Int
    private let directory: String
    private let used = Atomic<Int>(0)

    /// Room in a directory.
    ///
    /// - Throws: ``SpoolError`` if no file can be made there.
    package init(directory: String, limit: Int) throws(SpoolError) {
        self.directory = directory
        self.limit = limit
        _ = try open()
    }

    /// The bytes that all files have now.
    package var usedBytes: Int { used.load(ordering: .relaxed) }

    /// A new, empty file.
    package func open() throws(SpoolError) -> SpoolFile {
        try adopt(unsafe ctransport_spool(directory))
    }

    /// The same as file systems without nameless files need it.
    func openByName() throws(SpoolError) -> SpoolFile {
        try adopt(unsafe ctransport_spool_by_name(directory))
    }

    private func adopt(_ descriptor: Int32) throws(SpoolError) -> SpoolFile {
        guard descriptor >= 0 else {
            throw SpoolError("a spool file cannot be made in \(directory): \(reason(errno))")
        }
        return SpoolFile(adopting: descriptor, in: self)
    }

    fileprivate func take(_ count: Int) throws(SpoolError) {
        let (_, total) = used.add(count, ordering: .relaxed)
        guard total > limit else { return }
        used.subtract(count, ordering: .relaxed)
        throw SpoolError(
            "spooled bodies reach their limit of \(limit) bytes together; raise spool.limit, or "
                + "lower the routes' limits.body")
    }

    fileprivate func giveBack(_ count: Int) { used.subtract(count, ordering: .relaxed) }
}

/// A spool file could not be made, written or read.
package struct SpoolError: Error, Sendable, CustomStringConvertible {
    /// What failed, and what to do about it.
    package let description: String

    init(_ description: String) { self.description = description }
}

/// A file without a name, readable by its owner alone; closed, and so gone, with its last reference.
///
/// Reads and writes go through the kernel's cache and wait for the disk only when that is full.
package final class SpoolFile {
    let descriptor: Int32
    private let space: SpoolSpace
    private var taken = 0
    /// The bytes that were written.
    package private(set) var count = 0

    init(adopting descriptor: Int32, in space: SpoolSpace) {
        self.descriptor = descriptor
        self.space = space
    }

    deinit {
        close(descriptor)
        space.giveBack(taken)
    }

    /// Adds bytes at the end. After a failure some of them may be there.
    package func append(_ bytes: ArraySlice<UInt8>) throws(SpoolError) {
        try space.take(bytes.count)
        taken += bytes.count
        var rest = bytes
        while !rest.isEmpty {
            let written = unsafe rest.withUnsafeBytes {
                unsafe pwrite(descriptor, $0.baseAddress, $0.count, count)
            }
            guard written >= 0 else {
                if errno == EINTR { continue }
                throw SpoolError("a spool file cannot be written: \(reason(errno))")
            }
            count += written
            rest = rest.dropFirst(written)
        }
    }

    /// Up to `limit` bytes from `offset` on; fewer only at the end.
    package func read(at offset: Int, atMost limit: Int) throws(SpoolError) -> [UInt8] {
        let wanted = max(0, min(limit, count - offset))
        var failure: Int32?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: wanted) { buffer, filled in
            while filled < wanted {
                let received = unsafe pread(
                    descriptor, buffer.baseAddress.map { unsafe $0 + filled }, wanted - filled,
                    offset + filled)
                if received < 0, errno == EINTR { continue }
                guard received > 0 else {
                    failure = received < 0 ? errno : EIO
                    return
                }
                filled += received
            }
        }
        if let failure { throw SpoolError("a spool file cannot be read: \(reason(failure))") }
        return bytes
    }
}

private func reason(_ code: Int32) -> String { unsafe String(cString: strerror(code)) }
