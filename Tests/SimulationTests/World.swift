import HTTP
import Idempotency
import TestSupport

/// Everything there is: time, chance, machines, the store, the upstream, clients, and what happened.
///
/// Time stands still while jobs run, and jumps to the next event when none is left; now and then an
/// event comes before jobs that are ready. Whatever is drawn comes from the plan's seed.
///
/// `@unchecked Sendable`: it is touched on the thread that runs the simulation, and no other.
final class World: @unchecked Sendable {
    let plan: Plan
    let jobs: SeededJobs
    /// The executor of all that is no gateway: clients, the store, the upstream.
    let outside: SeededExecutor
    private(set) var history: History
    private(set) var hosts: [Host] = []
    private(set) lazy var disk = SharedStore(self)
    private(set) lazy var origin = Origin(self)
    private var random: SplitMix
    private var events = EventQueue()
    private var graveyard: [() -> Void] = []
    /// Nanoseconds since the world began.
    private(set) var now: UInt64 = 0
    /// Jobs and events so far.
    private(set) var steps = 0
    /// Whether all faults are over.
    private(set) var isHealed = false
    /// Whether the history is closed, and what is left only has to end.
    private(set) var isClosed = false
    /// Clients that have orders left.
    var busyClients = 0
    private var requests = 0
    private var processes = 0

    init(_ plan: Plan) {
        self.plan = plan
        random = SplitMix(seed: plan.seed)
        jobs = SeededJobs(seed: plan.seed ^ 0x5eed)
        outside = SeededExecutor(jobs)
        history = History(isTraced: plan.isTraced)
        hosts = (0..<plan.hosts).map { Host($0, self) }
        jobs.willRun = { [unowned self] executor in
            guard
                let process = hosts.lazy.compactMap(\.process).first(where: {
                    $0.executor === executor
                })
            else { return }
            process.host.countStep()
        }
    }

    /// The store's clock, and that of machines without skew.
    var time: Timestamp {
        Timestamp(microseconds: 1_800_000_000_000_000 + Int64(now / 1000))
    }
}

/// Chance.
extension World {
    /// Whether something happens that has this probability.
    func happens(_ probability: Double) -> Bool {
        guard probability > 0 else { return false }
        return Double.random(in: 0..<1, using: &random) < probability
    }

    func number(in range: Range<Int>) -> Int { Int.random(in: range, using: &random) }

    func pick<Element>(_ elements: [Element]) -> Element {
        elements[number(in: 0..<elements.count)]
    }

    /// Milliseconds, short ones more often than long ones.
    func delay(upTo milliseconds: Int) -> Duration {
        let part = Double.random(in: 0..<1, using: &random)
        return .microseconds(Int64(Double(milliseconds) * part * part * part * 1000) + 1)
    }
}

/// Time.
extension World {
    /// Has something happen later. What belongs to a process does not happen once that is dead,
    /// and waits while it is stopped.
    func after(
        _ delay: Duration, of process: SimulatedProcess? = nil, _ action: @escaping () -> Void
    ) -> Event {
        let (seconds, attoseconds) = delay.components
        let nanoseconds = UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
        let event = Event(due: now + nanoseconds, process, action)
        events.insert(event)
        return event
    }

    /// Waits. The task of a dead process never comes back.
    func sleep(_ delay: Duration, of process: SimulatedProcess? = nil) async {
        guard !isClosed else { return }
        await withUnsafeContinuation { continuation in
            _ = after(delay, of: process) { continuation.resume() }
        }
    }

    /// Runs jobs and events until something is the case; false when it does not come to that.
    func run(atMost limit: Int = 400_000, until isDone: () -> Bool) -> Bool {
        let end = steps + limit
        while !isDone() {
            guard steps < end, step() else { return false }
        }
        return true
    }

    /// Lets time pass.
    func run(for duration: Duration) -> Bool {
        var isOver = false
        _ = after(duration) { isOver = true }
        return run { isOver }
    }

    private func step() -> Bool {
        steps += 1
        if jobs.areReady, !isEventEarly { return jobs.runOne() }
        guard let event = events.popFirst() else { return false }
        now = max(now, event.due)
        fire(event)
        return true
    }

    /// Whether the next event comes although jobs are ready: on a machine that is slow for a while.
    private var isEventEarly: Bool {
        guard let due = events.firstDue, due <= now + 50_000_000 else { return false }
        return happens(0.02)
    }

    private func fire(_ event: Event) {
        guard let action = event.action else { return }
        if let process = event.process, !isClosed {
            if process.isDead { return graveyard.append(action) }
            if process.host.isStopped { return process.host.whenResumed(action) }
        }
        event.action = nil
        jobs.current = event.process?.executor ?? outside
        action()
    }
}

/// The world's end.
extension World {
    /// Ends all faults: what is dead starts again, what stands goes on.
    func heal() {
        isHealed = true
        note(.healed)
        for host in hosts { host.heal() }
    }

    /// Ends the history, and all tasks, those of dead processes too, so that nothing is left behind.
    func close() {
        isClosed = true
        history.close()
        for host in hosts { host.letGo() }
        for action in graveyard { action() }
        graveyard = []
        let end = steps + 100_000
        while steps < end, step() {}
    }

    func note(_ entry: History.Entry) { history.note(entry, at: now) }

    /// Lets go of what refers to the world.
    func fallApart() { hosts = [] }

    /// The number of a new request.
    func requestNumber() -> Int {
        defer { requests += 1 }
        return requests
    }

    /// The number of a new process.
    func processNumber() -> Int {
        defer { processes += 1 }
        return processes
    }
}

/// Something that is to happen; without an action it does not.
final class Event {
    let due: UInt64
    let process: SimulatedProcess?
    fileprivate var action: (() -> Void)?
    fileprivate var order: UInt64 = 0

    fileprivate init(due: UInt64, _ process: SimulatedProcess?, _ action: @escaping () -> Void) {
        self.due = due
        self.process = process
        self.action = action
    }

    func cancel() { action = nil }

    fileprivate func comes(before other: Event) -> Bool { (due, order) < (other.due, other.order) }
}

/// Events in the order of their times: a binary heap.
private struct EventQueue {
    private var heap: [Event] = []
    private var count: UInt64 = 0

    var firstDue: UInt64? { heap.first?.due }

    mutating func insert(_ event: Event) {
        count += 1
        event.order = count
        heap.append(event)
        var child = heap.count - 1
        while child > 0, heap[child].comes(before: heap[(child - 1) / 2]) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popFirst() -> Event? {
        guard let first = heap.first else { return nil }
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].comes(before: heap[least]) {
                least = child
            }
            guard least != parent else { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
