private import CTransport
private import Glibc

/// What epoll told of a descriptor.
package struct Readiness: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let readable = Readiness(rawValue: 1)
    package static let writable = Readiness(rawValue: 2)
    /// The peer will send no more (`EPOLLRDHUP`).
    package static let ended = Readiness(rawValue: 4)
    /// The connection is gone in both directions (`EPOLLHUP`, `EPOLLERR`).
    package static let failed = Readiness(rawValue: 8)
    /// It did not end in order (`EPOLLERR`).
    package static let reset = Readiness(rawValue: 16)
}

/// Receives a descriptor's readiness, on the loop's thread.
package protocol ReadinessObserver: AnyObject {
    func became(_ readiness: Readiness)
}

/// Readiness, timers and clock of one event loop: all that may only be touched on its thread.
@safe package final class Reactor {
    /// The clock, read once per turn of the loop.
    package private(set) var now = Instant.now()
    /// Wall clock in whole seconds since 1970, read together with ``now``.
    package private(set) var secondsSince1970: Int64 = 0
    /// Where a socket is read before it is known who gets the bytes; valid until the next `await`.
    package let scratch: UnsafeMutableRawBufferPointer

    private var timers = Timers()
    private var endOfTurn: [() -> Void] = []
    private let epoll: Int32
    private var events: UnsafeMutableBufferPointer<epoll_event>
    /// Who observes a descriptor, by its number; and how often that number was taken, so that an
    /// event for its predecessor, fetched in the same batch, reaches nobody.
    private var observers: [(observer: (any ReadinessObserver)?, generation: UInt32)] = []

    /// The size of ``scratch``: room for a head and 64 KiB behind it.
    package static let scratchSize = 80 << 10
    /// From how many bytes on a reception is worth memory of its own: the one that follows mostly
    /// is as long, and a copy out of ``scratch`` is saved.
    package static let much = 16 << 10

    /// What is left of a reception into memory of its own, and where it starts there. It is copied
    /// where that memory, of ``scratchSize``, is more than twice of what came.
    package static func rest(
        of bytes: [UInt8], from start: Int
    ) -> (bytes: [UInt8], start: Int) {
        guard start < bytes.count else { return ([], 0) }
        return bytes.count >= scratchSize / 2 ? (bytes, start) : (Array(bytes[start...]), 0)
    }

    init(wakeDescriptor: Int32) {
        epoll = ctransport_epoll_create()
        precondition(epoll >= 0, "epoll_create1: no descriptor left at start")
        unsafe events = .allocate(capacity: 512)
        unsafe scratch = .allocate(byteCount: Self.scratchSize, alignment: 64)
        var event = unsafe epoll_event()
        unsafe event.events = ctransport_epollin() | ctransport_epollet()
        unsafe event.data.u64 = UInt64.max
        let added = unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, wakeDescriptor, &event)
        precondition(added == 0, "epoll_ctl refuses an eventfd")
        readClock()
    }

    deinit {
        unsafe events.deallocate()
        unsafe scratch.deallocate()
        close(epoll)
    }

    // MARK: Descriptors

    /// Observes both directions of a socket, edge-triggered: each change is told once.
    /// - Returns: false when the kernel has no room for it.
    package func observe(_ descriptor: Int32, by observer: any ReadinessObserver) -> Bool {
        let flags = ctransport_epollin() | ctransport_epollout() | ctransport_epollrdhup()
        return control(EPOLL_CTL_ADD, descriptor, flags | ctransport_epollet(), observer)
    }

    /// Observes the directions in `readiness`, level-triggered, in place of those observed before:
    /// what libcurl expects while it connects.
    /// - Returns: false when the kernel has no room for it.
    package func observe(
        _ descriptor: Int32, levelsOf readiness: Readiness, by observer: any ReadinessObserver
    ) -> Bool {
        var flags: UInt32 = 0
        if readiness.contains(.readable) { flags |= ctransport_epollin() }
        if readiness.contains(.writable) { flags |= ctransport_epollout() }
        let isKnown = isObserved(descriptor)
        return control(isKnown ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, descriptor, flags, observer)
    }

    /// Observes a listening socket, level-triggered, waking one of the loops that share it.
    package func observeListener(_ descriptor: Int32, by observer: any ReadinessObserver) -> Bool {
        let flags = ctransport_epollin() | ctransport_epollexclusive()
        return control(EPOLL_CTL_ADD, descriptor, flags, observer)
    }

    /// Stops observing. To be called before the descriptor is closed.
    package func ignore(_ descriptor: Int32) {
        guard isObserved(descriptor) else { return }
        observers[Int(descriptor)].observer = nil
        var event = unsafe epoll_event()
        _ = unsafe epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
    }

    private func isObserved(_ descriptor: Int32) -> Bool {
        Int(descriptor) < observers.count && observers[Int(descriptor)].observer != nil
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ flags: UInt32, _ observer: any ReadinessObserver
    ) -> Bool {
        let index = Int(descriptor)
        while observers.count <= index { observers.append((nil, 0)) }
        if operation == EPOLL_CTL_ADD { observers[index].generation &+= 1 }
        var event = unsafe epoll_event()
        unsafe event.events = flags
        unsafe event.data.u64 = UInt64(observers[index].generation) << 32 | UInt64(index)
        guard unsafe epoll_ctl(epoll, operation, descriptor, &event) == 0 else { return false }
        observers[index].observer = observer
        return true
    }

    // MARK: Timers

    /// A timer that does `action` on the loop, once armed.
    package func timer(_ action: @escaping () -> Void) -> LoopTimer { LoopTimer(action) }

    /// Sets when `timer` acts, in place of what was set before.
    package func arm(_ timer: LoopTimer, at due: Instant) { timers.arm(timer, at: due) }

    /// Keeps `timer` from acting.
    package func disarm(_ timer: LoopTimer) { timers.disarm(timer) }

    /// Suspends the task for that long.
    package func sleep(for duration: Duration) async {
        unsafe await withUnsafeContinuation { continuation in
            arm(timer { unsafe continuation.resume() }, at: now + duration)
        }
    }

    // MARK: The loop's turn

    /// Does `action` when all tasks that can go on have done so, before the loop waits: the moment
    /// to send what was held back in case more would come.
    package func atEndOfTurn(_ action: @escaping () -> Void) { endOfTurn.append(action) }

    /// Suspends the task until the loop has looked after all others: for whoever finds the next
    /// thing to do ready again and again, as long as its peers are fast enough.
    package func letOthersGo() async {
        unsafe await withUnsafeContinuation { continuation in
            atEndOfTurn { unsafe continuation.resume() }
        }
    }

    /// How often in a row something may be found ready before the others get their turn.
    package static let readyInARow = 32

    /// Does what was put off.
    func finishTurn() {
        guard !endOfTurn.isEmpty else { return }
        let actions = endOfTurn
        endOfTurn.removeAll(keepingCapacity: true)
        for action in actions { action() }
    }

    /// Waits for events, at most until the next timer, and tells the observers.
    /// `onWaking` is called right after the wait.
    func poll(mayWait: Bool, onWaking: () -> Void) {
        let timeout = mayWait ? millisecondsToNextTimer() : 0
        let count = unsafe epoll_wait(
            epoll, events.baseAddress, Int32(events.count), timeout)
        onWaking()
        readClock()
        guard count > 0 else { return }
        for index in 0..<Int(count) { unsafe tell(events[index]) }
    }

    /// Acts on the timers that are due.
    func fireTimers() {
        while let timer = timers.popDue(at: now) { timer.act() }
    }

    private func tell(_ event: epoll_event) {
        let token = unsafe event.data.u64
        let index = Int(token & 0xFFFF_FFFF)
        guard index < observers.count, let observer = observers[index].observer,
            observers[index].generation == UInt32(token >> 32)
        else { return }
        var readiness: Readiness = []
        let flags = unsafe event.events
        if flags & ctransport_epollin() != 0 { readiness.insert(.readable) }
        if flags & ctransport_epollout() != 0 { readiness.insert(.writable) }
        if flags & ctransport_epollrdhup() != 0 { readiness.insert(.ended) }
        if flags & (ctransport_epollhup() | ctransport_epollerr()) != 0 {
            readiness.insert(.failed)
            if flags & ctransport_epollerr() != 0 { readiness.insert(.reset) }
        }
        observer.became(readiness)
    }

    private func millisecondsToNextTimer() -> Int32 {
        guard let next = timers.next else { return -1 }
        let current = Instant.now()
        guard next > current else { return 0 }
        // Rounded up: a millisecond early would spin until it has passed.
        let wait = (next.nanoseconds - current.nanoseconds + 999_999) / 1_000_000
        return Int32(clamping: wait)
    }

    private func readClock() {
        now = .now()
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME_COARSE, &time)
        secondsSince1970 = Int64(time.tv_sec)
    }
}
