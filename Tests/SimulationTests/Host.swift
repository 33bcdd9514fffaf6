import TestSupport

/// A machine: it runs one process at a time, which can be killed and stopped at every step.
///
/// `@unchecked Sendable`, like the ``World`` that it belongs to.
final class Host: @unchecked Sendable {
    let index: Int
    private unowned let world: World
    private(set) var process: SimulatedProcess?
    /// Its file of conclusions; nil where the plan has none.
    let journal: HostJournal?
    private(set) var isStopped = false
    /// Steps of all its processes.
    private(set) var steps = 0
    private var delayed: [() -> Void] = []

    init(_ index: Int, _ world: World) {
        self.index = index
        self.world = world
        journal = world.plan.hasJournal ? HostJournal(world) : nil
    }

    /// Starts a process; it serves once it has settled what its predecessor left behind.
    func start() {
        guard !world.isClosed, process?.isDead ?? true else { return }
        let process = SimulatedProcess(self, world, number: world.processNumber())
        self.process = process
        world.note(.started(process: process.number))
        Task(executorPreference: process.executor) { await process.run() }
    }

    /// Kills the process; another one starts later. What it has given to the kernel goes out.
    func crash() {
        guard let process, !process.isDead, !world.isClosed else { return }
        world.note(.crashed(process: process.number))
        process.die()
        if isStopped { isStopped = false }
        delayed = []
        _ = world.after(world.delay(upTo: 5000)) { self.start() }
    }

    /// Counts a step that the process is about to make; it may be prevented.
    func countStep() {
        guard !world.isClosed, !world.isHealed else { return }
        steps += 1
        if index == 0, steps == world.plan.crashAt { return crash() }
        if world.happens(world.plan.crashes) { return crash() }
        if world.happens(world.plan.stops) { stop() }
    }

    /// Stops the process for a while, like SIGSTOP; its clock goes on.
    private func stop() {
        guard let process, !isStopped else { return }
        world.note(.stopped(process: process.number))
        isStopped = true
        process.executor.hold()
        _ = world.after(world.delay(upTo: 90_000)) {
            if self.process === process { self.resume() }
        }
    }

    /// Keeps what a timer or the network would have done meanwhile.
    func whenResumed(_ action: @escaping () -> Void) { delayed.append(action) }

    private func resume() {
        guard isStopped, let process, !process.isDead else { return }
        world.note(.resumed(process: process.number))
        isStopped = false
        process.executor.letGo()
        let actions = delayed
        delayed = []
        for action in actions { action() }
    }

    /// Ends its faults.
    func heal() {
        resume()
        start()
    }

    /// Lets everything end that is left of it.
    func letGo() {
        resume()
        process?.executor.letGo()
    }
}
