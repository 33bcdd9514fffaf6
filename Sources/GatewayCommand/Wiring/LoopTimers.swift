import Gateway
import Transport

/// A loop's timers, as `Gateway` asks for them.
final class LoopTimers: Timers {
    private let reactor: Reactor

    init(_ reactor: Reactor) { self.reactor = reactor }

    var now: UInt64 { reactor.now.nanoseconds }

    func after(_ delay: Duration, _ action: @escaping () -> Void) -> any ScheduledTimer {
        let timer = reactor.timer(action)
        reactor.arm(timer, at: reactor.now + delay)
        return Scheduled(timer: timer, reactor: reactor)
    }

    private final class Scheduled: ScheduledTimer {
        private let timer: LoopTimer
        private let reactor: Reactor

        init(timer: LoopTimer, reactor: Reactor) {
            self.timer = timer
            self.reactor = reactor
        }

        func cancel() { reactor.disarm(timer) }
    }
}

/// Starts a loop's tasks, as `Gateway` asks for it.
final class LoopTasks: TaskStarter {
    private let loop: EventLoop

    init(_ loop: EventLoop) { self.loop = loop }

    func start(_ body: @escaping () async -> Void) { loop.startFromLoop(body) }
}
