internal import Synchronization

/// A journal in one file, which belongs to one process.
///
/// A thread of its own writes everything that queued up while the last write went to the disk, and
/// syncs it once. The file is empty again when all its entries were discarded, and is written anew
/// without the discarded ones when these take more than half of it.
public final class FileJournal: ConclusionJournal {
    /// Limits.
    public struct Options: Sendable {
        /// Bytes of entries; further ones are refused as `full`.
        public var limit = 256 << 20
        /// Bytes of the disk that are kept reserved, so that there is room for some conclusions
        /// when the disk is full.
        public var reserve = 1 << 20
        /// Calls that may wait for their turn; further ones fail as `unavailable` at once.
        public var queueLimit = 16_384
        var calls = JournalFile.Calls.system

        /// The defaults.
        public init() {}
    }

    /// What was wrong with the file when it was opened, for the log.
    public struct Damage: Sendable, Hashable {
        /// Bytes of an append that a crash cut short; they are gone.
        public let torn: Int
        /// Bytes in the midst of the entries that are none of them.
        public let damaged: Int
        /// The file in which these were put aside; nil if there was no room for it, or none.
        public let aside: String?
    }

    /// What was wrong with the file when it was opened; nil for nothing.
    public let damage: Damage?

    private let queue: JournalQueue
    private let thread: StoreThread

    /// Opens the file at `path`, or makes it, and takes possession of it. It blocks.
    ///
    /// - Throws: Whatever stands in the way, with the file's name and the remedy. A file that is
    ///   not a journal is left as it is.
    public init(path: String, options: Options = Options()) throws(StoreError) {
        let file = try JournalFile(
            path: path, limit: options.limit, reserve: options.reserve, calls: options.calls)
        let found = file.damage
        damage =
            found.torn == 0 && found.damaged == 0
            ? nil : Damage(torn: found.torn, damaged: found.damaged, aside: found.aside)
        let queue = JournalQueue(file, limit: options.queueLimit)
        thread = try StoreThread { queue.work() }
        self.queue = queue
    }

    deinit { close() }

    /// Finishes what is queued and closes the file. Later calls fail as `unavailable`.
    public func close() {
        queue.close()
        thread.stop()
        queue.end()
    }

    /// Bytes of entries and their frames, those not discarded yet included.
    public var size: Int { queue.size.load(ordering: .relaxed) }

    /// Everything that the file held when it was opened, in order; nothing when asked again.
    public func entries() async throws(StoreError) -> [(position: UInt64, bytes: [UInt8])] {
        switch await submit(.entries) {
        case .entries(let entries): return entries
        case .failed(let error): throw error
        case .done, .appended: preconditionFailure("entries were answered otherwise")
        }
    }

    /// Adds an entry; durable when it returns.
    public func append(_ entry: [UInt8]) async throws(StoreError) -> UInt64 {
        switch await submit(.append(entry)) {
        case .appended(let position): return position
        case .failed(let error): throw error
        case .done, .entries: preconditionFailure("an append was answered otherwise")
        }
    }

    /// Forgets the entries at these positions.
    public func discard(
        _ positions: Set<UInt64>, isErasing: Bool = false
    ) async throws(StoreError) {
        let answer = await submit(.discard(positions, isErasing: isErasing))
        if case .failed(let error) = answer { throw error }
    }

    private func submit(_ operation: JournalQueue.Operation) async -> JournalQueue.Answer {
        await unsafe withUnsafeContinuation { continuation in
            let call = unsafe JournalQueue.Call(operation: operation, caller: continuation)
            if queue.append(call) { thread.wake() }
        }
    }
}

/// The calls that wait for the journal's thread, and what it does with them.
final class JournalQueue: Sendable {
    enum Operation: Sendable {
        case entries
        case append([UInt8])
        case discard(Set<UInt64>, isErasing: Bool)
    }

    enum Answer: Sendable {
        case entries([(position: UInt64, bytes: [UInt8])])
        case appended(UInt64)
        case done
        case failed(StoreError)
    }

    /// A call and who waits for its answer; it is answered once.
    @safe
    struct Call: Sendable {
        let operation: Operation
        private let caller: UnsafeContinuation<Answer, Never>

        init(operation: Operation, caller: UnsafeContinuation<Answer, Never>) {
            self.operation = operation
            unsafe self.caller = unsafe caller
        }

        func answer(_ answer: Answer) { unsafe caller.resume(returning: answer) }
    }

    private struct Waiting {
        var calls: [Call] = []
        var isClosed = false
    }

    let size: Atomic<Int>
    private let waiting = Mutex(Waiting())
    /// Entered by the journal's thread; by others before it begins and after it has ended.
    private let file: Mutex<JournalFile?>
    private let limit: Int

    init(_ file: sending JournalFile, limit: Int) {
        size = Atomic(file.size)
        self.limit = limit
        self.file = Mutex(file)
    }

    /// Queues a call, or refuses it at once; whether the thread has to be woken for it.
    func append(_ call: Call) -> Bool {
        let refusal: StoreError? = waiting.withLock { waiting in
            if waiting.isClosed { return StoreError(.unavailable, "the journal is closed") }
            guard waiting.calls.count < limit else {
                return StoreError(.unavailable, "\(limit) calls wait for the journal already")
            }
            waiting.calls.append(call)
            return nil
        }
        if let refusal { call.answer(.failed(refusal)) }
        return refusal == nil
    }

    /// Takes no more calls.
    func close() { waiting.withLock { $0.isClosed = true } }

    /// Closes the file, once the thread has ended.
    func end() { file.withLock { $0 = nil } }

    /// Carries out everything that waits, and answers it.
    func work() {
        var batch: [Call] = []
        while true {
            waiting.withLock { swap(&$0.calls, &batch) }
            guard !batch.isEmpty else { return }
            let answers = carryOut(batch)
            for (call, answer) in zip(batch, answers) { call.answer(answer) }
            batch.removeAll(keepingCapacity: true)
        }
    }

    /// Appends come first, all together; an entry's discard is never asked for before it is there.
    private func carryOut(_ batch: [Call]) -> [Answer] {
        file.withLock { file in
            guard let file else { preconditionFailure("the journal's thread outlived its file") }
            let entries = batch.compactMap { call in
                if case .append(let entry) = call.operation { entry } else { nil }
            }
            var results = file.append(entries).makeIterator()
            let answers = batch.map { call -> Answer in
                switch call.operation {
                case .append:
                    switch results.next() {
                    case .success(let position)?: return .appended(position)
                    case .failure(let error)?: return .failed(error)
                    case nil: preconditionFailure("an append without a result")
                    }
                case .discard(let positions, let isErasing):
                    do throws(StoreError) {
                        try file.discard(positions, isErasing: isErasing)
                        return .done
                    } catch {
                        return .failed(error)
                    }
                case .entries:
                    let entries = file.entries
                    file.forgetEntries()
                    return .entries(entries)
                }
            }
            size.store(file.size, ordering: .relaxed)
            return answers
        }
    }
}
