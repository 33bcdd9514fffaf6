import Glibc
import Testing

/// How answers lie in the store: compressed, encrypted, and readable after both were changed.
@Suite(.ownThread) struct StoredBodyTests {
    private static let first = String(repeating: "1a", count: 32)
    private static let second = String(repeating: "2b", count: 32)

    private func configuration(_ keys: String..., above: String = "none") -> Configuration {
        Configuration {
            $0.store["compress_above"] = "\"\(above)\""
            if !keys.isEmpty {
                let list = keys.map { "\"\($0)\"" }.joined(separator: ", ")
                $0.store["encryption_key"] = "[\(list)]"
            }
        }
    }

    private func answer(_ site: Site, _ body: String = "the card number is 4111") {
        site.origin.answer("/orders", 201, [("X-Receipt", "receipt-7781")], body)
    }

    /// Everything that the store has on the disk.
    private func stored(_ site: Site) throws -> [UInt8] {
        let path = site.gateway.directory.path + "/oncegate.db"
        let bytes = readBytes(path) + readBytes(path + "-wal")
        try #require(bytes.count > 4096, "the database was not found")
        return bytes
    }

    @Test(arguments: ["none", "0B"])
    func `with a key neither the body nor a field's value is on the disk`(above: String) throws {
        try Site.run(configuration(Self.first, above: above)) { site in
            answer(site)
            let first = try site.send(Call(key: "k"))
            expectExecuted(first)
            let bytes = try stored(site)
            #expect(!holds(bytes, "4111") && !holds(bytes, "receipt-7781"))
            #expect(!holds(bytes, "X-Receipt") && !holds(bytes, Self.first))
            try site.gateway.kill()
            try site.gateway.restart()
            let replay = try site.send(Call(key: "k"))
            expectReplay(replay, of: first)
            #expect(replay.fields["X-Receipt"] == "receipt-7781")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `without a key both can be found there`() throws {
        try Site.run { site in
            answer(site)
            expectExecuted(try site.send(Call(key: "k")))
            let bytes = try stored(site)
            #expect(holds(bytes, "4111") && holds(bytes, "receipt-7781"))
        }
    }

    @Test func `an answer that an operator erases is not on the disk any more`() throws {
        let administered = Configuration {
            $0.members["admin"] = #"{"address": "127.0.0.1:0", "token": "sesame"}"#
        }
        try Site.run(administered) { site in
            answer(site)
            expectExecuted(try site.send(Call(key: "k")))
            #expect(holds(try stored(site), "4111"))
            let line = try site.gateway.accessLine { $0["outcome"]?.string == "executed" }
            let id = try #require(line["key_id"]?.string)
            let erased = try site.admin(post: "/v1/keys/\(id)/erase", "", token: "sesame")
            #expect(erased.status == 200)
            let bytes = try stored(site)
            #expect(!holds(bytes, "4111") && !holds(bytes, "receipt-7781"))
        }
    }

    @Test func `a key is rotated, and what it wrote is never executed again without it`() throws {
        try Site.run(configuration(Self.first)) { site in
            answer(site)
            let old = try site.send(Call(key: "old"))
            expectExecuted(old)
            try site.gateway.kill()

            try site.gateway.restart(configuration(Self.second, Self.first))
            expectReplay(try site.send(Call(key: "old")), of: old)
            let new = try site.send(Call(key: "new"))
            expectExecuted(new)
            try site.gateway.kill()

            for keys in [configuration(Self.second), Configuration()] {
                try site.gateway.restart(keys)
                for _ in 0..<2 {
                    let refused = try site.send(Call(key: "old"))
                    try expectProblem(refused, 503, "store-unavailable")
                    #expect(refused.fields["Retry-After"] != nil)
                }
                try site.gateway.kill()
            }

            try site.gateway.restart(configuration(Self.second))
            expectReplay(try site.send(Call(key: "new")), of: new)
            #expect(site.origin.requests.count == 2)
        }
    }

    @Test func `what cannot be read is not executed by a route that passes either`() throws {
        try Site.run(configuration(Self.first)) { site in
            expectExecuted(try site.send(Call(key: "k")))
            try site.gateway.kill()
            var passing = configuration(Self.second)
            passing.idempotency["store_down"] = #""pass""#
            try site.gateway.restart(passing)
            try expectProblem(try site.send(Call(key: "k")), 503, "store-unavailable")
            #expect(site.origin.requests.count == 1)
        }
    }

    @Test func `answers from before encryption are replayed`() throws {
        try Site.run { site in
            answer(site)
            let first = try site.send(Call(key: "k"))
            try site.gateway.kill()
            try site.gateway.restart(configuration(Self.first, above: "1KiB"))
            expectReplay(try site.send(Call(key: "k")), of: first)
        }
    }

    @Test func `a long body is stored compressed, and read when compression is off again`() throws {
        let body = String(repeating: "the same words again and again; ", count: 30_000)
        try Site.run(configuration(above: "4KiB")) { site in
            answer(site, body)
            let first = try site.send(Call(key: "k"))
            #expect(first.text == body)
            #expect(try stored(site).count < 400_000)
            try site.gateway.kill()
            try site.gateway.restart(Configuration())
            let replay = try site.send(Call(key: "k"))
            expectReplay(replay, of: first)
            #expect(replay.text == body)
        }
    }

    private func holds(_ bytes: [UInt8], _ text: String) -> Bool {
        let wanted = Array(text.utf8)
        return bytes.indices.contains { start in
            bytes[start] == wanted[0] && bytes[start...].starts(with: wanted)
        }
    }

    private func readBytes(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 20)
        bytes.removeSubrange(fread(&bytes, 1, bytes.count, file)...)
        return bytes
    }
}
