import Idempotency

/// A machine's file of conclusions that the store did not take. It survives the process, but an
/// append that had not returned when that died may be there or not.
final class HostJournal: @unchecked Sendable {
    private unowned let world: World
    private var kept: [(position: UInt64, bytes: [UInt8])] = []
    private var last: UInt64 = 0

    init(_ world: World) { self.world = world }

    /// Adds an entry that a process wrote, whether or not it still lives.
    fileprivate func add(_ bytes: [UInt8]) -> UInt64 {
        last += 1
        kept.append((last, bytes))
        return last
    }

    fileprivate var entries: [(position: UInt64, bytes: [UInt8])] { kept }

    fileprivate func discard(_ positions: Set<UInt64>) {
        kept.removeAll { positions.contains($0.position) }
    }

    var size: Int { kept.reduce(0) { $0 + $1.bytes.count } }
}

/// One process's hold of its machine's journal.
final class JournalConnection: ConclusionJournal, @unchecked Sendable {
    private let process: SimulatedProcess
    private let journal: HostJournal
    private var world: World { process.world }

    init(_ process: SimulatedProcess, _ journal: HostJournal) {
        self.process = process
        self.journal = journal
    }

    var size: Int { journal.size }

    func entries() async throws(StoreError) -> [(position: UInt64, bytes: [UInt8])] {
        await world.sleep(world.delay(upTo: 20), of: process)
        return journal.entries
    }

    func append(_ entry: [UInt8]) async throws(StoreError) -> UInt64 {
        try fail()
        let (world, process) = (world, process)
        var position: UInt64?
        // The kernel may write what a process gave it before it died, and may not.
        let isWrittenAnyway = world.happens(0.5)
        await withUnsafeContinuation { continuation in
            _ = world.after(world.delay(upTo: 20)) {
                guard !process.isDead || isWrittenAnyway else { return }
                position = self.journal.add(entry)
                _ = world.after(world.delay(upTo: 20), of: process) { continuation.resume() }
            }
        }
        guard let position else { throw Self.failure }
        return position
    }

    func discard(_ positions: Set<UInt64>, isErasing: Bool) async throws(StoreError) {
        try fail()
        await world.sleep(world.delay(upTo: 20), of: process)
        journal.discard(positions)
    }

    private func fail() throws(StoreError) {
        if world.isClosed || !world.isHealed && world.happens(world.plan.journalFaults) {
            throw Self.failure
        }
    }

    private static let failure = StoreError(.full, "simulated")
}
