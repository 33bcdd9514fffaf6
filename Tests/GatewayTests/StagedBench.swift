import HTTP
import Idempotency
import JSON
import TestSupport
import Testing

@testable import Gateway

/// A route with stages, as tests have it: a cart is completed.
enum Cart {
    static let path = "/carts/{id}/complete"
    static let names = ["taxed", "paid", "finished"]

    /// `taxed`, `paid`, `finished`, each changed by its position.
    static func stages(
        _ change: (Int, inout StageRules) throws -> Void = { _, _ in }
    ) throws -> [StageRules] {
        let pattern = try PathPattern(path)
        return try names.enumerated().map { index, name in
            let template = try Template(
                path: ["/carts/{id}/taxes", "/payments", "/orders"][index], for: pattern,
                words: .ofStage(after: Array(names[..<index])))
            var stage = StageRules(recoveryPoint: name, call: StageCall(path: template))
            try change(index, &stage)
            return stage
        }
    }

    /// A call that may refer to all stages before one of the positions.
    static func call(_ path: String, _ position: Int = 2) throws -> StageCall {
        StageCall(
            path: try Template(
                path: path, for: try PathPattern(Self.path),
                words: .ofStage(after: Array(names[..<position]))))
    }

    static func json(_ text: String, _ position: Int = 2) throws -> StageCall.Body {
        .json(
            try JSONTemplate(
                try JSON.parse(Array(text.utf8)[...]), for: try PathPattern(path),
                words: .ofStage(after: Array(names[..<position]))))
    }

    static func text(_ text: String, _ position: Int = 2) throws -> Template {
        try Template(
            text, for: try PathPattern(path), words: .ofStage(after: Array(names[..<position])))
    }

    static func probe(_ path: String, _ position: Int = 2) throws -> ProbeRules {
        ProbeRules(
            template: try ProbeTemplate(
                path, for: try PathPattern(Self.path),
                words: .ofStage(after: Array(names[..<position]))))
    }

    /// Stages whose first two can be taken back.
    static func compensated(
        _ change: (Int, inout StageRules) throws -> Void = { _, _ in }
    ) throws -> [StageRules] {
        try stages { index, stage in
            if index < 2 {
                stage.compensation = try call(["/carts/{id}/untax", "/refunds"][index], index + 1)
            }
            try change(index, &stage)
        }
    }
}

extension Bench {
    /// A gateway whose only route has stages.
    convenience init(
        _ upstream: ScriptedUpstream, stages: [StageRules],
        keys service: IdempotencyKeyService? = nil, spool: (any BodySpool)? = nil,
        _ change: (inout KeyRules) -> Void = { _ in }
    ) throws {
        let rules = KeyRules.with {
            $0.stages = stages
            change(&$0)
        }
        try self.init(upstream, keys: rules, path: Cart.path, spool: spool, keys: service)
    }

    /// What the store has of a key of callers without `Authorization`.
    func record(of key: String = "k-1") async throws -> IdempotencyKey? {
        let scope = IdentityReader().scope(.fields([.authorization]), of: Fields())
        return try await store.find(Identity(scope: scope, idempotencyKey: key)).key
    }

    /// The stages that are done.
    func stages(of key: String = "k-1") async throws -> [String] {
        try await record(of: key)?.stages.map(\.recoveryPoint) ?? []
    }

    /// What the upstream was sent, in order: method and target.
    var sent: [String] {
        upstream.received.map {
            "\($0.request.method.token) \(String(decoding: $0.request.target, as: UTF8.self))"
        }
    }

    /// Lets everything run until something is so, which it soon is.
    func until(
        _ what: String = "it is done", _ isSo: () async throws -> Bool,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        for _ in 0..<2000 {
            if try await isSo() { return }
            await settle()
        }
        Issue.record("in vain: \(what)", sourceLocation: sourceLocation)
    }

    /// Lets time pass, and what waits for it go on.
    func pass(_ duration: Duration) async {
        timers.advance(by: duration)
        clock.advance(by: duration)
        await settle()
    }

    /// Lets time pass bit by bit until a client has its answer.
    func answered(_ writer: RecordingResponseWriter) async throws {
        try await until("an answer") {
            if writer.isComplete || writer.wasAborted { return true }
            timers.advance(by: .milliseconds(100))
            return false
        }
    }

    /// Looks for suspended work, as the gateway does every second, and has it worked on to its end.
    func round() async throws {
        try await gateway.completer.round()
        try await until("suspended work ends") { gateway.completer.underWay.isEmpty }
    }

    /// Lets the leases of owners that are gone run out.
    func lapse() async throws {
        clock.advance(by: .seconds(31))
        try await keys.lapseOverdue()
    }
}

extension Request {
    /// The completion of a cart.
    static func cart(
        key: String = "k-1", _ body: String = #"{"n":1}"#, query: String = "", fields: Fields = [:]
    ) -> Request {
        .order(key: key, body, target: "/carts/c1/complete" + query, fields: fields)
    }
}

extension ScriptedUpstream.Script {
    /// A JSON answer.
    static func json(_ status: UInt16, _ body: String) -> ScriptedUpstream.Script {
        ScriptedUpstream.Script(status, ["Content-Type": "application/json"], body: body)
    }
}

/// A spool that keeps what it gets in memory.
final class MemorySpool: BodySpool {
    private final class Content: SpooledBody {
        private var bytes: [UInt8] = []

        var count: Int { bytes.count }

        func append(_ bytes: ArraySlice<UInt8>) { self.bytes += bytes }

        func read(at offset: Int, atMost limit: Int) -> [UInt8] {
            Array(bytes[offset...].prefix(limit))
        }
    }

    func open() -> any SpooledBody { Content() }
}
