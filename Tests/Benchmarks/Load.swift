import Glibc

/// What one run of the load generator does.
struct LoadPlan {
    var port: UInt16
    var path = "/b/200"
    var method = "GET"
    /// Bytes of the request's body, which is a JSON object.
    var body = 0
    var connections = 64
    /// Seconds, unless `count` says how many requests.
    var seconds = 1.0
    var count: Int?
    /// Requests a second in an open loop: each is due at its moment, whether others were answered or
    /// not, and its latency counts from there. Nil for a closed loop.
    var rate: Double?
    var keys = RequestKeys.none
    /// One request on each connection, few at a time; the connections then stay open as long as
    /// the generator lives.
    var isOnePerConnection = false
}

/// What came of it. Latencies are microseconds.
struct LoadResult {
    var completed = 0
    var seconds = 0.0
    /// Requests that got no answer, or one that makes no sense.
    var errors = 0
    /// Answers whose status is not 2xx.
    var refused = 0
    var p50 = 0.0
    var p99 = 0.0
}

/// The load generator: keep-alive connections, one thread, `poll`.
final class LoadGenerator {
    private struct Connection {
        var reader = MessageReader()
        var key = 0
        var startedAt = 0
        var isBusy = false
        /// How much of the request was written; the rest waits for the socket.
        var written = 0
    }

    private let plan: LoadPlan
    private var request: [UInt8]
    private let keyOffset: Int?
    private var connections: [Connection]
    private var polls: [pollfd]
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
    private var result = LoadResult()
    private var latencies = LatencyHistogram()
    private var issued = 0
    private var nextKey = 0
    private var draws: UInt64 = 0
    private var stopAt = Int.max
    /// Open loop: connections without a request, and the number and the time of the next one.
    private var idle: [Int] = []
    private var due = 0
    private var startedAt = 0
    /// Storm: how many of each group's connections still wait for their answer.
    private var waiting: [Int] = []

    init(_ plan: LoadPlan) throws {
        self.plan = plan
        (request, keyOffset) = Self.request(for: plan)
        connections = Array(repeating: Connection(), count: plan.connections)
        polls = try connections.map { _ in
            guard let descriptor = Socket.connect(port: plan.port) else {
                throw Failure("nobody listens on port \(plan.port)")
            }
            return pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        }
    }

    deinit {
        for entry in polls { close(entry.fd) }
        input.deallocate()
    }

    /// Runs the plan to its end.
    func run() -> LoadResult {
        let start = monotonicNanoseconds()
        if plan.count == nil { stopAt = start + Int(plan.seconds * 1e9) }
        startedAt = start
        begin(at: start)
        let patience = 10_000_000_000
        var lastProgress = (answers: -1, at: start)
        while result.completed + result.errors < issued || isPacing {
            let wait = issueDue()
            guard poll(&polls, nfds_t(polls.count), wait) >= 0 || errno == EINTR else { break }
            for index in polls.indices where polls[index].revents != 0 { handle(index) }
            let now = monotonicNanoseconds()
            if result.completed != lastProgress.answers { lastProgress = (result.completed, now) }
            if now - lastProgress.at > patience { break }
        }
        result.errors = issued - result.completed
        result.seconds = Double(monotonicNanoseconds() - start) / 1e9
        result.p50 = latencies.microseconds(0.5)
        result.p99 = latencies.microseconds(0.99)
        return result
    }

    private var isPacing: Bool { plan.rate != nil && monotonicNanoseconds() < stopAt }

    /// Open loop: sends what is due, and says how many milliseconds to wait for the next. Where it is
    /// nearer than one, the origin gets the core meanwhile.
    private func issueDue() -> Int32 {
        guard let rate = plan.rate else { return 1000 }
        while true {
            let at = startedAt + Int(Double(due) * 1e9 / rate)
            guard at < stopAt else { return 1 }
            guard at <= monotonicNanoseconds(), let index = idle.popLast() else {
                sched_yield()
                return idle.isEmpty ? 1 : 0
            }
            due += 1
            issue(index, 0, at)
        }
    }

    private func begin(at now: Int) {
        guard plan.rate == nil else {
            idle = Array(0..<plan.connections)
            return
        }
        switch plan.keys {
        case .storm(let first, let duplicates):
            nextKey = first
            waiting = Array(repeating: 0, count: plan.connections / duplicates)
            for group in waiting.indices { startStorm(group, duplicates, now) }
        case .new(let first):
            nextKey = first
            fallthrough
        default:
            let atOnce = plan.isOnePerConnection ? min(32, plan.connections) : plan.connections
            for index in 0..<atOnce { issueNext(index, now) }
        }
    }

    private func startStorm(_ group: Int, _ duplicates: Int, _ now: Int) {
        waiting[group] = duplicates
        for index in group * duplicates..<(group + 1) * duplicates { issue(index, nextKey, now) }
        nextKey += 1
    }

    /// Sends a request on a connection that has none, unless the plan is at its end.
    private func issueNext(_ index: Int, _ now: Int) {
        guard now < stopAt, issued < plan.count ?? .max else { return }
        switch plan.keys {
        case .none: issue(index, 0, now)
        case .stored(let space):
            draws += 1
            issue(index, Int(RequestKeys.mix(draws) % UInt64(space)), now)
        case .new, .storm:
            nextKey += 1
            issue(index, nextKey - 1, now)
        }
    }

    private func issue(_ index: Int, _ key: Int, _ now: Int) {
        connections[index].key = key
        connections[index].startedAt = now
        connections[index].isBusy = true
        connections[index].written = 0
        issued += 1
        write(index)
    }

    private func write(_ index: Int) {
        let key = connections[index].key
        let start = connections[index].written
        let count = request.withUnsafeMutableBufferPointer { bytes in
            if let keyOffset {
                RequestKeys.write(key, seed: 1, to: bytes.baseAddress! + keyOffset)
            }
            return send(
                polls[index].fd, bytes.baseAddress! + start, bytes.count - start,
                Int32(MSG_NOSIGNAL))
        }
        connections[index].written += max(0, count)
        let isWritten = connections[index].written == request.count
        polls[index].events = Int16(isWritten ? POLLIN : POLLIN | POLLOUT)
    }

    private func handle(_ index: Int) {
        if polls[index].revents & Int16(POLLOUT) != 0 { write(index) }
        guard polls[index].revents & Int16(POLLIN | POLLHUP | POLLERR) != 0 else { return }
        let count = recv(polls[index].fd, input.baseAddress, input.count, 0)
        if count < 0, errno == EAGAIN { return }
        guard count > 0 else { return lose(index) }
        var reader = connections[index].reader
        connections[index].reader = MessageReader()
        var status: UInt8?
        let isSound = reader.take(UnsafeRawBufferPointer(rebasing: input[..<count])) { message in
            status = message.head.count > 12 ? message.head[9] : 0
        }
        connections[index].reader = reader
        guard isSound, connections[index].isBusy else { return lose(index) }
        if let status { complete(index, status) }
    }

    private func complete(_ index: Int, _ firstDigit: UInt8) {
        let now = monotonicNanoseconds()
        latencies.add(nanoseconds: now - connections[index].startedAt)
        result.completed += 1
        if firstDigit != UInt8(ascii: "2") { result.refused += 1 }
        goOn(index, now)
    }

    /// Opens a lost connection anew; its request counts as an error.
    private func lose(_ index: Int) {
        close(polls[index].fd)
        polls[index].fd = Socket.connect(port: plan.port) ?? -1
        let wasBusy = connections[index].isBusy
        connections[index] = Connection()
        guard wasBusy else { return }
        result.errors += 1
        if polls[index].fd >= 0 { goOn(index, monotonicNanoseconds()) }
    }

    private func goOn(_ index: Int, _ now: Int) {
        connections[index].isBusy = false
        if plan.rate != nil {
            idle.append(index)
        } else if plan.isOnePerConnection {
            if issued < connections.count { issue(issued, issued, now) }
        } else if case .storm(_, let duplicates) = plan.keys {
            let group = index / duplicates
            waiting[group] -= 1
            if waiting[group] == 0, now < stopAt { startStorm(group, duplicates, now) }
        } else {
            issueNext(index, now)
        }
    }

    /// The request, and where in it the key lies.
    private static func request(for plan: LoadPlan) -> ([UInt8], keyOffset: Int?) {
        var text = "\(plan.method) \(plan.path) HTTP/1.1\r\nHost: bench.local\r\n"
        text += "User-Agent: load/1\r\nAccept: */*\r\n"
        var keyOffset: Int?
        if plan.keys != .none {
            text += "Idempotency-Key: "
            keyOffset = text.utf8.count
            text += String(repeating: "0", count: RequestKeys.length) + "\r\n"
        }
        guard plan.method != "GET" else { return (Array("\(text)\r\n".utf8), keyOffset) }
        let body = #"{"amount":""# + String(repeating: "b", count: max(0, plan.body - 13)) + #""}"#
        text += "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        return (Array((text + body).utf8), keyOffset)
    }
}
