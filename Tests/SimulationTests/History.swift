/// What can be seen from outside, in order: attempts, executions, answers, crashes.
///
/// Nothing in it comes from the gateway's own records. Two runs of one seed have equal histories.
struct History {
    /// Something that happened.
    enum Entry: Hashable {
        /// A client sent a request to a process.
        case sent(request: Int, Order, process: Int)
        /// A gateway began to send a request to the upstream.
        case forwarded(exchange: Int, request: Int, Order, process: Int)
        /// A gateway began to send a step's call, built on the answer of that number.
        case called(exchange: Int, Step, Order, after: Int?, process: Int)
        /// The upstream did what a step asks for.
        case performed(exchange: Int, Step, Order)
        /// The upstream was asked for a step, and said which exchange it was executed by.
        case probed(Step, name: String, found: Int?)
        /// Nothing of it was sent after all.
        case unreached(exchange: Int)
        /// The upstream did what was asked.
        case executed(exchange: Int, Order)
        /// The upstream's answer was read to its end by a gateway.
        case received(exchange: Int, Content)
        /// A gateway learnt that the exchange came to nothing.
        case broke(exchange: Int)
        /// A gateway gave its answer to the kernel, whole.
        case answered(request: Int, Answer)
        /// The gateway ended a request without an answer although its client was there.
        case dropped(request: Int)
        /// The client's connection ended before an answer was complete.
        case cut(request: Int)
        case hungUp(request: Int)
        case started(process: Int)
        case crashed(process: Int)
        case stopped(process: Int)
        case resumed(process: Int)
        /// From here on nothing fails any more.
        case healed
        /// From here on every key is asked for once more, through every gateway.
        case asked
    }

    /// What an upstream's answer says.
    struct Content: Hashable {
        var status: Int
        var text: String
        /// What the upstream means by it.
        var meaning: Meaning

        enum Meaning: Hashable { case acted, declined, refused, unclear }
    }

    /// What a client was told.
    struct Answer: Hashable {
        var status: Int
        /// `Idempotency-Status`.
        var keyStatus: String?
        var isReplay = false
        /// The end of a problem's `type`.
        var problem: String?
        /// A problem's `executed`.
        var executed: String?
        /// The body, where it is no problem.
        var text: String?
    }

    /// An entry and when it came, in nanoseconds.
    struct Moment: Hashable {
        let at: UInt64
        let entry: Entry
    }

    private(set) var moments: [Moment] = []
    private let isTraced: Bool
    private var isClosed = false

    init(isTraced: Bool = false) { self.isTraced = isTraced }

    mutating func note(_ entry: Entry, at time: UInt64) {
        guard !isClosed else { return }
        moments.append(Moment(at: time, entry: entry))
        if isTraced { print("\(Double(time / 1000) / 1e6) \(entry)") }
    }

    mutating func close() { isClosed = true }
}
