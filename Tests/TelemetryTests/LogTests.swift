import Glibc
import JSON
import Testing

@testable import Telemetry

@Suite struct LogTests {
    @Test func `a line has time, level, message and the caller's members, in this order`() throws {
        let pipe = try Pipe()
        let log = Log(level: .info, access: false, to: pipe.writeEnd)
        log.write(.warning, "store \"full\"") { line in
            line.member("rows", 3)
            line.member("path", "a\nb")
        }
        log.flush()
        let line = pipe.readAvailable()
        let stamp = #"\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","#
        let rest = #""level":"warning","message":"store \\"full\\"","rows":3,"path":"a\\nb"\}\n"#
        #expect(try Regex(stamp + rest).wholeMatch(in: line) != nil, "\(line)")
    }

    @Test func `a line below the level is not even built`() throws {
        let pipe = try Pipe()
        let log = Log(level: .warning, access: false, to: pipe.writeEnd)
        log.write(.info, "built") { _ in Issue.record("built") }
        log.access { _ in Issue.record("built") }
        log.write(.error, "written")
        log.flush()
        #expect(pipe.readAvailable().contains(#""message":"written"}"#))
        #expect(!log.writes(.info) && log.writes(.warning))
    }

    @Test func `level and access lines can be changed while it is written`() throws {
        let (pipe, accessPipe) = (try Pipe(), try Pipe())
        let log = Log(
            level: .error, access: false, to: pipe.writeEnd, accessTo: accessPipe.writeEnd)
        log.write(.info, "before")
        log.access { $0.member("status", 1) }
        log.change(level: .info, access: true)
        #expect(log.level == .info && log.isAccessOn && log.writes(.info) && !log.writes(.debug))
        log.write(.info, "between")
        log.access { $0.member("status", 2) }
        log.change(level: .warning, access: false)
        log.write(.info, "after")
        log.access { $0.member("status", 3) }
        log.flush()
        let lines = pipe.readAvailable().split(separator: "\n")
        #expect(lines.count == 1 && lines[0].contains("between"))
        let access = accessPipe.readAvailable().split(separator: "\n")
        #expect(access.count == 1 && access[0].contains(#""status":2"#))
    }

    @Test func `levels are ordered by how much they matter`() {
        #expect(Log.Level.allCases.sorted() == [.debug, .info, .warning, .error])
    }

    @Test func `access lines have an output of their own`() throws {
        let (pipe, accessPipe) = (try Pipe(), try Pipe())
        let log = Log(level: .error, to: pipe.writeEnd, accessTo: accessPipe.writeEnd)
        log.access { $0.member("status", 201) }
        log.write(.error, "broken")
        log.flush()
        #expect(accessPipe.readAvailable().hasSuffix(#","message":"request","status":201}"# + "\n"))
        #expect(pipe.readAvailable().contains("broken"))
    }

    @Test func `two descriptors of one file share one queue, which keeps the order`() throws {
        let pipe = try Pipe()
        let other = dup(pipe.writeEnd)
        defer { close(other) }
        let log = Log(to: pipe.writeEnd, accessTo: other)
        for number in 0..<100 {
            log.write(.info, "odd") { $0.member("n", 2 * number) }
            log.access { $0.member("n", 2 * number + 1) }
        }
        log.flush()
        let numbers = pipe.readAvailable().split(separator: "\n").map { line in
            line.split(separator: #""n":"#).last?.dropLast()
        }
        #expect(numbers == (0..<200).map { "\($0)"[...] })
    }

    @Test(arguments: [false, true])
    func `a slow reader loses whole lines and is told how many`(nonBlocking: Bool) throws {
        let pipe = try Pipe()
        if nonBlocking { pipe.makeWriteEndNonBlocking() }
        let count = 40_000
        let log = Log(access: false, to: pipe.writeEnd)
        for number in 0..<count { log.write(.info, "line") { $0.member("n", number) } }
        #expect(log.droppedLines > 0, "the pipe and the buffer are smaller than what was logged")
        var dropped = 0
        let lines = pipe.readLines { lines in
            let reports = lines.compactMap { line in
                line.firstRange(of: #""dropped":"#).map { Int(line[$0.upperBound...].dropLast()) }
            }
            dropped = reports.reduce(0) { $0 + ($1 ?? 0) }
            return lines.count - reports.count + dropped >= count
        }
        #expect(dropped == log.droppedLines)
        #expect(lines.allSatisfy { $0.hasPrefix(#"{"time":""#) && $0.hasSuffix("}") })
    }

    @Test func `a reader that went away costs lines, not the process`() throws {
        let pipe = try Pipe()
        let log = Log(access: false, to: pipe.writeEnd)
        pipe.closeReadEnd()
        log.write(.info, "lost")
        log.flush()
        #expect(log.droppedLines == 1)
        log.write(.info, "lost too")
        log.flush()
        #expect(log.droppedLines == 2)
    }

    @Test func `lines from many threads arrive whole, none twice, none missing`() async throws {
        let pipe = try Pipe()
        let log = Log(to: pipe.writeEnd, accessTo: pipe.writeEnd)
        let reader = Task.detached { pipe.readLines { $0.count == 4_000 } }
        await withTaskGroup { group in
            for task in 0..<4 {
                group.addTask {
                    for n in 0..<1000 { log.access { $0.member("id", "\(task)/\(n)") } }
                }
            }
        }
        let lines = await reader.value
        #expect(log.droppedLines == 0)
        #expect(Set(lines.map { $0.split(separator: #""id":"#).last }).count == 4_000)
    }
}

/// A pipe that closes itself.
private final class Pipe: Sendable {
    let writeEnd: Int32
    private let readEnd: Int32
    private nonisolated(unsafe) var isReadEndOpen = true

    init() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    deinit {
        close(writeEnd)
        closeReadEnd()
    }

    func closeReadEnd() {
        if isReadEndOpen { close(readEnd) }
        isReadEndOpen = false
    }

    func makeWriteEndNonBlocking() {
        _ = fcntl(writeEnd, F_SETFL, fcntl(writeEnd, F_GETFL) | O_NONBLOCK)
    }

    /// What is in the pipe: nothing more is expected.
    func readAvailable() -> String {
        var entry = pollfd(fd: readEnd, events: Int16(POLLIN), revents: 0)
        var bytes: [UInt8] = []
        while poll(&entry, 1, 0) > 0, entry.revents & Int16(POLLIN) != 0 { bytes += readSome() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Waits for lines until `isEnough` says so.
    func readLines(_ isEnough: ([Substring]) -> Bool) -> [Substring] {
        var lines: [Substring] = []
        var rest: [UInt8] = []
        while !isEnough(lines) {
            rest += readSome()
            guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            lines += String(decoding: rest[...end], as: UTF8.self).split(separator: "\n")
            rest.removeSubrange(...end)
        }
        return lines
    }

    private func readSome() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(0, read(readEnd, buffer.baseAddress, buffer.count))
        }
    }
}
