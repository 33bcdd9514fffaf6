internal import Idempotency
private import Synchronization

/// One call of the store's.
enum StoreOperation: Sendable {
    case insert(IdempotencyKey)
    case replace(IdempotencyKey, IdempotencyKey.Version)
    case find(Identity)
    case findID(KeyID)
    case unfinished(KeyID?, Int)
    case unknown(KeyID?, Int)
    case suspended(KeyID?, Int)
    case page(KeyQuery)
    case remove(Int)
    /// Copies the file; answered when the copy is whole.
    case backup(String)
    /// Cuts the log off.
    case scrub
    /// Runs the caller's own statements, in a transaction of their own.
    case transact(TransactionBody)

    /// Whether it is to change records.
    var writes: Bool {
        switch self {
        case .insert, .replace, .remove, .transact: true
        default: false
        }
    }

    /// Whether it is done between transactions.
    var isApart: Bool {
        switch self {
        case .backup, .scrub, .transact: true
        default: false
        }
    }
}

/// What is done in a transaction of its own, with the caller's statements.
typealias TransactionBody = @Sendable (Records, SQLiteTransaction, Timestamp) throws -> Void

/// What became of a call.
enum StoreAnswer: Sendable {
    case stored(Timestamp)
    indirect case found(IdempotencyKey?, Timestamp)
    case list([IdempotencyKey])
    case page(KeyPage)
    /// The caller's part of a transaction threw; all of it was undone.
    case rejected(any Error)
    case removed(Int)
    case done
    case failed(StoreError)
}

/// A call and who waits for its answer; it is answered once.
@safe
struct StoreRequest: Sendable {
    let operation: StoreOperation
    private let caller: UnsafeContinuation<StoreAnswer, Never>

    init(operation: StoreOperation, caller: UnsafeContinuation<StoreAnswer, Never>) {
        self.operation = operation
        unsafe self.caller = unsafe caller
    }

    func answer(_ answer: StoreAnswer) { unsafe caller.resume(returning: answer) }
}

/// The calls that wait for the next transaction, and the transactions.
final class CommitQueue: Sendable {
    private let waiting = Mutex(Waiting())
    /// Entered by the store's thread; by others before it begins and after it has ended.
    private let file: Mutex<StoreFile?>
    /// Who waits for the backup that is under way.
    private let backup = Mutex<StoreRequest?>(nil)
    private let counts = Mutex(StoreStatistics())
    private let works = Atomic<Bool>(true)
    private let options: SQLiteStore.Options

    private struct Waiting {
        var requests: [StoreRequest] = []
        var isClosed = false
    }

    init(_ file: sending StoreFile, _ options: SQLiteStore.Options) {
        self.file = Mutex(file)
        self.options = options
    }

    var isAvailable: Bool { works.load(ordering: .relaxed) }

    var statistics: StoreStatistics {
        var statistics = counts.withLock { $0 }
        statistics.queued = waiting.withLock { $0.requests.count }
        return statistics
    }

    /// Queues a call, or refuses it at once; whether the thread has to be woken for it.
    func append(_ request: StoreRequest) -> Bool {
        let refusal: StoreError? = waiting.withLock { waiting in
            if waiting.isClosed { return StoreError(.unavailable, "the store is closed") }
            guard waiting.requests.count < options.queueLimit else {
                return StoreError(
                    .unavailable, "\(options.queueLimit) calls wait for the store already")
            }
            waiting.requests.append(request)
            return nil
        }
        if let refusal { request.answer(.failed(refusal)) }
        return refusal == nil
    }

    /// Takes no more calls.
    func close() { waiting.withLock { $0.isClosed = true } }

    /// Closes the file, once the thread has ended.
    func end() {
        file.withLock { file in
            if let open = file, open.obstacle == nil {
                _ = try? open.records.transaction { () throws(StoreError) in
                    try open.records.finish()
                }
            }
            file = nil
        }
        endBackup(.failed(StoreError(.unavailable, "the store was closed")))
    }

    /// Commits everything that waits, and answers it.
    func commit() {
        var batch: [StoreRequest] = []
        while true {
            waiting.withLock { swap(&$0.requests, &batch) }
            let isClosed = waiting.withLock { $0.isClosed }
            guard !batch.isEmpty || (isBackingUp && !isClosed) else { return }
            var apart: [StoreRequest] = []
            if batch.contains(where: \.operation.isApart) {
                apart = batch.filter(\.operation.isApart)
                batch.removeAll(where: \.operation.isApart)
            }
            if !batch.isEmpty {
                let answers = carryOut(batch)
                options.deliver {
                    for index in batch.indices { batch[index].answer(answers[index]) }
                }
                batch.removeAll(keepingCapacity: true)
                tend()
            }
            for request in apart { carryOut(request) }
            if isBackingUp { continueBackup() }
        }
    }

    private var isBackingUp: Bool { backup.withLock { $0 != nil } }

    /// Does what is due between transactions, once nobody waits for the last one.
    private func tend() {
        let clock = ContinuousClock()
        let start = clock.now
        let failure = inFile { file throws(StoreError) in try file.tend() }
        if failure != nil { works.store(false, ordering: .relaxed) }
        counts.withLock { counts in
            counts.busySeconds += (clock.now - start) / .seconds(1)
            counts.failures += failure == nil ? 0 : 1
            counts.lastError = failure ?? counts.lastError
        }
    }

    private func carryOut(_ request: StoreRequest) {
        if case .transact(let body) = request.operation { return request.answer(transact(body)) }
        if case .backup(let path) = request.operation {
            let failure = inFile { file throws(StoreError) in try file.beginBackup(to: path) }
            if let failure { return request.answer(.failed(failure)) }
            return backup.withLock { $0 = request }
        }
        let failure = inFile { file throws(StoreError) in try file.log.empty() }
        request.answer(failure.map { .failed($0) } ?? .done)
    }

    private func continueBackup() {
        var isDone = false
        let failure = inFile { file throws(StoreError) in isDone = try file.continueBackup() }
        if let failure { return endBackup(.failed(failure)) }
        if isDone { endBackup(.done) }
    }

    private func endBackup(_ answer: StoreAnswer) {
        let request = backup.withLock { backup in
            defer { backup = nil }
            return backup
        }
        request?.answer(answer)
    }

    private func inFile(
        _ body: (StoreFile) throws(StoreError) -> Void
    ) -> StoreError? {
        file.withLock { file -> StoreError? in
            guard let file else { return StoreError(.unavailable, "the store is closed") }
            do throws(StoreError) {
                try body(file)
                return nil
            } catch {
                return error
            }
        }
    }

    private func carryOut(_ batch: [StoreRequest]) -> [StoreAnswer] {
        let clock = ContinuousClock()
        let start = clock.now
        var tally = Tally()
        let answers = file.withLock { file -> [StoreAnswer] in
            guard let file else { preconditionFailure("a transaction after the end") }
            if batch.contains(where: \.operation.writes) { tally.obstacle = file.obstacle }
            do throws(StoreError) {
                return try file.records.transaction { () throws(StoreError) in
                    var answers: [StoreAnswer] = []
                    answers.reserveCapacity(batch.count)
                    for request in batch {
                        answers.append(try attempt(request.operation, file, &tally))
                    }
                    return answers
                }
            } catch {
                tally.failure = error
                return batch.map { _ in .failed(error) }
            }
        }
        note(tally, calls: batch.count, duration: clock.now - start)
        return answers
    }

    /// Carries a call out. An error that left no trace in the transaction is the call's alone.
    private func attempt(
        _ operation: StoreOperation, _ file: StoreFile, _ tally: inout Tally
    ) throws(StoreError) -> StoreAnswer {
        let state = file.records.state
        do throws(StoreError) {
            if operation.writes, let obstacle = tally.obstacle { throw obstacle }
            return try carryOut(operation, file, &tally)
        } catch {
            guard file.records.state == state else { throw error }
            tally.refused = error
            tally.refusals += 1
            return .failed(error)
        }
    }

    private func carryOut(
        _ operation: StoreOperation, _ file: StoreFile, _ tally: inout Tally
    ) throws(StoreError) -> StoreAnswer {
        let records = file.records
        let now = options.now()
        switch operation {
        case .insert(let key):
            if let existing = try records.insert(key) { return .found(existing, now) }
            tally.rows += 1
            return .stored(now)
        case .replace(let key, let version):
            guard try records.replace(key, expecting: version) else {
                return .found(try records.find(key.identity), now)
            }
            tally.rows += 1
            return .stored(now)
        case .find(let identity):
            tally.reads += 1
            return .found(try records.find(identity), now)
        case .findID(let id):
            tally.reads += 1
            return .found(try records.find(id), now)
        case .unfinished(let id, let limit):
            return .list(try records.unfinished(after: id, limit: limit))
        case .unknown(let id, let limit):
            return .list(try records.unknown(after: id, limit: limit))
        case .remove(let limit):
            let count = try records.remove(at: now, limit: limit)
            tally.rows += count
            // After a failure this write is what finds out whether the store works again.
            if try records.noteUnfinished(isForced: !isAvailable) { tally.rows += 1 }
            try file.look()
            return .removed(count == 0 && file.space.isWanted ? 1 : count)
        case .suspended(let id, let limit):
            return .list(try records.suspended(after: id, limit: limit))
        case .page(let query):
            return .page(try records.list(query, at: now, within: options.maintenance))
        case .backup, .scrub, .transact: preconditionFailure("it is not done in a transaction")
        }
    }

    /// A transaction with the caller's own statements. Nobody shares it, so that nobody else has to
    /// bear what they do.
    private func transact(_ body: TransactionBody) -> StoreAnswer {
        let clock = ContinuousClock()
        let start = clock.now
        var tally = Tally()
        let answer = file.withLock { file -> StoreAnswer in
            guard let file else { return .failed(StoreError(.unavailable, "the store is closed")) }
            tally.obstacle = file.obstacle
            if let obstacle = tally.obstacle { return .failed(obstacle) }
            do {
                try file.transact(body, at: options.now())
                tally.rows = 1
                return .done
            } catch let error as StoreError {
                tally.failure = error
                return .failed(error)
            } catch {
                return .rejected(error)
            }
        }
        note(tally, calls: 1, duration: clock.now - start)
        if tally.rows > 0 { tend() }
        return answer
    }

    private func note(_ tally: Tally, calls: Int, duration: Duration) {
        counts.withLock { counts in
            counts.busySeconds += duration / .seconds(1)
            guard tally.failure == nil else {
                counts.failures += calls
                counts.lastError = tally.failure
                return
            }
            counts.failures += tally.refusals
            if let refused = tally.refused { counts.lastError = refused }
            counts.rows += tally.rows
            counts.reads += tally.reads
            if tally.rows > 0 { counts.commits += 1 }
        }
        if tally.failure != nil || tally.obstacle != nil || tally.rows > 0 {
            works.store(tally.failure == nil && tally.obstacle == nil, ordering: .relaxed)
        }
    }
}

/// What one transaction did.
private struct Tally {
    var rows = 0
    var reads = 0
    var refusals = 0
    var refused: StoreError?
    var failure: StoreError?
    /// Why no call may write.
    var obstacle: StoreError?
}
