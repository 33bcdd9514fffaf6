import Glibc

/// The thread behind an output: takes all lines that wait, writes them, and lets more gather.
final class LineWriter {
    private let queue: LineQueue
    private let descriptor: Int32
    /// Whether a failed write left the beginning of a line behind.
    private var isLineTorn = false

    private init(_ queue: LineQueue, _ descriptor: Int32) {
        self.queue = queue
        self.descriptor = descriptor
    }

    /// Starts a thread that ends with its queue.
    static func start(emptying queue: LineQueue, into descriptor: Int32) {
        let writer = unsafe Unmanaged.passRetained(LineWriter(queue, descriptor))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<LineWriter>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, unsafe writer.toOpaque())
        precondition(status == 0, "no thread for the log")
        pthread_detach(thread)
    }

    private func run() {
        blockSignals()
        var batch = LineBuffer.Batch()
        while let next = queue.next(reusing: batch) {
            write(next)
            batch = next
            pause(milliseconds: 2)
        }
    }

    private func write(_ batch: borrowing LineBuffer.Batch) {
        if isLineTorn { isLineTorn = write([UInt8(ascii: "\n")]) == 0 }
        let written = isLineTorn ? 0 : write(batch.bytes)
        guard written < batch.bytes.count else { return }
        if written > 0 { isLineTorn = batch.bytes[written - 1] != UInt8(ascii: "\n") }
        queue.lose(batch, after: written)
    }

    /// Writes all bytes, unless an error other than a full pipe or an interruption ends it.
    private func write(_ bytes: [UInt8]) -> Int {
        unsafe bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
                let count = unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count > 0 {
                    written += count
                } else if count < 0, errno == EAGAIN {
                    waitUntilWritable()
                } else if count == 0 || errno != EINTR {
                    break
                }
            }
            return written
        }
    }

    private func waitUntilWritable() {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        unsafe poll(&entry, 1, 100)
    }

    /// Leaves signals to other threads; a reader that went away is an error here, not a SIGPIPE.
    private func blockSignals() {
        var all = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_BLOCK, &all, nil)
    }
}

/// Whether two descriptors are the same file, pipe or terminal.
func isSameFile(_ a: Int32, _ b: Int32) -> Bool {
    var (first, second) = (stat(), stat())
    guard unsafe fstat(a, &first) == 0, unsafe fstat(b, &second) == 0 else { return a == b }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
}
