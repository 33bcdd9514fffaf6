import Glibc
import HTTP
import Synchronization
import Testing
import Transport

@testable import CurlUpstream

/// Exchanges with an origin that is a few lines on a thread of its own.
@Suite struct CurlExchangeTests {
    private static let request = UpstreamRequest(
        method: .get, target: Array("/".utf8)[...], fields: ["Host": "a"], body: .none)

    private func withClient<Result: Sendable>(
        of origin: Origin, _ body: @Sendable (isolated EventLoop, CurlClient) async throws -> Result
    ) async throws -> Result {
        let loop = EventLoop(name: "test")
        defer { loop.stop() }
        return try await loop.run { loop in
            let client = CurlClient(
                UpstreamOptions(url: "http://127.0.0.1:\(origin.port)"),
                on: CurlMulti(on: loop.reactor))
            loop.root = client
            return try await body(loop, client)
        }
    }

    @Test func `an exchange that is given up before it starts opens nothing`() async throws {
        let origin = try Origin { _ in }
        let effect = try await withClient(of: origin) { loop, client in
            let exchange = client.exchange(for: Self.request)
            exchange.cancel()
            return await failure { () async throws(UpstreamError) in try await exchange.start() }
        }
        #expect(effect == UpstreamError.Effect.none)
        #expect(origin.connections == 0)
    }

    @Test(arguments: [0, 1])
    func `an exchange that is given up while it connects has sent nothing`(turns: Int) async throws
    {
        let origin = try Origin { _ in }
        let effect = try await withClient(of: origin) { loop, client in
            let exchange = client.exchange(for: Self.request)
            loop.start {
                for _ in 0..<turns { await Task.yield() }
                exchange.cancel()
            }
            return await failure { () async throws(UpstreamError) in try await exchange.start() }
        }
        #expect(effect == UpstreamError.Effect.none)
        #expect(origin.received.isEmpty)
    }

    @Test func `an exchange that is given up while it waits fails at once`() async throws {
        let origin = try Origin { socket in _ = socket.receive() }
        let effect = try await withClient(of: origin) { loop, client in
            let exchange = client.exchange(for: Self.request)
            try await exchange.start()
            loop.start { exchange.cancel() }
            return await failure { () async throws(UpstreamError) in _ = try await exchange.head() }
        }
        #expect(effect == .possible)
    }

    @Test(arguments: [
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", "Content-Length: 9\r\n\r\nab",
    ])
    func `an answer that is given up between two reads has no end`(rest: String) async throws {
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 200 OK\r\n" + rest)
            _ = socket.receive()
        }
        let effect = try await withClient(of: origin) { loop, client in
            let exchange = try await client.exchange(Self.request)
            _ = try await exchange.head()
            #expect(try await exchange.read() == Array("ab".utf8)[...])
            exchange.cancel()
            #expect(try exchange.wholeBody() == nil)
            return await failure { () async throws(UpstreamError) in _ = try await exchange.read() }
        }
        #expect(effect == .possible)
    }

    @Test func `a kept connection that the origin has closed is replaced`() async throws {
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 204 No Content\r\n\r\n")
        }
        let statuses = try await withClient(of: origin) { loop, client in
            var statuses: [UInt16] = []
            for _ in 0..<5 {
                let exchange = try await client.exchange(Self.request)
                statuses.append(try await exchange.head().status)
            }
            return statuses
        }
        #expect(statuses == [204, 204, 204, 204, 204])
        #expect(origin.connections == 5)
    }

    @Test func `a request that moves to a fresh connection keeps its place among those in flight`()
        async throws
    {
        let isOver = Mutex(false)
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 204 No Content\r\n\r\n")
            // The connection stays as it is while the next one waits to be accepted.
            _ = socket.receive()
            while !isOver.withLock({ $0 }) { sched_yield() }
        }
        let loop = EventLoop(name: "test")
        defer { loop.stop() }
        try await loop.run { loop in
            defer { isOver.withLock { $0 = true } }
            let limit = InFlightLimit(1)
            var options = UpstreamOptions(url: "http://127.0.0.1:\(origin.port)")
            options.inFlight = limit
            let client = CurlClient(options, on: CurlMulti(on: loop.reactor))
            #expect(try await client.exchange(Self.request).head().status == 204)
            // A kept connection that seems usable and takes nothing.
            let kept = try #require(client.takeIdle())
            _ = kept.endWriting()
            client.keep(kept)
            let exchange = client.exchange(for: Self.request)
            #expect(try exchange.startAtOnce() == false)
            try await exchange.start()
            #expect(kept.isClosed)
            #expect(limit.take() == nil)
            exchange.cancel()
            #expect(limit.take() != nil)
        }
    }

    @Test func `a request that waits for room is not sent once it may not be any more`()
        async throws
    {
        let mayRead = Mutex(false)
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 204 No Content\r\n\r\n")
            while !mayRead.withLock({ $0 }) { sched_yield() }
            while !socket.receive().isEmpty {}
        }
        let effect = try await withClient(of: origin) { loop, client in
            defer { mayRead.withLock { $0 = true } }
            #expect(try await client.exchange(Self.request).head().status == 204)
            // A kept connection whose origin has not read all of an earlier request.
            let kept = try #require(client.takeIdle())
            let block = [UInt8](repeating: 0, count: 1 << 20)
            while case .bytes = kept.send(block[...]) {}
            client.keep(kept)
            let mayGo = Mutex(true)
            var request = Self.request
            request.maySend = { mayGo.withLock { $0 } }
            let exchange = client.exchange(for: request)
            #expect(try exchange.startAtOnce() == false)
            mayGo.withLock { $0 = false }
            mayRead.withLock { $0 = true }
            return await failure { () async throws(UpstreamError) in try await exchange.start() }
        }
        #expect(effect == UpstreamError.Effect.none)
        #expect(origin.received.count { $0 == UInt8(ascii: "G") } == 1)
    }

    @Test func `an upstream that has its answer without the body is not to be silent in it`()
        async throws
    {
        let isOver = Mutex(false)
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\n")
            while !isOver.withLock({ $0 }) { sched_yield() }
        }
        let loop = EventLoop(name: "test")
        defer { loop.stop() }
        let reason = try await loop.run { loop in
            defer { isOver.withLock { $0 = true } }
            var options = UpstreamOptions(url: "http://127.0.0.1:\(origin.port)")
            options.idleTimeout = .milliseconds(500)
            let client = CurlClient(options, on: CurlMulti(on: loop.reactor))
            var request = Self.request
            request.method = .post
            request.body = .stream(length: 5)
            let exchange = try await client.exchange(request)
            _ = try await exchange.head()
            exchange.forgoBody()
            let late = loop.reactor.timer { exchange.cancel() }
            loop.reactor.arm(late, at: loop.reactor.now + .seconds(60))
            defer { loop.reactor.disarm(late) }
            do throws(UpstreamError) {
                _ = try await exchange.read()
                return nil as UpstreamError.Reason?
            } catch {
                return error.reason
            }
        }
        #expect(reason == .timeout)
    }

    @Test func `a tunnel begins with what came with the 101, and each direction ends for itself`()
        async throws
    {
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 101 Fine\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nfirst ")
            var all: [UInt8] = []
            while case let more = socket.receive(), !more.isEmpty { all += more }
            socket.send("got \(all.count)")
        }
        let size = 8 << 20
        let text = try await withClient(of: origin) { loop, client in
            let exchange = try await client.exchange(Self.request)
            #expect(try await exchange.head().status == 101)
            let tunnel = try #require(exchange.tunnel())
            // The exchange is over, and has nothing to close.
            exchange.cancel()
            #expect(exchange.tunnel() == nil)
            try await tunnel.write([UInt8](repeating: 0x61, count: size)[...])
            try await tunnel.endWriting()
            var text = ""
            while case let bytes = try await tunnel.read(), !bytes.isEmpty {
                text += String(decoding: bytes, as: UTF8.self)
            }
            tunnel.close(resetting: false)
            tunnel.close(resetting: true)
            await #expect(throws: TunnelCut.self) {
                () async throws -> Void in try await tunnel.write([1])
            }
            await #expect(throws: TunnelCut.self) {
                () async throws -> Void in _ = try await tunnel.read()
            }
            await #expect(throws: TunnelCut.self) {
                () async throws -> Void in try await tunnel.endWriting()
            }
            return text
        }
        #expect(text == "first got \(size)")
    }

    @Test func `a reset of a tunnel is told, to whoever asks before or after`() async throws {
        let origin = try Origin { socket in
            _ = socket.receive()
            socket.send("HTTP/1.1 101 Fine\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            _ = socket.receive()
            socket.reset()
        }
        let count = try await withClient(of: origin) { loop, client in
            let exchange = try await client.exchange(Self.request)
            _ = try await exchange.head()
            let tunnel = try #require(exchange.tunnel())
            var count = 0
            await withUnsafeContinuation { continuation in
                tunnel.onReset = {
                    count += 1
                    continuation.resume()
                }
                loop.start { try? await tunnel.write([1]) }
            }
            tunnel.onReset = { count += 1 }
            tunnel.close(resetting: true)
            return count
        }
        #expect(count == 2)
    }

    private func failure(
        _ body: () async throws(UpstreamError) -> Void
    ) async -> UpstreamError.Effect? {
        do throws(UpstreamError) {
            try await body()
            return nil
        } catch {
            return error.effect
        }
    }
}

/// A listener whose connections are served one after the other on a thread.
private final class Origin: Sendable {
    private struct State {
        var connections = 0
        var received: [UInt8] = []
    }

    let port: UInt16
    private let listener: Int32
    private let state = Mutex(State())

    init(_ serve: @escaping @Sendable (Peer) -> Void) throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(listener, generic, length) | listen(listener, 16)
                    | getsockname(listener, generic, &length)
            }
        }
        #expect(status == 0)
        port = UInt16(bigEndian: address.sin_port)
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Work { [self] in run(serve) }).toOpaque()
        pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
                return nil
            }, body)
        pthread_detach(thread)
    }

    deinit { close(listener) }

    var connections: Int { state.withLock { $0.connections } }
    /// What came on all connections.
    var received: [UInt8] { state.withLock { $0.received } }

    /// Ends with the process: the tests' clients are gone long before.
    private func run(_ serve: (Peer) -> Void) {
        while case let descriptor = accept(listener, nil, nil), descriptor >= 0 {
            state.withLock { $0.connections += 1 }
            let peer = Peer(descriptor) { bytes in self.state.withLock { $0.received += bytes } }
            serve(peer)
            peer.end()
        }
    }

    private final class Work {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}

/// One connection at the origin.
private final class Peer {
    private var descriptor: Int32
    private let note: ([UInt8]) -> Void

    init(_ descriptor: Int32, _ note: @escaping ([UInt8]) -> Void) {
        self.descriptor = descriptor
        self.note = note
    }

    /// The next bytes; none at the end.
    func receive() -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return [] }
        note(Array(buffer[..<count]))
        return Array(buffer[..<count])
    }

    func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        let size = socklen_t(MemoryLayout<linger>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, size)
        end()
    }

    func end() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }
}
