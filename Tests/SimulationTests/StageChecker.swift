/// Judges the history of a world whose route has stages.
///
/// What a stage may do depends on its policy: one that is held or probed is executed at most once;
/// one that is retried at least once, if a later one is.
struct StageChecker {
    private let plan: Plan
    private(set) var violations: [String] = []
    private var requests: [Int: Request] = [:]
    private var calls: [Int: Call] = [:]
    private var works: [String: Work] = [:]
    private var dead: Set<Int> = []
    private var isAsking = false
    private var now: UInt64 = 0

    private struct Request {
        let order: Order
        let process: Int
        let sentAt: UInt64
        let isLast: Bool
        var isOver = false
    }

    /// One exchange.
    private struct Call {
        let step: Step
        let order: Order
        let process: Int
        var wasUnreached = false
        var content: History.Content?

        /// Whether the gateway can know that nothing was done.
        var isHarmless: Bool { wasUnreached || content?.meaning == .refused }
    }

    /// What is done under one key.
    private struct Work {
        var variant: Int?
        /// The exchanges of each step, in order.
        var called: [Step: [Int]] = [:]
        /// The exchanges that a step was executed by.
        var performed: [Step: [Int]] = [:]
        /// Steps of which an answer said for good that they are not done.
        var declined: Set<Step> = []
        /// How often a probe said of a step, since its last call, that it was not executed.
        var denials: [Step: Int] = [:]
        /// The result that a client was shown as kept.
        var kept: Shown?
        /// What was answered when all was well.
        var last: History.Answer?

        func isDone(_ step: Step) -> Bool { performed[step] != nil }
        var isAnyDone: Bool { !performed.isEmpty }
    }

    private struct Shown {
        let status: Int
        let text: String
        let at: UInt64
        let process: Int
    }

    init(_ plan: Plan, _ history: History, _ rests: [RestingKey]) {
        self.plan = plan
        for moment in history.moments {
            now = moment.at
            check(moment.entry)
        }
        for (number, request) in requests.sorted(by: { $0.key < $1.key }) where !request.isOver {
            fail("request \(number) was never answered")
        }
        for rest in rests { check(rest) }
        for (name, work) in works.sorted(by: { $0.key < $1.key }) { checkEnd(of: name, work) }
    }

    private mutating func fail(_ text: String) {
        violations.append("\(Double(now / 1000) / 1e6) \(text)")
    }

    private mutating func check(_ entry: History.Entry) {
        switch entry {
        case .sent(let number, let order, let process):
            requests[number] = Request(
                order: order, process: process, sentAt: now, isLast: isAsking)
        case .called(let number, let step, let order, let after, let process):
            checkCall(number, Call(step: step, order: order, process: process), after)
        case .performed(let number, let step, let order): checkDeed(step, order, number)
        case .probed(let step, let name, let found):
            if found == nil { works[name]?.denials[step, default: 0] += 1 }
        case .unreached(let number): calls[number]?.wasUnreached = true
        case .received(let number, let content):
            calls[number]?.content = content
            if let call = calls[number], content.meaning == .declined || content.meaning == .refused
            {
                works[call.order.name]?.declined.insert(call.step)
            }
        case .answered(let number, let answer): check(answer, to: number)
        case .dropped(let number): end(number, "got no answer")
        case .cut(let number):
            let isDead = requests[number].map { dead.contains($0.process) } ?? false
            end(number, isDead ? nil : "was cut although its process lives")
        case .hungUp(let number): end(number, isAsking ? "got no answer in ten minutes" : nil)
        case .crashed(let process): dead.insert(process)
        case .asked: isAsking = true
        case .forwarded(let number, _, _, _): fail("exchange \(number) is of no stage")
        case .executed, .broke, .started, .stopped, .resumed, .healed: break
        }
    }

    private mutating func end(_ number: Int, _ complaint: String?) {
        requests[number]?.isOver = true
        if let complaint { fail("request \(number) \(complaint)") }
    }
}

/// Once, and in order.
extension StageChecker {
    /// A call that may not be repeated needs that all earlier ones are known to have done nothing;
    /// and the work never goes back to a stage before one that was called.
    private mutating func checkCall(_ number: Int, _ call: Call, _ after: Int?) {
        let (step, name) = (call.step, call.order.name)
        var work = works[name, default: Work()]
        if let variant = work.variant, variant != call.order.variant {
            fail("exchange \(number) sends another body for \(name)")
        }
        work.variant = call.order.variant
        let isRetried = plan.way(of: step) == .retry
        for former in work.called[step, default: []].compactMap({ calls[$0] })
        where !former.isHarmless && !isRetried {
            if plan.way(of: step) == .probe, work.denials[step, default: 0] >= 2 { continue }
            fail("exchange \(number) repeats \(step) for \(name)")
        }
        for later in work.called.keys where comes(later, after: step) {
            fail("exchange \(number) goes back from \(later) to \(step) for \(name)")
        }
        if work.kept != nil { fail("exchange \(number) follows the answer for \(name)") }
        checkBasis(number, step, name, work, after)
        work.denials[step] = nil
        work.called[step, default: []].append(number)
        works[name] = work
        calls[number] = call
    }

    /// Whether the work, having come to one step, is past another one.
    private func comes(_ later: Step, after step: Step) -> Bool {
        switch (later.isBack, step.isBack) {
        case (false, false): later.stage > step.stage
        case (true, false): true
        case (true, true): later.stage < step.stage
        case (false, true): false
        }
    }

    /// What a call goes on from is an answer to the step before it.
    private mutating func checkBasis(
        _ number: Int, _ step: Step, _ name: String, _ work: Work, _ after: Int?
    ) {
        let before = Step(stage: step.isBack ? step.stage : step.stage - 1)
        guard before.stage >= 0 else { return }
        guard let after, work.performed[before, default: []].contains(after) else {
            return fail("exchange \(number) for \(name) goes on from \(after ?? -1) at \(step)")
        }
    }

    private mutating func checkDeed(_ step: Step, _ order: Order, _ number: Int) {
        let name = order.name
        guard let work = works[name] else { return fail("\(step) of \(name) was never called") }
        works[name]?.performed[step, default: []].append(number)
        if work.isDone(step) {
            if plan.way(of: step) != .retry { fail("\(step) was executed twice for \(name)") }
            return
        }
        let backs = work.performed.keys.filter(\.isBack)
        if step.isBack {
            checkBack(step, name, work)
        } else {
            if !backs.isEmpty { fail("\(step) was executed for \(name) after \(backs)") }
            for stage in 0..<step.stage where !work.isDone(Step(stage: stage)) {
                fail("\(step) was executed for \(name) before \(Step(stage: stage))")
            }
        }
    }

    /// Taken back is what was executed, the last first, and only if a later stage failed.
    private mutating func checkBack(_ step: Step, _ name: String, _ work: Work) {
        if !work.isDone(Step(stage: step.stage)) {
            fail("\(step) takes back for \(name) what was not executed")
        }
        for later in (step.stage + 1)..<plan.stages.count
        where plan.stages[later].back != nil && work.isDone(Step(stage: later))
            && !work.isDone(Step(stage: later, isBack: true))
        {
            fail("\(step) comes for \(name) before that of \(Step(stage: later))")
        }
        let hasFailed = work.declined.contains { !$0.isBack && $0.stage > step.stage }
        if !hasFailed { fail("\(step) was executed for \(name) although nothing failed") }
    }
}

/// No lie, no leak, no loss.
extension StageChecker {
    private mutating func check(_ answer: History.Answer, to number: Int) {
        guard let request = requests[number] else { return fail("answer \(number) to nothing") }
        if request.isOver { fail("request \(number) was answered twice") }
        requests[number]?.isOver = true
        let name = request.order.name
        if let text = answer.text {
            checkContent(text, answer, number, request)
        } else {
            checkProblem(answer, number, request.order)
        }
        checkDenial(answer, number, request)
        guard request.isLast, answer.problem != "key-reused" else { return }
        works[name, default: Work()].last = answer
        let isPending = answer.problem == "in-flight" || answer.executed == "pending"
        if answer.problem == "store-unavailable" || isPending && !losesLeases {
            fail("request \(number) for \(request.order) got \(answer) when all was well")
        }
    }

    /// Whether a lease may end before a store that is well has renewed it, so that another gateway
    /// takes the work over.
    private var losesLeases: Bool {
        plan.hosts > 1 && .milliseconds(4 * plan.storeDelay) > plan.lease
    }

    /// An upstream's answer belongs to the request, is the upstream's, and is called what it is.
    private mutating func checkContent(
        _ text: String, _ answer: History.Answer, _ number: Int, _ request: Request
    ) {
        let name = request.order.name
        guard let (exchange, work) = source(of: text, request.order) else {
            return fail("request \(number) for \(request.order) was shown \(text)")
        }
        let step = exchange.step
        let meaning = answer.status == 200 ? .acted : exchange.content?.meaning
        if meaning == .acted {
            checkSuccess(text, number, step, name, work)
        } else if exchange.content?.text != text || exchange.content?.status != answer.status {
            fail("request \(number) was shown \(answer), which the upstream never said")
        }
        switch (answer.keyStatus, meaning) {
        case ("executed", .acted), ("replayed", .acted), ("executed", .declined),
            ("replayed", .declined), ("unsaved", _), ("unknown", .unclear):
            break
        // After what was done before, a refusal is the end of it.
        case ("executed", .refused) where step.stage > 0: break
        case ("replayed", .refused) where step.stage > 0: break
        case ("released", .refused) where !work.isAnyDone: break
        // Another claim has taken the place of one whose lease was over.
        case ("unknown", _): break
        default:
            fail("request \(number): \(text) is called \(answer.keyStatus ?? "-")")
        }
        if meaning == .declined || meaning == .refused, answer.keyStatus != "unknown" {
            checkFailure(number, step, name, work)
        }
        guard answer.keyStatus == "executed" || answer.keyStatus == "replayed" else { return }
        if let kept = work.kept, kept.text != text || kept.status != answer.status {
            fail("request \(number) was shown \(text), others \(kept.text)")
        }
        works[name]?.kept =
            work.kept
            ?? Shown(status: answer.status, text: text, at: now, process: request.process)
    }

    /// The exchange that an answer comes from, and the work that it is part of.
    private func source(of text: String, _ order: Order) -> (Call, Work)? {
        guard let number = text.dropFirst(5).split(separator: ",").first.flatMap({ Int($0) }),
            let call = calls[number], call.order == order, let work = works[order.name],
            text == Behaviour.text(of: call.step, order.name, number)
        else { return nil }
        return (call, work)
    }

    /// A success means that all was done, and nothing taken back.
    private mutating func checkSuccess(
        _ text: String, _ number: Int, _ step: Step, _ name: String, _ work: Work
    ) {
        if step != Step(stage: plan.stages.count - 1) {
            fail("request \(number) was shown the answer of \(step)")
        }
        for stage in plan.stages.indices where !work.isDone(Step(stage: stage)) {
            fail("request \(number) for \(name) is a success without \(Step(stage: stage))")
        }
        if work.performed.keys.contains(where: \.isBack) {
            fail("request \(number) for \(name) is a success that was taken back")
        }
    }

    /// A failure means that what can be taken back was.
    private mutating func checkFailure(
        _ number: Int, _ step: Step, _ name: String, _ work: Work
    ) {
        for stage in 0..<step.stage
        where plan.stages[stage].back != nil && !work.isDone(Step(stage: stage, isBack: true)) {
            fail("request \(number) for \(name): \(Step(stage: stage)) was not taken back")
        }
    }

    private mutating func checkProblem(_ answer: History.Answer, _ number: Int, _ order: Order) {
        let work = works[order.name]
        let isDone = work?.variant == order.variant && work?.isAnyDone == true
        if answer.executed == "no", isDone {
            fail("request \(number) for \(order): \(answer.problem ?? "-") denies an execution")
        }
        if answer.executed == "yes", !isDone {
            fail("request \(number) for \(order): \(answer.problem ?? "-") makes one up")
        }
        switch answer.problem {
        case "store-unavailable", "in-flight", "upstream-unreachable", "outcome-unknown": break
        case "key-reused":
            let hasOther = requests.values.contains {
                $0.order.name == order.name && $0.order.variant != order.variant
            }
            if !hasOther { fail("request \(number) for \(order) was taken for another one") }
        default: fail("request \(number) got \(answer)")
        }
    }

    /// What was shown once is shown to everybody who asks later.
    private mutating func checkDenial(
        _ answer: History.Answer, _ number: Int, _ request: Request
    ) {
        guard let kept = works[request.order.name]?.kept, kept.at < request.sentAt,
            answer.problem != "key-reused", answer.text != kept.text
        else { return }
        let isInMemory = plan.caches && kept.process == request.process
        if answer.problem == "store-unavailable" || answer.problem == "in-flight" && !isInMemory {
            return
        }
        fail("request \(number) got \(answer) after others were shown \(kept.text)")
    }
}

/// Everything comes to its end.
extension StageChecker {
    /// A key rests as unknown only where nobody may find out, and rests nowhere else.
    private mutating func check(_ rest: RestingKey) {
        guard rest.isUnknown else { return fail("\(rest.name) is suspended for ever") }
        guard let point = rest.pending, let step = Step(point) else {
            return fail("\(rest.name) is unknown without a stage")
        }
        let isStuck = step.isBack && works[rest.name]?.declined.contains(step) == true
        if plan.way(of: step) != .hold, !isStuck {
            fail("\(rest.name) rests as unknown at \(step)")
        }
    }

    private mutating func checkEnd(of name: String, _ work: Work) {
        guard let last = work.last else { return }
        let isHeld = plan.stages.contains { $0.unknown == .hold || $0.back == .hold }
        let isStuck = work.declined.contains(where: \.isBack)
        if last.keyStatus == "unknown", !isHeld, !isStuck {
            fail("\(name) ends as \(last)")
        }
        guard last.status == 200, last.text != nil else { return }
        for stage in plan.stages.indices where plan.stages[stage].unknown != .retry {
            let count = work.performed[Step(stage: stage), default: []].count
            if count != 1 { fail("\(Step(stage: stage)) was executed \(count) times for \(name)") }
        }
    }
}

/// A record that nobody works on any more, and that has no answer.
struct RestingKey {
    let name: String
    let isUnknown: Bool
    let pending: String?
}
