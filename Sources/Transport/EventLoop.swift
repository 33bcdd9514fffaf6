private import CTransport
private import Glibc
import Synchronization

/// One thread, one epoll, and the executor of every task on it.
///
/// What belongs to a loop (its connections, handlers, pools) is made in ``run(_:)`` and never
/// leaves it. A task that is started with the loop as its isolation resumes on the loop's thread
/// after every `await`, so that handlers read as straight code and need no locks.
package actor EventLoop {
    private nonisolated let executor: LoopExecutor
    /// Readiness, timers and clock; for code on this loop.
    package let reactor: Reactor
    /// What lives on this loop: the root of the objects that were made in ``run(_:)``.
    package var root: AnyObject?
    private nonisolated let isStopping = Atomic<Bool>(false)

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe executor.asUnownedSerialExecutor()
    }

    /// A loop whose thread runs at once, until ``stop()``.
    package init(name: String) {
        let executor = LoopExecutor()
        self.executor = executor
        let reactor = Reactor(wakeDescriptor: executor.wakeDescriptor)
        self.reactor = reactor
        // The thread is the executor, so what it touches is what the actor's own tasks touch.
        let bound = ThreadBound(value: reactor)
        Thread.start(name: name) { self.runThread(bound.value) }
    }

    /// Runs `body` on the loop.
    package func run<Result: Sendable>(
        _ body: @Sendable (isolated EventLoop) async throws -> Result
    ) async rethrows -> Result {
        try await body(self)
    }

    /// Starts a task on the loop. What `body` holds belongs to the loop, like the caller.
    package func start(_ body: @escaping () async -> Void) { startFromLoop(body) }

    /// The same for a caller that runs on the loop, as its handlers do. Traps elsewhere.
    package nonisolated func startFromLoop(_ body: @escaping () async -> Void) {
        executor.checkIsolated()
        let bound = ThreadBound(value: body)
        Task(executorPreference: executor) { await self.carryOut(bound) }
    }

    private func carryOut(_ bound: ThreadBound<() async -> Void>) async { await bound.value() }

    /// Ends the loop's thread after its current turn. Tasks that still wait on it never resume.
    package nonisolated func stop() {
        isStopping.store(true, ordering: .releasing)
        Task { await self.turn() }
    }

    private func turn() {}

    private nonisolated func runThread(_ reactor: Reactor) {
        executor.adoptThread()
        while !isStopping.load(ordering: .acquiring) {
            let hasJobs = executor.runJobs()
            reactor.finishTurn()
            let mayWait = !hasJobs && executor.fallAsleep()
            reactor.poll(mayWait: mayWait) { if mayWait { executor.awake() } }
            reactor.fireTimers()
        }
    }

    /// Carries what belongs to the loop past a `Sendable` requirement, from the loop to the loop.
    private struct ThreadBound<Value>: @unchecked Sendable {
        let value: Value
    }
}

/// A thread of our own, detached.
enum Thread {
    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(_ name: String, _ body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// Starts a thread that runs `body`. All signals are left to the main thread.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) {
        let argument = unsafe Unmanaged.passRetained(Start(name, body)).toOpaque()
        var signals = sigset_t()
        var previous = sigset_t()
        unsafe sigfillset(&signals)
        unsafe pthread_sigmask(SIG_SETMASK, &signals, &previous)
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                unsafe ctransport_name_thread(start.name)
                start.body()
                return nil
            }, argument)
        unsafe pthread_sigmask(SIG_SETMASK, &previous, nil)
        precondition(status == 0, "pthread_create failed at start")
        _ = pthread_detach(thread)
    }
}
