import Glibc
import Testing

/// What is on its way while it is still being made: events, bodies in both directions at once, early
/// answers, expectations, and clients that give up.
@Suite(.ownThread) struct LiveTrafficTests {
    @Test(arguments: ["1.0", "1.1"])
    func `events reach a client at once, also one that has ended its side`(version: String) throws {
        try Site.run { site in
            let gates = (0..<3).map { _ in Gate() }
            site.origin.on("/plain/events") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                for gate in gates {
                    try gate.pass()
                    try exchange.send("data: 1\n\n")
                }
                exchange.close()
            }
            let client = try site.connect()
            try client.send("GET /plain/events HTTP/\(version)\r\nHost: a\r\n\r\n")
            client.shutWriting()
            // The head waits for no event.
            #expect(try client.head().status == 200)
            for gate in gates {
                gate.open()
                if version == "1.0" {
                    #expect(try client.bytes(9) == Array("data: 1\n\n".utf8))
                } else {
                    #expect(try client.chunk() == Array("data: 1\n\n".utf8))
                }
            }
            let rest = try client.remainder()
            #expect(rest == (version == "1.0" ? [] : Array("0\r\n\r\n".utf8)))
        }
    }

    @Test func `a long event reaches a client whole before the next one`() throws {
        try Site.run { site in
            let gate = Gate()
            let size = 300_000
            site.origin.on("/plain/events") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                let event = [UInt8](repeating: 0x61, count: size)
                try exchange.send(Array("\(String(size, radix: 16))\r\n".utf8) + event + [13, 10])
                try gate.pass()
                try exchange.send("0\r\n\r\n")
            }
            let client = try site.connect(receiveBuffer: 4096)
            try client.send(.get("/plain/events"))
            #expect(try client.head().status == 200)
            var count = 0
            while count < size { count += try client.chunk()?.count ?? size }
            #expect(count == size)
            gate.open()
            #expect(try client.chunk() == nil)
        }
    }

    @Test func `too many interim answers are none`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                for _ in 0..<40 { try exchange.send("HTTP/1.1 103 Early Hints\r\n\r\n") }
                try exchange.reply(200)
            }
            let response = try site.send(.get("/plain/a"))
            try expectProblem(response, 502, "outcome-unknown", executed: "unknown")
            #expect(response.interims.count == 32)
        }
    }

    @Test func `a guarded request's interim answers go to its client, and to no replay`() throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                try exchange.execute()
            }
            let first = try site.send(Call(key: "k"))
            expectExecuted(first)
            #expect(first.interims.map(\.status) == [103])
            let replay = try site.send(Call(key: "k"))
            expectReplay(replay, of: first)
            #expect(replay.interims.isEmpty)
        }
    }

    @Test(arguments: ["trailers", "deflate;q=0.5, Trailers", "gzip", ""])
    func `who takes trailers has them announced and passed on`(codings: String) throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.readBody()
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        + "1\r\na\r\n0\r\nX-Sum: 97\r\nContent-Length: 4\r\n\r\n")
            }
            let client = try site.connect()
            let line = codings.isEmpty ? "" : "Connection: TE\r\nTE: \(codings)\r\n"
            try client.send(
                "POST /plain/a HTTP/1.1\r\nHost: a\r\n\(line)"
                    + "Transfer-Encoding: chunked\r\nTrailer: X-Check\r\n\r\n"
                    + "2\r\nhi\r\n0\r\nX-Check: 9\r\nHost: b\r\n\r\n")
            let response = try client.response()
            #expect(response.fields["Trailer"] == "X-Sum")
            #expect(response.trailers.lines.map(\.name) == ["X-Sum"])
            let request = site.origin.requests[0]
            let isAsked = codings.lowercased().contains("trailers")
            #expect(request.fields["TE"] == (isAsked ? "trailers" : nil))
            #expect(request.fields["Connection"] == (isAsked ? "TE" : nil))
            #expect(request.fields["Trailer"] == "X-Check")
            #expect(request.trailers.lines.map(\.name) == ["X-Check"])
        }
    }

    @Test func `HTTP 1.0 is sent no trailers and no word of them`() throws {
        try Site.run { site in
            site.origin.on("/plain/a") { exchange in
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                        + "1\r\na\r\n0\r\nX-Sum: 97\r\n\r\n")
            }
            let client = try site.connect()
            try client.send("GET /plain/a HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n")
            let response = try client.response(to: "GET")
            #expect(response.fields.all("Trailer") == [])
            #expect(response.text == "a")
            #expect(site.origin.requests[0].fields.all("TE") == [])
        }
    }

    @Test func `an echo flows while its request does`() throws {
        try Site.run { site in
            site.origin.on("/plain/echo") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                while let chunk = try exchange.reader.chunk(by: Deadline()) {
                    let size = String(chunk.count, radix: 16)
                    try exchange.send(Array("\(size)\r\n".utf8) + chunk + [13, 10])
                }
                _ = try exchange.reader.exactly(2, Deadline())
                try exchange.send("0\r\n\r\n")
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            #expect(try client.head().status == 200)
            for number in 0..<100 {
                let text = "message \(number)"
                try client.send("\(String(text.utf8.count, radix: 16))\r\n\(text)\r\n")
                #expect(try client.chunk() == Array(text.utf8))
            }
            try client.send("0\r\n\r\n")
            #expect(try client.chunk() == nil)
        }
    }

    @Test func `an answer that begins early takes nothing away from its request`() throws {
        try Site.run { site in
            // Many small chunks, of which the gateway holds a lot when the answer begins.
            let count = 400_000
            let hasHead = Gate()
            site.origin.on("/plain/count") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                try hasHead.pass()
                var bytes = 0
                while let chunk = try exchange.reader.chunk(by: Deadline()) { bytes += chunk.count }
                _ = try exchange.reader.exactly(2, Deadline())
                let text = "\(bytes)"
                try exchange.send("\(text.utf8.count)\r\n\(text)\r\n0\r\n\r\n")
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/count HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            let block = Array(String(repeating: "8\r\n01234567\r\n", count: 1000).utf8)
            var sent = 0
            var isFull = false
            // Until all that lies between is full; then the head is read, then the rest sent.
            while sent < count / 1000 {
                try client.send(block)
                sent += 1
                if sent == 100, !isFull {
                    isFull = true
                    #expect(try client.head().status == 200)
                    hasHead.open()
                }
            }
            try client.send("0\r\n\r\n")
            #expect(try client.chunk() == Array("\(count * 8)".utf8))
            #expect(try client.chunk() == nil)
        }
    }

    @Test func `an early answer ends the connection, whatever the client is at`() throws {
        let patient = Configuration {
            $0.members["timeouts"] = #"{"body_idle": "120s", "keep_alive": "120s"}"#
        }
        try Site.run(patient) { site in
            site.origin.on("/plain/upload") { exchange in
                try exchange.reply(413, [], Array("too much".utf8))
                _ = try? exchange.reader.untilClose(by: Deadline())
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
            let response = try client.response()
            #expect(response.status == 413 && response.text == "too much")
            #expect(response.fields["Connection"] == "close")
            // It sends nothing more, and is let go all the same.
            #expect(try client.remainder() == [])
            _ = try site.gateway.accessLine { $0["status"]?.number == 413 }
            _ = try site.send(.get("/plain/next"))
            #expect(site.origin.requests[1].connection == 1)
            try site.origin.waitForNoConnectionBefore(1)
        }
    }

    @Test func `a client that looks for its answer only when all is sent finds it`() throws {
        try Site.run { site in
            site.origin.on("/plain/upload") { exchange in
                try exchange.reply(401, [("Connection", "close")], Array("who?".utf8))
                exchange.close()
            }
            let client = try site.connect()
            let size = 16 << 20
            try client.send(
                "POST /plain/upload HTTP/1.1\r\nHost: a\r\nContent-Length: \(size)\r\n\r\n")
            for _ in 0..<16 { try client.send([UInt8](repeating: 0x61, count: 1 << 20)) }
            let response = try client.response()
            #expect(response.status == 401 && response.text == "who?")
        }
    }

    private static let expecting =
        "POST /plain/upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        + "Content-Length: 5\r\n\r\n"

    @Test func `the origin is who tells a client to continue`() throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on("/plain/upload") { exchange in
                try gate.pass()
                try exchange.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
                try exchange.readBody()
                try exchange.reply(200, [], exchange.request.body)
            }
            let client = try site.connect()
            for number in 1...2 {
                try client.send(Self.expecting)
                let request = try site.origin.waitForRequests(number)
                #expect(request.fields["Expect"] == "100-continue")
                gate.open()
                #expect(try client.head().startLine == "HTTP/1.1 100 Continue")
                try client.send("hello")
                let response = try client.response()
                #expect(response.interims.isEmpty && response.text == "hello")
            }
            #expect(site.origin.connectionCount == 1)
        }
    }

    @Test(arguments: [417, 401, 200])
    func `an answer instead of 100 gets through without the body being asked for`(
        status: Int
    ) throws {
        try Site.run { site in
            let rest = Monitor<[UInt8]?>(nil)
            site.origin.on("/plain/upload") { exchange in
                try exchange.reply(status, [], Array("no".utf8))
                let bytes = (try? exchange.reader.untilClose(by: Deadline())) ?? []
                rest.with { $0 = bytes }
                exchange.close()
            }
            let client = try site.connect()
            try client.send(Self.expecting)
            let response = try client.response()
            #expect(response.status == status && response.text == "no")
            #expect(response.interims.isEmpty)
            #expect(response.fields["Connection"] == "close")
            #expect(try rest.wait(for: "the origin's connection to end") { $0 } == [])
            #expect(try client.remainder() == [])
        }
    }

    @Test func `an expectation that nobody knows is refused`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(Self.expecting.replacing("100-continue", with: "miracles"))
            #expect(try client.response().status == 417)
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `a guarded request's client is told to continue by the gateway`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(
                "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
                    + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            #expect(try client.head().startLine == "HTTP/1.1 100 Continue")
            #expect(site.origin.requests.isEmpty)
            try client.send("hello")
            expectExecuted(try client.response())
            #expect(site.origin.requests[0].fields.all("Expect") == [])
        }
    }

    @Test func `a reset during a stalled upload ends it at once`() throws {
        try Site.run { site in
            let gate = Gate()
            let isCut = Gate()
            site.origin.on("/plain/upload") { exchange in
                try gate.pass()
                do {
                    while true { try exchange.reader.skip(1 << 20, by: Deadline()) }
                } catch {
                    isCut.open()
                }
                exchange.close()
            }
            let client = try site.connect()
            try client.send(
                "POST /plain/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n")
            while try client.sendNow([UInt8](repeating: 0x61, count: 1 << 16)) {}
            client.reset()
            let line = try site.gateway.accessLine { $0["path"]?.string == "/plain/upload" }
            #expect(line["outcome"]?.string == "abandoned")
            gate.open()
            try isCut.pass()
        }
    }

    @Test func `a reset while the upstream is being connected ends that at once`() throws {
        // Its queue is full, so that one more connection waits.
        let (listener, port) = try Socket.listening(backlog: 0)
        defer { listener.close() }
        let waiting = try Socket.connected(to: port)
        defer { waiting.close() }
        let patient = Configuration {
            $0.upstream["url"] = #""http://127.0.0.1:\#(port)""#
            $0.upstream["timeouts"] = #"{"connect": "600s"}"#
        }
        try Site.run(patient) { site in
            let client = try site.connect()
            try client.send(.get("/plain/a"))
            let deadline = Deadline()
            while try site.connections(to: port) == 0, !deadline.hasPassed {
                client.pause(milliseconds: 5)
            }
            client.reset()
            let line = try site.gateway.accessLine { $0["path"]?.string == "/plain/a" }
            #expect(line["outcome"]?.string == "abandoned")
            while try site.connections(to: port) > 0, !deadline.hasPassed {
                client.pause(milliseconds: 5)
            }
            #expect(try site.connections(to: port) == 0)
        }
    }

    @Test func `a reset while an answer is stuck ends the origin's stream at once`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"write_idle": "600s"}"# }) { site in
            let isCut = Gate()
            let isFull = Gate()
            site.origin.on("/plain/long") { exchange in
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 107374182400\r\n\r\n")
                let block = [UInt8](repeating: 0x61, count: 1 << 16)
                do {
                    while true { try exchange.socket.send(block, by: Deadline(in: .seconds(1))) }
                } catch is HarnessError {
                    isFull.open()
                }
                _ = try? exchange.reader.untilClose(by: Deadline())
                isCut.open()
                exchange.close()
            }
            let client = try site.connect(receiveBuffer: 4096)
            try client.send(.get("/plain/long"))
            try isFull.pass()
            client.reset()
            try isCut.pass()
        }
    }

    @Test func `a reset does not end what a key guards`() throws {
        try Site.run { site in
            let gate = site.holdOrders()
            let client = try site.connect()
            try client.send(Call(key: "k"))
            try site.origin.waitForRequests(1)
            client.reset()
            _ = try site.gateway.accessLine { $0["outcome"]?.string == "detached" }
            gate.open()
            try site.origin.waitForExecution(of: "k")
            let replay = try site.poll(Call(key: "k")) { $0.status == 201 }
            #expect(replay.text == #"{"order": 1}"#)
            #expect(site.origin.executions(of: "k") == 1)
        }
    }
}

extension Site {
    /// How many of the gateway's connections to a port are open or being opened.
    fileprivate func connections(to port: UInt16) throws -> Int {
        let peer = "0100007F:" + String(Int(port) + 0x10000, radix: 16).uppercased().dropFirst()
        let mine = try socketNumbers(of: gateway.process.pid)
        return try readFile("/proc/net/tcp").split(separator: "\n").count { line in
            let words = line.split(separator: " ")
            return words.count > 9 && words[2] == peer && mine.contains(String(words[9]))
        }
    }

    private func socketNumbers(of process: pid_t) throws -> Set<String> {
        var numbers: Set<String> = []
        for number in 0..<256 {
            var buffer = [CChar](repeating: 0, count: 256)
            let count = readlink("/proc/\(process)/fd/\(number)", &buffer, buffer.count)
            guard count > 0 else { continue }
            let path = String(
                decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if path.hasPrefix("socket:[") { numbers.insert(String(path.dropFirst(8).dropLast())) }
        }
        return numbers
    }
}
