/// Conclusions that the store has not taken yet, in the order in which they were made.
///
/// Those that are in the journal and for which there is no room here are kept aside as they are
/// written there, which is shorter; the journal's limit is theirs.
///
/// No I/O. The store is tried again after a pause that doubles from 100 ms to 5 s while it keeps
/// failing.
struct UnsavedConclusions {
    /// What happened to a claim's work, and when.
    struct Conclusion: Sendable {
        var claim: Claim
        var outcome: Outcome
        var policy: KeyPolicy
        var moment: Timestamp
        /// Where the journal has it; nil without a journal, and before.
        var position: UInt64?

        /// The bytes that it keeps in memory, more or less.
        var weight: Int {
            switch outcome {
            case .finished(let reply, _): 512 + reply.weight
            case .unknown(let reply), .released(let reply): 512 + (reply?.weight ?? 0)
            case .suspended(let record): 512 + (record?.reply?.weight ?? 0)
            }
        }
    }

    private var waiting: [Conclusion] = []
    private var trying: [Conclusion] = []
    private var bytes = 0
    private var aside: [(position: UInt64, bytes: [UInt8])] = []
    /// The first of those aside that was not taken.
    private var nextAside = 0
    private var pause: Duration = .milliseconds(100)
    private var notBefore = Timestamp(microseconds: .min)
    private var isTrying = false

    /// Those of a record, one for each claim, whether or not they are being tried.
    func all(of id: KeyID) -> [Conclusion] {
        (trying + waiting).filter { $0.claim.id == id }
    }

    /// Whose they are, less those that are kept aside.
    var ids: Set<KeyID> { Set((trying + waiting).map(\.claim.id)) }

    /// Lets go of one that the store has; not of those that are being tried, whose end is near.
    mutating func remove(_ conclusion: Conclusion) {
        let token = conclusion.claim.lockToken
        guard let index = waiting.firstIndex(where: { $0.claim.lockToken == token }) else { return }
        let removed = waiting.remove(at: index)
        count -= 1
        bytes -= removed.weight
    }

    /// How many there are, those that are being tried included.
    private(set) var count = 0

    /// How many there are, those that are kept aside included.
    var total: Int { count + aside.count - nextAside }

    /// Whether no limit is reached.
    func hasRoom(limit: Int, byteLimit: Int) -> Bool { count < limit && bytes < byteLimit }

    /// Keeps an entry of the journal aside.
    mutating func putAside(_ position: UInt64, _ entry: [UInt8]) {
        aside.append((position, entry))
    }

    /// The next entry that is aside, if there is one, and room for it.
    mutating func takeAside(
        limit: Int, byteLimit: Int
    ) -> (position: UInt64, bytes: [UInt8])? {
        guard nextAside < aside.count, hasRoom(limit: limit, byteLimit: byteLimit) else {
            return nil
        }
        let entry = aside[nextAside]
        aside[nextAside].bytes = []
        nextAside += 1
        guard nextAside == aside.count else { return entry }
        aside = []
        nextAside = 0
        return entry
    }

    /// Keeps a conclusion; false if that would break a limit.
    mutating func add(_ conclusion: Conclusion, limit: Int, byteLimit: Int) -> Bool {
        guard count < limit, bytes + conclusion.weight <= byteLimit else { return false }
        waiting.append(conclusion)
        count += 1
        bytes += conclusion.weight
        return true
    }

    /// Hands all out to be tried, one caller at a time; nil when it is not time yet.
    mutating func begin(now: Timestamp) -> [Conclusion]? {
        guard !isTrying, !waiting.isEmpty, now >= notBefore else { return nil }
        isTrying = true
        trying = waiting
        waiting = []
        return trying
    }

    /// Takes back those that are still not stored; nothing left means that the store works.
    mutating func end(_ left: [Conclusion], now: Timestamp) {
        isTrying = false
        trying = []
        waiting.insert(contentsOf: left, at: 0)
        count = waiting.count
        bytes = waiting.reduce(0) { $0 + $1.weight }
        guard !left.isEmpty else {
            pause = .milliseconds(100)
            return
        }
        notBefore = now + pause
        pause = min(pause * 2, .seconds(5))
    }
}
