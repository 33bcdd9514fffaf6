import Testing

/// What a request and its answer get at the edges: fields, ids, traces, and whom they come from.
@Suite(.ownThread) struct EdgeTests {
    private static let rules = #"""
        {"remove": ["X-Gone"], "set": {"X-Set": "{client} {params.id} {scheme} {host}"},
         "add": {"X-More": ["1", "{field.X-Order}"], "X-Id": "{request_id}"}}
        """#

    /// A plain and a guarded route with rules for both directions.
    private static func ruled(_ change: (inout Configuration) -> Void = { _ in }) -> Configuration {
        Configuration {
            let fields = #""request_fields": \#(rules), "response_fields": \#(rules)"#
            $0.routes = [
                #"{"path": "/ruled/{id}/**", "upstream": "api", \#(fields)}"#,
                """
                {"path": "/keyed/{id}", "upstream": "api", \(fields),
                 "idempotency": {"scope": "shared"}}
                """,
            ]
            change(&$0)
        }
    }

    @Test(arguments: ["/ruled/a%0D%0Ab/x", "/keyed/a%0D%0Ab"])
    func `rules hold for what is sent and for every answer`(target: String) throws {
        try Site.run(Self.ruled()) { site in
            site.origin.answer(
                target, 201, [("X-Gone", "1"), ("x-set", "origin"), ("X-More", "0")], "done")
            let call = Call(key: "k", order: "o") {
                $0.target = target
                $0.fields = [("x-gone", "1"), ("X-Set", "a"), ("X-SET", "b"), ("X-More", "0")]
            }
            let first = try site.send(call)
            let sent = site.origin.requests[0].fields
            for fields in [sent, first.fields] {
                #expect(fields.all("X-Gone") == [])
                #expect(fields.all("X-Set") == ["127.0.0.1 a  b http api.example"])
                #expect(fields.all("X-More") == ["0", "1", "o"])
                #expect(fields["X-Id"] == fields["X-Request-Id"])
            }
            guard target.hasPrefix("/keyed") else { return }
            // A replay has the rules of its own request, and its own id; nothing of the first.
            let replay = try site.send(call)
            #expect(replay.fields["Idempotent-Replayed"] == "true")
            #expect(replay.fields.all("X-More") == ["0", "1", "o"])
            #expect(replay.fields["X-Id"] == replay.fields["X-Request-Id"])
            #expect(replay.fields["X-Request-Id"] != first.fields["X-Request-Id"])
            #expect(site.origin.executions(of: "o") == 1)
        }
    }

    @Test(arguments: ["/ruled/7/x", "/keyed/7"])
    func `trailers bring nothing past the rules, nor an id or a key`(target: String) throws {
        let trailers = "X-Gone: 1\r\nx-set: evil\r\nX-Request-Id: evil\r\nX-Sum: 1\r\n"
        let configuration = Self.ruled {
            $0.routes[1].replace(#""shared""#, with: #""shared", "header": "X-Key""#)
            $0.members["request_id"] = #"{"header": "x-request-ID"}"#
        }
        try Site.run(configuration) { site in
            site.origin.on(target) { exchange in
                try exchange.readBody()
                try exchange.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\(trailers)\r\n")
            }
            for method in ["GET", "POST"] {
                let client = try site.connect()
                try client.send(
                    "\(method) \(target) HTTP/1.1\r\nHost: a\r\nX-Key: k\r\n"
                        + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Key: evil\r\n"
                        + "\(trailers)\r\n")
                let response = try client.response(to: method)
                #expect(response.trailers.lines.map(\.name) == ["X-Sum"])
            }
            let isGuarded = target.hasPrefix("/keyed")
            let sent = site.origin.requests.map { $0.trailers.lines.map(\.name) }
            #expect(
                sent == (isGuarded ? [["X-Sum"], []] : [["X-Key", "X-Sum"], ["X-Key", "X-Sum"]]))
        }
    }

    @Test func `a key is another request's or not, whatever the rules say`() throws {
        try Site.run(
            Self.ruled {
                $0.routes[1].replace(
                    #""shared""#, with: #""shared", "fingerprint": {"headers": ["X-Set"]}"#)
            }
        ) { site in
            let call = Call(key: "k") {
                $0.target = "/keyed/1"
                $0.fields = [("X-Set", "mine")]
            }
            expectExecuted(try site.send(call))
            #expect(try site.send(call).fields["Idempotency-Status"] == "replayed")
            let other = Call(key: "k") {
                $0.target = "/keyed/1"
                $0.fields = [("X-Set", "other")]
            }
            try expectProblem(try site.send(other), 422, "key-reused")
        }
    }

    @Test func `rules hold for the gateway's own problems and for stages`() throws {
        let stages =
            #"[{"recovery_point": "a", "path": "/a"}, {"recovery_point": "finished", "path": "/b"}]"#
        let configuration = Self.ruled {
            $0.routes.append(
                """
                {"path": "/staged/{id}", "upstream": "api", "request_fields": \(Self.rules),
                 "idempotency": {"scope": "shared", "stages": \(stages)}}
                """)
        }
        try Site.run(configuration) { site in
            let problem = try site.send(Call(key: "bad key") { $0.target = "/keyed/7" })
            let document = try expectProblem(problem, 400, "key-invalid")
            #expect(problem.fields["X-Set"] == "127.0.0.1 7 http api.example")
            #expect(document["request_id"]?.string == problem.fields["X-Request-Id"])
            let staged = try site.send(Call(key: "k") { $0.target = "/staged/7" })
            #expect(staged.status == 201)
            #expect(site.origin.requests.map(\.path) == ["/a", "/b"])
            for request in site.origin.requests {
                #expect(request.fields["X-Set"] == "127.0.0.1 7 http api.example")
                #expect(request.fields["X-Request-Id"] == staged.fields["X-Request-Id"])
            }
        }
    }

    @Test func `every request has an id of its own, everywhere the same`() throws {
        try Site.run { site in
            site.origin.answer("/plain/a", 200, [("X-Request-Id", "origin")])
            let mine = [("X-Request-Id", "mine")]
            let first = try site.send(.get("/plain/a", mine))
            let second = try site.send(.get("/plain/a", mine))
            let ids = [first, second].compactMap { $0.fields["X-Request-Id"] }
            #expect(Set(ids).count == 2 && !ids.contains("mine") && !ids.contains("origin"))
            #expect(site.origin.requests.map { $0.fields["X-Request-Id"] } == ids)
            for id in ids {
                #expect(id.utf8.count == 32)
                let line = try site.gateway.accessLine { $0["request_id"]?.string == id }
                #expect(line["path"]?.string == "/plain/a")
            }
            var last = Call.get("/plain/a", [("Max-Forwards", "0")])
            last.method = "OPTIONS"
            let end = try site.send(last)
            #expect(end.status == 200 && end.fields["X-Request-Id"]?.utf8.count == 32)
            let missing = try site.send(Call(key: "k\u{7F}"))
            #expect(try missing.json["request_id"]?.string == missing.fields["X-Request-Id"])
        }
    }

    @Test(arguments: [
        ("trusted", "mine", true), ("all", "mine", true), ("none", "mine", false),
        ("trusted", "a b", false), ("trusted", "", false),
        ("trusted", String(repeating: "x", count: 129), false),
    ])
    func `an id is passed on from whom it may come`(
        accept: String, id: String, isKept: Bool
    ) throws {
        let configuration = Configuration {
            $0.members["trusted_proxies"] = accept == "trusted" ? #"["127.0.0.1"]"# : "[]"
            $0.members["request_id"] = #"{"header": "X-Trace", "accept": "\#(accept)"}"#
        }
        try Site.run(configuration) { site in
            let response = try site.send(
                .get("/plain/a", [("x-trace", id), ("X-Request-Id", "free")]))
            #expect((response.fields["X-Trace"] == id) == isKept)
            let sent = site.origin.requests[0].fields
            #expect(sent["X-Trace"] == response.fields["X-Trace"])
            #expect(sent["X-Request-Id"] == "free")
        }
    }

    @Test func `without ids their field is one like others`() throws {
        try Site.run(.init { $0.members["request_id"] = "null" }) { site in
            site.origin.answer("/plain/a", 200, [("X-Request-Id", "origin")])
            let response = try site.send(.get("/plain/a", [("X-Request-Id", "mine")]))
            #expect(response.fields["X-Request-Id"] == "origin")
            #expect(site.origin.requests[0].fields["X-Request-Id"] == "mine")
            let problem = try site.send(Call(key: "bad key"))
            #expect(try problem.json["request_id"] == nil)
        }
    }

    @Test func `an id is never stored`() throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                // Many an API says back what it was told.
                try exchange.execute(
                    answering: 201,
                    [("X-Request-Id", exchange.request.fields["X-Request-Id"] ?? "none")])
            }
            let first = try site.send(Call(key: "k"))
            let replay = try site.send(Call(key: "k"))
            #expect(first.fields.all("X-Request-Id").count == 1)
            #expect(replay.fields.all("X-Request-Id").count == 1)
            #expect(first.fields["X-Request-Id"] != replay.fields["X-Request-Id"])
        }
    }

    @Test func `a trace passes as it is, a malformed one is replaced`() throws {
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        try Site.run { site in
            let state = ("tracestate", "a=1,b=2")
            _ = try site.send(.get("/plain/a", [("Traceparent", parent), state]))
            _ = try site.send(.get("/plain/a", [("traceparent", parent + "-x"), state]))
            _ = try site.send(.get("/plain/a"))
            let sent = site.origin.requests.map(\.fields)
            #expect(sent[0]["traceparent"] == parent && sent[0]["tracestate"] == "a=1,b=2")
            let made = try #require(sent[1]["traceparent"])
            #expect(made.hasPrefix("00-") && made.utf8.count == 55 && !made.hasPrefix("00-4bf9"))
            #expect(sent[1]["tracestate"] == nil)
            #expect(sent[2]["traceparent"] == nil)
            for id in ["4bf92f3577b34da6a3ce929d0e0e4736", String(made.dropFirst(3).prefix(32))] {
                _ = try site.gateway.accessLine { $0["trace_id"]?.string == id }
            }
        }
        try Site.run(.init { $0.members["trace"] = #""make""# }) { site in
            _ = try site.send(Call(key: "k"))
            #expect(site.origin.requests[0].fields["traceparent"]?.utf8.count == 55)
        }
    }

    @Test func `the client is who the trusted proxies say`() throws {
        try Site.run(.init { $0.members["trusted_proxies"] = #"["127.0.0.1", "10.0.0.0/8"]"# }) {
            site in
            let chain = "6.6.6.6, 203.0.113.9, 10.0.0.1"
            _ = try site.send(.get("/plain/a", [("X-Forwarded-For", chain)]))
            let line = try site.gateway.accessLine { $0["client"] != nil }
            #expect(line["client"]?.string == "203.0.113.9")
            #expect(line["peer"]?.string == "127.0.0.1")
            let sent = site.origin.requests[0].fields
            #expect(sent["X-Forwarded-For"] == chain + ", 127.0.0.1")
            #expect(sent["X-Forwarded-Port"] == "\(site.gateway.port)")
        }
    }

    @Test func `an upstream is told in its own form`() throws {
        let configuration = Configuration {
            $0.members["trusted_proxies"] = #"["127.0.0.1"]"#
            $0.members["forwarded"] = #""rfc7239""#
            $0.upstream["forwarded"] = #""both""#
        }
        try Site.run(configuration) { site in
            let element = #"for="[2001:db8::1]:4711";proto=https"#
            _ = try site.send(.get("/plain/a", [("Forwarded", element)]))
            let sent = site.origin.requests[0].fields
            #expect(
                sent["Forwarded"] == element + ", for=127.0.0.1;host=api.example;proto=http")
            #expect(sent["X-Forwarded-For"] == "2001:db8::1, 127.0.0.1")
            #expect(sent["X-Forwarded-Proto"] == "https")
            let line = try site.gateway.accessLine { $0["client"] != nil }
            #expect(line["client"]?.string == "2001:db8::1")
        }
    }

    @Test(arguments: [
        ("/v1/a%2Fb/c%20d?x=%2f&y", "/v2/a%2Fb/c%20d?x=%2f&y"), ("/v1", "/v2"), ("/v1/", "/v2/"),
        ("/v1?", "/v2?"), ("/v1//a//", "/v2//a//"), ("/v1/%2e%2E/v1/./a%41%7e", "/v2/a%41%7e"),
        ("/v1/a/../b;c=d/%c3%a4", "/v2/b;c=d/%c3%a4"), ("/%761/..%2fa", "/v2/..%2fa"),
    ])
    func `a path is rewritten, and what is kept of it stays as it came`(
        target: String, rewritten: String
    ) throws {
        let route = #"{"path": "/v1/**", "upstream": "api", "rewrite": "/v2/**"}"#
        try Site.run(.init { $0.routes = [route] }) { site in
            _ = try site.send(.get(target))
            #expect(site.origin.requests.map(\.target) == [rewritten])
        }
    }

    @Test(
        arguments: [
            ("/old/7/x%2Fy", "/x%2Fy?old=1", nil), ("/strip/a//b", "/a//b", nil),
            ("/strip", "/", nil),
            ("/strip?q", "/?q", nil),
        ] as [(String, String, String?)])
    func `a prefix is stripped or a segment taken out`(
        target: String, rewritten: String, _: String?
    ) throws {
        let routes = [
            #"{"path": "/strip/**", "upstream": "api", "rewrite": "/**"}"#,
            #"{"path": "/old/{n}/{name}", "upstream": "api", "rewrite": "/{name}"}"#,
        ]
        try Site.run(.init { $0.routes = routes }) { site in
            _ = try site.send(.get(target.hasPrefix("/old") ? target + "?old=1" : target))
            #expect(site.origin.requests.map(\.target) == [rewritten])
        }
    }

    @Test func `more requests in flight than an upstream may have are refused`() throws {
        try Site.run(
            .init {
                $0.upstream["max_in_flight"] = "2"
                $0.members["threads"] = "2"
            }
        ) { site in
            let gate = Gate()
            site.origin.on("/plain/slow") { exchange in
                try gate.pass()
                try exchange.reply(200)
            }
            let slow = (0..<2).map { _ in site.sendInBackground(.get("/plain/slow")) }
            try site.origin.waitForRequests(2)
            for call in [Call.get("/plain/a"), Call(key: "k")] {
                let refused = try site.send(call)
                let problem = try expectProblem(refused, 503, "upstream-unreachable")
                #expect(problem["executed"]?.string == "no")
                #expect(refused.fields["Retry-After"] == "1")
            }
            gate.open()
            for call in slow { #expect(try call.value().status == 200) }
            // A place is free again once its exchange is over.
            for number in 0..<5 { expectExecuted(try site.send(Call(key: "n\(number)"))) }
            expectExecuted(try site.send(Call(key: "k")))
        }
    }
}
