import Testing

/// Browsers' scripts of other origins, and bodies and fields that nobody is to touch.
@Suite(.ownThread) struct CORSTests {
    private static let preflight = [
        ("Origin", "https://shop.example"), ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "idempotency-key"),
    ]
    private static let leave = [
        ("Access-Control-Allow-Origin", "https://shop.example"),
        ("Access-Control-Allow-Methods", "POST"), ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Allow-Headers", "idempotency-key"), ("Access-Control-Max-Age", "60"),
        ("Vary", "Origin, Access-Control-Request-Method"),
    ]

    private func options(_ target: String) -> Call {
        Call {
            $0.method = "OPTIONS"
            $0.target = target
            $0.fields = Self.preflight
            $0.authorization = nil
            $0.contentType = nil
            $0.body = nil
        }
    }

    @Test(arguments: [
        #""key": "required""#, #""methods": ["OPTIONS", "POST"], "key": "required""#,
    ])
    func `a preflight passes a guarded route as it is`(keys: String) throws {
        let route = #"""
            {"path": "/guarded", "methods": ["POST"], "upstream": "api",
             "idempotency": {"scope": "shared", \#(keys)}}
            """#
        try Site.run(.init { $0.routes = [route] }) { site in
            site.origin.answer("/guarded", 204, Self.leave)
            for _ in 0..<2 {
                let response = try site.send(options("/guarded"))
                #expect(response.status == 204)
                for (name, value) in Self.leave { #expect(response.fields[name] == value) }
                #expect(response.fields.all("Idempotency-Status") == [])
            }
            #expect(site.origin.requests.count == 2)
            for (name, value) in Self.preflight {
                #expect(site.origin.requests[1].fields[name] == value)
            }
        }
    }

    @Test func `what scripts may read is added to, in every answer that has a key`() throws {
        try Site.run { site in
            site.origin.on("/orders") { exchange in
                try exchange.readBody()
                try exchange.execute(
                    answering: 200,
                    [
                        ("Access-Control-Allow-Origin", "https://shop.example"),
                        ("Access-Control-Allow-Credentials", "true"),
                        ("Access-Control-Expose-Headers", "X-A"),
                        ("Access-Control-Expose-Headers", "X-B, X-C"), ("Vary", "Origin"),
                        ("ETag", "\"a\""),
                    ])
            }
            for _ in 0..<2 {
                let response = try site.send(Call(key: "k"))
                #expect(
                    response.fields.all("Access-Control-Expose-Headers") == [
                        "X-A", "X-B, X-C",
                        "Idempotency-Key, Idempotency-Status, Idempotency-Expires, "
                            + "Idempotent-Replayed, X-Request-Id",
                    ])
                #expect(response.fields["Vary"] == "Origin")
                #expect(response.fields["ETag"] == "\"a\"")
            }
            site.origin.answer("/plain/a", 200, [("Access-Control-Allow-Origin", "*")])
            let plain = try site.send(.get("/plain/a"))
            #expect(plain.fields.all("Access-Control-Expose-Headers") == ["X-Request-Id"])
        }
    }

    @Test func `a problem is read by the scripts that may`() throws {
        let cors = #"{"origins": ["https://shop.example"], "credentials": true}"#
        try Site.run(.init { $0.route["cors"] = cors }) { site in
            func problem(_ origin: String?) throws -> WireFields {
                let call = Call(key: "bad key") {
                    $0.fields = origin.map { [("Origin", $0)] } ?? []
                }
                let response = try site.send(call)
                try expectProblem(response, 400, "key-invalid")
                return response.fields
            }
            let shop = try problem("https://shop.example")
            #expect(shop["Access-Control-Allow-Origin"] == "https://shop.example")
            #expect(shop["Access-Control-Allow-Credentials"] == "true")
            #expect(shop["Vary"] == "Origin")
            #expect(shop["Access-Control-Expose-Headers"]?.contains("X-Request-Id") == true)
            let other = try problem("https://evil.example")
            #expect(other["Vary"] == "Origin")
            #expect(!other.lines.contains { $0.name.hasPrefix("Access-Control") })
            #expect(try problem(nil)["Vary"] == nil)
            // An upstream's answer says itself who may read it.
            let answer = try site.send(
                Call(key: "k") { $0.fields = [("Origin", "https://shop.example")] })
            #expect(answer.fields["Access-Control-Allow-Origin"] == nil)
        }
    }

    @Test func `coded bodies and ranges pass byte for byte`() throws {
        let gzip: [UInt8] = [
            0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 0x4B, 4, 0, 0x43, 0xBE, 0xB7, 0xE8, 1, 0, 0, 0,
        ]
        try Site.run { site in
            for path in ["/plain/a", "/orders"] {
                site.origin.on(path) { exchange in
                    try exchange.readBody()
                    try exchange.reply(
                        206,
                        [
                            ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"),
                            ("Content-Range", "bytes 0-20/90"), ("ETag", "W/\"1\""),
                            ("Accept-Ranges", "bytes"), ("Content-Type", "text/plain"),
                        ], gzip)
                }
                for _ in 0..<2 {
                    let response = try site.send(
                        Call(key: "k") {
                            $0.target = path
                            $0.fields = [
                                ("Accept-Encoding", "br;q=1, gzip"), ("Range", "bytes=0-20"),
                                ("If-Range", "W/\"1\""), ("If-None-Match", "\"2\""),
                            ]
                        })
                    #expect(response.status == 206 && response.body == gzip)
                    #expect(response.fields["Content-Encoding"] == "gzip")
                    #expect(response.fields["Content-Range"] == "bytes 0-20/90")
                    #expect(response.fields["ETag"] == "W/\"1\"")
                    #expect(response.fields["Vary"] == "Accept-Encoding")
                }
                let sent = try #require(site.origin.requests.last).fields
                #expect(sent["Accept-Encoding"] == "br;q=1, gzip")
                #expect(sent["Range"] == "bytes=0-20" && sent["If-Range"] == "W/\"1\"")
                #expect(sent["If-None-Match"] == "\"2\"")
            }
        }
    }
}
