import Glibc

/// Shows what the gateway is for: a storm of duplicates sent straight at an API, and then through
/// a gateway that is killed in the middle.
///
/// - Returns: The exit status: 1 if a key ran twice through the gateway, an answer changed, or a
///   request got none.
func runDemo(_ options: DemoOptions) -> Int32 {
    do throws(DemoError) {
        return try Demo(options).run()
    } catch {
        DemoScreen.write("oncegate demo: \(error.description)\n", to: 2)
        return 1
    }
}

/// The demo's course, from the first order to the verdict.
private struct Demo {
    private let options: DemoOptions
    private let screen = DemoScreen()
    /// The key of each request. Duplicates come side by side, so that they meet, and once more at
    /// the end, when the answers that were stored before the kill are asked for.
    private let keys: [Int]

    init(_ options: DemoOptions) {
        self.options = options
        let count = min(max(options.keys, 1), max(options.requests, 1))
        let together = max(count, options.requests * 3 / 5)
        let later = max(options.requests - together, 0)
        keys = (0..<together).map { $0 * count / together } + (0..<later).map { $0 % count }
    }

    func run() throws(DemoError) -> Int32 {
        // Before any thread starts, so that all inherit it and one thread takes the signals.
        let signals = Self.blockSignals()
        let api = try OrderAPI()
        let gateway = try DemoGateway(upstreamPort: api.port)
        defer { gateway.cleanUp() }
        DemoThread { Self.endOnSignal(signals, gateway) }?.detach()
        screen.line(
            screen.paint(
                "\(options.keys) orders, \(options.requests) requests, "
                    + "\(options.connections) at a time", .strong))
        screen.line()
        let direct = try sendStraight(to: api)
        try gateway.start()
        let guarded = try send(to: api, through: gateway)
        let again = try askAgain(api, gateway)
        screen.line()
        return report(direct, guarded, again)
    }

    private func sendStraight(to api: OrderAPI) throws(DemoError) -> DemoResult {
        let storm = DemoStorm(keys: keys, port: api.port)
        try storm.blow(connections: options.connections) { done throws(DemoError) in
            screen.progress("straight at the API", done, of: storm.count)
        }
        return DemoResult(orders: api.takeOrders(), answers: storm.answers)
    }

    /// The same storm, with a SIGKILL and a restart when half of it is answered.
    private func send(
        to api: OrderAPI, through gateway: DemoGateway
    ) throws(DemoError) -> DemoResult {
        let storm = DemoStorm(keys: keys, port: gateway.port)
        var note = ""
        try storm.blow(connections: options.connections) { done throws(DemoError) in
            if note.isEmpty && done >= storm.count / 2 {
                gateway.kill()
                note = "kill -9 after \(done)"
                screen.progress(
                    "through the gateway", min(done, storm.count - 1), of: storm.count, note: note)
                try gateway.start()
                note += ", restarted"
            }
            screen.progress("through the gateway", done, of: storm.count, note: note)
        }
        return DemoResult(orders: api.takeOrders(), answers: storm.answers)
    }

    /// Every key once more; whatever it places is one order too many.
    private func askAgain(
        _ api: OrderAPI, _ gateway: DemoGateway
    ) throws(DemoError) -> DemoResult {
        let storm = DemoStorm(keys: Array(Set(keys)).sorted(), port: gateway.port)
        try storm.blow(connections: options.connections) { done throws(DemoError) in
            screen.progress("every key once more", done, of: storm.count)
        }
        return DemoResult(orders: api.takeOrders(), answers: storm.answers)
    }
}

extension Demo {
    private func report(_ direct: DemoResult, _ guarded: DemoResult, _ again: DemoResult) -> Int32 {
        let orders = guarded.orders.merging(again.orders, uniquingKeysWith: +)
        let total = DemoResult(orders: orders, answers: guarded.answers + again.answers)
        let changed = total.named.values.filter { $0.count > 1 }.count
        screen.row("", "without", "with oncegate", colours: (.strong, .strong))
        screen.row(
            "orders placed", "\(direct.placed)", "\(total.placed)",
            colours: (direct.repeated > 0 ? .bad : nil, total.repeated > 0 ? .bad : .good))
        screen.row(
            "keys that ran twice", "\(direct.repeated)", "\(total.repeated)",
            colours: (direct.repeated > 0 ? .bad : nil, total.repeated > 0 ? .bad : .good))
        screen.line()
        screen.row("executed", "\(direct.answers.count)", "\(total.executed)")
        screen.row("waited, same answer", "-", "\(total.waited)")
        screen.row("replayed, same answer", "-", "\(total.replayed)")
        screen.row("held as unknown", "-", "\(total.unknown)", heldNote(total))
        if changed > 0 { screen.row("changed answers", "-", "\(changed)", colours: (nil, .bad)) }
        screen.line()
        screen.row("p50", time(direct, 0.5), time(guarded, 0.5))
        screen.row("p99", time(direct, 0.99), time(guarded, 0.99), "the restart included")
        screen.line()
        return verdict(repeated: total.repeated, changed: changed, failures: total.failures)
    }

    /// What became of the keys that were at work when the gateway was killed.
    private func heldNote(_ total: DemoResult) -> String {
        let keys = total.unknownKeys
        guard !keys.isEmpty else { return "" }
        let ran = keys.filter { total.orders["\($0)"] != nil }.count
        return "\(keys.count) at work at the kill (\(ran) had run): never executed again"
    }

    private func verdict(repeated: Int, changed: Int, failures: Set<String>) -> Int32 {
        if repeated > 0 {
            screen.line(screen.paint("\(repeated) keys ran twice.", .bad))
        } else if changed > 0 {
            screen.line(screen.paint("\(changed) keys were given two different answers.", .bad))
        } else if !failures.isEmpty {
            let reasons = failures.sorted().joined(separator: "; ")
            screen.line(screen.paint("Some requests got no answer: \(reasons)", .bad))
        } else {
            screen.line(screen.paint("No order was placed twice.", .good))
            return 0
        }
        return 1
    }

    /// A percentile in milliseconds, with one decimal.
    private func time(_ result: DemoResult, _ share: Double) -> String {
        let tenths = Int((result.percentile(share) * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func blockSignals() -> sigset_t {
        signal(SIGPIPE, SIG_IGN)
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGHUP] { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
        return signals
    }

    /// Leaves nothing behind when the demo is ended early.
    private static func endOnSignal(_ signals: sigset_t, _ gateway: DemoGateway) {
        var signals = signals
        var number: Int32 = 0
        while unsafe sigwait(&signals, &number) != 0 {}
        gateway.cleanUp()
        DemoScreen.write("\n", to: 1)
        _exit(128 + number)
    }
}
