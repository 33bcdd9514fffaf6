import Testing

@testable import Idempotency

/// Requests that a program makes from their parts.
struct KeyRequestTests {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1000),
            "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"
        ),
    ])
    func `digests are those of the standard`(message: String, digest: String) {
        let found = SHA256Digest.digest(of: Array(message.utf8)).map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }
        #expect(found.joined() == digest)
    }

    @Test func `a message of every length around a block's end has a digest of its own`() {
        let digests = (0..<200).map {
            SHA256Digest.digest(of: [UInt8](repeating: 0, count: $0))
        }
        #expect(Set(digests).count == 200)
    }

    @Test func `whatever differs is named`() {
        func request(
            method: String = "POST", path: String = "/a", params: String = "{}", body: String = "b"
        ) -> KeyRequest {
            KeyRequest(
                idempotencyKey: "k", requestMethod: method, requestPath: path,
                requestParams: params, body: Array(body.utf8))
        }
        let first = request().fingerprint
        #expect(request().fingerprint == first)
        let others = [
            request(method: "PUT"), request(path: "/b"), request(params: #"{"id":"1"}"#),
            request(body: "c"),
        ]
        #expect(
            others.map { $0.fingerprint.differences(from: first) }
                == [["method"], ["path"], ["field:request_params"], ["body"]])
    }

    @Test func `scopes are kept as digests, and part the keys`() {
        func identity(_ scope: String) -> Identity {
            KeyRequest(idempotencyKey: "k", scope: scope, requestMethod: "", requestPath: "")
                .identity
        }
        #expect(identity("anna").scope.count == 32)
        #expect(identity("anna") == identity("anna"))
        #expect(Set([identity("anna"), identity("bob"), identity("")]).count == 3)
        #expect(identity("").scope == [])
    }

    @Test func `a request without a key gets a random one`() throws {
        let keys = (0..<100).map { _ in
            KeyRequest(idempotencyKey: nil, requestMethod: "POST", requestPath: "/a")
                .identity.idempotencyKey
        }
        #expect(Set(keys).count == 100)
        for key in keys {
            let parts = key.split(separator: "-", omittingEmptySubsequences: false)
            #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
            #expect(parts[2].first == "4")
            #expect("89ab".contains(try #require(parts[3].first)))
            #expect(key.allSatisfy { "0123456789abcdef-".contains($0) })
        }
    }
}
