internal import Glibc

/// A journal's file, and which of its entries are still needed. Used by one thread at a time.
final class JournalFile {
    /// The calls that change the file; tests replace them to see what follows from failures.
    struct Calls: Sendable {
        var write: @Sendable (_ descriptor: CInt, _ bytes: ArraySlice<UInt8>, _ at: Int) -> Int
        var sync: @Sendable (_ descriptor: CInt) -> CInt
        var truncate: @Sendable (_ descriptor: CInt, _ length: Int) -> CInt

        /// The kernel's.
        static let system = Calls(
            write: { descriptor, bytes, offset in
                unsafe bytes.withUnsafeBytes {
                    unsafe pwrite(descriptor, $0.baseAddress, $0.count, off_t(offset))
                }
            },
            sync: { fdatasync($0) },
            truncate: { ftruncate($0, off_t($1)) })
    }

    /// What was wrong with the file when it was opened.
    struct Damage {
        /// Bytes of an append that was cut short; they are gone.
        var torn = 0
        /// Bytes among the entries that are none.
        var damaged = 0
        /// Where these were put aside; nil if that failed, and they are where they were.
        var aside: String?
    }

    private struct Frame {
        var position: UInt64
        var range: Range<Int>
    }

    private let path: String
    private let limit: Int
    private let reserve: Int
    private let calls: Calls
    private var descriptor: CInt
    private var format: JournalFormat
    private var frames: [Frame] = []
    /// Where the next frame goes: behind the last whole one.
    private var end = JournalFormat.headerLength
    private var last: UInt64 = 0
    /// Whether there may be something behind the end that an append left there.
    private var isTorn = false
    private(set) var damage = Damage()
    /// What was in it when it was opened.
    private(set) var entries: [(position: UInt64, bytes: [UInt8])] = []

    /// Bytes of entries and their frames.
    var size: Int { end - JournalFormat.headerLength }

    /// Opens a journal, or makes it, and takes possession of it.
    init(path: String, limit: Int, reserve: Int, calls: Calls) throws(StoreError) {
        self.path = path
        self.limit = limit
        self.reserve = reserve
        self.calls = calls
        descriptor = try Self.take(path)
        format = JournalFormat()
        do throws(StoreError) {
            try load()
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    /// A child process that is about to begin may share the descriptor for a moment, and with it the
    /// lock, unless that is given up before.
    deinit {
        flock(descriptor, LOCK_UN)
        Glibc.close(descriptor)
    }

    /// Opens the file and locks it. Another process may have put another file in its place between
    /// the two.
    private static func take(_ path: String) throws(StoreError) -> CInt {
        for _ in 0..<10 {
            let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
            guard descriptor >= 0 else { throw StoreError(errno: errno, path) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                Glibc.close(descriptor)
                throw StoreError(
                    .locked,
                    "\(path): another process holds it; stop that one, or give this one its own"
                        + " store")
            }
            var opened = stat()
            var named = stat()
            if unsafe fstat(descriptor, &opened) == 0, unsafe lstat(path, &named) == 0,
                opened.st_ino == named.st_ino, opened.st_dev == named.st_dev
            {
                return descriptor
            }
            Glibc.close(descriptor)
        }
        throw StoreError(.locked, "\(path): other processes keep replacing it")
    }

    private func load() throws(StoreError) {
        // One more byte tells whether there is anything else.
        let header = try read(limit: JournalFormat.headerLength + 1)
        guard !JournalFormat.isUnborn(header) else { return try begin() }
        do throws(StoreError) {
            format = try JournalFormat(header: header)
        } catch {
            throw StoreError(
                error.reason,
                "\(path): \(error.detail); it was left as it is: "
                    + (error.reason == .newer
                        ? "run the version that wrote it"
                        : "move it away, or give the store another path"))
        }
        let bytes = try read(limit: .max)
        let scan = format.scan(bytes)
        entries = scan.frames.map { ($0.position, format.entry(in: bytes, $0.range)) }
        frames = scan.frames.map { Frame(position: $0.position, range: $0.range) }
        last = frames.last?.position ?? 0
        end = scan.end
        damage.torn = scan.torn
        if scan.torn > 0 {
            isTorn = true
            try mend()
        }
        if !scan.damage.isEmpty { repair(bytes, scan.damage) }
    }

    /// Puts what is damaged aside, so that the file holds entries alone. Where there is no room
    /// for that, it stays where it is: nothing reads it.
    private func repair(_ bytes: [UInt8], _ ranges: [Range<Int>]) {
        damage.damaged = ranges.reduce(0) { $0 + $1.count }
        let aside = path + ".damaged"
        do throws(StoreError) {
            try keep(ranges.flatMap { bytes[$0] }, in: aside)
            try compact()
            damage.aside = aside
        } catch {
            damage.aside = nil
        }
    }

    /// Adds bytes to another file.
    private func keep(_ bytes: [UInt8], in path: String) throws(StoreError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw StoreError(errno: errno, path) }
        defer { Glibc.close(descriptor) }
        try write(bytes, at: Int(lseek(descriptor, 0, SEEK_END)), of: descriptor)
        guard fsync(descriptor) == 0 else { throw StoreError(errno: errno, path) }
    }

    /// Writes the header of a new file.
    private func begin() throws(StoreError) {
        try write(format.header, at: 0)
        try sync()
        keepRoom()
        try sync()
        try syncDirectory()
    }
}

extension JournalFile {
    /// Adds entries with one sync for all; where each is, or why it is not there.
    func append(_ entries: [[UInt8]]) -> [Result<UInt64, StoreError>] {
        var bytes: [UInt8] = []
        var added: [Frame] = []
        let start = end
        let results = entries.map { entry -> Result<UInt64, StoreError> in
            let frameStart = start + bytes.count
            let length = JournalFormat.headLength + entry.count
            guard frameStart + length - JournalFormat.headerLength <= limit else {
                return .failure(
                    StoreError(.full, "\(path): it holds \(size) of \(limit) bytes already"))
            }
            let position = last + UInt64(added.count) + 1
            guard format.append(entry, position: position, to: &bytes) else {
                return .failure(StoreError(.tooLarge, "\(path): an entry of \(entry.count) bytes"))
            }
            added.append(Frame(position: position, range: frameStart..<(frameStart + length)))
            return .success(position)
        }
        guard !added.isEmpty else { return results }
        do throws(StoreError) {
            if isTorn { try mend() }
            isTorn = true
            try write(bytes, at: end)
            try sync()
            isTorn = false
        } catch {
            // If this fails too, it is tried before the next append.
            if isTorn { do throws(StoreError) { try mend() } catch { isTorn = true } }
            return results.map { $0.flatMap { _ in .failure(error) } }
        }
        end += bytes.count
        last += UInt64(added.count)
        frames += added
        return results
    }

    /// Forgets the entries at these positions. Their bytes stay where they are until they are more
    /// than half of the file, unless they are to be gone at once.
    func discard(_ positions: Set<UInt64>, isErasing: Bool) throws(StoreError) {
        frames.removeAll { positions.contains($0.position) }
        guard !frames.isEmpty else {
            guard size > 0 || isTorn else { return }
            end = JournalFormat.headerLength
            isTorn = true
            return try mend()
        }
        let needless = size - frames.reduce(0) { $0 + $1.range.count }
        guard needless > (isErasing ? 0 : size / 2) else { return }
        try compact()
    }

    /// Cuts off what is behind the end.
    private func mend() throws(StoreError) {
        guard calls.truncate(descriptor, end) == 0 else { throw StoreError(errno: errno, path) }
        keepRoom()
        try sync()
        isTorn = false
    }

    /// Has some room reserved behind the end, so that there is some when the disk is full. There
    /// is no need for it, so that it does not matter if it fails.
    private func keepRoom() {
        guard reserve > 0 else { return }
        _ = posix_fallocate(descriptor, off_t(end), off_t(min(reserve, limit)))
    }

    private func sync() throws(StoreError) {
        guard calls.sync(descriptor) == 0 else { throw StoreError(errno: errno, path) }
    }

    private func syncDirectory() throws(StoreError) {
        let name = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let directory = unsafe open(
            name.isEmpty ? "/" : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { throw StoreError(errno: errno, name) }
        defer { Glibc.close(directory) }
        guard fsync(directory) == 0 else { throw StoreError(errno: errno, name) }
    }

    private func write(_ bytes: [UInt8], at offset: Int) throws(StoreError) {
        try write(bytes, at: offset, of: descriptor)
    }

    private func write(
        _ bytes: [UInt8], at offset: Int, of descriptor: CInt
    ) throws(StoreError) {
        var written = 0
        while written < bytes.count {
            let count = calls.write(descriptor, bytes[written...], offset + written)
            guard count > 0 || (count < 0 && errno == EINTR) else {
                throw StoreError(errno: count == 0 ? ENOSPC : errno, path)
            }
            written += max(0, count)
        }
    }

    /// The file's first bytes.
    private func read(limit: Int) throws(StoreError) -> [UInt8] {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw StoreError(errno: errno, path) }
        return try read(0..<min(limit, Int(status.st_size)))
    }

    private func read(_ range: Range<Int>) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        var filled = 0
        while filled < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { bytes in
                unsafe pread(
                    descriptor, bytes.baseAddress! + filled, bytes.count - filled,
                    off_t(range.lowerBound + filled))
            }
            guard count != 0 else {
                throw StoreError(.unavailable, "\(path): it became shorter while it was read")
            }
            guard count > 0 || errno == EINTR else { throw StoreError(errno: errno, path) }
            filled += max(0, count)
        }
        return bytes
    }

    /// Puts a file with the needed entries alone in the place of this one. If that fails, this one
    /// goes on as it is.
    private func compact() throws(StoreError) {
        var bytes = format.header
        var moved: [Frame] = []
        for frame in frames {
            let start = bytes.count
            bytes += try read(frame.range)
            moved.append(Frame(position: frame.position, range: start..<bytes.count))
        }
        let draft = path + ".new"
        let descriptor = unsafe open(
            draft, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw StoreError(errno: errno, draft) }
        do throws(StoreError) {
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw StoreError(.locked, "\(draft): another process holds it")
            }
            try write(bytes, at: 0, of: descriptor)
            guard fsync(descriptor) == 0 else { throw StoreError(errno: errno, draft) }
            guard unsafe rename(draft, path) == 0 else { throw StoreError(errno: errno, path) }
        } catch {
            unsafe unlink(draft)
            Glibc.close(descriptor)
            throw error
        }
        Glibc.close(self.descriptor)
        self.descriptor = descriptor
        frames = moved
        end = bytes.count
        isTorn = false
        keepRoom()
        try syncDirectory()
    }

    /// Lets go of what was read at the start.
    func forgetEntries() { entries = [] }
}

extension StoreError {
    /// A failed call of the kernel's, with what to do about it.
    fileprivate init(errno code: CInt, _ path: String) {
        let message = unsafe String(cString: strerror(code))
        switch code {
        case ENOSPC, EDQUOT, EFBIG:
            self.init(.full, "\(path): no room left on its disk: \(message)")
        case EROFS, EACCES, EPERM:
            self.init(.readOnly, "\(path): it cannot be written: \(message)")
        case ELOOP, EISDIR, ENOTDIR:
            self.init(.corrupt, "\(path): not a file: \(message); name another path")
        default: self.init(.unavailable, "\(path): \(message)")
        }
    }
}
