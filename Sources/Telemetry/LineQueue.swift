import Glibc
import Synchronization

/// What an output and its thread share: the buffer, and a way to wake the thread.
///
/// The thread is woken only when it sleeps, so that under load appending costs no system call.
final class LineQueue: Sendable {
    private struct State {
        var buffer: LineBuffer
        var appended = 0
        /// Of those appended, how many the thread has taken, and how many it is done with.
        var taken = 0
        var done = 0
        var isThreadAsleep = true
        var isClosed = false
    }

    private let state: Mutex<State>
    private let wakeUp = Semaphore()

    /// An empty queue that holds at most `limit` bytes.
    init(limit: Int) {
        state = Mutex(State(buffer: LineBuffer(limit: limit)))
    }

    /// Lines that were lost since the start.
    var droppedLines: Int { state.withLock { $0.buffer.droppedLines } }

    /// Adds a JSON object as a line, or counts it as lost.
    func append(_ object: [UInt8]) {
        let wasAsleep = state.withLock { state in
            state.buffer.append(object, at: currentTime())
            state.appended += 1
            defer { state.isThreadAsleep = false }
            return state.isThreadAsleep
        }
        if wasAsleep { wakeUp.post() }
    }

    /// Waits until all lines appended so far are written or lost, at most so long.
    func waitUntilDone(milliseconds limit: Int) {
        let goal = state.withLock { $0.appended }
        for _ in 0..<limit where state.withLock({ $0.done < goal }) { pause(milliseconds: 1) }
    }

    /// Lets the thread end once it has written what waits.
    func close() {
        state.withLock { $0.isClosed = true }
        wakeUp.post()
    }
}

// For the thread alone.
extension LineQueue {
    /// Waits for lines and takes them all; nil once the queue is closed and empty.
    func next(reusing emptied: consuming LineBuffer.Batch) -> LineBuffer.Batch? {
        var batch = emptied
        while true {
            let isClosed = state.withLock { state in
                state.done = state.taken
                batch = state.buffer.take(reusing: batch, at: currentTime())
                state.taken = state.appended
                state.isThreadAsleep = batch.bytes.isEmpty && !state.isClosed
                return state.isClosed
            }
            if !batch.bytes.isEmpty { return batch }
            if isClosed { return nil }
            wakeUp.wait()
        }
    }

    /// Counts what a failed write lost: the lines of `batch` from its byte `written` on.
    func lose(_ batch: borrowing LineBuffer.Batch, after written: Int) {
        state.withLock { $0.buffer.lose(batch, after: written) }
    }
}

/// The wall clock.
func currentTime() -> timespec {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return time
}

/// Puts the calling thread to sleep; a signal may end it early.
func pause(milliseconds: Int) {
    var time = timespec(tv_sec: 0, tv_nsec: milliseconds * 1_000_000)
    unsafe nanosleep(&time, nil)
}
