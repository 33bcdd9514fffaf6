import Glibc
import Testing

/// Clients that want to use the gateway up. Each of its bounds holds, what others ask for goes on,
/// and memory does not follow the attackers.
@Suite(.ownThread) struct AbuseTests {
    /// Checks that an honest client is served, and what memory has grown by since `before`.
    private func expectServed(
        _ site: Site, since before: Int, atMost kibibytes: Int,
        at location: SourceLocation = #_sourceLocation
    ) throws {
        expectExecuted(try site.send(Call(key: "honest-\(before)")), at: location)
        let now = try site.gateway.process.memory("VmRSS")
        #expect(
            now - before < kibibytes, "\(before) KiB became \(now) KiB", sourceLocation: location)
    }

    /// Lets this process have many sockets.
    private func raiseDescriptorLimit(to count: UInt) throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(7), &limit)
        limit.rlim_cur = min(limit.rlim_max, max(limit.rlim_cur, count))
        setrlimit(__rlimit_resource_t(7), &limit)
        try #require(limit.rlim_cur >= count, "the system allows \(limit.rlim_cur) descriptors")
    }

    @Test func `ten thousand idle connections cost 4 KiB each and hold up nobody`() throws {
        let idle = 10_000
        try raiseDescriptorLimit(to: UInt(idle) + 1000)
        try Site.run(.init { $0.members["limits"] = #"{"connections": 11000}"# }) { site in
            expectExecuted(try site.send(Call(key: "warm")))
            let before = try site.gateway.process.memory("VmRSS")
            var clients: [RawClient] = []
            for _ in 0..<idle { clients.append(try site.connect()) }
            // A connection is taken when it is answered on; the kernel's queue holds the others.
            for client in [clients.first!, clients[idle / 2], clients.last!] {
                #expect(try client.exchange(.get("/plain/x")).status == 201)
            }
            try expectServed(site, since: before, atMost: idle * 4)
        }
    }

    @Test func `half a head on each of a thousand connections ends in 408, and memory stays`()
        throws
    {
        try Site.run(.init { $0.members["timeouts"] = #"{"request_head": "2s"}"# }) { site in
            expectExecuted(try site.send(Call(key: "warm")))
            let before = try site.gateway.process.memory("VmRSS")
            let clients = try (0..<1000).map { _ in try site.connect() }
            let fill = String(repeating: "x", count: 1000)
            for client in clients {
                try client.send("POST /orders HTTP/1.1\r\nHost: a\r\nX-Fill: \(fill)")
            }
            try expectServed(site, since: before, atMost: 64 << 10)
            for client in clients {
                let answer = String(decoding: try client.remainder(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 408 "))
            }
            #expect(site.origin.requests.count == 2)
        }
    }

    @Test(
        arguments: [
            ("a field of 100 KiB", ["X-Long: " + String(repeating: "x", count: 100_000)]),
            ("a thousand fields", (0..<1000).map { "X-\($0): y" }),
            ("a hundred keys", (0..<100).map { "Idempotency-Key: k\($0)" }),
        ])
    func `floods of fields are refused`(_ what: String, _ lines: [String]) throws {
        try Site.run { site in
            expectExecuted(try site.send(Call(key: "warm")))
            let before = try site.gateway.process.memory("VmRSS")
            for _ in 0..<200 {
                let client = try site.connect()
                let head =
                    (["POST /orders HTTP/1.1", "Host: a", "Content-Length: 0", "Connection: close"]
                    + lines)
                    .joined(separator: "\r\n")
                // The refusal may come before all was sent, and then the connection ends.
                do { try client.send(head + "\r\n\r\n") } catch is Socket.Reset {}
                let answer = String(decoding: try client.remainder().prefix(13), as: UTF8.self)
                #expect(
                    answer == "HTTP/1.1 431 " || answer == "HTTP/1.1 400 " || answer.isEmpty,
                    "\(what): \(answer)")
            }
            #expect(site.origin.requests.count == 1)
            let refused = #"outcome="refused",status="4xx"} 200"#
            _ = try site.pollAdmin("/metrics") { $0.contains(refused + "\n") }
            try expectServed(site, since: before, atMost: 32 << 10)
        }
    }

    @Test
    func `two thousand requests for one key: a thousand wait, the others are told to come back`()
        throws
    {
        let count = 2000
        try raiseDescriptorLimit(to: UInt(count) + 1000)
        try Site.run { site in
            let gate = site.holdOrders()
            let first = try site.connect()
            try first.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            let before = try site.gateway.process.memory("VmRSS")
            let others = try (0..<count).map { _ in try site.connect() }
            for other in others { try other.send(Call(key: "k")) }
            let metrics = try site.pollAdmin("/metrics") { text in
                text.contains("oncegate_conflicts_total{route=\"/**\"} \(count - 1000)\n")
            }
            #expect(metrics.text.contains("oncegate_waiters 1000\n"))
            let during = try site.gateway.process.memory("VmRSS")
            #expect(during - before < count * 40, "\(before) KiB became \(during) KiB")
            gate.open()
            let answer = try first.response()
            expectExecuted(answer)
            var conflicts = 0
            for other in others {
                let response = try other.response()
                if response.status == 409 {
                    conflicts += 1
                } else {
                    #expect(response.body == answer.body)
                }
            }
            #expect(conflicts == count - 1000)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }

    @Test func `keys sprayed to fill memory fill the disk at most`() throws {
        let configuration = Configuration {
            $0.store["cache"] = #""2MiB""#
            $0.store["durability"] = #""normal""#
        }
        try Site.run(configuration) { site in
            let body = String(repeating: "b", count: 2000)
            site.origin.answer("/orders", 201, [], body)
            func spray(_ range: Range<Int>) throws {
                let port = site.gateway.port
                let share = range.count / 8
                _ = try concurrently(8, within: .seconds(120)) { worker in
                    let client = try RawClient(port)
                    for number in 0..<share {
                        let key = "spray-\(range.lowerBound + worker * share + number)"
                        let response = try client.exchange(Call(key: key, order: "spray"))
                        guard response.status == 201 else {
                            throw HarnessError("\(key): \(response.status)")
                        }
                    }
                }
            }
            // By then all that is bounded is full.
            try spray(0..<8_000)
            let before = try site.gateway.process.memory("VmRSS")
            try spray(8_000..<16_000)
            try expectServed(site, since: before, atMost: 10 << 10)
        }
    }

    @Test func `bodies that never come hold no more than what came`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"body_idle": "2s"}"# }) { site in
            expectExecuted(try site.send(Call(key: "warm")))
            let before = try site.gateway.process.memory("VmRSS")
            let clients = try (0..<500).map { _ in try site.connect() }
            for (index, client) in clients.enumerated() {
                try client.send(
                    "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: slow-\(index)\r\n"
                        + "Content-Length: 1000000\r\n\r\nx")
            }
            try expectServed(site, since: before, atMost: 64 << 10)
            for client in clients {
                let answer = String(decoding: try client.remainder(), as: UTF8.self)
                #expect(answer.hasPrefix("HTTP/1.1 408 "))
            }
            #expect(site.origin.requests.count == 2)
        }
    }
}
