import Glibc
import Testing

/// Origins that break the protocol or their connections.
@Suite(.ownThread) struct MisbehavingOriginTests {
    /// What an origin sends before it closes.
    static let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 2x\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000002\r\nab\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX-A: a\u{0}b\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{16}",
        "",
    ]

    @Test(arguments: answers, ["/plain/a", "/orders"])
    func `a broken answer never looks whole`(answer: String, target: String) throws {
        try Site.run { site in
            site.origin.on(target) { exchange in
                try exchange.readBody()
                try exchange.send(answer)
                exchange.close()
            }
            let client = try site.connect()
            try client.send(Call(key: "k") { $0.target = target })
            let outcome = Result { try client.response() }
            if case .success(let response) = outcome { #expect(response.status == 502) }
            #expect(site.origin.requests.count == 1)
            // The next request is not answered with what was left of the broken answer.
            let next = try site.send(.get("/plain/next"))
            #expect(next.text.hasPrefix(#"{"order":"#))
        }
    }

    @Test(arguments: ["/plain/a", "/orders"])
    func `an answer with bytes after it is refused, and they belong to nobody`(target: String)
        throws
    {
        try Site.run { site in
            site.origin.on(target) { exchange in
                try exchange.readBody()
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
                        + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            }
            for number in 0..<5 {
                let client = try site.connect()
                try client.send(Call(key: "k\(number)") { $0.target = target })
                // An answer with something behind it is no answer, if that came with it.
                if let first = try? client.response() {
                    #expect(first.status == 502 || first.text == "good")
                }
                let next = try site.send(.get("/plain/next"))
                #expect(next.text.hasPrefix(#"{"order":"#))
            }
        }
    }

    @Test func `an answer that nobody asked for is not given to the next request`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.reply(200, [], Array("good".utf8))
                exchange.pause(milliseconds: 20)
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
            }
            for _ in 0..<10 {
                let client = try site.connect()
                try client.send(.get("/plain/a"))
                // On a busy machine both may come at once; then there is no answer.
                if let response = try? client.response(to: "GET"), response.status != 502 {
                    #expect(response.text == "good")
                }
                client.pause(milliseconds: 40)
            }
        }
    }

    @Test(arguments: ["/plain/a", "/orders"])
    func `no request leaves twice while the origin closes its idle connections`(
        target: String
    ) throws {
        try Site.run { site in
            let isOver = Monitor(false)
            let origin = site.origin
            origin.on(target) { exchange in
                try exchange.readBody()
                try exchange.execute()
            }
            // Once for each request that comes: where it is slow to close, some have to get through.
            let closer = Background {
                var seen = -1
                while !isOver.with({ $0 }) {
                    let count = origin.requests.count
                    if count == seen { sched_yield() } else { origin.closeIdleConnections() }
                    seen = count
                }
            }
            let port = site.gateway.port
            let statuses = try concurrently(8, within: .seconds(60)) { worker in
                let client = try RawClient(port)
                return try (0..<50).map { number in
                    try client.exchange(
                        Call(key: "\(worker)-\(number)") {
                            $0.target = target
                            if number % 2 == 0 { $0.body = nil }
                        }
                    ).status
                }
            }
            isOver.with { $0 = true }
            try closer.value()
            #expect(Set(statuses.flatMap { $0 }).isSubset(of: [201, 502]))
            #expect(statuses.flatMap { $0 }.contains(201))
            let sent = Dictionary(grouping: origin.requests) { $0.fields["X-Order"] ?? "" }
            #expect(sent.filter { $0.value.count > 1 }.keys.sorted() == [])
            #expect(origin.executions.allSatisfy { $0.value.count == 1 })
        }
    }

    @Test func `an origin that closes after each answer is asked on a new connection`() throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try exchange.execute(answering: 201, [("Connection", "close")])
                exchange.close()
            }
            let client = try site.connect()
            for number in 0..<10 { expectExecuted(try client.exchange(Call(key: "k\(number)"))) }
            #expect(site.origin.connectionCount == 10)
        }
    }

    @Test func `an origin that takes a connection and drops it was not asked`() throws {
        try Site.run { site in
            site.origin.whenConnected { _ in false }
            let response = try site.send(Call(key: "k"))
            #expect(response.status == 502)
            #expect(response.fields["Idempotent-Replayed"] == nil)
            #expect(site.origin.requests.isEmpty)
        }
    }
}
