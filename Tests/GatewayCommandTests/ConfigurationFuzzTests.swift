import Glibc
import JSON
import TestSupport
import Testing

@testable import GatewayCommand

/// Configurations that are nearly right: what was read once is mangled again and again, by bytes
/// and by values.
///
/// `FUZZ_SECONDS=60 swift test --filter ConfigurationFuzzTests` searches longer, `FUZZ_SEED`
/// repeats a search.
@Suite struct ConfigurationFuzzTests {
    @Test func `no text makes the reader trap, and each mistake has its place`() throws {
        let seed = number("FUZZ_SEED") ?? UInt64.random(in: 1..<1_000_000)
        let limit = Duration.seconds(Int64(number("FUZZ_SECONDS") ?? 2))
        print("configuration fuzz seed \(seed)")
        var random = SplitMix(seed: seed)
        let start = ContinuousClock.now
        var (count, accepted) = (0, 0)
        while ContinuousClock.now - start < limit {
            let text = Self.mangled(&random)
            if try check(text, seed) { accepted += 1 }
            count += 1
        }
        print("configuration fuzz: \(count) texts, \(accepted) of them configurations")
        #expect(accepted > 0 && accepted < count)
    }

    /// What must hold for every text; whether it is a configuration.
    private func check(_ text: [UInt8], _ seed: UInt64) throws -> Bool {
        let result = Configuration.read(text, environment)
        let shown = String(decoding: text, as: UTF8.self)
        guard let effective = result.effective else {
            #expect(!result.mistakes.isEmpty, "seed \(seed): \(shown)")
            let lines = text.count { $0 == 10 } + 1
            for mistake in result.mistakes {
                let isInside = mistake.place.map { 1...lines ~= $0.line } ?? false
                #expect(isInside && !mistake.message.isEmpty, "seed \(seed): \(mistake) \(shown)")
                #expect(!mistake.description.contains("s3cret"), "seed \(seed): \(shown)")
            }
            return false
        }
        #expect(!String(decoding: effective, as: UTF8.self).contains("s3cret"), "seed \(seed)")
        // What is printed means the same, but for secrets, which are not printed.
        if result.secrets.isEmpty {
            let again = Configuration.read(effective, environment)
            #expect(again.effective == effective, "seed \(seed): \(again.mistakes) \(shown)")
        }
        return true
    }

    private func number(_ name: String) -> UInt64? {
        getenv(name).flatMap { UInt64(String(cString: $0)) }
    }
}

extension ConfigurationFuzzTests {
    /// A configuration with every member that has a default printed.
    private static let whole: [UInt8] = {
        let text = """
            { "admin": { "token": "${TOKEN}" }, "trusted_proxies": ["10.0.0.0/8", "::1"],
              "upstreams": { "api": { "url": "https://a.example:9000", "host": "upstream",
                "tls": { "ca": "/tls/ca.pem" } }, "b": { "url": "unix:/b" } },
              "routes": [
                { "path": "/carts/{id}/**", "host": "*.example.com", "upstream": "api",
                  "rewrite": "/{id}/**",
                  "idempotency": { "scope": ["header:Authorization"],
                    "fingerprint": { "headers": ["X-A"], "body": ["/a/b"], "ignore": ["/a~1b"] },
                    "unknown": "probe",
                    "probe": { "path": "/c/{params.id}?k={key}", "headers": { "X": "y" } } } },
                { "path": "/carts/{id}", "upstream": "b",
                  "idempotency": { "scope": "shared", "stages": [
                    { "recovery_point": "a", "path": "/{id}/{query.q}", "upstream": "api",
                      "headers": { "X": "{field.X} {{" }, "body": { "b": ["{body/b~1}", 1.0] },
                      "unknown": "probe", "probe": { "path": "/{params.id}" },
                      "retry": {}, "compensate": { "path": "/{stages.a.body/x}" } },
                    { "recovery_point": "finished", "path": "/{stages.a.status}",
                      "body": "original" } ] } },
                { "path": "/**", "upstream": "b", "methods": ["GET"] } ] }
            """
        return Configuration.read(Array(text.utf8), environment).effective ?? []
    }()

    private static let tokens: [String] = [
        "null", "true", "false", "0", "-1", "1e999", "99999999999999999999", "\"\"", "\"none\"",
        "\"auto\"", "\"*\"", "{}", "[]", "\"${TOKEN}\"", "\"${NOT_SET}\"", "\"${file:/run/token}\"",
        "\"${\"", "\"${file:}\"", "\"250ms\"", "\"9999999999d\"", "\"-1s\"", "\"64KiB\"",
        "\"99999999999TiB\"", "\"127.0.0.1:99999\"", "\"[::1\"", "\"unix:\"", "\"http://\"",
        "\"http://a:b@c/\"", "\"/{\"", "\"/{a}/{a}\"", "\"/**/x\"", "\"/%zz\"", "\"header:\"",
        "\"json:/a\"", "\"\\ud800\"", "\"\\u0000\"", "[[[[[[[[[[]]]]]]]]]]", "\"200-100\"", "700",
    ]

    /// The whole configuration, mangled a few times.
    fileprivate static func mangled(_ random: inout SplitMix) -> [UInt8] {
        var text = whole
        for _ in 0..<Int.random(in: 0..<4, using: &random) {
            switch Int.random(in: 0..<6, using: &random) {
            case 0: replaceValue(in: &text, &random)
            case 1: text.removeSubrange(range(in: text, atMost: 40, &random))
            case 2:
                let copied = Array(text[range(in: text, atMost: 200, &random)])
                text.insert(contentsOf: copied, at: .random(in: 0...text.count, using: &random))
            case 3 where !text.isEmpty:
                text[.random(in: 0..<text.count, using: &random)] = .random(
                    in: 0...255, using: &random)
            case 4: swapValues(in: &text, &random)
            default: replaceValue(in: &text, &random)
            }
        }
        return text
    }

    private static func range(
        in text: [UInt8], atMost length: Int, _ random: inout SplitMix
    ) -> Range<Int> {
        let start = Int.random(in: 0...text.count, using: &random)
        return start..<min(text.count, start + .random(in: 0...length, using: &random))
    }

    /// Where the values of a text's members lie that stand on one line.
    private static func values(in text: [UInt8]) -> [Range<Int>] {
        var values: [Range<Int>] = []
        var start: Int?
        for (index, byte) in text.enumerated() {
            switch byte {
            case UInt8(ascii: ":") where start == nil: start = index + 1
            case UInt8(ascii: ","), 10:
                if let first = start, first < index { values.append(first..<index) }
                start = nil
            default: break
            }
        }
        return values
    }

    private static func replaceValue(in text: inout [UInt8], _ random: inout SplitMix) {
        guard let range = values(in: text).randomElement(using: &random) else { return }
        text.replaceSubrange(range, with: tokens.randomElement(using: &random)!.utf8)
    }

    private static func swapValues(in text: inout [UInt8], _ random: inout SplitMix) {
        let values = values(in: text)
        guard let one = values.randomElement(using: &random),
            let other = values.randomElement(using: &random), one.upperBound <= other.lowerBound
        else { return }
        let (first, second) = (Array(text[one]), Array(text[other]))
        text.replaceSubrange(other, with: first)
        text.replaceSubrange(one, with: second)
    }
}
