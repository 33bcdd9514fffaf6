import Testing

/// How a client's connection lives: persistence, pipelining, interim answers, deadlines, limits.
@Suite(.ownThread) struct ConnectionTests {
    @Test func `a connection carries one request after the other`() throws {
        try Site.run { site in
            let client = try site.connect()
            for number in 1...5 {
                let response = try client.exchange(Call(key: "k\(number)"))
                #expect(response.text == #"{"order": \#(number)}"#)
                #expect(response.fields["Connection"] != "close")
            }
            #expect(site.origin.connectionCount == 1)
        }
    }

    @Test func `pipelined requests are answered in order`() throws {
        try Site.run { site in
            let gate = Gate()
            site.origin.on("/plain/slow") { exchange in
                try gate.pass()
                try exchange.execute(answering: 200, [], "slow")
            }
            let client = try site.connect()
            var bytes = Call.get("/plain/slow").bytes
            for number in 0..<10 {
                bytes += Call(key: "k\(number)") { $0.target = "/orders/\(number)" }.bytes
            }
            site.origin.on("/orders/7") { exchange in
                try exchange.readBody()
                try exchange.execute(answering: 200, [], "seven")
            }
            try client.send(bytes)
            try site.origin.waitForRequests(1)
            #expect(client.isQuiet)
            gate.open()
            let slow = try client.response(to: "GET")
            #expect(slow.text == "slow")
            for number in 0..<10 {
                let response = try client.response()
                #expect(response.fields["Idempotency-Key"] == "k\(number)")
                #expect((response.text == "seven") == (number == 7))
            }
        }
    }

    @Test func `a request may come byte by byte`() throws {
        try Site.run { site in
            let client = try site.connect()
            for byte in Call(key: "k").bytes { try client.send([byte]) }
            expectExecuted(try client.response())
            #expect(site.origin.requests.map(\.text) == [#"{"item": "book"}"#])
        }
    }

    @Test func `empty lines before a request are skipped`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send("\r\n\r\n")
            expectExecuted(try client.exchange(Call(key: "k")))
        }
    }

    @Test func `a client that wants no more gets none`() throws {
        try Site.run { site in
            let client = try site.connect()
            let response = try client.exchange(
                Call(key: "k") { $0.fields = [("Connection", "close")] })
            expectExecuted(response)
            #expect(response.fields["Connection"] == "close")
            #expect(try client.remainder() == [])
        }
    }

    @Test func `a client that has ended its side still gets its answer`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(Call(key: "k"))
            client.shutWriting()
            expectExecuted(try client.response())
            #expect(try client.remainder() == [])
        }
    }

    @Test func `an end that comes together with the last bytes holds up nobody`() throws {
        try Site.run { site in
            // As long as what is received at a time, twice over: the end is read with no edge.
            let body = String(repeating: "x", count: 1 << 17)
            for number in 0..<30 {
                let client = try site.connect()
                try client.send(Call(key: "k\(number)") { $0.body = body })
                client.shutWriting()
                expectExecuted(try client.response())
                #expect(try client.remainder() == [])
            }
        }
    }

    @Test func `HTTP/1.0 gets one answer with a length and an end`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(
                "POST /orders HTTP/1.0\r\nIdempotency-Key: k\r\nContent-Length: 2\r\n\r\n{}")
            let response = try client.response()
            #expect(response.status == 201)
            #expect(response.text == #"{"order": 1}"#)
            #expect(try client.remainder() == [])
        }
    }

    @Test func `HTTP/1.0 is never sent chunks nor interim answers`() throws {
        try Site.run { site in
            site.origin.on("/plain/chunks") { exchange in
                try exchange.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        + "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            }
            let client = try site.connect()
            try client.send("GET /plain/chunks HTTP/1.0\r\nHost: a\r\n\r\n")
            let response = try client.response(to: "GET")
            #expect(response.interims.isEmpty)
            #expect(response.fields.all("Transfer-Encoding") == [])
            #expect(response.text == "abcde")
        }
    }

    @Test func `HTTP/1.0 may ask to keep its connection`() throws {
        try Site.run { site in
            let client = try site.connect()
            for _ in 0..<2 {
                try client.send(
                    "GET /plain/a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
                let response = try client.response(to: "GET")
                #expect(response.status == 201)
                #expect(response.fields["Connection"]?.lowercased() == "keep-alive")
            }
        }
    }

    @Test(arguments: ["/orders", "/plain/orders"])
    func `a client that waits to be told to continue is told so`(target: String) throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(
                "POST \(target) HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n"
                    + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            #expect(try client.head().startLine == "HTTP/1.1 100 Continue")
            try client.send("hello")
            let response = try client.response()
            #expect(response.status == 201)
            #expect(site.origin.requests.map(\.text) == ["hello"])
        }
    }

    @Test func `a refusal comes in place of the body that a client holds back`() throws {
        try Site.run { site in
            let client = try site.connect()
            try client.send(
                "POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: a,b\r\n"
                    + "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            let response = try client.response()
            #expect(response.interims.isEmpty)
            try expectProblem(response, 400, "key-invalid", executed: "no")
        }
    }

    @Test func `a client that does not wait to be told is served too`() throws {
        try Site.run { site in
            let call = Call(key: "k") { $0.fields = [("Expect", "100-continue")] }
            let response = try site.send(call)
            expectExecuted(response)
            #expect(response.interims.allSatisfy { $0.status == 100 })
        }
    }

    @Test func `an unfinished head is timed out with 408`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"request_head": "200ms"}"# }) { site in
            let client = try site.connect()
            try client.send("GET /plain/a HTTP/1.1\r\nHost: a\r\n")
            let response = try client.response(to: "GET")
            #expect(response.status == 408)
            #expect(response.fields["Connection"] == "close")
            #expect(try client.remainder() == [])
        }
    }

    @Test func `a head that drips does not push its deadline`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"request_head": "300ms"}"# }) { site in
            let client = try site.connect()
            try client.send("GET /plain/a HTTP/1.1\r\n")
            let deadline = Deadline()
            while client.isQuiet && !deadline.hasPassed {
                guard (try? client.send("X: y\r\n")) != nil else { break }
                client.pause(milliseconds: 20)
            }
            #expect(!deadline.hasPassed)
            if let response = try? client.response(to: "GET") { #expect(response.status == 408) }
        }
    }

    @Test(arguments: ["Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"])
    func `a body that stalls is timed out with 408 and was not executed`(rest: String) throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"body_idle": "200ms"}"# }) { site in
            let client = try site.connect()
            try client.send("POST /orders HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\n\(rest)")
            let response = try client.response()
            #expect(response.status == 408)
            #expect(try client.remainder() == [])
            #expect(site.origin.requests.isEmpty)
        }
    }

    @Test func `a request cut short is not executed and leaves its key free`() throws {
        try Site.run { site in
            let client = try site.connect()
            let call = Call(key: "k")
            try client.send(Array(call.bytes.dropLast()))
            client.close()
            expectExecuted(try site.send(call))
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `an idle connection is closed without a word`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"keep_alive": "200ms"}"# }) { site in
            let client = try site.connect()
            expectExecuted(try client.exchange(Call(key: "k")))
            #expect(try client.remainder() == [])
        }
    }

    @Test func `a client that does not read is dropped and so is what it had asked for`() throws {
        try Site.run(.init { $0.members["timeouts"] = #"{"write_idle": "300ms"}"# }) { site in
            let isDropped = Gate()
            site.origin.on("/plain/long") { exchange in
                defer { isDropped.open() }
                try exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
                let block = [UInt8](repeating: 0x61, count: 1 << 16)
                for _ in 0..<(1 << 14) { try exchange.send(block) }
            }
            let client = try site.connect(receiveBuffer: 4096)
            try client.send(.get("/plain/long"))
            try isDropped.pass()
            try site.origin.waitForNoConnections()
        }
    }

    @Test func `connections beyond the limit are not served until others close`() throws {
        try Site.run(.init { $0.members["limits"] = #"{"connections": 3}"# }) { site in
            var clients = try (0..<3).map { _ in try site.connect() }
            for (index, client) in clients.enumerated() {
                expectExecuted(try client.exchange(Call(key: "k\(index)")))
            }
            let port = site.gateway.port
            let fourth = Background { try? RawClient(port).exchange(Call(key: "k3")) }
            expectExecuted(try clients[0].exchange(Call(key: "k4")))
            #expect(site.origin.executions(of: "k3") == 0)
            clients.removeAll()
            // It was either kept waiting or turned away; either way there is room again.
            if let answer = try fourth.value(), answer.status != 503 { expectExecuted(answer) }
            let again = try site.poll(Call(key: "k5")) { $0.status == 201 }
            #expect(again.status == 201)
        }
    }

    @Test func `many idle connections do not disturb the busy ones`() throws {
        try Site.run { site in
            let idle = try (0..<300).map { _ in try site.connect() }
            let client = try site.connect()
            for number in 0..<20 { expectExecuted(try client.exchange(Call(key: "k\(number)"))) }
            #expect(idle.allSatisfy { $0.isQuiet })
        }
    }
}
