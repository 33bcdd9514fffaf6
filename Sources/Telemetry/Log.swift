package import JSON
import Synchronization

/// Structured log lines, one JSON object each.
///
/// A line is `{"time":"2026-01-02T03:04:05.678Z","level":"info","message":"…", …}` with the caller's
/// members after these. Lines go into a bounded buffer (1 MiB for each of the two outputs) that a
/// thread of its own writes out, so no caller waits for a terminal, a pipe or a disk. Lines that
/// find the buffer full are dropped; the output says how many are missing as soon as it flows again.
package final class Log: Sendable {
    /// How much a line matters.
    package enum Level: String, Sendable, CaseIterable {
        case debug, info, warning, error
    }

    /// The least level that is written.
    package var level: Level { Level(severity: leastSeverity.load(ordering: .relaxed)) }
    /// Whether ``access(_:)`` writes anything.
    package var isAccessOn: Bool { hasAccess.load(ordering: .relaxed) }
    /// Lines that were lost since the start, because an output was too slow or failed.
    package var droppedLines: Int {
        lines.droppedLines + (accessLines === lines ? 0 : accessLines.droppedLines)
    }

    private let leastSeverity: Atomic<Int>
    private let hasAccess: Atomic<Bool>
    private let lines: LineOutput
    private let accessLines: LineOutput

    /// A log that writes to open descriptors, which it neither closes nor changes.
    ///
    /// Two descriptors of one file, as after `2>&1`, share one buffer, so that lines stay whole.
    package init(
        level: Level = .info, access: Bool = true, to descriptor: Int32 = 2,
        accessTo accessDescriptor: Int32 = 1
    ) {
        leastSeverity = Atomic(level.severity)
        hasAccess = Atomic(access)
        lines = LineOutput(descriptor)
        let isShared = isSameFile(descriptor, accessDescriptor)
        accessLines = isShared ? lines : LineOutput(accessDescriptor)
    }

    /// Changes what is written from now on; from any thread.
    package func change(level: Level, access: Bool) {
        leastSeverity.store(level.severity, ordering: .relaxed)
        hasAccess.store(access, ordering: .relaxed)
    }

    /// Whether lines of this level are written.
    package func writes(_ level: Level) -> Bool {
        level.severity >= leastSeverity.load(ordering: .relaxed)
    }

    /// Writes a line. `members` adds to it, and is called only when the level is written.
    package func write(
        _ level: Level, _ message: String, _ members: (inout JSONWriter) -> Void = { _ in }
    ) {
        guard writes(level) else { return }
        var line = JSONWriter(reserving: 256)
        line.beginObject()
        line.member("level", level.rawValue)
        line.member("message", message)
        members(&line)
        line.endObject()
        lines.append(line.bytes)
    }

    /// Writes the line of one answered request, message `request`, level `info` whatever the log's
    /// own level is. `members` is called only when access lines are on.
    package func access(_ members: (inout JSONWriter) -> Void) {
        guard isAccessOn else { return }
        var line = JSONWriter(reserving: 512)
        line.beginObject()
        line.member("level", Level.info.rawValue)
        line.member("message", "request")
        members(&line)
        line.endObject()
        accessLines.append(line.bytes)
    }

    /// Waits until everything that was logged before has been written, at most a second for each
    /// output. For the end of the process; never for an event loop.
    package func flush() {
        lines.flush()
        if accessLines !== lines { accessLines.flush() }
    }
}

extension Log.Level: Comparable {
    package static func < (a: Log.Level, b: Log.Level) -> Bool { a.severity < b.severity }

    fileprivate var severity: Int {
        switch self {
        case .debug: 0
        case .info: 1
        case .warning: 2
        case .error: 3
        }
    }

    fileprivate init(severity: Int) {
        self = Self.allCases[min(max(severity, 0), Self.allCases.count - 1)]
    }
}
