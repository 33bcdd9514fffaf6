import Glibc
import Testing

@testable import Transport

@Suite struct EventLoopTests {
    /// Two connected sockets that do not block.
    private static func pair() -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        #expect(socketpair(AF_UNIX, kind, 0, &ends) == 0)
        return (ends[0], ends[1])
    }

    private func withLoop<Result: Sendable>(
        _ body: @Sendable (isolated EventLoop) async throws -> Result
    ) async rethrows -> Result {
        let loop = EventLoop(name: "test")
        defer { loop.stop() }
        return try await loop.run(body)
    }

    @Test func `code on a loop stays on its thread across waits`() async {
        let threads = await withLoop { loop in
            var threads: [UInt] = []
            for _ in 0..<3 {
                threads.append(UInt(pthread_self()))
                await loop.reactor.sleep(for: .milliseconds(1))
            }
            return threads
        }
        #expect(Set(threads).count == 1)
    }

    @Test func `what one end writes the other end reads`() async throws {
        let (near, far) = Self.pair()
        let text = try await withLoop { loop in
            let sender = try #require(ByteStream(adopting: near, on: loop.reactor))
            let receiver = try #require(ByteStream(adopting: far, on: loop.reactor))
            try await sender.write(
                Array("hello, ".utf8), Array("world".utf8)[...], idle: .seconds(60))
            sender.endWriting()
            var bytes: [UInt8] = []
            while true {
                let more = try await receiver.read(
                    atMost: 4, until: loop.reactor.now + .seconds(60))
                if more.isEmpty { break }
                bytes += more
            }
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(text == "hello, world")
    }

    @Test func `a writer waits for a reader, and loses nothing`() async throws {
        let (near, far) = Self.pair()
        let sum = try await withLoop { loop in
            let sender = try #require(ByteStream(adopting: near, on: loop.reactor))
            let receiver = try #require(ByteStream(adopting: far, on: loop.reactor))
            loop.start {
                let block = [UInt8](repeating: 1, count: 1 << 20)
                for number in 0..<8 {
                    do {
                        try await sender.write(block, idle: .seconds(60))
                    } catch {
                        Issue.record("block \(number): \(error)")
                    }
                }
                sender.close()
            }
            var sum = 0
            while true {
                let more = try await receiver.read(
                    atMost: 64 << 10, until: loop.reactor.now + .seconds(60))
                if more.isEmpty { break }
                sum += more.count
            }
            return sum
        }
        #expect(sum == 8 << 20)
    }

    @Test func `a reader who never has to wait leaves the others their turn`() async throws {
        let (near, far) = Self.pair()
        defer { close(far) }
        let bytes = [UInt8](repeating: 1, count: 100)
        #expect(write(far, bytes, bytes.count) == bytes.count)
        let hasEnded = try await withLoop { loop in
            let stream = try #require(ByteStream(adopting: near, on: loop.reactor))
            _ = await stream.watch.waitUntilReadable(until: nil)
            var hasEnded = false
            loop.reactor.atEndOfTurn { hasEnded = true }
            for _ in 0..<(2 * Reactor.readyInARow) {
                _ = try await stream.read(atMost: 1, until: nil)
            }
            return hasEnded
        }
        #expect(hasEnded)
    }

    @Test func `a read that nobody answers ends at its deadline`() async throws {
        let (near, far) = Self.pair()
        defer { close(far) }
        await #expect(throws: StreamError.timeout) {
            try await withLoop { loop in
                let stream = try #require(ByteStream(adopting: near, on: loop.reactor))
                _ = try await stream.read(atMost: 1, until: loop.reactor.now + .milliseconds(5))
            }
        }
    }

    @Test func `a wait is not lost when its time is over before it has begun`() async throws {
        let (near, far) = Self.pair()
        defer { close(far) }
        let wakes = try await withLoop { loop in
            let watch = try #require(SocketWatch(near, on: loop.reactor))
            var isDone = false
            // Others keep the loop busy, turn after turn.
            for _ in 0..<4 { loop.start { while !isDone { await Task.yield() } } }
            let late = loop.reactor.timer { watch.cancel() }
            loop.reactor.arm(late, at: loop.reactor.now + .seconds(300))
            var wakes: [Wake] = []
            for _ in 0..<20 {
                wakes.append(await watch.waitUntilReadable(until: loop.reactor.now))
            }
            isDone = true
            watch.cancel()
            return wakes
        }
        close(near)
        #expect(wakes.allSatisfy { if case .timeout = $0 { true } else { false } })
    }

    @Test func `a write that nobody takes ends after the idle time`() async throws {
        let (near, far) = Self.pair()
        defer { close(far) }
        await #expect(throws: StreamError.timeout) {
            try await withLoop { loop in
                let stream = try #require(ByteStream(adopting: near, on: loop.reactor))
                let block = [UInt8](repeating: 1, count: 4 << 20)
                try await stream.write(block, idle: .milliseconds(5))
            }
        }
    }

    @Test func `closing a stream resumes whoever waits on it`() async throws {
        let (near, far) = Self.pair()
        defer { close(far) }
        await #expect(throws: StreamError.closed) {
            try await withLoop { loop in
                let stream = try #require(ByteStream(adopting: near, on: loop.reactor))
                loop.start { stream.close() }
                _ = try await stream.read(atMost: 1, until: nil)
            }
        }
    }

    @Test func `answers from other threads all arrive, coalesced or not`() async {
        let sum = await withLoop { loop in
            var sum = 0
            for round in 0..<200 {
                sum += await withUnsafeContinuation { continuation in
                    Thread.start(name: "answer") {
                        if round.isMultiple(of: 2) {
                            EventLoop.coalescingWakeups { continuation.resume(returning: 1) }
                        } else {
                            continuation.resume(returning: 1)
                        }
                    }
                }
            }
            return sum
        }
        #expect(sum == 200)
    }
}

@Suite struct ListenerTests {
    @Test func `the kernel picks a port, which all loops share`() throws {
        let sockets = try ListeningSockets(.ip(host: "127.0.0.1", port: 0), count: 3)
        guard case .ip(_, let port) = sockets.address else {
            Issue.record("not an IP address")
            return
        }
        #expect(port != 0)
    }

    @Test(arguments: [
        (SocketAddress.ip(host: "127.0.0.1", port: 80), "127.0.0.1:80"),
        (.ip(host: "::1", port: 8080), "[::1]:8080"),
        (.unix(path: "/run/o.sock"), "unix:/run/o.sock"),
    ]) func `an address reads as it is configured`(address: SocketAddress, text: String) {
        #expect(address.description == text)
    }

    @Test func `an address that is not this machine's is refused with a reason`() {
        let error = #expect(throws: ListenError.self) {
            _ = try ListeningSockets(.ip(host: "203.0.113.1", port: 0), count: 1)
        }
        #expect(error?.reason.contains("does not have that address") == true)
    }

    @Test func `a file that is no socket is left alone`() throws {
        var path = Array("/tmp/oncegate-test.XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(name)
        }
        let error = #expect(throws: ListenError.self) {
            _ = try ListeningSockets(.unix(path: name), count: 1)
        }
        #expect(error?.reason.contains("is not a socket") == true)
        #expect(access(name, F_OK) == 0)
    }

    @Test func `a dead process's socket is replaced, a living one's is not`() throws {
        let path = "/tmp/oncegate-test-\(getpid()).sock"
        defer { unlink(path) }
        do { _ = try ListeningSockets(.unix(path: path), count: 1) }
        let alive = try ListeningSockets(.unix(path: path), count: 2)
        #expect(throws: ListenError.self) { _ = try ListeningSockets(.unix(path: path), count: 1) }
        _ = alive.address
    }

    /// Connects to a port without waiting for anybody to accept.
    private func connection(to port: UInt16) -> Int32 {
        SocketAddress.ip(host: "127.0.0.1", port: port).connected()
    }

    private func port(_ address: SocketAddress) throws -> UInt16 {
        guard case .ip(_, let port) = address else { throw ListenFailure() }
        return port
    }

    private struct ListenFailure: Error {}

    /// Accepts until a listener gives nothing more; how many there were.
    private func acceptAll(
        _ socket: ListeningSocket, on loop: EventLoop, limit: ConnectionLimit, closing: Bool
    ) async -> Int {
        await loop.run { loop in
            let listener = Listener(socket, limit: limit, on: loop.reactor)
            if closing { listener.close() }
            var count = 0
            while let accepted = await listener.accept() {
                close(accepted.descriptor)
                count += 1
            }
            return count
        }
    }

    @Test func `a listener that closes gives out what queues, as far as there are places`()
        async throws
    {
        let loop = EventLoop(name: "listener")
        defer { loop.stop() }
        for (places, expected) in [(100, 3), (2, 2)] {
            var sockets = try ListeningSockets(.ip(host: "127.0.0.1", port: 0), count: 1)
            let port = try port(sockets.address)
            let clients = (0..<3).map { _ in connection(to: port) }
            defer { for client in clients { close(client) } }
            let socket = sockets.take()
            let count = await acceptAll(
                socket, on: loop, limit: ConnectionLimit(places), closing: true)
            #expect(count == expected)
            #expect(connection(to: port) == -1)
        }
    }

    @Test func `what queues in an inherited socket is left to the one who has it next`()
        async throws
    {
        let loop = EventLoop(name: "listener")
        defer { loop.stop() }
        var sockets = try ListeningSockets(.ip(host: "127.0.0.1", port: 0), count: 1)
        let address = sockets.address
        let port = try port(address)
        let held = sockets.take()
        let client = connection(to: port)
        defer { close(client) }
        // Two processes after one another, each with a copy.
        for isLast in [false, true] {
            let copy = dup(held.descriptor)
            let inherited = try InheritedSocket(copy, name: "http")
            #expect(inherited.address == address)
            var taken = try ListeningSockets(inherited, count: 2)
            #expect(taken.isInherited && taken.address == address)
            let socket = taken.take()
            let limit = ConnectionLimit(10)
            let accepted = await loop.run { loop in
                let listener = Listener(socket, limit: limit, on: loop.reactor)
                guard isLast else {
                    listener.close()
                    return await listener.accept() == nil ? 0 : 1
                }
                let accepted = await listener.accept()
                listener.close()
                if let accepted { close(accepted.descriptor) }
                return accepted == nil ? 0 : 1
            }
            #expect(accepted == (isLast ? 1 : 0))
        }
        close(held.descriptor)
    }

    @Test func `what is no listening stream socket is refused with a reason`() throws {
        let stream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let datagram = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        let file = open("/dev/null", O_RDONLY)
        defer { for descriptor in [stream, datagram, file] { close(descriptor) } }
        for (descriptor, reason) in [
            (stream, "does not listen"), (datagram, "is no stream socket"), (file, "is no open"),
            (-1, "is no open"),
        ] {
            let error = #expect(throws: InheritedSocketError.self) {
                _ = try InheritedSocket(descriptor, name: "http")
            }
            #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
            #expect(error?.description.hasPrefix("descriptor \(descriptor) (\"http\")") == true)
        }
    }

    @Test func `an inherited Unix socket is known by its path`() throws {
        let path = "/tmp/oncegate-inherited-\(getpid()).sock"
        defer { unlink(path) }
        var sockets = try ListeningSockets(.unix(path: path), count: 1)
        let socket = sockets.take()
        defer { close(socket.descriptor) }
        #expect(try InheritedSocket(socket.descriptor, name: nil).address == .unix(path: path))
    }

    @Test(arguments: [
        ("::0001", "::1"), ("0:0::1", "::1"), ("127.0.0.1", "127.0.0.1"), ("::", "::"),
        ("nonsense", "nonsense"),
    ]) func `two spellings of an address are one`(written: String, canonical: String) {
        #expect(
            SocketAddress.ip(host: written, port: 8).canonical == .ip(host: canonical, port: 8))
        #expect(SocketAddress.unix(path: "/a").canonical == .unix(path: "/a"))
    }
}
