import Crypto
import TestSupport
import Testing

@testable import Gateway

@Suite struct MultipartDigestTests {
    /// The digest of a body whose line ends are written as LF; nil when it is malformed.
    private func digest(_ text: String, boundary: String = "b") -> Digest? {
        let bytes = Array(text.replacing("\n", with: "\r\n").utf8)
        var whole = MultipartDigest(boundary: Array(boundary.utf8))
        whole.append(bytes[...])
        let digest = whole.finish()
        for size in [1, 2, 3, 7] {
            var pieces = MultipartDigest(boundary: Array(boundary.utf8))
            for start in stride(from: 0, to: bytes.count, by: size) {
                pieces.append(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(pieces.finish() == digest, "pieces of \(size) bytes")
        }
        return digest
    }

    private static let form = """
        --b
        Content-Disposition: form-data; name="file"; filename="a.txt"
        Content-Type: text/plain

        first line
        second -- line
        --b
        Content-Disposition: form-data; name="n"

        7
        --b--

        """

    @Test(arguments: ["x", "--", "a b", "gc0pJq0M:08jU534c0p", String(repeating: "-", count: 70)])
    func `the boundary takes no part`(_ boundary: String) throws {
        let other = Self.form.replacing("--b\n", with: "--\(boundary)\n")
            .replacing("--b--", with: "--\(boundary)--")
        let first = try #require(digest(Self.form))
        #expect(digest(other, boundary: boundary) == first)
    }

    /// Whether a line is too long was once found out otherwise when it came in pieces.
    @Test(arguments: [63, 64, 65, 66, 200])
    func `blanks behind a boundary count the same however they are cut`(_ blanks: Int) {
        let padded = Self.form.replacing(
            "--b\n", with: "--b\(String(repeating: " ", count: blanks))\n")
        #expect((digest(padded) != nil) == (blanks <= 64))
    }

    @Test(arguments: [16383, 16384, 16385, 16386])
    func `a long field counts the same however it is cut`(_ length: Int) {
        let line = "X: " + String(repeating: "v", count: length - 3)
        #expect((digest("--b\n\(line)\n\nx\n--b--\n") != nil) == (length <= 16384))
    }

    @Test(arguments: [
        ("Content-Type: text/plain", "content-type:   text/plain  "), ("--b--\n", "--b--"),
        ("--b\n", "--b \t \n"),
        (
            "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\n"
                + "Content-Type: text/plain",
            "Content-Type: text/plain\n"
                + "Content-Disposition: form-data; name=\"file\"; filename=\"a.txt\""
        ),
    ])
    func `what means the same is the same`(_ part: String, _ other: String) throws {
        let first = try #require(digest(Self.form))
        #expect(digest(Self.form.replacing(part, with: other)) == first)
    }

    @Test(arguments: [
        ("a.txt", "b.txt"), ("text/plain", "text/html"), ("first line", "first  line"),
        ("7\n", "8\n"), ("7\n", "7\n\n"), ("7\n", "\n"), ("Content-Type: text/plain\n", ""),
        ("--b--\n", "--b--\nepilogue"),
        (
            "--b\nContent-Disposition: form-data; name=\"f",
            "x\n--b\nContent-Disposition: form-data; name=\"f"
        ),
    ])
    func `what differs is different`(_ part: String, _ other: String) throws {
        let first = try #require(digest(Self.form))
        #expect(try #require(digest(Self.form.replacing(part, with: other))) != first)
    }

    @Test func `lines of one name keep their order`() throws {
        let two = try #require(digest("--b\nName: a\nname: b\n\n1\n--b--"))
        #expect(try #require(digest("--b\nName: b\nName: a\n\n1\n--b--")) != two)
    }

    @Test func `bytes do not wander between parts`() throws {
        let two = try #require(digest("--b\n\na\n--b\n\nbc\n--b--"))
        #expect(digest("--b\n\nab\n--b\n\nc\n--b--") != two)
        #expect(digest("--b\n\nabc\n--b--") != two)
        #expect(digest("--b\nA: 1\n\n\n--b--") != digest("--b\n\nA: 1\n--b--"))
    }

    @Test(arguments: [
        "", "no multipart", "--b", "--b\n", "--b\n\na", "--b\n\na\n--b", "--b--\n",
        "--b\n\na\n--bc\n\nd\n--b--", "--b\n\na\n--b--c\n", "--b\nno field\n\na\n--b--",
        "--b\nA: 1\n folded\n\na\n--b--", "--b\nA: 1\n\n--b--", "--b\n: 1\n\na\n--b--",
        "--b\nA B: 1\n\na\n--b--", "--b\n--b: 1\n\na\n--b--",
    ])
    func `what readers may disagree on is malformed`(_ text: String) {
        #expect(digest(text) == nil)
    }

    @Test func `a boundary behind a bare line feed is malformed`() {
        for text in ["--b\r\n\r\na\n--b--", "x\n--b\r\n\r\na\r\n--b--", "--b\n\na\n--b--"] {
            var digest = MultipartDigest(boundary: Array("b".utf8))
            digest.append(Array(text.utf8)[...])
            #expect(digest.finish() == nil, "\(text)")
        }
    }

    @Test func `parts and fields have bounds`() {
        let part = "--b\n\na\n"
        #expect(digest(String(repeating: part, count: 1000) + "--b--") != nil)
        var many = MultipartDigest(boundary: [0x62])
        let text = String(repeating: part, count: 1001) + "--b--"
        many.append(Array(text.replacing("\n", with: "\r\n").utf8)[...])
        #expect(many.finish() == nil)
        var long = MultipartDigest(boundary: [0x62])
        long.append(Array(("--b\r\nA: " + String(repeating: "x", count: 20_000)).utf8)[...])
        #expect(long.finish() == nil)
    }

    @Test(
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"),
            ("Multipart/Mixed;BOUNDARY=\"a b\"", "a b"),
            ("multipart/x; charset=\"a;b\"; boundary=\"a\\\"\"", nil),
            ("multipart/x; charset=\"a;b\" ; boundary=x'y", "x'y"), ("multipart/form-data", nil),
            ("multipart/x; boundary=", nil), ("multipart/x; boundary=\"\"", nil),
            ("multipart/x; boundary=a; boundary=b", nil), ("multipart/x; boundary=\"a ", nil),
            ("multipart/x; boundary=\"a\"b", nil), ("text/plain; boundary=a", nil),
            ("multipart/x; boundary=\"a \"", nil), ("multipart/x; boundary", nil),
            ("multipart/x; boundary=\(String(repeating: "a", count: 71))", nil),
            ("multipart/x;; boundary=a", nil), ("multipart/", nil),
        ] as [(String, String?)])
    func `a boundary is read as it is written`(_ type: String, _ boundary: String?) {
        #expect(MultipartBoundary.of(Array(type.utf8)[...]) == boundary.map { Array($0.utf8) })
    }
}
