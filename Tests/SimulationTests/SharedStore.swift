import Idempotency

/// The store of all machines. It survives every crash, and fails in every way that its contract
/// allows: before a call, after it, and after the caller was told that it failed.
final class SharedStore: @unchecked Sendable {
    let records: InMemoryStore
    private unowned let world: World
    private(set) var calls = 0
    /// How many records are locked, once that was counted.
    private(set) var locked: Int?
    /// Records without an answer that nobody works on, once they were counted.
    private(set) var resting: [RestingKey] = []
    private var failsUntil: UInt64 = 0

    init(_ world: World) {
        self.world = world
        records = InMemoryStore(now: { [unowned world] in world.time })
    }

    /// Counts the locked records, soon.
    func countLocked() {
        Task(executorPreference: world.outside) {
            if self.world.plan.isStaged {
                let unknown = try? await self.records.unknown(after: nil, limit: 1000)
                let suspended = try? await self.records.suspended(after: nil, limit: 1000)
                self.resting = (unknown.map { $0 + (suspended ?? []) } ?? []).map(\.resting)
            }
            self.locked = try? await self.records.unfinished(after: nil, limit: 1000).count
        }
    }

    /// How the next call fails; nil if it does not.
    fileprivate func fault() -> StoreFault? {
        defer { calls += 1 }
        guard !world.isHealed else { return nil }
        if let fault = world.plan.storeFaultAt[calls] { return fault }
        if world.happens(world.plan.outages) {
            failsUntil = world.now + UInt64(world.number(in: 1..<60)) * 1_000_000_000
        }
        if world.now < failsUntil { return world.happens(0.8) ? .before : .after }
        return world.happens(world.plan.storeFaults) ? world.pick(StoreFault.allCases) : nil
    }
}

/// One process's way to the store.
final class StoreConnection: IdempotencyStore, @unchecked Sendable {
    private let world: World
    private let process: SimulatedProcess
    private var store: SharedStore { world.disk }

    init(_ process: SimulatedProcess) {
        self.process = process
        world = process.world
    }

    var isExclusive: Bool { world.plan.hosts == 1 }
    var isAvailable: Bool { true }
    var statistics: StoreStatistics { StoreStatistics() }

    func insert(_ key: IdempotencyKey) async throws(StoreError) -> Insertion {
        try await call("insert \(key.text)") { records throws(StoreError) in
            try await records.insert(key)
        }
    }

    func find(_ identity: Identity) async throws(StoreError) -> Lookup {
        try await call("find") { records throws(StoreError) in try await records.find(identity) }
    }

    func find(_ id: KeyID) async throws(StoreError) -> Lookup {
        try await call("find") { records throws(StoreError) in try await records.find(id) }
    }

    func replace(
        _ key: IdempotencyKey, expecting version: IdempotencyKey.Version
    ) async throws(StoreError) -> Replacement {
        try await call("replace \(version.revision) by \(key.text)") { records throws(StoreError) in
            try await records.replace(key, expecting: version)
        }
    }

    func unfinished(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey] {
        try await call("unfinished") { records throws(StoreError) in
            try await records.unfinished(after: id, limit: limit)
        }
    }

    func unknown(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey] {
        try await call("unknown") { records throws(StoreError) in
            try await records.unknown(after: id, limit: limit)
        }
    }

    func suspended(after id: KeyID?, limit: Int) async throws(StoreError) -> [IdempotencyKey] {
        try await call("suspended") { records throws(StoreError) in
            try await records.suspended(after: id, limit: limit)
        }
    }

    func list(_ query: KeyQuery) async throws(StoreError) -> KeyPage {
        try await call("list") { records throws(StoreError) in try await records.list(query) }
    }

    /// The gateway has no statements of its own.
    func transact(
        _ id: KeyID,
        _ body: @escaping @Sendable (Lookup, any SQLTransaction) throws -> IdempotencyKey?
    ) async throws { throw Self.failure }

    func remove(limit: Int) async throws(StoreError) -> Int {
        try await call("remove") { records throws(StoreError) in
            try await records.remove(limit: limit)
        }
    }

    func scrub() async throws(StoreError) {
        try await call("scrub") { records throws(StoreError) in try await records.scrub() }
    }

    private static let failure = StoreError(.unavailable, "simulated")

    /// Carries a call to the store and its result back. A call that is on its way arrives even if
    /// its process dies meanwhile.
    private func call<Value: Sendable>(
        _ what: String,
        _ body: @escaping @Sendable (InMemoryStore) async throws(StoreError) -> Value
    ) async throws(StoreError) -> Value {
        guard !world.isClosed else { throw Self.failure }
        let number = store.calls
        let fault = store.fault()
        trace("call \(number) of process \(process.number): \(what), fault \(fault.text)")
        let result: Result<Value, StoreError> = await withUnsafeContinuation { continuation in
            let world = world
            let process = process
            let reply = { @Sendable (result: Result<Value, StoreError>) in
                _ = world.after(world.delay(upTo: world.plan.storeDelay), of: process) {
                    continuation.resume(returning: result)
                }
            }
            if fault == .before || fault == .late { reply(.failure(Self.failure)) }
            if fault == .before { return }
            let isLate = fault == .late
            let way = world.delay(upTo: world.plan.storeDelay * (isLate ? 20 : 1))
            _ = world.after(way) {
                let records = world.disk.records
                Task(executorPreference: world.outside) {
                    let result: Result<Value, StoreError>
                    do throws(StoreError) {
                        result = .success(try await body(records))
                    } catch {
                        result = .failure(error)
                    }
                    self.trace("call \(number) done: \(result.text)")
                    if !isLate { reply(fault == nil ? result : .failure(Self.failure)) }
                }
            }
        }
        return try result.get()
    }
}

extension StoreConnection {
    /// Prints what the store does, where the history is printed too.
    fileprivate func trace(_ text: @autoclosure () -> String) {
        guard world.plan.isTraced else { return }
        print("\(Double(world.now / 1000) / 1e6)     \(text())")
    }
}

extension IdempotencyKey {
    fileprivate var resting: RestingKey {
        let scope = requestPath.split(separator: "/").last ?? ""
        return RestingKey(
            name: "\(scope)/\(identity.idempotencyKey)", isUnknown: recoveryPoint == .unknown,
            pending: pendingStage)
    }

    fileprivate var text: String {
        let name = identity.idempotencyKey
        return "\(name) revision \(revision) \(recoveryPoint) \(isLocked ? "locked" : "idle")"
            + " attempts \(attempts) owner \(owner)"
    }
}

extension StoreFault? {
    fileprivate var text: String { map { "\($0)" } ?? "none" }
}

extension Result {
    fileprivate var text: String {
        switch self {
        case .success(let value as Insertion):
            if case .existing(let key, _) = value { "existing \(key.text)" } else { "inserted" }
        case .success(let value as Replacement):
            if case .lost(let key, _) = value { "lost to \(key?.text ?? "-")" } else { "replaced" }
        case .success: "success"
        case .failure: "failure"
        }
    }
}
