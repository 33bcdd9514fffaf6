import Glibc
import Testing

@testable import Telemetry

@Suite struct TimeStampTests {
    private func text(_ seconds: Int, _ nanoseconds: Int = 0) -> String {
        var stamp = TimeStamp()
        let bytes = stamp.bytes(at: timespec(tv_sec: seconds, tv_nsec: nanoseconds))
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000Z"),
        (-1, "1969-12-31T23:59:59.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000Z"),
        (1_709_251_200, "2024-03-01T00:00:00.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (1_767_323_045, "2026-01-02T03:04:05.000Z"),
    ]) func `a second has its date`(_ seconds: Int, _ expected: String) {
        #expect(text(seconds) == expected)
    }

    @Test func `milliseconds are rounded down`() {
        #expect(text(0, 999_999_999) == "1970-01-01T00:00:00.999Z")
        #expect(text(0, 7_000_000) == "1970-01-01T00:00:00.007Z")
    }

    @Test func `every day of four centuries is what the C library says`() {
        for day in stride(from: -146_097 / 4, to: 146_097, by: 1) {
            var second = day * 86_400 + 45_296
            var parts = tm()
            gmtime_r(&second, &parts)
            let expected = [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday].map { value in
                (value < 10 ? "0" : "") + "\(value)"
            }
            let date = expected.joined(separator: "-")
            guard text(second) == "\(date)T12:34:56.000Z" else {
                Issue.record("\(text(second)) is not \(date)")
                return
            }
        }
    }

    @Test func `one second is remembered and the next one replaces it`() {
        var stamp = TimeStamp(opening: "<", closing: ">")
        for time in [(5, 1), (5, 2), (6, 3), (5, 4), (5, 0)] {
            let bytes = stamp.bytes(at: timespec(tv_sec: time.0, tv_nsec: time.1 * 1_000_000))
            let expected = "<1970-01-01T00:00:0\(time.0).00\(time.1)Z>"
            #expect(String(decoding: bytes, as: UTF8.self) == expected)
        }
    }
}
