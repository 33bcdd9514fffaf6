import Glibc
import Testing

/// Keyed requests whose bodies are too long for memory.
@Suite(.ownThread) struct UploadTests {
    private static let anySize: @Sendable (inout Configuration) -> Void = {
        $0.route["limits"] = #"{"body": "none"}"#
    }

    private func begin(_ site: Site, key: String, _ size: Int) throws -> RawClient {
        let client = try site.connect()
        try client.send(
            "POST /orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alice\r\n"
                + "Idempotency-Key: \(key)\r\nX-Order: \(key)\r\nContent-Length: \(size)\r\n\r\n")
        return client
    }

    private func send(_ site: Site, key: String, _ size: Int, last: UInt8 = 0x61) throws
        -> WireResponse
    {
        let client = try begin(site, key: key, size)
        let block = [UInt8](repeating: 0x61, count: 1 << 20)
        for start in stride(from: 0, to: size - 1, by: block.count) {
            try client.send(Array(block.prefix(size - 1 - start)))
        }
        try client.send([last])
        return try client.response(within: .seconds(120))
    }

    @Test func `a long keyed request is never whole in memory`() throws {
        try Site.run(.init(Self.anySize)) { site in
            let size = 200 << 20
            site.origin.on("/orders") { exchange in
                try exchange.reader.skip(size, by: Deadline(in: .seconds(120)))
                try exchange.execute()
            }
            _ = try site.send(.get("/plain/warm"))
            let before = try site.gateway.process.memory("VmRSS")
            let first = try send(site, key: "k", size)
            expectExecuted(first)
            expectReplay(try send(site, key: "k", size), of: first)
            let peak = try site.gateway.process.memory("VmHWM")
            #expect(peak - before < 16 << 10, "\(before) KiB became \(peak) KiB")
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `a long request arrives as it was sent, and another one is refused`() throws {
        try Site.run(.init(Self.anySize)) { site in
            let size = 3 << 20
            expectExecuted(try send(site, key: "k", size, last: 0x62))
            let request = try #require(site.origin.requests.first)
            #expect(request.fields["Content-Length"] == "\(size)")
            #expect(request.body.count == size)
            #expect(request.body.last == 0x62 && request.body.dropLast().allSatisfy { $0 == 0x61 })
            let other = try send(site, key: "k", size, last: 0x63)
            let problem = try expectProblem(other, 422, "key-reused")
            #expect(problem["differs"]?.strings == ["body"])
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `a spool file has no name`() throws {
        try Site.run(.init(Self.anySize)) { site in
            let client = try begin(site, key: "k", 1_000_001)
            try client.send([UInt8](repeating: 0x61, count: 1_000_000))
            let directory = site.gateway.directory.path
            let process = site.gateway.process.pid
            let deadline = Deadline()
            while !deadline.hasPassed, spoolFiles(of: process, in: directory) == [] {
                _ = Glibc.poll(nil, 0, 5)
            }
            let open = spoolFiles(of: process, in: directory)
            #expect(open.count == 1 && open.allSatisfy { $0.hasSuffix(" (deleted)") }, "\(open)")
            try client.send([0x61])
            expectExecuted(try client.response())
            while !deadline.hasPassed, spoolFiles(of: process, in: directory) != [] {
                _ = Glibc.poll(nil, 0, 5)
            }
            #expect(spoolFiles(of: process, in: directory) == [])
        }
    }

    @Test func `when all spools are full nothing is forwarded, and room comes back`() throws {
        let limited = Configuration {
            Self.anySize(&$0)
            $0.members["spool"] = #"{"limit": "1MiB"}"#
        }
        try Site.run(limited) { site in
            for _ in 0..<3 {
                let client = try begin(site, key: "k", 2 << 20)
                try client.send([UInt8](repeating: 0x61, count: (1 << 20) + 100_000))
                let refused = try client.response()
                try expectProblem(refused, 503, "store-unavailable", executed: "unknown")
                #expect(refused.fields["Retry-After"] != nil)
            }
            #expect(site.origin.requests.isEmpty)
            expectExecuted(try send(site, key: "k", 1_000_000))
        }
    }

    @Test func `a spool directory that takes no files is told at start`() throws {
        let directory = try TemporaryDirectory()
        let text = Configuration { $0.members["spool"] = #"{"directory": "/nowhere"}"# }.text(
            upstreamURL: "http://127.0.0.1:1", directory: directory.path)
        let file = try directory.write("gateway.json", text)
        let (exit, _, errors) = try runOncegate(["serve", "--config", file])
        #expect(exit == .code(1))
        #expect(errors.contains("/nowhere") && errors.contains("spool.directory"), "\(errors)")
    }

    @Test func `an early answer gets through while the body is being sent`() throws {
        try Site.run(.init(Self.anySize)) { site in
            site.origin.on("/orders") { exchange in
                try exchange.reply(422, [("Connection", "close")], Array("no".utf8))
                exchange.close()
            }
            let response = try send(site, key: "k", 20 << 20)
            #expect(response.status == 422 && response.text == "no")
            #expect(response.fields["Idempotency-Status"] == "executed")
            let replay = try send(site, key: "k", 20 << 20)
            expectReplay(replay, of: response)
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test(arguments: ["/orders", "/plain/a"])
    func `an upload may take longer than an upstream may be silent`(target: String) throws {
        let impatient = Configuration {
            Self.anySize(&$0)
            $0.upstream["timeouts"] = #"{"idle": "2s"}"#
        }
        try Site.run(impatient) { site in
            site.origin.on(target) { exchange in
                // Four seconds, of which the kernel's buffers hide a fraction of one at the end.
                for _ in 0..<64 {
                    try exchange.reader.skip(1 << 20, by: Deadline())
                    exchange.pause(milliseconds: 60)
                }
                try exchange.execute()
            }
            let client = try site.connect()
            try client.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nX-Order: k\r\n"
                    + "Content-Length: \(64 << 20)\r\n\r\n")
            for _ in 0..<64 { try client.send([UInt8](repeating: 0x61, count: 1 << 20)) }
            #expect(try client.response(within: .seconds(60)).status == 201)
        }
    }

    @Test(arguments: ["/orders", "/plain/a"])
    func `an upstream that takes no more of an upload is told as silent`(target: String) throws {
        let impatient = Configuration {
            Self.anySize(&$0)
            $0.upstream["timeouts"] = #"{"idle": "1s"}"#
        }
        try Site.run(impatient) { site in
            site.origin.on(target) { exchange in
                exchange.pause(milliseconds: 5000)
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nX-Order: k\r\n"
                    + "Content-Length: \(64 << 20)\r\n\r\n")
            // On a plain route the gateway takes only what the upstream takes.
            for _ in 0..<64 {
                do { try client.send([UInt8](repeating: 0x61, count: 1 << 20)) } catch { break }
            }
            #expect(try client.response(within: .seconds(30)).status == 504)
        }
    }

    @Test func `JSON in gzip is compared by what it says`() throws {
        try Site.run { site in
            func request(_ digits: String) -> [UInt8] {
                let body = bytes(digits)
                let head =
                    "POST /orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alice\r\n"
                    + "Idempotency-Key: k\r\nX-Order: k\r\nContent-Type: application/json\r\n"
                    + "Content-Encoding: gzip\r\nContent-Length: \(body.count)\r\n\r\n"
                return Array(head.utf8) + body
            }
            // {"item": "book", "count": 1} at level 1, and {"count":1,"item":"book"} at level 9.
            let client = try site.connect()
            try client.send(request(Self.loose))
            let first = try client.response()
            expectExecuted(first)
            try client.send(request(Self.tight))
            expectReplay(try client.response(), of: first)
            #expect(site.origin.requests.map(\.body) == [bytes(Self.loose)])
        }
    }

    @Test func `slow readers of a long replay share its bytes`() throws {
        try Site.run { site in
            // More than the kernel takes in for a connection whose client does not read.
            let size = 7 << 20
            site.origin.answer("/orders", 201, [], String(repeating: "a", count: size))
            expectExecuted(try site.send(Call(key: "k")))
            _ = try site.send(Call(key: "k"))
            let before = try site.gateway.process.memory("VmRSS")
            var clients: [RawClient] = []
            for _ in 0..<50 {
                let client = try site.connect(receiveBuffer: 4096)
                try client.send(Call(key: "k"))
                clients.append(client)
            }
            for client in clients {
                #expect(try client.head().fields["Idempotency-Status"] == "replayed")
            }
            let held = try site.gateway.process.memory("VmRSS")
            #expect(held - before < 24 << 10, "\(before) KiB became \(held) KiB")
            for client in clients.prefix(2) {
                #expect(try client.bytes(size).allSatisfy { $0 == 0x61 })
            }
        }
    }

    private static let loose =
        "1f8b0800000000000403ab56ca2c49cd55b252504acacfcf56d251504ace2fcd2b010a18d6020009dcd1fd1c000000"
    private static let tight =
        "1f8b0800000000000203ab564ace2fcd2b51b232d451ca2c49cd55b2524acacfcf56aa05008008e43f19000000"

    private func bytes(_ hexadecimal: String) -> [UInt8] {
        let digits = Array(hexadecimal.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<(index + 2)], as: UTF8.self), radix: 16) ?? 0
        }
    }

    /// The descriptors of a process that are files in a directory, except the store's.
    private func spoolFiles(of process: pid_t, in directory: String) -> [String] {
        (0..<256).compactMap { number in
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/\(process)/fd/\(number)", &buffer, buffer.count)
            guard count > 0 else { return nil }
            let path = String(decoding: buffer[..<count].map(UInt8.init), as: UTF8.self)
            return path.hasPrefix(directory) && !path.contains("oncegate.db") ? path : nil
        }
    }
}
