import Testing

@testable import HTTP

struct SerializerTests {
    static let date = latin1("Thu, 01 Jan 1970 00:00:00 GMT")

    private func written(
        _ head: ResponseHead, _ framing: BodyFraming,
        _ connection: ResponseSerializer.Connection = .implicit
    ) -> String {
        var bytes: [UInt8] = []
        ResponseSerializer.append(
            head, framing: framing, date: Self.date, connection: connection, to: &bytes)
        return latin1(bytes)
    }

    @Test func `a response is written with its framing, its date and the blank line`() {
        let head = ResponseHead(status: 200, fields: ["X": "y", "Content-Length": "9"])
        let date = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
        #expect(
            written(head, .length(12))
                == "HTTP/1.1 200 OK\r\nX: y\r\n\(date)Content-Length: 12\r\n\r\n")
        #expect(
            written(head, .chunked, .keepAlive)
                == "HTTP/1.1 200 OK\r\nX: y\r\n\(date)Transfer-Encoding: chunked\r\n"
                + "Connection: keep-alive\r\n\r\n")
        #expect(
            written(head, .untilClose, .close)
                == "HTTP/1.1 200 OK\r\nX: y\r\n\(date)Connection: close\r\n\r\n")
        #expect(
            written(head, .none)
                == "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 9\r\n\(date)\r\n")
    }

    @Test(arguments: [UInt16(100), 103, 204])
    func `a status without a body gets no framing`(status: UInt16) {
        let head = ResponseHead(
            status: status, fields: ["Content-Length": "1", "Transfer-Encoding": "chunked"])
        for framing in [BodyFraming.none, .length(1), .length(0), .chunked] {
            let text = written(head, framing)
            #expect(!text.contains("Content-Length") && !text.contains("Transfer-Encoding"))
        }
    }

    @Test func `a date that is there is kept, and an interim answer gets none`() {
        let dated = ResponseHead(status: 404, fields: ["date": "x"])
        #expect(
            written(dated, .length(0))
                == "HTTP/1.1 404 Not Found\r\ndate: x\r\nContent-Length: 0\r\n\r\n")
        #expect(written(ResponseHead(status: 103), .none) == "HTTP/1.1 103 Early Hints\r\n\r\n")
    }

    @Test func `a 426 keeps its Connection, and says when it closes`() {
        let fields: Fields = ["Connection": "upgrade", "Upgrade": "y"]
        #expect(
            written(ResponseHead(status: 426, fields: fields), .length(0), .close)
                .hasSuffix(
                    "Connection: upgrade\r\nUpgrade: y\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                        + "Content-Length: 0\r\nConnection: close\r\n\r\n"))
    }

    @Test func `a response's own Connection is left out, save for 101`() {
        let fields: Fields = ["Connection": "upgrade", "Keep-Alive": "x", "Upgrade": "y"]
        #expect(!written(ResponseHead(status: 200, fields: fields), .length(0)).contains("Conn"))
        #expect(
            written(ResponseHead(status: 101, fields: fields), .none, .close)
                == "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n")
    }

    @Test(arguments: [
        (ResponseHead(status: 299), "HTTP/1.1 299 \r\n"),
        (ResponseHead(status: 200, reason: latin1("Fine")[...]), "HTTP/1.1 200 Fine\r\n"),
        (ResponseHead(status: 422), "HTTP/1.1 422 Unprocessable Content\r\n"),
    ])
    func `the reason phrase is the given one, else the registered one`(
        head: ResponseHead, line: String
    ) {
        #expect(written(head, .length(0)).hasPrefix(line))
    }

    @Test func `a request is written as it is to leave`() {
        func written(_ body: UpstreamRequest.Body) -> String {
            var bytes = latin1("!")
            RequestSerializer.append(
                UpstreamRequest(
                    method: .other("FROB"), target: latin1("/a?b")[...],
                    fields: ["Host": "h", "content-length": "7", "Connection": "upgrade"],
                    body: body), to: &bytes)
            return latin1(bytes)
        }
        let start = "!FROB /a?b HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\n"
        #expect(written(.none) == start + "\r\n")
        #expect(written(.whole([])) == start + "Content-Length: 0\r\n\r\n")
        #expect(written(.whole([1, 2])) == start + "Content-Length: 2\r\n\r\n")
        #expect(
            written(.stream(length: .max)) == start + "Content-Length: 18446744073709551615\r\n\r\n"
        )
        #expect(written(.stream(length: nil)) == start + "Transfer-Encoding: chunked\r\n\r\n")
    }

    @Test(arguments: [
        (1, "1"), (15, "f"), (16, "10"), (255, "ff"), (4096, "1000"), (Int.max, "7fffffffffffffff"),
    ])
    func `a chunk size is written in hexadecimal`(count: Int, digits: String) {
        var bytes: [UInt8] = []
        ChunkSerializer.appendSize(count, to: &bytes)
        #expect(latin1(bytes) == digits + "\r\n")
    }

    @Test func `a chunked body that is written is read again`() {
        var bytes: [UInt8] = []
        for chunk in ["hello", String(repeating: "x", count: 300)] {
            ChunkSerializer.appendSize(chunk.utf8.count, to: &bytes)
            bytes += latin1(chunk)
            ChunkSerializer.appendDataEnd(to: &bytes)
        }
        ChunkSerializer.appendEnd(trailers: ["Digest": "d", "Content-Length": "1"], to: &bytes)
        let body = "hello" + String(repeating: "x", count: 300)
        for cutting in cuttings(bytes) {
            #expect(
                outcome(ofBody: cutting, .chunked) == "\(body) end {Digest=d} [\(bytes.count)]")
        }
    }

    @Test(arguments: RequestParserTests.valid.map(\.0).filter { $0.contains("HTTP/1.1\r\nHost") })
    func `a request that is parsed and written is parsed the same`(input: String) throws {
        var parser = RequestParser()
        guard let head = try parser.parse(latin1(input).span).head else { return }
        var bytes: [UInt8] = []
        RequestSerializer.append(UpstreamRequest(relaying: head), to: &bytes)
        let again = try #require(try parser.parse(bytes.span).head)
        #expect(describe(again).hasPrefix(describe(head).prefix { $0 != "{" }))
        #expect(describe(head.fields.withoutFraming) == describe(again.fields.withoutFraming))
    }

    @Test(arguments: [
        (Int64(0), "Thu, 01 Jan 1970 00:00:00 GMT"), (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"), (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (4_102_444_799, "Thu, 31 Dec 2099 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"), (.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (.min, "Sat, 01 Jan 0000 00:00:00 GMT"), (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
    ])
    func `a date is written as IMF-fixdate`(seconds: Int64, expected: String) {
        var bytes: [UInt8] = []
        HTTPDate.append(secondsSince1970: seconds, to: &bytes)
        #expect(latin1(bytes) == expected)
    }
}

extension UpstreamRequest {
    /// The request that forwards a head unchanged.
    init(relaying head: RequestHead) {
        let body: Body =
            switch head.framing {
            case .length(let count): .stream(length: count)
            case .chunked: .stream(length: nil)
            case .none, .untilClose: .none
            }
        self.init(method: head.method, target: head.target, fields: head.fields, body: body)
    }
}

extension Fields {
    var withoutFraming: Fields {
        var fields = self
        fields.removeAll(.contentLength)
        fields.removeAll(.transferEncoding)
        return fields
    }
}
