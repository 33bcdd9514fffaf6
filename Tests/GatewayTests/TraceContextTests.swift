import HTTP
import Testing

@testable import Gateway

@Suite struct TraceContextTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let valid = "00-\(trace)-00f067aa0ba902b7-01"

    @Test(arguments: [
        valid, "00-\(trace)-00f067aa0ba902b7-00", "00-\(trace)-00f067aa0ba902b7-ff",
        "01-\(trace)-00f067aa0ba902b7-01", "cc-\(trace)-00f067aa0ba902b7-01-what-the-future",
        "fe-\(trace)-00f067aa0ba902b7-01-",
    ])
    func `a valid parent is kept`(_ value: String) {
        var words = RandomWords()
        for tracing in [Edges.Tracing.pass, .make] {
            let context = TraceContext(["traceparent": value], tracing, &words)
            guard case .received(let kept) = context else {
                Issue.record("not kept")
                continue
            }
            #expect(String(decoding: kept, as: UTF8.self) == value)
            #expect(context.traceID.map { String(decoding: $0, as: UTF8.self) } == Self.trace)
        }
    }

    @Test(arguments: [
        "", "00", "ff-\(trace)-00f067aa0ba902b7-01", "00-\(trace)-00f067aa0ba902b7-01-more",
        "00-\(trace)-00f067aa0ba902b7-01.", "01-\(trace)-00f067aa0ba902b7-01.x",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-\(trace)-0000000000000000-01", "00-\(trace.uppercased())-00f067aa0ba902b7-01",
        "00-\(trace)-00f067aa0ba902b7-1", "00-\(trace)-00f067aa0ba902b7-0g",
        "00_\(trace)-00f067aa0ba902b7-01", "0-\(trace)0-00f067aa0ba902b7-01",
        "00-\(trace)00f067aa0ba902b7-01--", " 00-\(trace)-00f067aa0ba902b7-01-",
    ])
    func `a malformed parent is replaced`(_ value: String) {
        var words = RandomWords()
        for tracing in [Edges.Tracing.pass, .make] {
            let context = TraceContext(["traceparent": value], tracing, &words)
            guard case .made(let made) = context else {
                Issue.record("kept")
                continue
            }
            #expect(TraceContext.isValid(made[...]) && made.count == 55)
        }
    }

    @Test func `of two parents none is kept, and without one it is made as configured`() {
        var words = RandomWords()
        let two: Fields = ["traceparent": Self.valid, "Traceparent": Self.valid]
        if case .made = TraceContext(two, .pass, &words) {} else { Issue.record("kept") }
        if case .none = TraceContext(["tracestate": "a=b"], .pass, &words) {
        } else {
            Issue.record("made")
        }
        if case .made = TraceContext([:], .make, &words) {} else { Issue.record("not made") }
    }

    @Test func `names do not repeat`() {
        var (one, other) = (RandomWords(), RandomWords())
        var seen: Set<[UInt8]> = []
        for _ in 0..<10_000 {
            for name in [one.hexadecimal(), other.hexadecimal()] {
                #expect(seen.insert(name).inserted && name.count == 32)
            }
        }
    }
}
