import HTTP
import Testing

@testable import Gateway

/// Who asks, and what is told of it.
@Suite struct ForwardedChainTests {
    private let proxies = TrustedPeers(
        [("10.0.0.0", 8), ("fd00::", 8)].compactMap { text, length in
            IPAddress(text).map { AddressBlock($0, prefixLength: length) }
        })

    private func chain(
        _ fields: Fields, _ form: Edges.ForwardedForm = .xForwarded
    ) -> (client: String, hops: [String]) {
        let chain = ForwardedChain(fields, form, to: "10.9.9.9", trusting: proxies)
        return (chain.client, chain.hops.map { String(decoding: $0.text, as: UTF8.self) })
    }

    /// What a request leaves with, of the fields about its way.
    private func told(
        _ fields: Fields, reading form: Edges.ForwardedForm = .xForwarded,
        writing own: Edges.ForwardedForm? = nil, peer: String = "10.9.9.9", port: UInt16? = 8080,
        trusted: Bool = true, secure: Bool = false
    ) -> [String] {
        let edges = Edges(trusted: proxies, form: form)
        let downstream = Downstream(
            peer: peer, port: port, isSecure: secure, isTrusted: trusted)
        let head = RequestHead(method: .get, target: [0x2F], fields: fields)
        var words = RandomWords()
        let edge = edges.receive(head, from: downstream, &words)
        let upstream = Upstream(name: "api", authority: "api", forwardedForm: own)
        let sent = RequestForwarding(upstream: upstream).fields(
            of: head, nil, from: downstream, edge)
        return sent.pairs.filter { $0.name.lowercased().contains("forwarded") }
            .map { "\($0.name): \($0.value)" }
    }

    @Test(
        arguments: [
            ([], "10.9.9.9", []),
            (["203.0.113.9"], "203.0.113.9", ["203.0.113.9"]),
            (["6.6.6.6, 203.0.113.9"], "203.0.113.9", ["6.6.6.6", "203.0.113.9"]),
            (
                ["203.0.113.9, 10.0.0.1,fd00::1"], "203.0.113.9",
                ["203.0.113.9", "10.0.0.1", "fd00::1"]
            ),
            (
                ["6.6.6.6", "203.0.113.9 ,", ", 10.0.0.1"], "203.0.113.9",
                ["6.6.6.6", "203.0.113.9", "10.0.0.1"]
            ),
            (["10.0.0.2, 10.0.0.1"], "10.0.0.2", ["10.0.0.2", "10.0.0.1"]),
            (
                ["203.0.113.9:4711, [fd00::1]:80"], "203.0.113.9",
                ["203.0.113.9:4711", "[fd00::1]:80"]
            ),
            (["::ffff:203.0.113.9"], "203.0.113.9", ["::ffff:203.0.113.9"]),
            (["6.6.6.6, unknown, 10.0.0.1"], "10.0.0.1", ["6.6.6.6", "unknown", "10.0.0.1"]),
            (["6.6.6.6, _gw, 10.0.0.1"], "10.0.0.1", ["6.6.6.6", "_gw", "10.0.0.1"]),
            (["6.6.6.6, evil.example, 10.0.0.1"], "10.0.0.1", ["10.0.0.1"]),
            (["6.6.6.6; 203.0.113.9"], "10.9.9.9", []),
            (["6.6.6.6", "<script>", "203.0.113.9"], "203.0.113.9", ["203.0.113.9"]),
        ] as [([String], String, [String])])
    func `X-Forwarded-For is followed from its end`(
        _ lines: [String], _ client: String, _ hops: [String]
    ) {
        var fields = Fields()
        for line in lines { fields.append(.xForwardedFor, line) }
        #expect(chain(fields) == (client, hops))
    }

    @Test(
        arguments: [
            (["for=203.0.113.9"], "203.0.113.9", ["for=203.0.113.9"]),
            (
                ["For=\"[2001:db8::1]:4711\";proto=https"], "2001:db8::1",
                ["For=\"[2001:db8::1]:4711\";proto=https"]
            ),
            (
                ["for=6.6.6.6, for=203.0.113.9;by=10.0.0.1;host=\"a:1\"", "for=10.0.0.1"],
                "203.0.113.9",
                ["for=6.6.6.6", "for=203.0.113.9;by=10.0.0.1;host=\"a:1\"", "for=10.0.0.1"]
            ),
            (["for=\"203.0.113.9:_x\";;"], "203.0.113.9", ["for=\"203.0.113.9:_x\";;"]),
            (
                ["for=6.6.6.6, for=unknown, for=10.0.0.1"], "10.0.0.1",
                ["for=6.6.6.6", "for=unknown", "for=10.0.0.1"]
            ),
            (["for=6.6.6.6, for=\"_gw:_p\""], "10.9.9.9", ["for=6.6.6.6", "for=\"_gw:_p\""]),
            (["for=6.6.6.6, proto=https"], "10.9.9.9", ["for=6.6.6.6", "proto=https"]),
            // A quote that nothing closes swallows nothing that a proxy wrote behind it.
            (["for=\"6.6.6.6, for=203.0.113.9"], "203.0.113.9", ["for=203.0.113.9"]),
            (["for=\"6.6.6.6, for=\"[2001:db8::1]\""], "2001:db8::1", ["for=\"[2001:db8::1]\""]),
            (["for=x\\\", for=203.0.113.9"], "203.0.113.9", ["for=203.0.113.9"]),
            (
                ["for=6.6.6.6;host=\"a\\\",b\", for=10.0.0.1"], "6.6.6.6",
                ["for=6.6.6.6;host=\"a\\\",b\"", "for=10.0.0.1"]
            ),
            (["for=2001:db8::1"], "10.9.9.9", []), (["for=\"2001:db8::1\""], "10.9.9.9", []),
            (["for=\"[1.2.3.4]\""], "10.9.9.9", []), (["for=1.2.3.4; proto=http"], "10.9.9.9", []),
            (["for=1.2.3.4;for=1.2.3.5"], "10.9.9.9", []), (["for"], "10.9.9.9", []),
            (["for="], "10.9.9.9", []), (["for =1.2.3.4"], "10.9.9.9", []),
            (["for=\"1.2.3.4"], "10.9.9.9", []), (["for=\"1.2.3.4\"x"], "10.9.9.9", []),
            (["for=\"1.2.3.4:123456\""], "10.9.9.9", []), (["for=example.com"], "10.9.9.9", []),
            (["for=_"], "10.9.9.9", []),
        ] as [([String], String, [String])])
    func `Forwarded is followed from its end`(
        _ lines: [String], _ client: String, _ hops: [String]
    ) {
        var fields = Fields()
        for line in lines { fields.append(.forwarded, line) }
        #expect(chain(fields, .standard) == (client, hops))
    }

    @Test func `a chain is looked at as far as a bound`() {
        let fields: Fields = [
            "X-Forwarded-For": Array(repeating: "10.0.0.1", count: 1000).joined(separator: ",")
        ]
        #expect(chain(fields).hops.count == 100)
    }

    @Test func `a stranger's word is dropped in every form`() {
        let fields: Fields = [
            "Host": "a", "X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "evil", "X-Forwarded-Port": "1", "Forwarded": "for=6.6.6.6",
        ]
        let x = [
            "X-Forwarded-For: 10.9.9.9", "X-Forwarded-Proto: http", "X-Forwarded-Host: a",
            "X-Forwarded-Port: 8080",
        ]
        let standard = ["Forwarded: for=10.9.9.9;host=a;proto=http"]
        #expect(told(fields, trusted: false) == x)
        #expect(told(fields, reading: .standard, trusted: false) == standard)
        #expect(told(fields, reading: .both, trusted: false) == x + standard)
        #expect(told(fields, reading: .none, trusted: false) == [])
    }

    @Test func `a trusted peer's word is told in the upstream's form`() {
        let x: Fields = [
            "Host": "a:8", "X-Forwarded-For": "203.0.113.9, 10.0.0.1", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "shop.example", "X-Forwarded-Port": "443",
            "Forwarded": "for=6.6.6.6",
        ]
        #expect(
            told(x) == [
                "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.example",
                "X-Forwarded-Port: 443", "X-Forwarded-For: 203.0.113.9, 10.0.0.1, 10.9.9.9",
            ])
        #expect(
            told(x, writing: .standard) == [
                "Forwarded: for=203.0.113.9;host=shop.example;proto=https, for=10.0.0.1, "
                    + "for=10.9.9.9;host=\"a:8\";proto=http"
            ])
        #expect(told(x, writing: Edges.ForwardedForm.none).count == 5)
        let standard: Fields = [
            "Host": "a", "X-Forwarded-For": "6.6.6.6",
            "Forwarded": "for=6.6.6.6, for=\"[2001:db8::1]:9\";proto=https;host=\"b:1\"",
            "Forwarded": "for=_gw, for=10.0.0.1", "X-Forwarded-Host": "evil",
        ]
        #expect(
            told(standard, reading: .standard) == [
                "Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:9\";proto=https;host=\"b:1\", "
                    + "for=_gw, for=10.0.0.1, for=10.9.9.9;host=a;proto=http"
            ])
        let direct: Fields = [
            "Host": "a", "Forwarded": "for=\"[2001:db8::1]:9\";proto=https;host=\"b:1\"",
        ]
        #expect(
            told(direct, reading: .standard, writing: .xForwarded) == [
                "X-Forwarded-For: 2001:db8::1, 10.9.9.9", "X-Forwarded-Proto: https",
                "X-Forwarded-Host: b:1", "X-Forwarded-Port: 8080",
            ])
    }

    @Test func `where both forms are read, a trusted peer's word without a chain passes`() {
        let fields: Fields = ["Host": "a", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"]
        #expect(
            told(fields, reading: .both) == [
                "X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Forwarded-For: 10.9.9.9",
                "X-Forwarded-Host: a", "Forwarded: for=10.9.9.9;host=a;proto=http",
            ])
    }

    @Test func `addresses are told in each form's own way`() {
        let fields: Fields = ["Host": "[2001:db8::2]:8080"]
        #expect(
            told(fields, reading: .both, peer: "2001:db8::1", trusted: false, secure: true) == [
                "X-Forwarded-For: 2001:db8::1", "X-Forwarded-Proto: https",
                "X-Forwarded-Host: [2001:db8::2]:8080", "X-Forwarded-Port: 8080",
                "Forwarded: for=\"[2001:db8::1]\";host=\"[2001:db8::2]:8080\";proto=https",
            ])
        #expect(
            told(["Host": "a"], reading: .both, peer: "unix", port: nil, trusted: false) == [
                "X-Forwarded-For: unknown", "X-Forwarded-Proto: http", "X-Forwarded-Host: a",
                "Forwarded: for=unknown;host=a;proto=http",
            ])
    }

    @Test func `whatever a client wrote before, the proxy's own element is believed`() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var state = seed
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        let pieces = [
            "for=", "\"", "\\", ",", ";", "=", " ", "6.6.6.6", "10.0.0.1", "[::1]", "proto=https",
            "unknown", "_x", ":80", "host", "\u{FF}",
        ]
        for _ in 0..<20_000 {
            let noise = (0..<next(12)).map { _ in pieces[next(pieces.count)] }.joined()
            let elements = ["for=203.0.113.9", "for=\"203.0.113.9:_p\";host=\"a\\\"b,c\""]
            let standard: Fields = ["Forwarded": noise + ", " + elements[next(2)]]
            #expect(chain(standard, .standard).client == "203.0.113.9", "\(noise), seed \(seed)")
            let simple: Fields = ["X-Forwarded-For": noise + ", 203.0.113.9"]
            #expect(chain(simple).client == "203.0.113.9", "\(noise), seed \(seed)")
        }
    }
}
