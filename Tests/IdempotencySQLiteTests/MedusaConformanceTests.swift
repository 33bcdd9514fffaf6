import Idempotency
import IdempotencySQLite
import Synchronization
import TestSupport
import Testing

/// The lines of the table in the article "How it compares with Medusa's service", one test each.
/// `HouseTests` sees to it that neither has what the other one lacks.
@Suite struct MedusaConformanceTests {
    // MARK: create, retrieve

    @Test(arguments: LocalStore.allCases)
    func `a record without a key of the caller's gets a random one`(_ kind: LocalStore) async throws
    {
        try await MedusaScene.with(kind) { scene in
            let key = try await scene.keys.create(scene.request(nil), policy: scene.policy)
            let made = key.identity.idempotencyKey
            #expect(made.count == 36)
            #expect(try await scene.initialize(made).word == "in flight")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a new record has the request, is at its start, and is locked by its maker`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let id = try await scene.keys.create(scene.request(), policy: scene.policy).id
            let key = try await scene.record(id)
            #expect("\(key.id)".hasPrefix("ikey_"))
            #expect(key.identity.idempotencyKey == "k")
            #expect(key.requestMethod == "POST")
            #expect(key.requestPath == "/carts/1/complete")
            #expect(key.requestParams == #"{"id":"1"}"#)
            #expect(key.recoveryPoint == .started)
            #expect(key.createdAt == scene.clock.now)
            #expect(key.lockedAt == scene.clock.now)
            #expect(key.lockToken != nil)
            #expect(key.reply == nil)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a second record of one key is refused by the name of the first`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let first = try await scene.keys.create(scene.request(), policy: scene.policy)
            await #expect(throws: ClaimError.exists(first.id)) {
                try await scene.keys.create(scene.request(), policy: scene.policy)
            }
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a key that is not there is nil`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let byKey = try await scene.keys.retrieve(scene.request().identity)
            let byName = try await scene.keys.retrieve(KeyID(at: scene.clock.now))
            #expect(byKey == nil && byName == nil)
        }
    }

    // MARK: initializeRequest

    @Test(arguments: LocalStore.allCases)
    func `a client's own new key is kept`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim("mine")
            #expect(claim.key.identity.idempotencyKey == "mine")
            #expect(try await scene.keys.retrieve(scene.request("mine").identity)?.id == claim.id)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a finished key gives its answer again`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let reply = try await scene.finish()
            guard case .replay(let again) = try await scene.initialize() else {
                Issue.record("no replay")
                return
            }
            #expect(again.reply == reply)
            #expect(try await scene.initialize(by: scene.afterCrash()).word == "replay 201")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `an answer is given again byte by byte, with its fields`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let reply = StoredReply(
                responseCode: 299, responseHeaders: Array("X-A: 1\r\nX-A: 2\r\n".utf8),
                responseBody: [0, 255, 13, 10])
            let claim = try await scene.claim()
            _ = try await scene.keys.workStage(claim) { _, _ in .finished(reply) }
            let next = try await scene.afterCrash()
            guard case .replay(let again) = try await scene.initialize(by: next) else {
                Issue.record("no replay")
                return
            }
            #expect(again.reply == reply)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `of many equal requests at once one executes and all get its answer`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let runs = Counter()
            let answers = try await withThrowingTaskGroup(of: String?.self) { group in
                for _ in 0..<20 {
                    group.addTask {
                        switch try await scene.initialize() {
                        case .proceed(let claim):
                            let end = Stage("finished") { _, _ in
                                runs.count()
                                return .done
                            }
                            return try await scene.keys.work(claim, through: Stages([end])).text
                        case .wait(let waiter):
                            guard case .finished(let found)? = await waiter.outcome() else {
                                return nil
                            }
                            return found.reply.text
                        case .replay(let found): return found.reply.text
                        case .refuse: return nil
                        }
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers == Array(repeating: #"{"order":7}"#, count: 20))
            #expect(runs.value == 1)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `another request under the same key is refused`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            let refused = "reused path field:request_params"
            #expect(try await scene.initialize(cart: "2").word == refused)
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
            #expect(try await scene.initialize(cart: "2").word == refused)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `one key of two scopes is two keys`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let anna = try await scene.initialize(scope: "anna")
            #expect(anna.word == "proceed at started")
            #expect(try await scene.initialize(scope: "bob").word == "proceed at started")
            #expect(try await scene.initialize(scope: "anna").word == "wait")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a store that fails is an error, and nothing is taken for new`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            _ = try await scene.finish()
            let next = try await scene.afterCrash()
            scene.store.breakDown()
            await #expect(throws: StoreError.self) { try await scene.initialize(by: next) }
            await #expect(throws: StoreError.self) {
                try await next.retrieve(scene.request().identity)
            }
            scene.store.mend()
            #expect(try await scene.initialize(by: next).word == "replay 201")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a finished key expires, is refused for a time, and is then new`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            _ = try await scene.finish()
            scene.clock.advance(by: scene.policy.retention)
            #expect(try await scene.initialize().word == "expired")
            scene.clock.advance(by: scene.policy.tombstone)
            #expect(try await scene.initialize().word == "proceed at started")
        }
    }

    // MARK: lock

    @Test(arguments: LocalStore.allCases)
    func `a locked key cannot be locked`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let id = try await scene.keys.create(scene.request(), policy: scene.policy).id
            scene.clock.advance(by: .seconds(2))
            await #expect(throws: ClaimError.locked) {
                try await scene.keys.lock(id, policy: scene.policy)
            }
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a lock can be taken when its lease is over, and then its old token changes nothing`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let old = try await scene.keys.create(scene.request(), policy: scene.policy)
            let token = try #require(old.lockToken)
            scene.clock.advance(by: scene.policy.lease + .seconds(1))
            let claim = try await scene.keys.lock(old.id, policy: scene.policy)
            await #expect(throws: ClaimError.lost) {
                try await scene.keys.update(
                    old.id, token: token, reply: StoredReply(200, json: "1"), policy: scene.policy)
            }
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
            #expect(try await scene.record(old.id).reply?.responseCode == 201)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a finished key is not locked and cannot be`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
            #expect(try await scene.record(claim.id).lockedAt == nil)
            await #expect(throws: ClaimError.finished) {
                try await scene.keys.lock(claim.id, policy: scene.policy)
            }
        }
    }

    // MARK: update

    @Test(arguments: LocalStore.allCases)
    func `an update needs the token of the lock`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let key = try await scene.keys.create(scene.request(), policy: scene.policy)
            await #expect(throws: ClaimError.lost) {
                try await scene.keys.update(
                    key.id, token: .random(), recoveryPoint: .stage("paid"), policy: scene.policy)
            }
            #expect(try await scene.record(key.id).recoveryPoint == .started)
            let token = try #require(key.lockToken)
            let next = try await scene.keys.update(
                key.id, token: token, recoveryPoint: .stage("paid"), policy: scene.policy)
            #expect(next.recoveryPoint == .stage("paid"))
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a finished record does not change`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let key = try await scene.keys.create(scene.request(), policy: scene.policy)
            let token = try #require(key.lockToken)
            for code in [UInt16(201), 500] {
                let update = {
                    try await scene.keys.update(
                        key.id, token: token, reply: StoredReply(code, json: "1"),
                        policy: scene.policy)
                }
                if code == 201 {
                    _ = try await update()
                } else {
                    await #expect(throws: ClaimError.finished) { try await update() }
                }
            }
            #expect(try await scene.record(key.id).reply?.responseCode == 201)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `an update of a record that is not there is an error`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            await #expect(throws: ClaimError.absent) {
                try await scene.keys.update(
                    KeyID(at: scene.clock.now), token: .random(), policy: scene.policy)
            }
        }
    }

    // MARK: workStage

    @Test(arguments: LocalStore.allCases)
    func `a stage moves the recovery point, and its answer is recorded with it`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.keys.workStage(try await scene.claim()) { _, _ in
                .reached("paid", reply: StoredReply(202, json: "1"))
            }
            #expect(claim.recoveryPoint == .stage("paid"))
            let key = try await scene.record(claim.id)
            #expect(key.recoveryPoint == .stage("paid"))
            #expect(key.reply == nil)
            #expect(key.stages.map(\.recoveryPoint) == ["paid"])
            #expect(key.stages.first?.reply?.responseCode == 202)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage that names no point finishes the key, always with an answer`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.keys.workStage(try await scene.claim()) { _, _ in .done }
            #expect(claim.recoveryPoint == .finished)
            #expect(claim.key.reply?.responseCode == 201)
            let key = try await scene.record(claim.id)
            #expect(key.recoveryPoint == .finished)
            #expect(key.reply?.text == #"{"order":7}"#)
        }
    }

    @Test(arguments: LocalStore.allCases, ["started", "finished", "unknown", "", "a b"])
    func `the fixed points and odd texts are no stages' names`(
        _ kind: LocalStore, _ name: String
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            await #expect(throws: StageError.invalidRecoveryPoint(name)) {
                try await scene.keys.workStage(claim) { _, _ in .reached(name) }
            }
            #expect(try await scene.record(claim.id).recoveryPoint == .started)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage that throws changes nothing, and its error comes through`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            try await scene.makeTable()
            await #expect(throws: Declined.self) {
                try await scene.keys.workStage(claim) { _, sql in
                    try scene.insert(sql)
                    throw Declined()
                }
            }
            #expect(try await scene.rows() == 0)
            #expect(try await scene.record(claim.id).recoveryPoint == .started)
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage's own rows are committed with the recovery point`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            guard kind == .sqlite else {
                await #expect(throws: StageError.sqlUnsupported) {
                    try await scene.keys.workStage(claim) { _, sql in
                        try sql.execute("SELECT 1")
                        return .done
                    }
                }
                return
            }
            try await scene.makeTable()
            _ = try await scene.keys.workStage(claim) { _, sql in
                try scene.insert(sql)
                return .reached("paid")
            }
            #expect(try await scene.rows() == 1)
            #expect(try await scene.record(claim.id).recoveryPoint == .stage("paid"))
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage that collides with others runs again`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            scene.store.contend(3)
            let runs = Counter()
            _ = try await scene.keys.workStage(claim) { _, _ in
                runs.count()
                return .reached("paid")
            }
            #expect(runs.value == 4)
            #expect(try await scene.record(claim.id).stages.count == 1)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage calls others before its transaction, not in it`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            let stages = Stages([
                Stage("finished") { key in
                    // It would wait for itself, were a transaction open.
                    let other = try await scene.finish("other")
                    return { _, _ in .finished(other) }
                }
            ])
            #expect(try await scene.keys.work(claim, through: stages).responseCode == 201)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage of a lock that is lost changes nothing`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let old = try await scene.claim()
            let next = try await scene.afterCrash()
            let claim = try await scene.claim(by: next)
            #expect(claim.id == old.id)
            let runs = Counter()
            await #expect(throws: ClaimError.lost) {
                try await scene.keys.workStage(old) { _, _ in
                    runs.count()
                    return .done
                }
            }
            #expect(runs.value == 0)
            #expect(try await scene.record(old.id).recoveryPoint == .started)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage of a finished key is an error`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
            await #expect(throws: ClaimError.finished) {
                try await scene.keys.workStage(claim) { _, _ in .finished(500, json: "1") }
            }
            #expect(try await scene.record(claim.id).reply?.responseCode == 201)
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `stages of one key do not nest`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            let stages = Stages([
                Stage("finished") { _ in
                    _ = try await scene.keys.workStage(claim) { _, _ in .done }
                    return { _, _ in .done }
                }
            ])
            await #expect(throws: StageError.nested(claim.id)) {
                try await scene.keys.work(claim, through: stages)
            }
        }
    }

    // MARK: The loop

    @Test(arguments: LocalStore.allCases)
    func `stages are worked in their order, and the last one's answer is the key's`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let log = Log()
            let reply = try await scene.keys.work(
                try await scene.claim(), through: log.checkout(failingAt: nil))
            #expect(log.all == ["taxed", "paid", "finished"])
            #expect(reply.responseCode == 201)
            #expect(try await scene.initialize().word == "replay 201")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `an error ends the loop, and the next request goes on where it was`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let log = Log()
            let claim = try await scene.claim()
            await #expect(throws: Declined.self) {
                try await scene.keys.work(claim, through: log.checkout(failingAt: "paid"))
            }
            #expect(try await scene.record(claim.id).lockedAt == nil)
            let again = try await scene.claim()
            #expect(again.id == claim.id)
            #expect(again.recoveryPoint == .stage("taxed"))
            _ = try await scene.keys.work(again, through: log.checkout(failingAt: nil))
            #expect(log.all == ["taxed", "paid", "paid", "finished"])
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `after a crash the work goes on at the last recovery point`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let claim = try await scene.claim()
            _ = try await scene.keys.workStage(claim) { _, _ in .reached("taxed") }
            let next = try await scene.afterCrash()
            let again = try await scene.claim(by: next)
            #expect(again.id == claim.id)
            #expect(again.recoveryPoint == .stage("taxed"))
            let log = Log()
            _ = try await next.work(again, through: log.checkout(failingAt: nil))
            #expect(log.all == ["paid", "finished"])
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `after a crash work that is not in stages is not done again`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            _ = try await scene.claim(inStages: false)
            let next = try await scene.afterCrash()
            #expect(try await scene.initialize(inStages: false, by: next).word == "unknown")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a recovery point that no stage leads to is an error, and the record stays`(
        _ kind: LocalStore
    ) async throws {
        try await MedusaScene.with(kind) { scene in
            let log = Log()
            let claim = try await scene.keys.workStage(try await scene.claim()) { _, _ in
                .reached("shipped")
            }
            await #expect(throws: StageError.unknownRecoveryPoint(.stage("shipped"))) {
                try await scene.keys.work(claim, through: log.checkout(failingAt: nil))
            }
            #expect(log.all == [])
            #expect(try await scene.record(claim.id).recoveryPoint == .stage("shipped"))
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a stage before the last one may give the answer`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            let log = Log()
            let completed = Stage("taxed") { _, _ in .finished(409, json: "1") }
            let stages = Stages([completed] + log.checkout(failingAt: nil).stages.dropFirst())
            let reply = try await scene.keys.work(try await scene.claim(), through: stages)
            #expect(reply.responseCode == 409)
            #expect(log.all == [])
            #expect(try await scene.initialize().word == "replay 409")
        }
    }

    @Test(arguments: LocalStore.allCases)
    func `a record takes 128 stages and no more`(_ kind: LocalStore) async throws {
        try await MedusaScene.with(kind) { scene in
            var claim = try await scene.claim()
            for number in 0..<128 {
                claim = try await scene.keys.workStage(claim) { _, _ in .reached("s\(number)") }
            }
            await #expect(throws: ClaimError.tooManyStages) {
                try await scene.keys.workStage(claim) { _, _ in .reached("s128") }
            }
            _ = try await scene.keys.workStage(claim) { _, _ in .done }
        }
    }
}

/// How often something ran.
private final class Counter: Sendable {
    private let number = Mutex(0)

    var value: Int { number.withLock { $0 } }

    func count() { number.withLock { $0 += 1 } }
}

/// Which stages ran.
private final class Log: Sendable {
    private let names = Mutex<[String]>([])

    var all: [String] { names.withLock { $0 } }

    /// Three stages, as a cart's completion has them.
    func checkout(failingAt failing: String?) -> Stages {
        Stages(
            ["taxed", "paid", "finished"].map { name in
                Stage(name) { _, _ in
                    self.names.withLock { $0.append(name) }
                    if name == failing { throw Declined() }
                    return name == "finished" ? .done : .reached(name)
                }
            })
    }
}

extension MedusaScene {
    /// A table of the program's own, where the store has SQL.
    fileprivate func makeTable() async throws {
        guard kind == .sqlite else { return }
        let claim = try await claim("table")
        _ = try await keys.workStage(claim) { _, sql in
            try sql.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
            return .done
        }
    }

    fileprivate func insert(_ sql: any SQLTransaction) throws {
        if kind == .sqlite { try sql.execute("INSERT INTO orders DEFAULT VALUES") }
    }

    /// How many rows the table has, seen by another transaction.
    fileprivate func rows() async throws -> Int64 {
        guard kind == .sqlite else { return 0 }
        let claim = try await claim("look")
        let end = try await keys.workStage(claim) { _, sql in
            let found = try sql.execute("SELECT COUNT(*) FROM orders")
            return .finished(StoredReply(200, json: "\(found.rows[0][0].integer ?? -1)"))
        }
        return Int64(end.key.reply?.text ?? "") ?? -1
    }
}
