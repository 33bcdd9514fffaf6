import Glibc
import Testing

/// Starts a detached thread that runs `body`.
func startThread(_ body: @escaping @Sendable () -> Void) {
    final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let box = Unmanaged.passRetained(Box(body)).toOpaque()
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let status = pthread_create(
        &thread, &attributes,
        { argument in
            Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
            return nil
        }, box)
    pthread_attr_destroy(&attributes)
    precondition(status == 0, "no thread could be started")
}

/// Work on a thread of its own, whose result is fetched later.
final class Background<Value: Sendable>: Sendable {
    private let result = Monitor<Result<Value, any Error>?>(nil)

    init(_ body: @escaping @Sendable () throws -> Value) {
        startThread { [result] in
            let outcome = Result { try body() }
            result.with { $0 = outcome }
        }
    }

    /// Whether the work has ended.
    var isDone: Bool { result.with { $0 != nil } }

    /// Waits for the result.
    func value(within duration: Duration = patience) throws -> Value {
        try result.wait(for: "work in the background", within: duration) { $0 }.get()
    }
}

/// Runs `body` for 0..<count at the same time, each on its own thread, and gathers the results.
func concurrently<Value: Sendable>(
    _ count: Int, within duration: Duration = patience,
    _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
    let start = Gate()
    let work = (0..<count).map { index in
        Background {
            try start.pass()
            return try body(index)
        }
    }
    start.open()
    return try work.map { try $0.value(within: duration) }
}

/// Runs each test on a thread of its own, so that it may block; a few at a time.
///
/// The concurrency pool is as wide as the machine has cores, and tests that block on sockets would
/// starve it.
struct OwnThreadTrait: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Turnstile.shared.enter()
        defer { Turnstile.shared.leave() }
        let thread = OwnThread()
        defer { thread.stop() }
        try await withTaskExecutorPreference(thread) { try await function() }
    }
}

extension Trait where Self == OwnThreadTrait {
    /// Runs each test on a thread of its own, so that it may block.
    static var ownThread: Self { OwnThreadTrait() }
}

/// Lets a few tests in at a time.
private final class Turnstile: Sendable {
    static let shared = Turnstile()
    private static let width = 4

    private struct State {
        var inside = 0
        var queue: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Monitor(State())

    func enter() async {
        await withCheckedContinuation { continuation in
            let isFree = state.with { state in
                guard state.inside >= Self.width else {
                    state.inside += 1
                    return true
                }
                state.queue.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func leave() {
        let next = state.with { state -> CheckedContinuation<Void, Never>? in
            guard state.queue.isEmpty else { return state.queue.removeFirst() }
            state.inside -= 1
            return nil
        }
        next?.resume()
    }
}

/// A task executor that is one thread.
private final class OwnThread: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var isStopped = false
    }
    private let state = Monitor(State())

    init() {
        startThread { [state, weak self] in
            while let job = Self.next(state) {
                guard let self else { return }
                job.runSynchronously(on: self.asUnownedTaskExecutor())
            }
        }
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.with { $0.jobs.append(job) }
    }

    func stop() { state.with { $0.isStopped = true } }

    private static func next(_ state: Monitor<State>) -> UnownedJob? {
        let next: UnownedJob?? = try? state.wait(for: "a job", within: .seconds(3600)) { state in
            guard state.jobs.isEmpty else { return .some(state.jobs.removeFirst()) }
            return state.isStopped ? .some(nil) : nil
        }
        return next ?? nil
    }
}
