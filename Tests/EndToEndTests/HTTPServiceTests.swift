import Testing

/// Keys of programs that are not behind the gateway, over the admin listener.
@Suite(.ownThread) struct HTTPServiceTests {
    private static let configuration = Configuration {
        $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "secret"}"#
    }
    private static let cart =
        #"{"request_method": "POST", "request_path": "/carts/7", "idempotency_key": "k"}"#

    private func call(
        _ site: Site, _ method: String, _ target: String, _ body: String? = nil,
        stage: String? = nil, token: String? = "secret"
    ) throws -> WireResponse {
        try RawClient(site.gateway.adminPort).exchange(
            Call {
                $0.method = method
                $0.target = target
                $0.body = body
                $0.authorization = token.map { "Bearer \($0)" }
                if let stage { $0.fields.append(("Idempotency-Stage-Token", stage)) }
            })
    }

    private func initialize(_ site: Site, _ status: Int) throws -> JSONText {
        let answer = try call(site, "POST", "/v1/keys/initialize", Self.cart)
        #expect(answer.status == status, "\(answer.text)")
        return try answer.json
    }

    @Test func `after kill -9 work goes on from the stage that was told`() throws {
        try Site.run(Self.configuration) { site in
            let made = try initialize(site, 201)
            let id = try #require(made["id"]?.string)
            let first = try #require(made["lock_token"]?.string)
            let step = #"{"recovery_point": "taxed", "response_code": 200}"#
            #expect(
                try call(site, "POST", "/v1/keys/\(id)/stages", step, stage: first).status == 200)
            #expect(try initialize(site, 409)["type"]?.string == "urn:oncegate:in-flight")
            try site.gateway.kill()
            try site.gateway.restart()
            let resumed = try initialize(site, 200)
            #expect(resumed["recovery_point"]?.string == "taxed")
            let second = try #require(resumed["lock_token"]?.string)
            let end = #"{"response_code": 201, "response_body": {"order": 7}}"#
            let fenced = try call(site, "POST", "/v1/keys/\(id)/stages", end, stage: first)
            try expectProblem(fenced, 409, "token-stale")
            let alone = try call(
                site, "POST", "/v1/keys/\(id)/stages", end, stage: first, token: nil)
            try expectProblem(alone, 401, "unauthorized")
            #expect(
                try call(site, "POST", "/v1/keys/\(id)/stages", end, stage: second, token: nil)
                    .status == 200)
            #expect(try initialize(site, 200)["response_body"]?["order"]?.number == 7)
        }
    }

    @Test func `every change is in the log, and no token`() throws {
        try Site.run(Self.configuration) { site in
            let made = try call(site, "POST", "/v1/keys", Self.cart).json
            let id = try #require(made["id"]?.string)
            let first = try #require(made["lock_token"]?.string)
            _ = try call(site, "PATCH", "/v1/keys/\(id)", "{}", stage: first, token: nil)
            _ = try call(
                site, "PATCH", "/v1/keys/\(id)", #"{"recovery_point": "unknown"}"#, stage: first)
            let locked = try call(site, "POST", "/v1/keys/\(id)/lock", "{}").json
            let second = try #require(locked["lock_token"]?.string)
            _ = try call(
                site, "POST", "/v1/keys/\(id)/stages", #"{"response_code": 200}"#, stage: second)
            _ = try call(site, "POST", "/v1/keys/\(id)/erase", "{}")
            var entries: [String] = []
            _ = try site.gateway.process.errors.first("the last change") { line in
                let entry = try JSONText(parsing: line)
                #expect(!line.contains(first) && !line.contains(second))
                guard entry["key_id"]?.string == id, let verb = entry["operation"]?.string else {
                    return nil as Bool?
                }
                let who = entry["message"]?.string?.prefix { $0 != " " } ?? ""
                entries.append("\(who) \(verb) \(entry["to"]?.string ?? "")")
                return verb == "erase" ? true : nil
            }
            #expect(
                entries == [
                    "operator create started", "backend update started",
                    "operator update unknown", "operator lock started",
                    "operator stages finished", "operator erase finished",
                ])
        }
    }

    @Test func `the description is served to everybody`() throws {
        try Site.run { site in
            let answer = try site.admin("/openapi.json")
            #expect(answer.status == 200)
            #expect(try answer.json["openapi"]?.string == "3.1.0")
        }
    }
}
