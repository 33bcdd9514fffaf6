import HTTP
import Testing

@testable import Gateway

@Suite struct ForwardingTests {
    private let upstream = Upstream(name: "api", authority: "api.internal:9")

    private func forwarded(
        _ fields: Fields, trusted: Bool = false, secure: Bool = false, version: Version = .http11,
        to upstream: Upstream? = nil, key: FieldName? = nil,
        as forwardedKey: (FieldName, ArraySlice<UInt8>)? = nil, edges: Edges? = nil,
        peer: String = "192.0.2.1", port: UInt16? = nil
    ) -> [String] {
        let head = RequestHead(method: .post, target: [0x2F], version: version, fields: fields)
        let forwarding = RequestForwarding(
            upstream: upstream ?? self.upstream, keyHeader: key, forwardedKey: forwardedKey)
        let downstream = Downstream(
            peer: peer, port: port, isSecure: secure, isTrusted: trusted)
        var words = RandomWords()
        let edge = (edges ?? .plain).receive(head, from: downstream, &words)
        return lines(forwarding.fields(of: head, nil, from: downstream, edge))
    }

    private func lines(_ fields: Fields) -> [String] {
        fields.pairs.map { "\($0.name): \($0.value)" }
    }

    private let added = [
        "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: a",
        "Via: 1.1 oncegate",
    ]

    @Test func `other fields keep their bytes and their order`() {
        let fields: Fields = ["host": "a", "X-B": "2", "x-A": "1", "X-b": "3", "Cookie": "c=d"]
        #expect(
            forwarded(fields) == ["host: a", "X-B: 2", "x-A: 1", "X-b: 3", "Cookie: c=d"] + added)
    }

    @Test(arguments: [
        "Connection", "keep-alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
        "Upgrade", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Authentication-Info",
        "Content-Length", "Expect",
    ])
    func `fields of the connection stay behind`(_ name: String) {
        #expect(forwarded(["Host": "a", FieldName(name).description: "x"]) == ["Host: a"] + added)
    }

    @Test(arguments: [
        "Idempotency-Record-Id", "idempotency-recovery-point", "IDEMPOTENCY-STAGE-TOKEN",
    ])
    func `what the gateway tells of stages comes from no client and goes to none`(_ name: String) {
        #expect(forwarded(["Host": "a", FieldName(name).description: "x"]) == ["Host: a"] + added)
        let answer = ResponseHead(
            status: 200, fields: [FieldName(name).description: "x", "A": "b"])
        #expect(lines(ResponseForwarding.fields(of: answer)) == ["A: b", "Via: 1.1 oncegate"])
        #expect(ResponseForwarding.trailers([FieldName(name).description: "x"]).count == 0)
    }

    @Test(arguments: [
        ("X-Gone", ["Host: a", "X-Kept: 2"]), ("close, x-gone", ["Host: a", "X-Kept: 2"]),
        ("x-gone,\t X-KEPT ,", ["Host: a"]), ("host", ["Host: a", "X-Gone: 1", "X-Kept: 2"]),
        ("keep-alive", ["Host: a", "X-Gone: 1", "X-Kept: 2"]),
    ])
    func `fields that Connection nominates stay behind, but Host`(
        _ options: String, _ kept: [String]
    ) {
        let fields: Fields = [
            "Host": "a", "X-Gone": "1", "Connection": options, "X-Kept": "2",
        ]
        #expect(forwarded(fields) == kept + added)
    }

    @Test func `several Connection lines nominate together`() {
        let fields: Fields = [
            "Host": "a", "Connection": "x-a", "X-A": "1", "X-B": "2", "Connection": "x-b",
        ]
        #expect(forwarded(fields) == ["Host: a"] + added)
    }

    @Test func `a stranger's forwarding fields are replaced`() {
        let fields: Fields = [
            "Host": "a", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "evil", "Forwarded": "for=evil", "Via": "1.0 before",
        ]
        #expect(forwarded(fields) == ["Host: a", "Via: 1.0 before"] + added)
    }

    @Test func `a trusted proxy's forwarding fields are appended to`() {
        let fields: Fields = [
            "Host": "a", "X-Forwarded-For": "10.0.0.1", "X-Forwarded-For": "10.0.0.2, 10.0.0.3",
            "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop", "Forwarded": "for=x",
        ]
        #expect(
            forwarded(fields, trusted: true) == [
                "Host: a", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop",
                "X-Forwarded-For: 10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.1", "Via: 1.1 oncegate",
            ])
    }

    @Test func `TLS and HTTP 1.0 are told`() {
        #expect(
            forwarded(["Host": "a"], secure: true, version: .http10) == [
                "Host: a", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https",
                "X-Forwarded-Host: a", "Via: 1.0 oncegate",
            ])
    }

    @Test(arguments: [
        (Upstream.HostField.keep, "a"), (.upstream, "api.internal:9"), (.text("b"), "b"),
    ])
    func `Host is kept or replaced`(_ host: Upstream.HostField, _ value: String) {
        let upstream = Upstream(name: "api", authority: "api.internal:9", host: host)
        let lines = forwarded(["Host": "a"], to: upstream)
        #expect(lines.filter { $0.hasPrefix("Host:") } == ["Host: \(value)"])
        #expect(lines.contains("X-Forwarded-Host: a"))
    }

    @Test func `a request without Host gets the upstream's`() {
        let lines = forwarded([:], version: .http10)
        #expect(lines.contains("Host: api.internal:9"))
        #expect(!lines.contains { $0.hasPrefix("X-Forwarded-Host") })
    }

    @Test func `the key stays behind unless it is to be forwarded`() {
        let fields: Fields = ["Host": "a", "Idempotency-Key": "k", "X-Key": "k", "Request-Id": "r"]
        #expect(
            forwarded(fields) == [
                "Host: a", "Idempotency-Key: k", "X-Key: k", "Request-Id: r",
            ] + added)
        #expect(
            forwarded(fields, key: .idempotencyKey)
                == ["Host: a", "X-Key: k", "Request-Id: r"] + added)
        #expect(
            forwarded(fields, key: FieldName("x-key")) == ["Host: a", "Request-Id: r"] + added)
        #expect(
            forwarded(
                fields, key: FieldName("X-Key"),
                as: (FieldName("Request-Id"), Array("k".utf8)[...]))
                == ["Host: a"] + added + ["Request-Id: k"])
    }

    @Test func `an answer's own fields go on and its connection's stay`() {
        let head = ResponseHead(
            status: 200, version: .http10,
            fields: [
                "Server": "x", "Connection": "close, x-hop", "X-Hop": "1", "Content-Length": "3",
                "Transfer-Encoding": "chunked", "Set-Cookie": "a", "set-cookie": "b",
                "Keep-Alive": "timeout=5", "Upgrade": "h2c", "Trailer": "x",
            ], framing: .length(3))
        #expect(
            lines(ResponseForwarding.fields(of: head)) == [
                "Server: x", "Set-Cookie: a", "set-cookie: b", "Via: 1.0 oncegate",
            ])
    }

    @Test func `an answer to HEAD keeps its length`() {
        let head = ResponseHead(status: 200, fields: ["Content-Length": "3"], framing: .none)
        #expect(
            lines(ResponseForwarding.fields(of: head)) == [
                "Content-Length: 3", "Via: 1.1 oncegate",
            ])
    }

    @Test func `trailers that would frame, route or name keys stay behind`() {
        let trailers: Fields = [
            "X-Sum": "1", "Content-Length": "3", "Host": "a", "Transfer-Encoding": "chunked",
            "Connection": "x-hop", "X-Hop": "1", "Idempotency-Status": "executed",
        ]
        #expect(lines(ResponseForwarding.trailers(trailers)) == ["X-Sum: 1"])
    }
}
