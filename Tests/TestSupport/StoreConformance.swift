import Idempotency

/// What a store is. Every store passes all of it; each function is one behaviour, and throws a
/// ``Violation`` that says what was wrong.
///
/// Records are made and changed by services around the store, as they are in life.
package struct StoreConformance: Sendable {
    /// What a store did that no store may do.
    package struct Violation: Error, CustomStringConvertible {
        package let description: String
    }

    /// A behaviour by its name.
    package struct Behaviour: Sendable, CustomStringConvertible {
        package let name: String
        let check: @Sendable (StoreConformance) async throws -> Void
        package var description: String { name }
    }

    /// All behaviours.
    package static let behaviours: [Behaviour] = [
        Behaviour(name: "a record is found as it was stored") { try await $0.roundTrip() },
        Behaviour(name: "a second insert gets the first record") { try await $0.secondInsert() },
        Behaviour(name: "scope and key both count") { try await $0.scopes() },
        Behaviour(name: "a change needs the version that was judged") { try await $0.versions() },
        Behaviour(name: "a changed record is found as it was stored") { try await $0.changes() },
        Behaviour(name: "of many inserts one succeeds") { try await $0.race() },
        Behaviour(name: "of many changes one succeeds") { try await $0.changeRace() },
        Behaviour(name: "a record may be succeeded by one with a new id") {
            try await $0.succession()
        },
        Behaviour(name: "locked records are listed in order, in pages") {
            try await $0.unfinished()
        },
        Behaviour(name: "unknown records are listed in order, in pages") {
            try await $0.unknown()
        },
        Behaviour(name: "stages are found as they were recorded, with the request's content") {
            try await $0.stages()
        },
        Behaviour(name: "the stages of a finished record stay, its content goes") {
            try await $0.finishedStages()
        },
        Behaviour(name: "an erased record's stages keep their codes alone") {
            try await $0.erasedStages()
        },
        Behaviour(name: "suspended records with content are listed in order, in pages") {
            try await $0.suspended()
        },
        Behaviour(name: "records are listed by state, route and key, both ways") {
            try await $0.queries()
        },
        Behaviour(name: "long answers end a page of a list") { try await $0.longAnswers() },
        Behaviour(name: "a transaction changes its record or nothing") {
            try await $0.transaction()
        },
        Behaviour(name: "of many transactions each sees the last one's record") {
            try await $0.transactionRace()
        },
        Behaviour(name: "a finished record becomes a tombstone, then nothing") {
            try await $0.retirement(.finished)
        },
        Behaviour(name: "an unknown record becomes a tombstone, then nothing") {
            try await $0.retirement(.unknown)
        },
        Behaviour(name: "a free record becomes nothing") { try await $0.freeRetirement() },
        Behaviour(name: "the reaper takes neither locked records nor more than it was told") {
            try await $0.reaperBounds()
        },
        Behaviour(name: "answers carry the store's clock") { try await $0.clock() },
        Behaviour(name: "what does not exist is not found") { try await $0.absence() },
    ]

    /// The store, fresh and empty.
    let store: any IdempotencyStore
    /// Its clock.
    let clock: ManualClock
    private let policy = KeyPolicy()

    /// Checks one behaviour of a fresh store that goes by `clock`.
    package static func check(
        _ behaviour: Behaviour, of store: any IdempotencyStore, clock: ManualClock
    ) async throws {
        try await behaviour.check(StoreConformance(store: store, clock: clock))
    }

    private func expect(_ condition: Bool, _ message: String) throws {
        guard condition else { throw Violation(description: message) }
    }

    private func service() -> IdempotencyKeyService {
        IdempotencyKeyService(store: store, now: { clock.now })
    }

    private func make(_ name: String = "k", scope: [UInt8] = [1, 2]) async throws -> IdempotencyKey
    {
        try await service().create(.sample(name, scope: scope), policy: policy)
    }

    private func found(_ name: String = "k") async throws -> IdempotencyKey {
        let lookup = try await store.find(KeyRequest.sample(name).identity)
        guard let key = lookup.key else { throw Violation(description: "\(name) was not found") }
        return key
    }

    private func finish(_ key: IdempotencyKey) async throws -> IdempotencyKey {
        try await service().update(
            key.id, token: key.lockToken!, reply: .sample, policy: policy)
    }

    private func lose(_ key: IdempotencyKey) async throws -> IdempotencyKey {
        try await service().update(
            key.id, token: key.lockToken!, recoveryPoint: .unknown, policy: policy)
    }

    private func roundTrip() async throws {
        let key = try await make()
        try expect(try await found().isEqual(to: key), "by identity it is another one")
        let byID = try await store.find(key.id).key
        try expect(byID?.isEqual(to: key) ?? false, "by id it is another one")
    }

    private func secondInsert() async throws {
        let key = try await make()
        let other = try await InMemoryStore.record("k", clock)
        guard case .existing(let existing, _) = try await store.insert(other) else {
            throw Violation(description: "it was inserted")
        }
        try expect(existing.isEqual(to: key), "it got another one")
        try expect(try await found().isEqual(to: key), "the first one was changed")
        try expect(try await store.find(other.id).key == nil, "the second one is there")
    }

    private func scopes() async throws {
        let names: [(String, [UInt8])] = [("b", [97]), ("ab", []), ("b", []), ("", [97, 98])]
        var ids: Set<KeyID> = []
        for (name, scope) in names { ids.insert(try await make(name, scope: scope).id) }
        try expect(ids.count == 4, "two identities share a record")
        for (name, scope) in names {
            let key = try await store.find(Identity(scope: scope, idempotencyKey: name)).key
            try expect(key?.identity.scope == scope, "the scope changed")
            try expect(key?.identity.idempotencyKey == name, "the key changed")
        }
    }

    private func versions() async throws {
        let key = try await make()
        let finished = try await finish(key)
        guard case .lost(let current?, _) = try await store.replace(key, expecting: key.version)
        else { throw Violation(description: "a stale version was good enough") }
        try expect(current.isEqual(to: finished), "the current record is another one")
        try expect(try await found().isEqual(to: finished), "the record was changed")
        let stranger = try await InMemoryStore.record("k", clock)
        guard case .lost = try await store.replace(stranger, expecting: stranger.version) else {
            throw Violation(description: "another record's version was good enough")
        }
    }

    private func changes() async throws {
        let replies = [
            StoredReply.sample,
            StoredReply(responseCode: 204, responseHeaders: [], responseBody: []),
            StoredReply(responseCode: 200, responseHeaders: [], responseBody: nil),
            StoredReply(
                responseCode: 599, responseHeaders: Array("a: b\r\n".utf8),
                responseBody: (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }),
        ]
        for (index, reply) in replies.enumerated() {
            let key = try await make("k\(index)")
            let finished = try await service().update(
                key.id, token: key.lockToken!, reply: reply, policy: policy)
            let stored = try await found("k\(index)")
            try expect(stored.isEqual(to: finished), "reply \(index) makes another record")
            try expect(stored.reply == reply, "reply \(index) changed")
        }
        let staged = try await make("stage")
        _ = try await service().update(
            staged.id, token: staged.lockToken!, recoveryPoint: .stage("paid"), policy: policy)
        try expect(try await found("stage").recoveryPoint == .stage("paid"), "the stage is lost")
    }

    private func race() async throws {
        let keys = try await withThrowingTaskGroup(of: IdempotencyKey.self) { group in
            for _ in 0..<50 { group.addTask { try await InMemoryStore.record("k", clock) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let inserted = try await withThrowingTaskGroup(of: Bool.self) { group in
            for key in keys {
                group.addTask {
                    if case .inserted = try await store.insert(key) { true } else { false }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        try expect(inserted == 1, "\(inserted) were inserted")
    }

    private func changeRace() async throws {
        let key = try await make()
        let outcomes = try await withThrowingTaskGroup(of: Bool.self) { group in
            for index in 0..<50 {
                group.addTask {
                    let reply = StoredReply(
                        responseCode: UInt16(200 + index), responseHeaders: [], responseBody: nil)
                    do {
                        _ = try await service().update(
                            key.id, token: key.lockToken!, reply: reply, policy: policy)
                        return true
                    } catch ClaimError.finished {
                        return false
                    }
                }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        try expect(outcomes == 1, "\(outcomes) changes succeeded")
    }

    private func succession() async throws {
        let key = try await make()
        let next = try await InMemoryStore.record("k", clock)
        guard case .replaced = try await store.replace(next, expecting: key.version) else {
            throw Violation(description: "it was not replaced")
        }
        try expect(try await found().isEqual(to: next), "the successor is not found")
        try expect(try await store.find(next.id).key != nil, "the successor's id is not known")
        try expect(try await store.find(key.id).key == nil, "the predecessor is still there")
    }

    private func unfinished() async throws {
        var locked: [KeyID] = []
        for index in 0..<10 {
            let key = try await make("k\(index)")
            if index.isMultiple(of: 3) { _ = try await finish(key) } else { locked.append(key.id) }
        }
        let first = try await store.unfinished(after: nil, limit: 4)
        try expect(first.map(\.id) == Array(locked.prefix(4)), "the first page is wrong")
        let rest = try await store.unfinished(after: first.last?.id, limit: 100)
        try expect(rest.map(\.id) == Array(locked.dropFirst(4)), "the second page is wrong")
    }

    private func unknown() async throws {
        var unknown: [KeyID] = []
        for index in 0..<10 {
            let key = try await make("k\(index)")
            switch index % 3 {
            case 0: _ = try await finish(key)
            case 1: unknown.append(try await lose(key).id)
            default: break
            }
        }
        let first = try await store.unknown(after: nil, limit: 2)
        try expect(first.map(\.id) == Array(unknown.prefix(2)), "the first page is wrong")
        let rest = try await store.unknown(after: first.last?.id, limit: 100)
        try expect(rest.map(\.id) == Array(unknown.dropFirst(2)), "the second page is wrong")
        clock.advance(by: policy.unknownRetention)
        while try await store.remove(limit: 100) > 0 {}
        let left = try await store.unknown(after: nil, limit: 100)
        try expect(left.isEmpty, "a tombstone counts as unknown")
    }

    private func retirement(_ point: RecoveryPoint) async throws {
        let key = try await make()
        let service = service()
        let ended = try await service.update(
            key.id, token: key.lockToken!, recoveryPoint: point, reply: .sample, policy: policy)
        try expect(try await store.remove(limit: 9) == 0, "it was taken before its time")
        clock.advance(by: ended.expiresAt! - clock.now)
        try expect(try await store.remove(limit: 9) == 1, "it was not taken in time")
        let tombstone = try await found()
        try expect(tombstone.reply == nil, "the tombstone has an answer")
        try expect(tombstone.requestPath == "", "the tombstone has a path")
        try expect(tombstone.requestParams == "{}", "the tombstone has captures")
        try expect(tombstone.lockToken == nil, "the tombstone has a token")
        try expect(tombstone.fingerprint == ended.fingerprint, "the tombstone has no fingerprint")
        try expect(tombstone.version != ended.version, "the tombstone's version is the record's")
        try expect(try await store.remove(limit: 9) == 0, "the tombstone was taken too early")
        clock.advance(by: ended.tombstoneUntil! - clock.now)
        try expect(try await store.remove(limit: 9) == 1, "the tombstone was not taken")
        try expect(try await store.find(key.identity).key == nil, "it is still there")
        try expect(try await store.find(key.id).key == nil, "its id is still there")
    }

    private func freeRetirement() async throws {
        let service = service()
        let request = KeyRequest.sample("k")
        guard
            case .proceed(let claim) = try await service.initializeRequest(request, policy: policy)
        else { throw Violation(description: "a fresh key was not to be had") }
        _ = try await service.workStage(claim, .released(nil), policy: policy)
        clock.advance(by: policy.retention)
        try expect(try await store.remove(limit: 9) == 1, "it was not taken in time")
        try expect(try await store.find(request.identity).key == nil, "it is still there")
    }

    private func reaperBounds() async throws {
        for index in 0..<10 { _ = try await finish(try await make("k\(index)")) }
        let locked = try await make("locked")
        clock.advance(by: .seconds(365 * 24 * 3600))
        for expected in [4, 4, 2, 0] {
            let count = try await store.remove(limit: 4)
            try expect(count == expected, "\(count) were taken, not \(expected)")
        }
        try expect(try await found("locked").isEqual(to: locked), "a locked record was changed")
    }

    private func clock() async throws {
        let now = clock.now
        let key = try await InMemoryStore.record("k", clock)
        guard case .inserted(now) = try await store.insert(key) else {
            throw Violation(description: "an insert goes by another clock")
        }
        clock.advance(by: .seconds(5))
        try expect(try await store.find(key.id).now == now + .seconds(5), "find does not follow")
        guard case .existing(_, now + .seconds(5)) = try await store.insert(key) else {
            throw Violation(description: "an insert does not follow the clock")
        }
    }

    private func staged(_ name: String = "k", content: [UInt8]? = [0, 1, 255]) async throws -> Claim
    {
        var request = KeyRequest.sample(name)
        request.isResumable = true
        request.content = content
        guard
            case .proceed(let claim) = try await service().initializeRequest(
                request, policy: policy)
        else { throw Violation(description: "no claim") }
        return claim
    }

    private func stages() async throws {
        let service = service()
        var claim = try await staged()
        try expect(try await found().isEqual(to: claim.key), "the content changed")
        claim = try await service.begin("taxes", of: claim, policy: policy)
        try expect(try await found().pendingStage == "taxes", "what is pending is lost")
        claim = try await service.advance(claim, to: "taxes", reply: .sample, policy: policy)
        claim = try await service.advance(claim, to: "paid", reply: nil, policy: policy)
        let stored = try await found()
        try expect(stored.isEqual(to: claim.key), "the stages are others")
        try expect(
            stored.stages.map(\.recoveryPoint) == ["taxes", "paid"], "their names are others")
        try expect(stored.stages[0].reply == .sample, "an answer is another one")
        _ = try await service.workStage(claim, .suspended(reached: nil), policy: policy)
        let suspended = try await found()
        try expect(
            suspended.isSuspended && suspended.content == [0, 1, 255], "it is not suspended")
        try expect(suspended.stages == stored.stages, "stages are lost when it is suspended")
        guard let again = try await service.resume(claim.id, policy: policy) else {
            throw Violation(description: "it is not resumed")
        }
        try expect(again.recoveryPoint == .stage("paid"), "it is resumed somewhere else")
        try expect(try await found().isEqual(to: again.key), "the resumed record is another one")
    }

    private func finishedStages() async throws {
        let service = service()
        var claim = try await staged()
        claim = try await service.advance(claim, to: "taxes", reply: .sample, policy: policy)
        _ = try await service.workStage(
            claim, .finished(.sample, retention: policy.retention), policy: policy)
        let stored = try await found()
        try expect(stored.content == nil, "the content is kept")
        try expect(stored.stages.map(\.reply) == [.sample], "the stages are lost")
        clock.advance(by: policy.retention)
        while try await store.remove(limit: 10) > 0 {}
        try expect(try await found().stages.isEmpty, "a tombstone has stages")
    }

    private func erasedStages() async throws {
        let service = service()
        var claim = try await staged()
        claim = try await service.advance(claim, to: "taxes", reply: .sample, policy: policy)
        _ = try await service.workStage(
            claim, .finished(.sample, retention: policy.retention), policy: policy)
        let erased = try await service.erase(claim.id)
        let stored = try await found()
        try expect(stored.isEqual(to: erased), "the erased record is another one")
        try expect(stored.stages.map { $0.reply?.responseBody } == [nil], "a body is left")
        try expect(
            stored.stages.map { $0.reply?.responseCode } == [StoredReply.sample.responseCode],
            "a code is lost")
    }

    private func suspended() async throws {
        let service = service()
        var ids: [KeyID] = []
        for index in 0..<9 {
            let claim = try await staged("k\(index)", content: index % 3 == 0 ? nil : [1])
            guard index % 3 != 2 else { continue }
            _ = try await service.advance(claim, to: "a", reply: nil, policy: policy)
            _ = try await service.workStage(claim, .suspended(reached: nil), policy: policy)
            if index % 3 == 1 { ids.append(claim.id) }
        }
        let first = try await store.suspended(after: nil, limit: 2)
        try expect(first.map(\.id) == Array(ids.prefix(2)), "the first page is wrong")
        let rest = try await store.suspended(after: first.last?.id, limit: 10)
        try expect(rest.map(\.id) == Array(ids.dropFirst(2)), "the second page is wrong")
    }

    private func queries() async throws {
        var ids: [KeyID] = []
        for index in 0..<8 {
            var request = KeyRequest.sample("k\(index % 4)", scope: [UInt8(index)])
            request.route = index < 4 ? "a" : "b"
            let key = try await service().create(request, policy: policy)
            ids.append(key.id)
            if index == 1 { _ = try await finish(key) }
            if index == 2 { _ = try await lose(key) }
            if index == 3 { _ = try await service().release(key.id, force: true, policy: policy) }
        }
        try expect(try await all(KeyQuery(limit: 3)) == ids.reversed(), "not the newest first")
        try expect(
            try await all(KeyQuery(after: ids[1], limit: 2)) == Array(ids[2...]),
            "not the oldest first")
        try expect(
            try await all(KeyQuery(before: ids[3], limit: 2)) == ids[..<3].reversed(),
            "not those before")
        try expect(try await all(KeyQuery(route: "b")) == ids[4...].reversed(), "not by route")
        try expect(try await all(KeyQuery(idempotencyKey: "k1")) == [ids[5], ids[1]], "not by key")
        let states: [KeyQuery.State: [KeyID]] = [
            .finished: [ids[1]], .unknown: [ids[2]], .free: [ids[3]], .expired: [],
            .locked: [ids[7], ids[6], ids[5], ids[4], ids[0]],
        ]
        for (state, expected) in states {
            try expect(try await all(KeyQuery(state: state, limit: 2)) == expected, "\(state)")
        }
        clock.advance(by: policy.retention)
        try expect(try await all(KeyQuery(state: .expired)) == [ids[3], ids[1]], "expired")
    }

    private func longAnswers() async throws {
        var ids: [KeyID] = []
        for index in 0..<3 {
            let key = try await service().create(.sample("k\(index)"), policy: policy)
            ids.append(key.id)
            let body = [UInt8](repeating: UInt8(ascii: "a"), count: 3 << 20)
            _ = try await service().update(
                key.id, token: key.lockToken!,
                reply: StoredReply(responseCode: 200, responseHeaders: [], responseBody: body),
                policy: policy)
        }
        let page = try await store.list(KeyQuery(after: ids[0], limit: 10))
        try expect(page.keys.count == 2, "a page of two long answers has \(page.keys.count)")
        try expect(try await store.list(KeyQuery()).keys.count == 2, "the page goes on")
        try expect(try await all(KeyQuery()) == ids.reversed(), "the pages miss a record")
    }

    /// All pages of a query.
    private func all(_ query: KeyQuery) async throws -> [KeyID] {
        var query = query
        var ids: [KeyID] = []
        for _ in 0..<100 {
            let page = try await store.list(query)
            try expect(page.keys.count <= query.limit, "a page is too long")
            ids += page.keys.map(\.id)
            guard let next = page.next else { return ids }
            if query.after != nil { query.after = next } else { query.before = next }
        }
        throw Violation(description: "the pages do not end")
    }

    private func transaction() async throws {
        struct Failure: Error {}
        let claim = try await staged()
        do {
            try await store.transact(claim.id) { _, _ in throw Failure() }
            throw Violation(description: "what was thrown is lost")
        } catch is Failure {}
        try expect(try await found().isEqual(to: claim.key), "a failed one changed the record")
        try await store.transact(claim.id) { _, _ in nil }
        try expect(try await found().isEqual(to: claim.key), "one that gives nothing changed it")
        let advanced = try await service().workStage(claim, policy: policy) { _, _ in
            .reached("taxes", reply: .sample)
        }
        try expect(try await found().isEqual(to: advanced.key), "the stage is not stored")
        try await store.transact(KeyID(at: clock.now)) { lookup, _ in
            if lookup.key != nil {
                throw Violation(description: "there is one that was never made")
            }
            return nil
        }
    }

    private func transactionRace() async throws {
        let claim = try await staged()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<50 {
                group.addTask {
                    _ = try await service().workStage(claim, policy: policy) { _, _ in
                        .reached("s\(index)")
                    }
                }
            }
            try await group.waitForAll()
        }
        try expect(try await found().stages.count == 50, "one was overwritten")
    }

    private func absence() async throws {
        let key = try await InMemoryStore.record("k", clock)
        try expect(try await store.find(key.identity).key == nil, "an identity was found")
        try expect(try await store.find(key.id).key == nil, "an id was found")
        guard case .lost(nil, _) = try await store.replace(key, expecting: key.version) else {
            throw Violation(description: "nothing was replaced")
        }
        try expect(try await store.unfinished(after: nil, limit: 9).isEmpty, "something is locked")
        try expect(try await store.remove(limit: 9) == 0, "something was taken")
    }
}

extension InMemoryStore {
    /// A record that was claimed in another store.
    fileprivate static func record(
        _ name: String, _ clock: ManualClock
    ) async throws -> IdempotencyKey {
        let store = InMemoryStore(now: { clock.now })
        let service = IdempotencyKeyService(store: store, now: { clock.now })
        return try await service.create(.sample(name), policy: KeyPolicy())
    }
}

extension IdempotencyKey {
    /// Whether all fields are equal.
    package func isEqual(to other: IdempotencyKey) -> Bool {
        id == other.id && identity == other.identity && createdAt == other.createdAt
            && requestMethod == other.requestMethod && requestPath == other.requestPath
            && requestParams == other.requestParams && route == other.route
            && probeTarget == other.probeTarget && recoveryPoint == other.recoveryPoint
            && lockedAt == other.lockedAt && reply == other.reply
            && fingerprint == other.fingerprint && owner == other.owner
            && lockToken == other.lockToken && leaseUntil == other.leaseUntil
            && attempts == other.attempts && updatedAt == other.updatedAt
            && expiresAt == other.expiresAt && tombstoneUntil == other.tombstoneUntil
            && revision == other.revision && isResumable == other.isResumable
            && content == other.content && stages == other.stages
            && pendingStage == other.pendingStage
    }
}

extension KeyRequest {
    /// A request to charge a card, under a key of that name.
    package static func sample(
        _ name: String = "k", scope: [UInt8] = [1, 2], body: UInt64 = 1
    ) -> KeyRequest {
        var fingerprint = Fingerprint()
        fingerprint.append(.method, (1, 2))
        fingerprint.append(.path, (3, 4))
        fingerprint.append(.field("Content-Language"), (5, 6))
        fingerprint.append(.body, (body, body))
        return KeyRequest(
            identity: Identity(scope: scope, idempotencyKey: name), fingerprint: fingerprint,
            requestMethod: "POST", requestPath: "/charges/ä/a-path-that-is-not-short",
            requestParams: #"{"id":"ä"}"#, route: "charges", probeTarget: "/charges?key=ä")
    }
}

extension StoredReply {
    /// A created charge.
    package static var sample: StoredReply {
        StoredReply(
            responseCode: 201, responseHeaders: Array("Content-Type: application/json\r\n".utf8),
            responseBody: Array(#"{"id":"ch_1"}"#.utf8))
    }
}
