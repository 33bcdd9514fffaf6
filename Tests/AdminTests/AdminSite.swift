import HTTP
import Idempotency
import JSON
import Telemetry
import TestSupport
import Testing

@testable import Admin

/// The admin listener's resources on a store in memory, without sockets.
struct AdminSite {
    let clock = ManualClock(at: Timestamp(microseconds: 1_800_000_000_000_000))
    let store: FaultyStore
    let keys: IdempotencyKeyService
    /// The token that lets operators in; nil lets nobody in.
    var token: String? = "secret"
    /// What comes of a reload.
    var reloadOutcome = ReloadOutcome.applied(
        generation: 2, hash: "0123456789abcdef",
        changes: [.init("routes[\"a\"]", .added), .init("upstreams.api.url", .changed)])

    init() {
        let clock = clock
        store = FaultyStore(InMemoryStore(now: { clock.now }))
        keys = IdempotencyKeyService(store: store, now: { clock.now })
    }

    /// All resources of this room.
    var resources: [AdminResource] {
        let expected = token.map { Array($0.utf8) }
        let access = AdminAccess(isToken: expected.map { expected in { $0 == expected } })
        let log = Log(level: .error, access: false, to: -1, accessTo: -1)
        let operations = KeyOperations(keys, access: access, log: log, making: .forTests) { _ in
            KeyPolicy()
        }
        return [
            .health, .readiness([]), .metrics(Metrics()), .description, operations.resource,
            .backup(access) { path in path == "/full" ? StoreError(.full, "no room") : nil },
            .reload(access) { [reloadOutcome] in reloadOutcome },
        ]
    }

    /// Sends a request, with the admin token unless another authorization is given.
    func send(
        _ method: Method, _ target: String, _ body: String = "",
        authorization: String? = "Bearer secret", stage: String? = nil, fields: Fields = [:]
    ) async throws -> AdminReply {
        var fields = fields
        if let authorization { fields.append(.authorization, authorization) }
        if let stage { fields.append(.idempotencyStageToken, stage) }
        let request = Request(
            head: RequestHead(method: method, target: Array(target.utf8)[...], fields: fields),
            body: ScriptedBody(body.isEmpty ? [] : [body]),
            downstream: Downstream(peer: "127.0.0.1"))
        let writer = RecordingWriter()
        try await AdminHandler(resources).respond(to: request, through: writer)
        return AdminReply(answer: try #require(writer.answer))
    }
}

/// What an admin client got.
struct AdminReply {
    let answer: RecordedAnswer

    var status: UInt16 { answer.status }

    /// The body.
    var json: JSONValue {
        (try? JSON.parse(Array(answer.body.utf8)[...])) ?? JSONValue(.null)
    }

    subscript(_ name: String) -> JSONValue? { json[name] }

    /// What follows `urn:oncegate:` in a problem's type.
    var problem: String? { (json["type"]?.string?.dropFirst(13)).map { String($0) } }
}

extension KeyMaking {
    /// Keys in order, and a hash that is good enough.
    static var forTests: KeyMaking {
        var count = 0
        return KeyMaking(
            newKey: {
                count += 1
                return "generated-\(count)"
            },
            digest: { bytes in
                (0..<4).flatMap { lane in
                    let word = bytes.reduce(0xCBF2_9CE4_8422_2325 &+ UInt64(lane)) {
                        ($0 ^ UInt64($1)) &* 0x100_0000_01B3
                    }
                    return (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
                }
            })
    }
}
