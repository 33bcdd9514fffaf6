/// Something that happens once, later, unless it is cancelled; it can be armed again and again.
///
/// Arming for a later moment than before costs nothing: the heap keeps the earlier entry, and when
/// that comes up it is put back. So a connection can push its deadline on with every byte.
package final class LoopTimer {
    /// When to act; nil while disarmed.
    fileprivate(set) var due: Instant?
    /// The moment of the one entry in the heap that counts; nil when there is none.
    fileprivate var queuedAt: Instant?
    /// Tells that entry from older ones.
    fileprivate var serial: UInt32 = 0
    private let action: () -> Void

    init(_ action: @escaping () -> Void) { self.action = action }

    func act() { action() }
}

/// The timers of one loop: a binary heap by time, without a clock of its own.
struct Timers {
    private struct Entry {
        let at: Instant
        let serial: UInt32
        let timer: LoopTimer

        var isCurrent: Bool { timer.queuedAt != nil && timer.serial == serial }
    }

    private var heap: [Entry] = []
    /// Entries whose timer is disarmed or has another entry: bounded by a rebuild.
    private var stale = 0

    /// When ``fire(upTo:)`` has something to do next.
    var next: Instant? { heap.first?.at }

    /// The number of entries held, live and stale.
    var count: Int { heap.count }

    /// Sets when `timer` acts, in place of what was set before.
    mutating func arm(_ timer: LoopTimer, at due: Instant) {
        if timer.due == nil, timer.queuedAt != nil { stale -= 1 }
        timer.due = due
        if let queuedAt = timer.queuedAt {
            if queuedAt <= due { return }
            stale += 1
        }
        push(timer, at: due)
        rebuildIfStale()
    }

    /// Keeps `timer` from acting.
    mutating func disarm(_ timer: LoopTimer) {
        guard timer.due != nil else { return }
        timer.due = nil
        if timer.queuedAt != nil { stale += 1 }
        rebuildIfStale()
    }

    /// Takes out one timer that is due at `now`, disarmed; nil when there is none left.
    mutating func popDue(at now: Instant) -> LoopTimer? {
        while let first = heap.first, first.at <= now {
            pop()
            let timer = first.timer
            guard first.isCurrent else {
                stale -= 1
                continue
            }
            timer.queuedAt = nil
            guard let due = timer.due else {
                stale -= 1
                continue
            }
            guard due <= now else {
                push(timer, at: due)
                continue
            }
            timer.due = nil
            return timer
        }
        return nil
    }

    /// Half of the entries may be dead wood, not more.
    private mutating func rebuildIfStale() {
        guard stale > 64, stale > heap.count / 2 else { return }
        var kept: [Entry] = []
        kept.reserveCapacity(heap.count - stale)
        for entry in heap where entry.isCurrent {
            if entry.timer.due != nil {
                kept.append(entry)
            } else {
                entry.timer.queuedAt = nil
            }
        }
        stale = 0
        kept.sort { $0.at < $1.at }
        heap = kept
    }

    private mutating func push(_ timer: LoopTimer, at due: Instant) {
        timer.queuedAt = due
        timer.serial &+= 1
        heap.append(Entry(at: due, serial: timer.serial, timer: timer))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].at < heap[parent].at else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    private mutating func pop() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        heap[0] = last
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count, heap[child + 1].at < heap[child].at { child += 1 }
            guard heap[child].at < heap[parent].at else { break }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
