import Glibc
import Idempotency
import IdempotencySQLite
import Synchronization

/// What live calls suffer while the reaper takes millions of records out of a SQLite store: the
/// records are made, all of them expire at once, and the reaper works as it does in the gateway
/// while claims, conclusions and look-ups go on.
struct ReaperBenchmark {
    static let usage = """
        Measures live calls while the reaper takes many records out of a SQLite store.

            swift build -c release && .build/release/Benchmarks reaper [OPTION...]

          --rows N            records that expire (default: 1000000)
          --rate N            live keys a second: a claim, a conclusion, a look-up (default: 1000)
          --seconds N         the longest that each phase may take (default: 600)
          --store FILE        a store that a stopped run left behind, instead of a new one
          --data FOLDER       where the store lies, on a real disk (default: .)
          --erase 0|1         whether what is deleted is overwritten (default: 1)
          --checkpoint N      pages after which the log is carried over (default: the store's)

        """

    private var rows = 1_000_000
    private var rate = 1000
    private var seconds = 600
    private var data = "."
    private var store: String?
    private var options = SQLiteStore.Options()
    private let clock = SteppedClock()

    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let name = rest.popFirst() {
            guard let value = rest.popFirst() else { throw Failure(Self.usage) }
            let number = Int(value)
            switch (name, number) {
            case ("--data", _): data = value
            case ("--store", _): store = value
            case ("--rows", let number?): rows = number
            case ("--rate", let number?): rate = max(1, number)
            case ("--seconds", let number?): seconds = number
            case ("--erase", let number?): options.erasesDeleted = number != 0
            case ("--checkpoint", let number?): options.checkpointPages = number
            default: throw Failure("\(name) \(value) is not possible\n\n\(Self.usage)")
            }
        }
    }

    /// Runs all phases and prints a line for each.
    func run() async throws {
        let path = store ?? "\(data)/reaper-\(getpid()).db"
        defer { for suffix in ["", "-wal"] { unlink(path + suffix) } }
        var options = options
        options.now = { [clock] in clock.now }
        if store == nil { try await fill(path, options) }
        let store = try SQLiteStore(path: path, options: options)
        let service = IdempotencyKeyService(store: store, now: { [clock] in clock.now })
        try await phase("before", service, path) { _ in
            try await Task.sleep(for: .seconds(10))
            return 0
        }
        clock.advance(by: Self.retention)
        try await phase("to tombstones", service, path) { try await reap(service, $0) }
        clock.advance(by: Self.retention)
        try await phase("removal", service, path) { try await reap(service, $0) }
        try await phase("after", service, path) { _ in
            try await Task.sleep(for: .seconds(5))
            return 0
        }
        store.close()
    }

    private static let retention = Duration.seconds(86_400)

    /// As the gateway does it, until nothing is left.
    private func reap(_ service: IdempotencyKeyService, _ end: ContinuousClock.Instant) async throws
        -> Int
    {
        var total = 0
        while ContinuousClock.now < end {
            let start = ContinuousClock.now
            let count = try await service.reap()
            total += count
            if count == 0 { break }
            let spent = ContinuousClock.now - start
            try await Task.sleep(for: min(max(spent, .milliseconds(2)), .milliseconds(5)))
        }
        return total
    }

    /// Makes the records, finished already, many in a commit.
    private func fill(_ path: String, _ options: SQLiteStore.Options) async throws {
        var options = options
        options.durability = .normal
        options.checkpointPages = 16_384
        let store = try SQLiteStore(path: path, options: options)
        let start = ContinuousClock.now
        let width = 512
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<width {
                group.addTask {
                    for number in stride(from: lane, to: rows, by: width) {
                        _ = try await store.insert(finished("old-\(number)"))
                    }
                }
            }
            try await group.waitForAll()
        }
        let spent = (ContinuousClock.now - start) / .seconds(1)
        store.close()
        say("filled: \(rows) rows in \(Int(spent)) s, \(size(path) >> 20) MiB")
    }

    private func finished(_ name: String) -> IdempotencyKey {
        let moment = clock.now
        let reply = StoredReply(
            responseCode: 201, responseHeaders: Array("Content-Type: text/plain\r\n".utf8),
            responseBody: [UInt8](repeating: 0x78, count: 100))
        return IdempotencyKey(
            id: KeyID(at: moment), request: request(name), createdAt: moment,
            recoveryPoint: .finished, lockedAt: nil, reply: reply, owner: "benchmark",
            lockToken: nil, leaseUntil: nil, attempts: 1, updatedAt: moment,
            expiresAt: moment + Self.retention, tombstoneUntil: moment + Self.retention * 2,
            revision: 2)
    }

    private func request(_ name: String) -> KeyRequest {
        var fingerprint = Fingerprint()
        fingerprint.append(.path, (1, 2))
        fingerprint.append(.body, (3, 4))
        return KeyRequest(
            identity: Identity(scope: [1, 2, 3, 4, 5, 6, 7, 8], idempotencyKey: name),
            fingerprint: fingerprint, requestMethod: "POST", requestPath: "/orders",
            requestParams: "{}")
    }

    /// Runs something while live calls go on, and prints what these suffered.
    private func phase(
        _ name: String, _ service: IdempotencyKeyService, _ path: String,
        _ body: (ContinuousClock.Instant) async throws -> Int
    ) async throws {
        let latencies = Latencies()
        let over = Flag()
        let start = ContinuousClock.now
        let lanes = 16
        let live = Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for lane in 0..<lanes {
                    group.addTask {
                        try await load("\(name)-\(lane)", lanes, service, latencies, over)
                    }
                }
                group.addTask { try await watch(path, over) }
                try await group.waitForAll()
            }
        }
        let count = try await body(start + .seconds(seconds))
        let spent = (ContinuousClock.now - start) / .seconds(1)
        over.raise()
        try await live.value
        say(
            "\(name): \(count) records in \(Int(spent)) s (\(Int(Double(count) / spent)) a second);"
                + " live calls: \(latencies.summary); file \(size(path) >> 20) MiB,"
                + " log \(size(path + "-wal") >> 20) MiB")
    }

    /// A claim, a conclusion and a look-up, as often as the rate says.
    private func load(
        _ lane: String, _ lanes: Int, _ service: IdempotencyKeyService, _ latencies: Latencies,
        _ over: Flag
    ) async throws {
        let step = Duration.seconds(lanes) / rate
        var next = ContinuousClock.now
        var number = 0
        while !over.isRaised {
            number += 1
            let request = request("\(lane)-\(number)")
            let key = try await latencies.measure {
                try await service.create(request, policy: KeyPolicy())
            }
            let reply = StoredReply(
                responseCode: 200, responseHeaders: [], responseBody: Array("fine".utf8))
            _ = try await latencies.measure {
                try await service.update(
                    key.id, token: key.lockToken!, reply: reply, policy: KeyPolicy())
            }
            _ = try await latencies.measure { try await service.retrieve(request.identity) }
            next = next + step
            let now = ContinuousClock.now
            if next < now { next = now } else { try await Task.sleep(until: next) }
        }
    }

    /// Prints the files' sizes now and then.
    private func watch(_ path: String, _ over: Flag) async throws {
        var ticks = 0
        while !over.isRaised {
            try await Task.sleep(for: .milliseconds(200))
            ticks += 1
            if ticks.isMultiple(of: 100) {
                say("  file \(size(path) >> 20) MiB, log \(size(path + "-wal") >> 20) MiB")
            }
        }
    }

    private func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}

/// A wall clock that can be moved on.
private final class SteppedClock: Sendable {
    private let offset = Atomic<Int64>(0)

    var now: Timestamp {
        var moment = Timestamp.now()
        moment.microseconds += offset.load(ordering: .relaxed)
        return moment
    }

    func advance(by duration: Duration) {
        offset.add(duration.components.seconds * 1_000_000, ordering: .relaxed)
    }
}

/// Raised once.
private final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isRaised: Bool { value.load(ordering: .relaxed) }
    func raise() { value.store(true, ordering: .relaxed) }
}

/// How long calls took.
private final class Latencies: Sendable {
    private let state = Mutex((histogram: LatencyHistogram(), count: 0, most: 0))

    func measure<Result>(_ body: () async throws -> Result) async throws -> Result {
        let start = ContinuousClock.now
        let result = try await body()
        let nanoseconds = Int((ContinuousClock.now - start) / .nanoseconds(1))
        state.withLock { state in
            state.histogram.add(nanoseconds: nanoseconds)
            state.count += 1
            state.most = max(state.most, nanoseconds)
        }
        return result
    }

    var summary: String {
        state.withLock { state in
            let quantiles = [0.5, 0.99, 0.999].map {
                "\(Int(state.histogram.microseconds($0)))"
            }
            return "\(state.count), p50/p99/p99.9/max \(quantiles.joined(separator: "/"))"
                + "/\(state.most / 1000) us"
        }
    }
}

/// Prints a line at once, into files too.
private func say(_ text: String) {
    let line = Array("\(text)\n".utf8)
    _ = write(1, line, line.count)
}
