/// One kind of work, done to every candidate in turns.
struct Scenario: Sendable {
    /// What the origin must have seen of keys when a slice is over.
    enum Executions: Sendable {
        /// None: nothing is keyed, or everything was stored before.
        case none
        /// Each key once.
        case onceEach
    }

    let name: String
    let about: String
    let path: String
    var method = "POST"
    /// Bytes of each request's body, where the method has one.
    var body = 200
    var connections = 64
    /// Requests a second, whatever the answers do; nil for the next one after each answer.
    var rate: Double?
    /// Duplicates of each key at once.
    var duplicates = 1
    /// Keys whose answers are stored before it begins.
    var stored = 0
    var isKeyed = true
    /// Whether nginx is to answer from its cache; else it just forwards.
    var needsCache = false
    var executions = Executions.none

    static let all = [
        Scenario(
            name: "get", about: "pass-through GET, 200 bytes", path: "/b/200", method: "GET",
            isKeyed: false),
        Scenario(
            name: "post", about: "pass-through POST, 200 bytes each way", path: "/b/200",
            isKeyed: false),
        Scenario(
            name: "body64k", about: "pass-through POST, 64 KiB each way", path: "/b/65536",
            body: 65_536, connections: 32, isKeyed: false),
        Scenario(
            name: "paced", about: "pass-through GET, 5,000 a second, for its latency",
            path: "/b/200", method: "GET", rate: 5000, isKeyed: false),
        Scenario(
            name: "replay", about: "stored answer of 1 KiB again (nginx: cache hit)",
            path: "/b/1024", stored: 1000, needsCache: true),
        Scenario(
            name: "new", about: "every key new and durable (nginx: forwards, stores nothing)",
            path: "/b/200", executions: .onceEach),
        Scenario(
            name: "storm", about: "50 duplicates of each of 4 keys at once, origin takes 50 ms",
            path: "/b/200?ms=50", connections: 200, duplicates: 50, needsCache: true,
            executions: .onceEach),
    ]

    /// The load of one slice. `first` is the number of its first new key.
    func load(on candidate: Candidate, seconds: Double, first: Int) -> LoadPlan {
        var plan = LoadPlan(port: needsCache ? candidate.keyedPort : candidate.port)
        plan.path = path
        plan.method = method
        plan.body = body
        plan.rate = rate
        plan.connections = connections
        plan.seconds = seconds
        guard isKeyed else { return plan }
        if stored > 0 {
            plan.keys = .stored(space: stored)
        } else if duplicates > 1 {
            plan.keys = .storm(first: first, duplicates: duplicates)
        } else {
            plan.keys = .new(first: first)
        }
        return plan
    }
}
