import HTTP
import Idempotency
import JSON
import Telemetry

extension KeyOperations {
    /// `create`: a new record, locked for the caller.
    func create(_ call: KeyCall) async throws -> AdminAnswer {
        let (request, policy) = try await newRequest(call)
        let key: IdempotencyKey
        do {
            key = try await keys.create(request, policy: policy)
        } catch ClaimError.exists(let id) {
            throw AdminProblem.keyExists(id)
        } catch ClaimError.locked {
            throw AdminProblem.keyExists(try await keys.retrieve(request.identity)?.id)
        }
        audit("create", key, from: nil, call)
        return await .record(key, 201, token: key.lockToken)
    }

    /// `initializeRequest`: a new record, or what is there already.
    func initialize(_ call: KeyCall) async throws -> AdminAnswer {
        let (request, policy) = try await newRequest(call)
        switch try await keys.initialize(request, policy: policy) {
        case .created(let key):
            audit("initialize", key, from: nil, call)
            return await .record(key, 201, token: key.lockToken)
        case .resumed(let key):
            audit("initialize", key, from: key, call)
            return await .record(key, token: key.lockToken)
        case .finished(let key): return await .record(key)
        case .refused(let refusal): return AdminAnswer(AdminProblem(refusal))
        }
    }

    private func newRequest(_ call: KeyCall) async throws -> (KeyRequest, KeyPolicy) {
        var document = try await RequestDocument(call.request)
        let request = making.request(&document)
        let policy = document.policy(policy(""))
        try document.finish()
        guard let request else { throw AdminProblem.badRequest("The body describes no request.") }
        return (request, policy)
    }

    /// `lock`: takes up a record that nobody works on.
    func lock(_ id: String, _ call: KeyCall) async throws -> AdminAnswer {
        var document = try await RequestDocument(call.request)
        let key = try await key(id)
        let policy = document.policy(policy(key.route))
        try document.finish()
        let claim = try await keys.lock(key.id, policy: policy)
        audit("lock", claim.key, from: key, call)
        return await .record(claim.key, token: claim.lockToken)
    }

    /// The two ways to go on with a record under its token.
    enum Advance: String {
        /// `update`, by `PATCH`: notes a recovery point, or renews the lease.
        case update
        /// `workStage`: records a stage; without a point it is the last one.
        case stages
    }

    /// `update` and `workStage`: goes on with a record under its token.
    func advance(_ id: String, _ way: Advance, _ call: KeyCall) async throws -> AdminAnswer {
        let token = try call.request.head.stageToken.get()
        var document = try await RequestDocument(call.request)
        let key = try await key(id)
        let policy = document.policy(policy(key.route), withRetention: true)
        let (point, reply) = document.step(way)
        try document.finish()
        let changed = try await keys.update(
            key.id, token: token, recoveryPoint: point, reply: reply, policy: policy)
        audit(way.rawValue, changed, from: key, call)
        return await .record(changed)
    }

    /// What operators do to a record without its token.
    func settle(_ id: String, _ action: KeyAction, _ call: KeyCall) async throws -> AdminAnswer {
        var document = try await RequestDocument(call.request)
        let key = try await key(id)
        do {
            let changed = try await settle(key, action, &document)
            audit(action.rawValue, changed, from: key, call)
            return await .record(changed)
        } catch {
            let outcome: Audited = error is StoreError ? .unknown : .refused
            audit(action.rawValue, key, from: key, call, outcome)
            throw error
        }
    }

    private func settle(
        _ key: IdempotencyKey, _ action: KeyAction, _ document: inout RequestDocument
    ) async throws -> IdempotencyKey {
        var policy = policy(key.route)
        switch action {
        case .complete:
            let reply = document.reply(isRequired: true)
            document.retention(&policy)
            try document.finish()
            guard let reply else { throw AdminProblem.badRequest("There is no answer.") }
            return try await keys.complete(key.id, with: reply, policy: policy)
        case .erase:
            try document.finish()
            return try await keys.erase(key.id)
        default:
            let isForced = document.flag("force")
            try document.finish()
            return try await keys.release(key.id, force: isForced, policy: policy)
        }
    }

    /// What came of a change that somebody asked for. Where the store failed nobody knows.
    private enum Audited: String {
        case done, refused, unknown
    }

    private func audit(
        _ operation: String, _ key: IdempotencyKey, from former: IdempotencyKey?,
        _ call: KeyCall, _ outcome: Audited = .done
    ) {
        let message =
            switch (outcome, call.caller) {
            case (.done, .administrator): "operator changed a key"
            case (.done, .backend): "backend changed its key"
            case (.refused, _): "operator was refused a change of a key"
            case (.unknown, _): "operator may have changed a key"
            }
        log.write(.info, message) { line in
            line.member("operation", operation)
            line.member("outcome", outcome.rawValue)
            line.member("key_id", key.id.description)
            line.member("route", key.route)
            line.member("from", former?.recoveryPoint.description)
            line.member("to", outcome == .done ? key.recoveryPoint.description : nil)
            line.member("was_locked", former?.isLocked ?? false)
            line.member("peer", call.request.downstream.peer)
        }
    }
}

extension RequestDocument {
    /// Where a step of work leads, and the answer that it had.
    fileprivate mutating func step(
        _ way: KeyOperations.Advance
    ) -> (point: RecoveryPoint?, reply: StoredReply?) {
        let name = value("recovery_point")
        let point = point(name, way)
        let isLast = point == .finished || point == nil && way == .stages
        let reply = reply(isRequired: isLast && (name == nil || point != nil))
        if name == nil, way == .update, reply != nil {
            tell("recovery_point", "is missing; expected a stage's name, finished or unknown")
        }
        return (name == nil && way == .stages ? .finished : point, reply)
    }

    /// The point that a step names; nil for none, and after a mistake.
    private mutating func point(
        _ name: JSONValue?, _ way: KeyOperations.Advance
    ) -> RecoveryPoint? {
        guard let name else { return nil }
        if let text = name.string {
            if text == "finished" { return .finished }
            if text == "unknown", way == .update { return .unknown }
            if let stage = RecoveryPoint(stage: text) { return stage }
        }
        tell(
            "recovery_point",
            "expected finished, or a stage's name of 1 to 64 letters, digits and _.:-"
                + (way == .update ? ", or unknown" : ""))
        return nil
    }
}
