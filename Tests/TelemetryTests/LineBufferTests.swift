import Glibc
import Testing

@testable import Telemetry

@Suite struct LineBufferTests {
    private let start = timespec(tv_sec: 0, tv_nsec: 0)
    private let object = Array(#"{"n":1}"#.utf8)
    private let line = #"{"time":"1970-01-01T00:00:00.000Z","n":1}"# + "\n"
    private func report(_ count: Int) -> String {
        #"{"time":"1970-01-01T00:00:00.000Z","level":"warning","#
            + #""message":"log lines were dropped","dropped":\#(count)}"# + "\n"
    }

    private func text(_ batch: LineBuffer.Batch) -> String {
        String(decoding: batch.bytes, as: UTF8.self)
    }

    @Test func `a line is the object with the time in front`() {
        var buffer = LineBuffer(limit: 1000)
        buffer.append(object, at: start)
        buffer.append(object, at: start)
        #expect(text(buffer.take(reusing: .init(), at: start)) == line + line)
        #expect(buffer.isEmpty)
    }

    @Test func `what finds the buffer full is lost, counted, and reported in its place`() {
        var buffer = LineBuffer(limit: 2 * line.utf8.count)
        for _ in 0..<5 { buffer.append(object, at: start) }
        #expect(buffer.droppedLines == 3)
        let batch = buffer.take(reusing: .init(), at: start)
        #expect(text(batch) == line + line + report(3))
        buffer.append(object, at: start)
        #expect(text(buffer.take(reusing: batch, at: start)) == line)
        #expect(buffer.droppedLines == 3)
    }

    @Test func `a line that is longer than the whole buffer is lost`() {
        var buffer = LineBuffer(limit: line.utf8.count - 1)
        buffer.append(object, at: start)
        #expect(buffer.droppedLines == 1)
        #expect(buffer.isEmpty)
    }

    @Test func `the lines of a failed write are reported with the next line that comes`() {
        var buffer = LineBuffer(limit: 1000)
        for _ in 0..<3 { buffer.append(object, at: start) }
        let failed = buffer.take(reusing: .init(), at: start)
        buffer.lose(failed, after: line.utf8.count + 1)
        #expect(buffer.droppedLines == 2)
        #expect(text(buffer.take(reusing: .init(), at: start)) == "")
        buffer.append(object, at: start)
        #expect(text(buffer.take(reusing: .init(), at: start)) == line + report(2))
    }

    @Test func `a report that is lost itself is told again and is no lost line`() {
        var buffer = LineBuffer(limit: line.utf8.count)
        buffer.append(object, at: start)
        buffer.append(object, at: start)
        let failed = buffer.take(reusing: .init(), at: start)
        #expect(text(failed) == line + report(1))
        buffer.lose(failed, after: line.utf8.count)
        #expect(buffer.droppedLines == 1)
        buffer.append(object, at: start)
        #expect(text(buffer.take(reusing: .init(), at: start)) == line + report(1))
    }
}
