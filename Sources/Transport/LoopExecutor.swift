private import CTransport
private import Glibc
import Synchronization

/// The executor of all tasks of one event loop: their jobs run on the loop's thread, in order.
///
/// It is their serial executor as the loop's actor, and their preferred task executor too: without
/// the preference, a resumed continuation takes a detour through the global pool. A job is run as
/// both, which saves the second hop.
///
/// A job that comes from the loop's own thread goes into a plain array. Others go through a locked
/// one, and the loop is woken only if it sleeps.
///
/// Invariant of `@unchecked Sendable`: `local` is touched on the loop's thread alone; the rest is
/// immutable, atomic or locked.
package final class LoopExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private struct Remote {
        var jobs: [UnownedJob] = []
        /// Whether the loop waits in epoll, where only the eventfd reaches it.
        var isAsleep = false
    }

    private let remote = Mutex(Remote())
    private let hasRemoteJobs = Atomic<Bool>(false)
    private var local: [UnownedJob] = []
    private var running: [UnownedJob] = []
    /// The loop's thread; 0, which is none, before it runs.
    private let thread = Atomic<pthread_t>(0)
    /// Edge-triggered in the loop's epoll, so that it is never read.
    let wakeDescriptor: Int32

    init() {
        wakeDescriptor = ctransport_eventfd()
        precondition(wakeDescriptor >= 0, "eventfd: no descriptor left at start")
    }

    deinit { close(wakeDescriptor) }

    /// Whether the caller runs on the loop's thread.
    var isCurrent: Bool { thread.load(ordering: .relaxed) == pthread_self() }

    /// Makes the calling thread the loop's.
    func adoptThread() { thread.store(pthread_self(), ordering: .relaxed) }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent {
            local.append(job)
            return
        }
        let wasAsleep = remote.withLock { remote in
            remote.jobs.append(job)
            hasRemoteJobs.store(true, ordering: .relaxed)
            guard remote.isAsleep else { return false }
            if DeferredWakeups.current == nil { remote.isAsleep = false }
            return true
        }
        guard wasAsleep else { return }
        if let deferred = DeferredWakeups.current {
            deferred.add(self)
        } else {
            wake()
        }
    }

    package func checkIsolated() {
        precondition(isCurrent, "not on the event loop's thread")
    }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

    package func isSameExclusiveExecutionContext(other: LoopExecutor) -> Bool { self === other }

    /// Runs what is queued, and what that queues, for a bounded number of rounds.
    /// - Returns: whether jobs are left.
    func runJobs() -> Bool {
        for _ in 0..<16 {
            takeRemoteJobs()
            if local.isEmpty { return false }
            swap(&local, &running)
            let serial = unsafe asUnownedSerialExecutor()
            let preferred = unsafe asUnownedTaskExecutor()
            for job in running {
                unsafe job.runSynchronously(isolatedTo: serial, taskExecutor: preferred)
            }
            running.removeAll(keepingCapacity: true)
        }
        return !local.isEmpty
    }

    /// Announces that the loop is about to wait in epoll.
    /// - Returns: false when a job came meanwhile, and it must not.
    func fallAsleep() -> Bool {
        guard local.isEmpty else { return false }
        return remote.withLock { remote in
            remote.isAsleep = remote.jobs.isEmpty
            return remote.isAsleep
        }
    }

    /// The loop is back from epoll.
    func awake() {
        remote.withLock { $0.isAsleep = false }
    }

    /// Ends the sleep of a loop that has been given jobs.
    fileprivate func wakeIfAsleep() {
        let wasAsleep = remote.withLock { remote in
            defer { remote.isAsleep = false }
            return remote.isAsleep
        }
        if wasAsleep { wake() }
    }

    private func wake() { _ = eventfd_write(wakeDescriptor, 1) }

    private func takeRemoteJobs() {
        guard hasRemoteJobs.load(ordering: .relaxed) else { return }
        remote.withLock { remote in
            local.append(contentsOf: remote.jobs)
            remote.jobs.removeAll(keepingCapacity: remote.jobs.capacity <= 4096)
            hasRemoteJobs.store(false, ordering: .relaxed)
        }
    }
}

/// The loops that a thread has given jobs to, but not yet woken.
private final class DeferredWakeups {
    private var executors: [LoopExecutor] = []

    /// The calling thread's, while it coalesces.
    static var current: DeferredWakeups? {
        guard let slot = unsafe ctransport_thread_slot() else { return nil }
        return unsafe Unmanaged<DeferredWakeups>.fromOpaque(slot).takeUnretainedValue()
    }

    func add(_ executor: LoopExecutor) {
        if !executors.contains(where: { $0 === executor }) { executors.append(executor) }
    }

    func wakeAll() {
        for executor in executors { executor.wakeIfAsleep() }
        executors.removeAll()
    }
}

extension EventLoop {
    /// Runs `resumptions`, which resume tasks of any loops, and wakes each loop once at the end
    /// instead of at the first one: a batch of answers costs one wake-up.
    package static func coalescingWakeups(_ resumptions: () -> Void) {
        guard DeferredWakeups.current == nil else { return resumptions() }
        let deferred = DeferredWakeups()
        unsafe ctransport_set_thread_slot(Unmanaged.passUnretained(deferred).toOpaque())
        resumptions()
        ctransport_set_thread_slot(nil)
        deferred.wakeAll()
    }
}
