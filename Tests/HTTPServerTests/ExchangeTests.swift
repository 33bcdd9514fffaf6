import Glibc
import HTTP
import TestSupport
import Testing
import Transport

@testable import HTTPServer

/// One request and its answer on a connection whose client reads when the test does.
@Suite struct ExchangeTests {
    @Test func `what is left of a head goes out when the client reads, without more to send`()
        async throws
    {
        let text = try await withLoop { loop in
            let done = Gate()
            defer { done.open() }
            let client = try serve(loop, Self.get) { _, writer in
                // The kernel's buffer is full of interim answers that go before it.
                try await writer.interim(ResponseHead(status: 103, fields: Self.fields(150_000)))
                var head = ResponseHead(status: 200, fields: Self.fields(300_000))
                head.framing = .chunked
                try await writer.begin(head)
                await done.pass()
            }
            return try await client.head(loop) + client.head(loop)
        }
        #expect(text.hasPrefix("HTTP/1.1 103 Early Hints\r\n"))
        #expect(text.contains("\r\n\r\nHTTP/1.1 200 OK\r\n"))
        #expect(text.hasSuffix("\r\nTransfer-Encoding: chunked\r\n\r\n"))
    }

    @Test func `a client is told to continue between two interim answers, not within one`()
        async throws
    {
        let texts = try await withLoop { loop in
            let client = try serve(loop, Self.expecting) { request, writer in
                let ended = Gate()
                loop.startFromLoop {
                    _ = try? await request.body.read()
                    ended.open()
                }
                try await writer.interim(ResponseHead(status: 103, fields: Self.fields(1 << 20)))
                try await writer.interim(ResponseHead(status: 102))
                request.body.abandon()
                await ended.pass()
                try await writer.respond(ResponseHead(status: 204), body: [])
            }
            var texts: [String] = []
            while texts.last?.hasPrefix("HTTP/1.1 204") != true {
                texts.append(try await client.head(loop))
            }
            return texts
        }
        let lines = texts.compactMap { $0.split(separator: "\r\n").first }
        #expect(Set(lines.dropLast()).count == 3 && lines.count == 4, "\(lines)")
        #expect(lines.last == "HTTP/1.1 204 No Content")
    }

    @Test func `nobody is told to continue in the middle of an answer`() async throws {
        let text = try await withLoop { loop in
            let client = try serve(loop, Self.expecting) { request, writer in
                var head = ResponseHead(status: 401)
                head.framing = .chunked
                try await writer.begin(head)
                do throws(DownstreamError) {
                    _ = try await request.body.read()
                    Issue.record("there is a body")
                } catch {
                    #expect(error == .closed)
                }
                try await writer.write(Array("no".utf8)[...])
                try await writer.end(trailers: Fields())
            }
            return try await client.rest(loop)
        }
        #expect(text.hasPrefix("HTTP/1.1 401 Unauthorized\r\n"))
        #expect(text.hasSuffix("Connection: close\r\n\r\n2\r\nno\r\n0\r\n\r\n"), "\(text)")
    }

    @Test func `what one task reads of a body no answer takes away`() async throws {
        let chunks = (0..<10).map { "1\r\n\($0)\r\n" }.joined()
        let text = try await withLoop { loop in
            let client = try serve(loop, Self.chunked + chunks + "0\r\n\r\n") {
                request, writer in
                var bytes = Array(try await request.body.read() ?? [])
                var head = ResponseHead(status: 200)
                head.framing = .chunked
                try await writer.begin(head)
                while let more = try await request.body.read() { bytes += more }
                try await writer.write(bytes[...])
                try await writer.end(trailers: Fields())
            }
            return try await client.rest(loop)
        }
        #expect(text.hasSuffix("\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), "\(text)")
    }

    @Test func `a body that is abandoned keeps nobody waiting`() async throws {
        let text = try await withLoop { loop in
            let client = try serve(loop, Self.chunked + "1\r\na\r\n") { request, writer in
                _ = try await request.body.read()
                let ended = Gate()
                loop.startFromLoop {
                    await #expect(throws: DownstreamError.closed) {
                        () async throws -> Void in _ = try await request.body.read()
                    }
                    ended.open()
                }
                for _ in 0..<3 { await Task.yield() }
                request.body.abandon()
                await ended.pass()
                await #expect(throws: DownstreamError.closed) {
                    () async throws -> Void in _ = try await request.body.read()
                }
                try await writer.respond(ResponseHead(status: 413), body: [])
            }
            return try await client.rest(loop)
        }
        #expect(text.hasPrefix("HTTP/1.1 413 "))
        #expect(text.contains("Connection: close"))
    }

    @Test func `a tunnel begins with what came behind the request`() async throws {
        let text = try await withLoop { loop in
            let client = try serve(loop, Self.get + "behind") { _, writer in
                let head = ResponseHead(
                    status: 101, fields: ["Upgrade": "x", "Connection": "upgrade"])
                let tunnel = try await writer.upgrade(head)
                var bytes: [UInt8] = []
                while bytes.count < 12 { bytes += try await tunnel.read() }
                try await tunnel.write(bytes[...])
                try await tunnel.endWriting()
                #expect(try await tunnel.read().isEmpty)
            }
            let head = try await client.head(loop)
            try await client.stream.write(Array("after.".utf8), idle: .seconds(60))
            client.stream.endWriting()
            return try await head + client.rest(loop)
        }
        #expect(
            text == "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
                + "behindafter.")
    }

    @Test func `requests that are there already do not keep the loop from all else`() async throws {
        let ended = try await withLoop { loop in
            var hasTurnEnded = false
            var answered = 0
            let client = try serve(loop, String(repeating: Self.get, count: 100) + Self.last) {
                _, writer in
                if answered == 0 { loop.reactor.atEndOfTurn { hasTurnEnded = true } }
                answered += 1
                if answered == 100 { #expect(hasTurnEnded) }
                try await writer.respond(ResponseHead(status: 204), body: [])
            }
            _ = try await client.rest(loop)
            return answered
        }
        #expect(ended == 101)
    }

    @Test func `the last answer is not lost to requests behind it that get none`() async throws {
        let text = try await withLoop { loop in
            // More than is received with the first.
            let client = try serve(loop, Self.last + String(repeating: Self.get, count: 4000)) {
                _, writer in
                try await writer.respond(ResponseHead(status: 204), body: [])
            }
            return try await client.rest(loop)
        }
        #expect(text.hasPrefix("HTTP/1.1 204 No Content\r\n"))
    }

    @Test func `a client that is accepted at the end has no longer than others to ask`()
        async throws
    {
        var sockets = try ListeningSockets(.ip(host: "127.0.0.1", port: 0), count: 1)
        guard case .ip(_, let port) = sockets.address else { return }
        let socket = sockets.take()
        let client = connection(to: port)
        defer { close(client) }
        let isQuiet = await withLoop { loop in
            var options = ServerOptions { status, _ in (ResponseHead(status: status), []) }
            options.requestHead = .seconds(600)
            let server = HTTPServer(
                handler: ClosureHandler { _, _ in }, options: options, places: ConnectionLimit(1),
                reactor: loop.reactor)
            server.listen(socket, on: loop)
            return await server.drain(within: .seconds(60))
        }
        #expect(isQuiet)
    }

    private func connection(to port: UInt16) -> Int32 {
        let client = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                connect(client, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        #expect(status == 0)
        return client
    }

    // MARK: The scene

    private static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    private static let last = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    private static let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    private static let expecting =
        "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"

    private static func fields(_ length: Int) -> Fields {
        ["X": String(repeating: "x", count: length)]
    }

    private func withLoop<Result: Sendable>(
        _ body: @Sendable (isolated EventLoop) async throws -> Result
    ) async rethrows -> Result {
        let loop = EventLoop(name: "test")
        defer { loop.stop() }
        return try await loop.run(body)
    }

    /// Serves one connection with a handler; `sent` was sent on it.
    /// - Returns: the client's end.
    private func serve(
        _ loop: isolated EventLoop, _ sent: String,
        _ respond: @escaping (Request, any ResponseWriter) async throws -> Void
    ) throws -> Client {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        #expect(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        _ = sent.utf8.withContiguousStorageIfAvailable { write(ends[0], $0.baseAddress, $0.count) }
        var options = ServerOptions { status, _ in (ResponseHead(status: status), []) }
        // A machine with other things to do lets a test wait for longer than the defaults.
        options.writeIdle = .seconds(600)
        options.bodyIdle = .seconds(600)
        options.requestHead = .seconds(600)
        let server = HTTPServer(
            handler: ClosureHandler(respond), options: options, places: ConnectionLimit(1),
            reactor: loop.reactor)
        let stream = try #require(ByteStream(adopting: ends[1], on: loop.reactor))
        let connection = Connection(
            stream, server: server, peer: "unix", port: nil, takesProxyHeader: false)
        loop.start {
            while await connection.run() != nil {
                _ = await stream.watch.waitUntilReadable(until: nil)
            }
        }
        return Client(try #require(ByteStream(adopting: ends[0], on: loop.reactor)))
    }
}

private final class ClosureHandler: Handler {
    private let body: (Request, any ResponseWriter) async throws -> Void

    init(_ body: @escaping (Request, any ResponseWriter) async throws -> Void) { self.body = body }

    func respond(to request: Request, through response: any ResponseWriter) async throws {
        try await body(request, response)
    }
}

/// The client's end.
private final class Client {
    let stream: ByteStream
    private var buffer: [UInt8] = []

    init(_ stream: ByteStream) { self.stream = stream }

    /// The next bytes up to an empty line, and that.
    func head(_ loop: isolated EventLoop) async throws -> String {
        var searched = 0
        while true {
            while searched + 4 <= buffer.count {
                if buffer[searched..<(searched + 4)].elementsEqual([13, 10, 13, 10]) {
                    defer { buffer.removeFirst(searched + 4) }
                    return String(decoding: buffer[..<(searched + 4)], as: UTF8.self)
                }
                searched += 1
            }
            guard try await fill(loop) else { throw StreamError.closed }
        }
    }

    /// All up to the end.
    func rest(_ loop: isolated EventLoop) async throws -> String {
        while try await fill(loop) {}
        return String(decoding: buffer, as: UTF8.self)
    }

    private func fill(_ loop: isolated EventLoop) async throws -> Bool {
        let bytes = try await stream.read(
            atMost: 1 << 16, until: loop.reactor.now + .seconds(600))
        buffer += bytes
        return !bytes.isEmpty
    }
}
