import Compression
import Crypto
import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Gateway

/// Keys of clients that send none.
@Loop @Suite struct KeySourceTests {
    private static let delivery = KeyRules.with {
        $0.source = .header(FieldName("X-GitHub-Delivery"))
    }
    private static let event = KeyRules.with { $0.source = .json(JSONPointer("/event/id")!) }
    private static let equal = KeyRules.with { $0.source = .fingerprint }

    @Test(
        arguments: [
            ("72d3162e-cc78-11e3", "72d3162e-cc78-11e3"), ("a,b", #""a,b""#),
            (#"a"\b"#, #""a\"\\b""#), ("two words", nil), ("caf\u{E9}", nil),
            (String(repeating: "x", count: 255), String(repeating: "x", count: 255)),
            (String(repeating: "x", count: 256), nil),
        ] as [(String, String?)])
    func `a field may hold the key, as it is or as its hash`(_ value: String, _ told: String?)
        async throws
    {
        let bench = try Bench(.init(.init(201, body: "made")), keys: Self.delivery)
        let request = { Request.order(key: nil, fields: ["X-GitHub-Delivery": value]) }
        let first = try await bench.send(request())
        #expect(first.field("Idempotency-Status") == "executed")
        #expect(first.field("Idempotency-Key") == told ?? hash(value))
        let fields = bench.upstream.received[0].request.fields
        #expect(fields.text(FieldName("X-GitHub-Delivery")) == value)
        #expect(try await bench.keyStatus(of: request()) == "replayed")
        // What the answer told is the key.
        let asked = Request.order(key: first.field("Idempotency-Key"))
        #expect(try await bench.keyStatus(of: asked) == "replayed")
        #expect(bench.upstream.received.count == 1)
    }

    @Test func `several lines of the field are one value`() async throws {
        let bench = try Bench(.init(), keys: Self.delivery)
        let answer = try await bench.send(
            .order(key: nil, fields: ["X-GitHub-Delivery": "a", "x-github-delivery": "b"]))
        #expect(answer.field("Idempotency-Key") == hash("a, b"))
    }

    @Test(
        arguments: [
            (#"{"event": {"id": "evt_1"}}"#, "evt_1"), (#"{"event":{"id":"\u0065vt"}}"#, "evt"),
            (#"{"event":{"id":123}}"#, "123"), (#"{"event":{"id":-1.50e2}}"#, "-1.50e2"),
            (#"{"event":{"id":98765432109876543210}}"#, "98765432109876543210"),
            (#"{"event":{"id":"\u00e9"}}"#, hash("\u{E9}")),
            (#"{"event":{"id":"a b"}}"#, hash("a b")),
            (#"{"event":{"id":"\ud800"}}"#, #""\"\\ud800\"""#),
            (
                #"{"event":{"id":"\#(String(repeating: "y", count: 300))"}}"#,
                hash(String(repeating: "y", count: 300))
            ),
            (#"{"event":{"id":""}}"#, nil), (#"{"event":{"id":null}}"#, nil),
            (#"{"event":{"id":true}}"#, nil), (#"{"event":{"id":{}}}"#, nil),
            (#"{"event":{"id":["a"]}}"#, nil), (#"{"event":{}}"#, nil), (#"{"event":[1]}"#, nil),
            (#"{"event":{"id":"a","id":"b"}}"#, nil), ("no json", nil), ("", nil),
        ] as [(String, String?)])
    func `a JSON body may hold the key`(_ body: String, _ key: String?) async throws {
        let bench = try Bench(
            .init(),
            keys: .with {
                $0.source = .json(JSONPointer("/event/id")!)
                $0.absentKey = .required
            })
        let answer = try await bench.send(.order(key: nil, body))
        guard let key else {
            answer.expectProblem("key-missing", 400, executed: "no")
            #expect(answer.text.contains("/event/id"))
            return #expect(bench.upstream.received.isEmpty)
        }
        #expect(answer.field("Idempotency-Key") == key)
        #expect(bench.upstream.received[0].body == Array(body.utf8))
        #expect(try await bench.keyStatus(of: .order(key: nil, body)) == "replayed")
    }

    @Test func `a JSON body holds its key in a coding too`() throws {
        let text = Array(
            #"{"event":{"id":"e-1"},"text":"\#(String(repeating: "a", count: 99))"}"#.utf8)
        let encoded = try #require(Zstandard.compress(text))
        let source = KeySource.json(JSONPointer("/event/id")!)
        func key(_ body: [UInt8], _ coding: String?) -> String? {
            var fields = Fields()
            if let coding { fields.append(.contentEncoding, coding) }
            let body = KeyedBody.memory(body[...])
            return DerivedKeys().key(source, of: body, fields, Fingerprint())
                .map { String(decoding: $0.bytes, as: UTF8.self) }
        }
        #expect(key(text, nil) == "e-1")
        #expect(key(encoded, "zstd") == "e-1")
        #expect(key(text, "utf-8") == "e-1" && key(text, "zstd") == "e-1")
        #expect(key(encoded, nil) == nil && key(encoded, "br") == nil)
    }

    @Test func `equal requests are duplicates where the fingerprint is the key`() async throws {
        let bench = try Bench(.init(.init(201, body: "made")), keys: Self.equal)
        let first = try await bench.send(.order(key: nil, #"{"a":1,"b":2}"#))
        #expect(first.field("Idempotency-Key")?.utf8.count == 64)
        let equal = try await bench.send(.order(key: nil, #"{"b":2, "a":1}"#))
        #expect(equal.field("Idempotency-Key") == first.field("Idempotency-Key"))
        #expect(equal.field("Idempotency-Status") == "replayed")
        for other in [
            Request.order(key: nil, #"{"a":1,"b":3}"#),
            .order(key: nil, #"{"a":1,"b":2}"#, target: "/orders?x"),
            .order(key: nil, #"{"a":1,"b":2}"#, method: .put),
            .order(key: nil, #"{"a":1,"b":2}"#, fields: ["Authorization": "Bearer bob"]),
        ] {
            #expect(try await bench.keyStatus(of: other) == "executed")
        }
        #expect(bench.upstream.received.count == 5)
    }

    @Test func `a client's own key wins, and a bad one is refused`() async throws {
        for rules in [Self.delivery, Self.event, Self.equal] {
            let bench = try Bench(.init(), keys: rules)
            let fields: Fields = ["X-GitHub-Delivery": "d-1"]
            let body = #"{"event":{"id":"e-1"}}"#
            let answer = try await bench.send(.order(key: "mine", body, fields: fields))
            #expect(answer.field("Idempotency-Key") == "mine")
            try await bench.send(.order(key: "a,b", body, fields: fields))
                .expectProblem("key-invalid", 400, executed: "no")
        }
    }

    @Test func `without a value the route says what a request without a key gets`() async throws {
        for rules in [Self.delivery, Self.event] {
            var rules = rules
            let made = try await Bench(.init(), keys: rules).send(.order(key: nil))
            #expect(made.field("Idempotency-Key")?.utf8.count == 36)
            #expect(made.field("Idempotency-Status") == "executed")
            rules.absentKey = .pass
            let passing = try Bench(.init(), keys: rules)
            let passed = try await passing.send(.order(key: nil))
            #expect(passed.status == 200 && passed.field("Idempotency-Status") == nil)
            #expect(passing.upstream.received[0].body == Array(#"{"n":1}"#.utf8))
            #expect(passing.counts("oncegate_executions_total{route=\"orders\"} 0"))
            rules.absentKey = .required
            try await Bench(.init(), keys: rules).send(.order(key: nil))
                .expectProblem("key-missing", 400, executed: "no")
        }
    }

    @Test func `a webhook that comes again with another body is told so`() async throws {
        let bench = try Bench(.init(), keys: Self.delivery)
        let fields: Fields = ["X-GitHub-Delivery": "d-1"]
        try await bench.send(.order(key: nil, fields: fields))
        let other = try await bench.send(.order(key: nil, #"{"n":2}"#, fields: fields))
        other.expectProblem("key-reused", 422, executed: "no")
    }
}

/// SHA-256 in hexadecimal.
private func hash(_ text: String) -> String {
    SHA256Hasher().digest(Array(text.utf8)[...]).bytes
        .map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}
