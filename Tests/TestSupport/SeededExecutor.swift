import Glibc
import Synchronization

/// Jobs of many executors in one bag, from which a seed draws the one that runs next, all on the
/// thread that draws.
///
/// Whatever order of jobs a machine with any number of threads could show at the level of whole
/// jobs, some seed shows; and a seed shows the same one each time.
///
/// A task that does not prefer its actor's executor passes through the global pool each time that
/// it is resumed. What the simulation's thread gives to the pool goes into the bag instead, as a
/// job of the executor that gave it.
///
/// `@unchecked Sendable`: everything but ``strangers`` is touched by the one thread that runs the
/// simulation. A job that comes from another thread breaks determinism, so it is counted.
package final class SeededJobs: @unchecked Sendable {
    fileprivate struct Entry {
        let job: UnownedJob
        let executor: SeededExecutor
    }

    fileprivate var ready: [Entry] = []
    private var random: SplitMix
    private let foreign = Atomic<Int>(0)
    /// Whose job or event is under way.
    package var current: SeededExecutor?

    /// Called before each job; it may hold the executor that it gets, and then the job waits.
    package var willRun: ((SeededExecutor) -> Void)?

    /// An empty bag.
    package init(seed: UInt64) { random = SplitMix(seed: seed) }

    /// Whether a job could run now.
    package var areReady: Bool { !ready.isEmpty }

    /// How many jobs came from other threads: code that left the executors behind.
    package var strangers: Int { foreign.load(ordering: .relaxed) }

    /// Draws a job and runs it on the calling thread; false when there is none.
    @discardableResult package func runOne() -> Bool {
        guard !ready.isEmpty else { return false }
        let index = Int(random.next() % UInt64(ready.count))
        let executor = ready[index].executor
        willRun?(executor)
        guard !executor.isHeld else { return true }
        ready.swapAt(index, ready.count - 1)
        let job = ready.removeLast().job
        current = executor
        job.runSynchronously(
            isolatedTo: executor.asUnownedSerialExecutor(),
            taskExecutor: executor.asUnownedTaskExecutor())
        return true
    }

    fileprivate func add(_ job: UnownedJob, of executor: SeededExecutor) {
        if !isCurrent { foreign.add(1, ordering: .relaxed) }
        if executor.isHeld {
            executor.held.append(job)
        } else {
            ready.append(Entry(job: job, executor: executor))
        }
    }

    fileprivate var isCurrent: Bool { SeededJobs.ofThisThread === self }
}

extension SeededJobs {
    /// Runs `body` with the calling thread as the simulation's.
    package func onThisThread<Result>(_ body: () -> Result) -> Result {
        GlobalPool.divert()
        pthread_setspecific(Self.slot, Unmanaged.passUnretained(self).toOpaque())
        defer { pthread_setspecific(Self.slot, nil) }
        return body()
    }

    /// The simulation that the calling thread runs.
    fileprivate static var ofThisThread: SeededJobs? {
        pthread_getspecific(slot).map {
            Unmanaged<SeededJobs>.fromOpaque($0).takeUnretainedValue()
        }
    }

    private static let slot: pthread_key_t = {
        var slot = pthread_key_t()
        precondition(pthread_key_create(&slot, nil) == 0, "no key for the simulation's thread")
        return slot
    }()
}

/// The runtime's queue of jobs that have no executor.
private enum GlobalPool {
    typealias Enqueue = @convention(thin) (UnownedJob) -> Void
    typealias Hook = @convention(thin) (UnownedJob, Enqueue) -> Void

    /// Has jobs of simulations' threads put into their bags from now on.
    static func divert() { _ = isDiverted }

    private static let isDiverted: Bool = {
        guard let hook = dlsym(nil, "swift_task_enqueueGlobal_hook") else { return false }
        hook.assumingMemoryBound(to: Hook?.self).pointee = { job, enqueue in
            guard let jobs = SeededJobs.ofThisThread, let executor = jobs.current else {
                return enqueue(job)
            }
            jobs.add(job, of: executor)
        }
        return true
    }()
}

/// One simulated process's executor: its jobs are drawn with those of all others, or held.
///
/// It is the serial executor of the process's actor and the preferred one of its tasks, like the
/// executor of an event loop.
package final class SeededExecutor: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private let jobs: SeededJobs
    fileprivate var held: [UnownedJob] = []
    /// Whether its jobs wait: the process is stopped, or dead.
    package private(set) var isHeld = false

    /// An executor whose jobs go into the bag.
    package init(_ jobs: SeededJobs) { self.jobs = jobs }

    package func enqueue(_ job: consuming ExecutorJob) { jobs.add(UnownedJob(job), of: self) }

    /// Takes its jobs out of the bag, and keeps those to come, until ``letGo()``.
    package func hold() {
        isHeld = true
        held += jobs.ready.filter { $0.executor === self }.map(\.job)
        jobs.ready.removeAll { $0.executor === self }
    }

    /// Puts them back.
    package func letGo() {
        isHeld = false
        jobs.ready += held.map { SeededJobs.Entry(job: $0, executor: self) }
        held = []
    }

    package func checkIsolated() {
        precondition(jobs.isCurrent, "not on the simulation's thread")
    }

    package func isIsolatingCurrentContext() -> Bool? { jobs.isCurrent }

    package func isSameExclusiveExecutionContext(other: SeededExecutor) -> Bool { self === other }
}
