import TestSupport

/// What a world is like: how many machines and clients, how likely each fault is, and how the
/// route treats its keys. A seed draws one; tests of single scenarios write theirs.
struct Plan {
    var seed: UInt64
    var isTraced = false

    /// Machines with a gateway each, on one store.
    var hosts = 1
    /// How far each machine's wall clock is off.
    var skews: [Duration] = [.zero, .zero]
    /// Whether the route lets unknown requests execute again.
    var repeatsUnknown = false
    var rejects = false
    var waitLimit: Duration = .seconds(30)
    var lease: Duration = .seconds(30)
    var streams = false
    /// The stages of the route's work; none for requests that are forwarded.
    var stages: [PlannedStage] = []
    /// How often a stage's call is made in one run, when it may be made again.
    var stageAttempts = 1
    /// How long what goes on by itself has to come to its end, once nothing fails any more.
    var rest = Duration.seconds(110)
    /// The stage that the upstream declines for good, if it gets that far.
    var declinedStage: Int?
    /// The probability that a question what became of a stage fails.
    var probeFaults = 0.0
    /// Whether memory keeps finished answers.
    var caches = true

    /// Each client sends its orders one after the other.
    var clients: [[Order]] = []
    /// Milliseconds that a client waits at most for an answer.
    var patience = 90_000
    /// How often an order is sent again at most.
    var retries = 3
    /// Milliseconds between two tries at most.
    var retryDelay = 20_000

    var storeDelay = 20
    /// The probability that a call of the store fails, one way or the other.
    var storeFaults = 0.0
    /// The single calls that fail, by number from 0.
    var storeFaultAt: [Int: StoreFault] = [:]
    /// How likely the store begins to fail for a while, at each call.
    var outages = 0.0

    /// Whether each machine has a file for conclusions that the store does not take.
    var hasJournal = true
    /// The probability that it does not take one.
    var journalFaults = 0.0

    /// What the upstream does to a request, with weights.
    var upstream: [(weight: Int, behaviour: Behaviour)] = [(1, .answers)]
    /// Milliseconds that it takes for something at most.
    var upstreamDelay = 2000

    /// The probability of a crash at each step of a process.
    var crashes = 0.0
    /// The step of the first process at which it crashes.
    var crashAt: Int?
    /// The probability that a process is stopped for a while, at each step.
    var stops = 0.0
}

/// A request, told from others by who sends it, the key, and which of two bodies it has.
struct Order: Hashable {
    var scope: String
    var key: String
    var variant = 0

    /// Scope and key: what is executed once.
    var name: String { "\(scope)/\(key)" }
}

/// How a call of the store fails.
enum StoreFault: CaseIterable {
    /// Nothing was done.
    case before
    /// It was done, and the caller does not learn of it.
    case after
    /// The caller hears of a failure, and then it is done.
    case late
}

/// What the upstream does to a request.
enum Behaviour: CaseIterable {
    /// Executes it and says so.
    case answers
    /// Executes it and finds that it is to fail for good, as with 404.
    case declines
    /// Says that it did not act.
    case refuses
    /// Says 500, and may have executed it.
    case fails
    /// Cannot be reached.
    case unreachable
    /// Executes it, and the connection ends before the answer, or within it.
    case cutAfter
    /// The connection ends, and nothing was executed.
    case cutBefore
    /// Executes it, takes longer than the gateway waits.
    case silent
    /// Executes it and answers after a lease is over.
    case slow
}

extension Plan {
    /// The plan of a seed.
    init(drawnFrom seed: UInt64, isTraced: Bool = false) {
        self.init(seed: seed)
        self.isTraced = isTraced
        var random = SplitMix(seed: seed ^ 0x70_1a_4)
        hosts = Bool.random(using: &random) ? 1 : 2
        if Int.random(in: 0..<3, using: &random) == 0 {
            skews = (0..<2).map { _ in
                .milliseconds(Int.random(in: -45_000...45_000, using: &random))
            }
        }
        repeatsUnknown = Int.random(in: 0..<4, using: &random) == 0
        rejects = Int.random(in: 0..<5, using: &random) == 0
        waitLimit = .seconds([1, 5, 30].randomElement(using: &random)!)
        lease = .seconds([2, 10, 30].randomElement(using: &random)!)
        streams = Int.random(in: 0..<6, using: &random) == 0
        caches = Int.random(in: 0..<3, using: &random) > 0
        patience = [3_000, 20_000, 90_000].randomElement(using: &random)!
        drawOrders(&random)
        drawFaults(&random)
        // After all else, so that the other worlds are what they were without it.
        guard seed % 4 == 1 else { return }
        drawStages(&random)
        probeFaults = [0, 0.2, 0.5].randomElement(using: &random)!
    }

    private mutating func drawOrders(_ random: inout SplitMix) {
        let keys = Int.random(in: 1...3, using: &random)
        let scopes = ["alice", "bob"].prefix(Int.random(in: 1...2, using: &random))
        let others = [0.0, 0.1, 0.3].randomElement(using: &random)!
        clients = (0..<Int.random(in: 2...4, using: &random)).map { _ in
            (0..<Int.random(in: 1...4, using: &random)).map { _ in
                Order(
                    scope: scopes.randomElement(using: &random)!,
                    key: "k\(Int.random(in: 1...keys, using: &random))",
                    variant: Double.random(in: 0..<1, using: &random) < others ? 1 : 0)
            }
        }
    }

    private mutating func drawFaults(_ random: inout SplitMix) {
        storeDelay = [1, 20, 1000].randomElement(using: &random)!
        storeFaults = [0, 0.02, 0.1, 0.3].randomElement(using: &random)!
        outages = [0, 0.01, 0.05].randomElement(using: &random)!
        hasJournal = Int.random(in: 0..<4, using: &random) > 0
        journalFaults = [0, 0, 0.3].randomElement(using: &random)!
        upstreamDelay = [10, 2000, 10_000].randomElement(using: &random)!
        retryDelay = [2000, 20_000].randomElement(using: &random)!
        let usual = Int.random(in: 1...12, using: &random)
        upstream = [(usual, .answers)]
        for behaviour in Behaviour.allCases {
            upstream.append((Int.random(in: 0...2, using: &random), behaviour))
        }
        crashes = [0, 0.002, 0.01, 0.03].randomElement(using: &random)!
        stops = [0, 0, 0.005].randomElement(using: &random)!
    }
}
