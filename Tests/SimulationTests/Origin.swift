import HTTP
import TestSupport

/// The upstream: executes orders, at some moment of an exchange or never, and numbers what it does.
final class Origin: @unchecked Sendable {
    private unowned let world: World
    private var exchanges = 0
    /// What it has done of work in stages.
    var book = OriginBook()

    init(_ world: World) { self.world = world }

    /// The number of a new exchange.
    func number() -> Int {
        defer { exchanges += 1 }
        return exchanges
    }

    /// What happens to a request.
    func behaviour() -> Behaviour {
        guard !world.isHealed else { return .answers }
        let all = world.plan.upstream
        var rest = world.number(in: 0..<all.reduce(0) { $0 + $1.weight })
        for (weight, behaviour) in all {
            rest -= weight
            if rest < 0 { return behaviour }
        }
        return .answers
    }
}

/// One process's way to the upstream.
final class OriginClient: UpstreamClient {
    let process: SimulatedProcess
    var world: World { process.world }

    init(_ process: SimulatedProcess) { self.process = process }

    func exchange(for outgoing: UpstreamRequest) -> any UpstreamExchange {
        LaterExchange { () async throws(UpstreamError) in try await self.open(outgoing) }
    }

    private func open(
        _ outgoing: UpstreamRequest
    ) async throws(UpstreamError) -> any UpstreamExchange {
        if let probe = StageProbe(outgoing.target) { return try await answer(probe) }
        guard !world.isClosed, case .whole(let body) = outgoing.body,
            let order = Order(body: body)
        else { throw UpstreamError(.malformed, effect: .none, detail: "not an order") }
        let call = StageRequest(outgoing.target)
        var behaviour = world.origin.behaviour()
        let number = world.origin.number()
        let request = outgoing.fields.text(FieldName("X-Request")).flatMap { Int($0) } ?? -1
        await world.sleep(world.delay(upTo: 100), of: process)
        // Nothing can come between this question and the first byte.
        if let maySend = outgoing.maySend, !maySend() {
            throw UpstreamError(.withdrawn, effect: .none, detail: "simulated")
        }
        if let call {
            if call.step.stage == world.plan.declinedStage { behaviour = .declines }
            behaviour = world.origin.book.accept(call.step, of: order, behaviour)
            world.note(
                .called(
                    exchange: number, call.step, order, after: call.after,
                    process: process.number))
        } else {
            world.note(
                .forwarded(exchange: number, request: request, order, process: process.number))
        }
        if behaviour == .unreachable {
            world.note(.unreached(exchange: number))
            throw UpstreamError(.unreachable, effect: .none, detail: "simulated")
        }
        return OriginExchange(number, order, call?.step, behaviour, process)
    }
}

/// One exchange. What the upstream does follows its own clock, not the gateway's questions.
private final class OriginExchange: UpstreamExchange {
    private let number: Int
    private let order: Order
    private let step: Step?
    private let behaviour: Behaviour
    private let process: SimulatedProcess
    private let content: History.Content
    /// From the request's arrival to the answer's head.
    private let time: Duration
    private var chunks: [[UInt8]]
    private var world: World { process.world }

    init(
        _ number: Int, _ order: Order, _ step: Step?, _ behaviour: Behaviour,
        _ process: SimulatedProcess
    ) {
        self.number = number
        self.step = step
        self.order = order
        self.behaviour = behaviour
        self.process = process
        let world = process.world
        content =
            step.map { behaviour.content(of: $0, order, number, world) }
            ?? behaviour.content(of: order, number, world)
        time = behaviour.time(world)
        chunks = content.text.utf8.split(separator: UInt8(ascii: "#"), maxSplits: 1).map(Array.init)
        if chunks.count == 2 { chunks[0].append(UInt8(ascii: "#")) }
        act()
    }

    /// Has the order executed, or not: no later than its answer, where there is one.
    private func act() {
        guard behaviour.executes(world), step == nil || behaviour != .declines else { return }
        let (number, order, world, process) = (number, order, world, process)
        let step = step
        let isAnswered = behaviour != .cutAfter && behaviour != .silent
        var latest = isAnswered ? time : time * 2
        if step != nil { latest = min(latest, Plan.longestWay) }
        let part = world.number(in: 0..<100)
        _ = world.after(latest * part / 100) {
            // What a dead process has sent may be lost on the way.
            guard !process.isDead || world.happens(0.5) else { return }
            guard let step else { return world.note(.executed(exchange: number, order)) }
            world.origin.book.perform(step, of: order, number)
            world.note(.performed(exchange: number, step, order))
        }
    }

    func start() {}

    func head() async throws(UpstreamError) -> ResponseHead {
        await world.sleep(time, of: process)
        switch behaviour {
        case .cutBefore: throw fail(.cutShort)
        case .silent: throw fail(.timeout)
        case .cutAfter where world.happens(0.5): throw fail(.cutShort)
        default: break
        }
        let length = UInt64(content.text.utf8.count)
        return ResponseHead(
            status: UInt16(content.status),
            fields: ["Content-Type": step == nil ? "text/plain" : "application/json"],
            framing: .length(length))
    }

    func read() async throws(UpstreamError) -> ArraySlice<UInt8>? {
        await world.sleep(world.delay(upTo: 50), of: process)
        if world.isClosed || behaviour == .cutAfter && chunks.count < 2 { throw fail(.cutShort) }
        guard !chunks.isEmpty else {
            world.note(.received(exchange: number, content))
            return nil
        }
        return chunks.removeFirst()[...]
    }

    private func fail(_ reason: UpstreamError.Reason) -> UpstreamError {
        world.note(.broke(exchange: number))
        return UpstreamError(reason, effect: .possible, detail: "simulated")
    }

    var trailers: Fields { Fields() }
    func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {}
    func finish(trailers: Fields) async throws(UpstreamError) {}
    func cancel() {}
}

extension Behaviour {
    fileprivate func executes(_ world: World) -> Bool {
        switch self {
        case .answers, .declines, .cutAfter, .silent, .slow: true
        case .refuses, .unreachable, .cutBefore: false
        case .fails: world.happens(0.5)
        }
    }

    fileprivate func content(
        of order: Order, _ number: Int, _ world: World
    ) -> History.Content {
        let status =
            switch self {
            case .declines: world.pick([400, 404, 422])
            case .refuses: world.pick([409, 429, 503])
            case .fails: world.pick([500, 502])
            default: world.pick([200, 201, 303])
            }
        let meaning: History.Content.Meaning =
            switch self {
            case .refuses: .refused
            case .fails: .unclear
            default: .acted
            }
        return History.Content(
            status: status, text: "\(order.name)/\(order.variant)#\(number)", meaning: meaning)
    }

    fileprivate func time(_ world: World) -> Duration {
        switch self {
        case .silent: .seconds(60)
        case .slow: world.plan.lease + world.delay(upTo: 20_000)
        default: world.delay(upTo: world.plan.upstreamDelay)
        }
    }
}

extension Order {
    /// The request's body.
    var body: String { #"{"scope":"\#(scope)","key":"\#(key)","variant":\#(variant)}"# }

    /// The order that a body asks for.
    init?(body: ArraySlice<UInt8>) {
        let parts = body.split(separator: UInt8(ascii: "\"")).map {
            String(decoding: $0, as: UTF8.self)
        }
        guard parts.count == 11, let variant = Int(parts[10].dropFirst().dropLast()) else {
            return nil
        }
        self.init(scope: parts[3], key: parts[7], variant: variant)
    }
}
