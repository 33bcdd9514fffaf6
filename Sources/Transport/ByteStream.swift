private import CTransport
private import Glibc

/// Why a stream of bytes came to its end.
package enum StreamError: Error, Sendable, Hashable {
    /// The peer closed or reset the connection, or we did.
    case closed
    /// The deadline passed.
    case timeout
}

/// An accepted connection, read and written without blocking its loop.
///
/// It holds no buffer: bytes are received into the caller's memory, and sent from it. Belongs to
/// the loop of its reactor; one task may read and one may write at a time.
@safe package final class ByteStream {
    package let watch: SocketWatch
    private let reactor: Reactor
    private var descriptor: Int32
    /// How many reads in a row had nothing to wait for.
    private var readsInARow = 0

    /// Takes over a connected socket, which it closes.
    /// - Returns: nil, and the socket closed, when the kernel has no room to watch it.
    package init?(adopting descriptor: Int32, on reactor: Reactor) {
        guard let watch = SocketWatch(descriptor, on: reactor) else {
            Glibc.close(descriptor)
            return nil
        }
        self.watch = watch
        self.reactor = reactor
        self.descriptor = descriptor
    }

    deinit { close() }

    /// Whether it was closed on this side.
    package var isClosed: Bool { descriptor < 0 }

    /// What one try to receive came to.
    package enum Received {
        /// So many bytes, at least one.
        case bytes(Int)
        case nothingYet
        /// The peer will send no more.
        case end
        /// The connection is gone.
        case failed
    }

    /// Receives what is there, without waiting.
    package func receive(into buffer: UnsafeMutableRawBufferPointer) -> Received {
        guard watch.isReadable, descriptor >= 0 else {
            return descriptor < 0 ? .failed : .nothingYet
        }
        while true {
            let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 {
                if count < buffer.count { watch.drained() }
                return .bytes(count)
            }
            if count == 0 {
                watch.ended()
                return .end
            }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                watch.drained()
                return .nothingYet
            default: return .failed
            }
        }
    }

    /// Receives what is there into memory of its own, without waiting.
    package func receive(atMost limit: Int) -> (Received, bytes: [UInt8]) {
        var outcome = Received.nothingYet
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            outcome = unsafe receive(into: UnsafeMutableRawBufferPointer(buffer))
            if case .bytes(let received) = outcome { count = received }
        }
        return (outcome, bytes)
    }

    /// Receives up to `limit` bytes into memory of their own, waiting for the first one.
    /// - Returns: an empty array when the peer sends no more.
    package func read(
        atMost limit: Int, until deadline: Instant?
    ) async throws(StreamError) -> [UInt8] {
        while true {
            if watch.isReadable {
                let (outcome, bytes) = receive(atMost: limit)
                switch outcome {
                case .bytes:
                    readsInARow += 1
                    if readsInARow >= Reactor.readyInARow {
                        readsInARow = 0
                        await reactor.letOthersGo()
                    }
                    return bytes
                case .end: return []
                case .failed: throw .closed
                case .nothingYet: break
                }
            }
            readsInARow = 0
            switch await watch.waitUntilReadable(until: deadline) {
            case .ready: continue
            case .timeout: throw .timeout
            case .cancelled: throw .closed
            }
        }
    }

    /// Sends `first`, then `second`, less the `start` bytes that were sent before, as one message
    /// where the kernel takes it, waiting while the peer does not read. Each wait ends after `idle`;
    /// nil is for callers with a limit of their own.
    package func write(
        _ first: [UInt8], _ second: ArraySlice<UInt8> = [], from start: Int = 0, idle: Duration?
    ) async throws(StreamError) {
        var sent = start
        let total = first.count + second.count
        while sent < total {
            switch send(first, second, from: sent) {
            case .bytes(let count): sent += count
            case .failed, .end: throw .closed
            case .nothingYet:
                switch await watch.waitUntilWritable(until: idle.map { reactor.now + $0 }) {
                case .ready: continue
                case .timeout: throw .timeout
                case .cancelled: throw .closed
                }
            }
        }
    }

    /// One try to send what follows the first `sent` bytes of both pieces together.
    package func send(_ first: [UInt8], _ second: ArraySlice<UInt8>, from sent: Int) -> Received {
        guard descriptor >= 0 else { return .failed }
        while true {
            let count = unsafe first.withUnsafeBytes { first in
                unsafe second.withUnsafeBytes { second in
                    let head = min(sent, first.count)
                    let tail = sent - head
                    return unsafe ctransport_send(
                        descriptor, first.baseAddress.map { unsafe $0 + head }, first.count - head,
                        second.baseAddress.map { unsafe $0 + tail }, second.count - tail)
                }
            }
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EINTR: continue
            case EAGAIN:
                watch.filled()
                return .nothingYet
            default: return .failed
            }
        }
    }

    /// Tells the peer that nothing more comes, while its bytes are still received.
    package func endWriting() {
        if descriptor >= 0 { shutdown(descriptor, Int32(SHUT_WR)) }
    }

    /// Makes the close that follows a reset, so that a peer cannot take what it got for complete.
    package func resetOnClose() {
        guard descriptor >= 0 else { return }
        var option = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, size)
    }

    /// Closes the connection and resumes whoever waits on it.
    package func close() {
        guard descriptor >= 0 else { return }
        watch.cancel()
        Glibc.close(descriptor)
        descriptor = -1
    }
}
