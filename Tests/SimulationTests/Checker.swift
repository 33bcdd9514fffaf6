/// Judges a history by the promises of the contract, and by nothing that the gateway says of
/// itself: once, no lie, no leak, no loss; and that everything comes to its end.
struct Checker {
    private let plan: Plan
    private(set) var violations: [String] = []
    private var requests: [Int: Request] = [:]
    private var exchanges: [Int: Exchange] = [:]
    /// The exchanges for each name, in order.
    private var attempts: [String: [Int]] = [:]
    /// The result that a client was shown as kept, for each name.
    private var kept: [String: Shown] = [:]
    /// The same for results that were shown as unsaved.
    private var unsaved: [String: Shown] = [:]
    private var dead: Set<Int> = []
    private var isAsking = false
    private var now: UInt64 = 0

    private struct Request {
        let order: Order
        let process: Int
        let sentAt: UInt64
        let isLast: Bool
        var exchange: Int?
        var isOver = false
    }

    private struct Exchange {
        let order: Order
        let request: Int
        let process: Int
        var wasUnreached = false
        var wasExecuted = false
        var isBroken = false
        var content: History.Content?

        /// Whether the gateway knows that nothing was done.
        var isHarmless: Bool { wasUnreached || content?.meaning == .refused }
    }

    private struct Shown: Equatable {
        var status: Int
        var text: String?
        var at: UInt64
        var process: Int

        func isShown(by answer: History.Answer) -> Bool {
            status == answer.status && text == answer.text && answer.problem == nil
        }
    }

    init(_ plan: Plan, _ history: History) {
        self.plan = plan
        for moment in history.moments {
            now = moment.at
            check(moment.entry)
        }
        for (number, request) in requests.sorted(by: { $0.key < $1.key }) where !request.isOver {
            fail("request \(number) was never answered")
        }
    }

    /// Whether what was shown as unsaved is on a disk.
    private var isJournaled: Bool { plan.hasJournal && plan.journalFaults == 0 }

    private mutating func fail(_ text: String) {
        violations.append("\(Double(now / 1000) / 1e6) \(text)")
    }

    private mutating func check(_ entry: History.Entry) {
        switch entry {
        case .sent(let number, let order, let process):
            requests[number] = Request(
                order: order, process: process, sentAt: now, isLast: isAsking)
        case .forwarded(let number, let request, let order, let process):
            checkAttempt(number, Exchange(order: order, request: request, process: process))
        case .unreached(let number): exchanges[number]?.wasUnreached = true
        case .executed(let number, _): exchanges[number]?.wasExecuted = true
        case .received(let number, let content): exchanges[number]?.content = content
        case .broke(let number): exchanges[number]?.isBroken = true
        case .answered(let number, let answer): check(answer, to: number)
        case .dropped(let number):
            requests[number]?.isOver = true
            fail("request \(number) got no answer")
        case .cut(let number): checkCut(number)
        case .hungUp(let number):
            requests[number]?.isOver = true
            if isAsking { fail("request \(number) got no answer in ten minutes") }
        case .crashed(let process): dead.insert(process)
        case .asked: isAsking = true
        case .started, .stopped, .resumed, .healed, .called, .performed, .probed: break
        }
    }
}

/// Once.
extension Checker {
    /// An attempt needs that all earlier ones are known to have done nothing, unless the route
    /// allows more.
    private mutating func checkAttempt(_ number: Int, _ exchange: Exchange) {
        let name = exchange.order.name
        for earlier in attempts[name, default: []] {
            guard let former = exchanges[earlier] else { continue }
            if former.order != exchange.order {
                fail("exchange \(number) sends another body than exchange \(earlier)")
            }
            if !allowsAttempt(after: former) {
                fail("exchange \(number) repeats exchange \(earlier) for \(name)")
            }
        }
        if kept[name] != nil {
            fail("exchange \(number) repeats what was answered for \(name)")
        }
        if requests[exchange.request]?.order != exchange.order {
            fail("exchange \(number) is not what request \(exchange.request) asked for")
        }
        exchanges[number] = exchange
        attempts[name, default: []].append(number)
        requests[exchange.request]?.exchange = number
    }

    private func allowsAttempt(after former: Exchange) -> Bool {
        if former.isHarmless { return true }
        guard plan.repeatsUnknown else { return false }
        if former.isBroken || former.content?.meaning == .unclear { return true }
        return dead.contains(former.process) || isLeaseOver(former.request)
    }

    /// Whether a claim may be taken for lapsed: one that is made anew by others, or one whose owner
    /// slept between the claim and the attempt. Clocks that are off can make it so at once.
    private func isLeaseOver(_ number: Int) -> Bool {
        guard let request = requests[number] else { return false }
        let lease = UInt64(plan.lease.components.seconds) * 1_000_000_000
        return plan.skews.contains { $0 != .zero } || now >= request.sentAt + lease
    }
}

/// No lie, no leak, no loss.
extension Checker {
    private mutating func check(_ answer: History.Answer, to number: Int) {
        guard let request = requests[number] else { return fail("answer \(number) to nothing") }
        if request.isOver { fail("request \(number) was answered twice") }
        requests[number]?.isOver = true
        if let text = answer.text {
            checkContent(text, answer, number, request.order)
        } else {
            checkProblem(answer, number, request.order)
        }
        checkLoss(answer, number, request)
        checkDenial(answer, number, request)
        if request.isLast { checkLast(answer, number, request) }
    }

    /// An upstream's answer belongs to the request, is the upstream's, and is called what it is.
    private mutating func checkContent(
        _ text: String, _ answer: History.Answer, _ number: Int, _ order: Order
    ) {
        let parts = text.split(separator: "#")
        guard parts.first.map(String.init) == "\(order.name)/\(order.variant)" else {
            return fail("request \(number) for \(order) was shown \(text)")
        }
        guard let exchange = parts.last.flatMap({ Int($0) }).flatMap({ exchanges[$0] }),
            let content = exchange.content, content.status == answer.status, content.text == text
        else { return fail("request \(number) was shown \(answer), which the upstream never said") }
        switch (answer.keyStatus, content.meaning) {
        case ("executed", .acted), ("replayed", .acted), ("unknown", .unclear),
            ("released", .refused), ("unsaved", _):
            break
        // Where an earlier attempt may have been executed, one that was not proves nothing.
        case ("unknown", .refused) where plan.repeatsUnknown: break
        // Another claim has taken the place of one whose lease was over.
        case ("unknown", .acted) where plan.repeatsUnknown && isLeaseOver(number): break
        default: fail("request \(number): \(content.meaning) is called \(answer.keyStatus ?? "-")")
        }
        let process = requests[number]?.process ?? -1
        let shown = Shown(status: answer.status, text: text, at: now, process: process)
        if answer.keyStatus == "unsaved", content.meaning == .acted {
            unsaved[order.name] = unsaved[order.name] ?? shown
        }
        // The head of an answer that streams goes out before its conclusion.
        guard answer.keyStatus == "executed" && !plan.streams || answer.keyStatus == "replayed"
        else { return }
        if let former = kept[order.name], !former.isShown(by: answer) {
            fail("request \(number) was shown \(text), others \(former.text ?? "-")")
        }
        kept[order.name] = kept[order.name] ?? shown
    }

    private mutating func checkProblem(_ answer: History.Answer, _ number: Int, _ order: Order) {
        let wasExecuted = attempts[order.name, default: []].contains {
            guard let exchange = exchanges[$0] else { return false }
            return exchange.order == order && exchange.wasExecuted
        }
        // Without its store a gateway speaks of this request alone, which it did not forward.
        if answer.executed == "no", wasExecuted {
            fail("request \(number) for \(order): \(answer.problem ?? "-") denies an execution")
        }
        if answer.executed == "yes", !wasExecuted {
            fail("request \(number) for \(order): \(answer.problem ?? "-") makes one up")
        }
        if answer.problem == "key-reused",
            !requests.values.contains(where: {
                $0.order.name == order.name && $0.order.variant != order.variant
            })
        {
            fail("request \(number) for \(order) was taken for another one")
        }
        if answer.problem == nil { fail("request \(number) got \(answer)") }
    }

    /// What the upstream answered, or that it did not, reaches the client that asked.
    private mutating func checkLoss(
        _ answer: History.Answer, _ number: Int, _ request: Request
    ) {
        guard let exchange = request.exchange.flatMap({ exchanges[$0] }) else { return }
        if let content = exchange.content {
            if content.text != answer.text || content.status != answer.status {
                fail("request \(number): the upstream's \(content) became \(answer)")
            }
        } else if exchange.wasUnreached {
            let isExpected =
                answer.problem == "upstream-unreachable"
                || plan.repeatsUnknown && answer.problem == "outcome-unknown"
            if !isExpected {
                fail("request \(number) was not sent, and got \(answer)")
            }
        } else if answer.problem != "outcome-unknown" || !exchange.isBroken {
            fail("request \(number) has no answer yet, and got \(answer)")
        }
    }

    /// What was shown once is shown to everybody who asks later.
    private mutating func checkDenial(
        _ answer: History.Answer, _ number: Int, _ request: Request
    ) {
        let name = request.order.name
        var shown = kept[name]
        if shown == nil, !plan.repeatsUnknown, let former = unsaved[name],
            former.process == request.process || isJournaled && plan.hosts == 1
        {
            shown = former
        }
        guard let shown, shown.at < request.sentAt, answer.problem != "key-reused" else { return }
        guard !shown.isShown(by: answer) else { return }
        let isInMemory =
            plan.caches && !plan.repeatsUnknown && shown.process == request.process
        if answer.problem == "store-unavailable" || answer.problem == "in-flight" && !isInMemory {
            return
        }
        // Where unknown requests execute again, another gateway's own attempt may have ended as
        // unknown before, and it holds on to that until the store has heard of it.
        if plan.repeatsUnknown, answer.keyStatus == "unknown", !request.isLast { return }
        fail("request \(number) got \(answer) after others were shown \(shown.text ?? "-")")
    }

    private mutating func checkCut(_ number: Int) {
        guard let request = requests[number] else { return }
        requests[number]?.isOver = true
        let isBroken = request.exchange.flatMap { exchanges[$0]?.isBroken } ?? false
        if !dead.contains(request.process), !(plan.streams && isBroken) {
            fail("request \(number) was cut although its process lives")
        }
    }

    /// When nothing fails any more, nothing is stuck, and what is known to a gateway is told.
    private mutating func checkLast(
        _ answer: History.Answer, _ number: Int, _ request: Request
    ) {
        if answer.problem == "store-unavailable" || answer.problem == "in-flight" {
            fail("request \(number) for \(request.order) got \(answer) when all was well")
        }
        guard !plan.repeatsUnknown, answer.problem != "key-reused" else { return }
        if isJournaled, let shown = unsaved[request.order.name], !shown.isShown(by: answer) {
            fail("request \(number) got \(answer) after the journal took \(shown.text ?? "-")")
        }
        for exchange in attempts[request.order.name, default: []].compactMap({ exchanges[$0] })
        where exchange.content?.meaning == .acted && !dead.contains(exchange.process) {
            guard exchange.content?.text != answer.text else { continue }
            fail("request \(number) got \(answer), though a gateway has \(exchange.content!.text)")
        }
    }
}
