/// One output of the log: a queue under a short lock, and the thread that empties it.
final class LineOutput: Sendable {
    private let queue: LineQueue

    /// An output to an open descriptor. `limit` is the most bytes that wait.
    init(_ descriptor: Int32, limit: Int = 1 << 20) {
        queue = LineQueue(limit: limit)
        LineWriter.start(emptying: queue, into: descriptor)
    }

    /// The thread ends when it has written what waits.
    deinit { queue.close() }

    /// Lines that were lost since the start.
    var droppedLines: Int { queue.droppedLines }

    /// Adds a JSON object as a line, or drops it when the queue is full. Never waits for the output.
    func append(_ object: [UInt8]) { queue.append(object) }

    /// Waits until all lines appended so far are written or lost, or a second has passed.
    func flush() { queue.waitUntilDone(milliseconds: 1000) }
}
