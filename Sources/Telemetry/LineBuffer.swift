import Glibc

/// Log lines on their way to an output: what has been appended and what got lost.
///
/// A plain value without I/O; its owner guards it.
struct LineBuffer {
    /// Lines to be written in one go.
    struct Batch {
        var bytes: [UInt8] = []
        /// How many lost lines the last line of `bytes` tells of; 0 when it tells of none.
        var reported = 0
    }

    /// The most bytes that wait.
    let limit: Int
    /// Lines that were lost since the start.
    private(set) var droppedLines = 0
    /// Lost lines that no line told of yet.
    private var unreported = 0
    private var bytes: [UInt8] = []
    private var stamp = TimeStamp(opening: #"{"time":""#, closing: #"","#)

    /// An empty buffer.
    init(limit: Int) { self.limit = limit }

    /// Whether nothing waits.
    var isEmpty: Bool { bytes.isEmpty }

    /// Adds `object`, a JSON object with at least one member, as a line with `time` put in front;
    /// or counts it as lost when there is no room for it.
    mutating func append(_ object: [UInt8], at time: timespec) {
        guard bytes.count + stamp.length + object.count <= limit else {
            droppedLines += 1
            unreported += 1
            return
        }
        put(object, at: time)
    }

    /// Takes everything that waits, followed by a line about lost lines where there were some.
    /// `emptied` is an old batch whose memory is used again.
    mutating func take(reusing emptied: consuming Batch, at time: timespec) -> Batch {
        if unreported > 0, !bytes.isEmpty { put(Self.report(unreported), at: time) }
        var batch = emptied
        batch.bytes.removeAll(keepingCapacity: true)
        swap(&batch.bytes, &bytes)
        batch.reported = batch.bytes.isEmpty ? 0 : unreported
        if !batch.bytes.isEmpty { unreported = 0 }
        return batch
    }

    /// Counts the lines of a batch of which only the first `written` bytes could be written.
    mutating func lose(_ batch: borrowing Batch, after written: Int) {
        var lost = 0
        for index in written..<batch.bytes.count where batch.bytes[index] == UInt8(ascii: "\n") {
            lost += 1
        }
        if batch.reported > 0 { lost -= 1 }
        droppedLines += lost
        unreported += lost + batch.reported
    }

    private mutating func put(_ object: [UInt8], at time: timespec) {
        bytes.append(contentsOf: stamp.bytes(at: time))
        bytes.append(contentsOf: object[1...])
        bytes.append(UInt8(ascii: "\n"))
    }

    private static func report(_ count: Int) -> [UInt8] {
        Array(
            #"{"level":"warning","message":"log lines were dropped","dropped":\#(count)}"#.utf8)
    }
}
