import HTTP
import TestSupport

/// A stage's call, as its target tells it.
struct StageRequest {
    let step: Step
    /// The number in the answer that it goes on from.
    let after: Int?

    /// Nil for the target of anything else.
    init?(_ target: ArraySlice<UInt8>) {
        let parts = String(decoding: target, as: UTF8.self).split(separator: "?after=")
        guard let path = parts.first, path.hasPrefix("/do/"), let step = Step(path.dropFirst(4))
        else { return nil }
        self.step = step
        after = parts.count > 1 ? Int(parts[1]) : nil
    }
}

/// A question whether a stage's call was executed.
struct StageProbe {
    let step: Step
    let name: String

    /// Nil for the target of anything else.
    init?(_ target: ArraySlice<UInt8>) {
        let parts = String(decoding: target, as: UTF8.self).split(separator: "?")
        guard parts.count == 2, parts[0].hasPrefix("/ask/"), let step = Step(parts[0].dropFirst(5))
        else { return nil }
        self.step = step
        name = String(parts[1])
    }
}

/// What the upstream knows of its own deeds.
struct OriginBook {
    private struct Deed: Hashable {
        let name: String
        let step: Step
    }

    private var accepted: Set<Deed> = []
    private var performed: [Deed: [Int]] = [:]

    /// Which exchange a step was executed by first; nil if it was not.
    func exchange(that step: Step, of name: String) -> Int? {
        performed[Deed(name: name, step: step)]?.first
    }

    /// What becomes of a call. An upstream does not decline for good what it did or is about to do.
    mutating func accept(_ step: Step, of order: Order, _ behaviour: Behaviour) -> Behaviour {
        let deed = Deed(name: order.name, step: step)
        switch behaviour {
        case .declines where accepted.contains(deed): return .answers
        case .declines, .refuses, .unreachable, .cutBefore: break
        case .answers, .fails, .cutAfter, .silent, .slow: accepted.insert(deed)
        }
        return behaviour
    }

    mutating func perform(_ step: Step, of order: Order, _ exchange: Int) {
        performed[Deed(name: order.name, step: step), default: []].append(exchange)
    }
}

extension OriginClient {
    /// Says whether a step was executed, or fails.
    func answer(_ probe: StageProbe) async throws(UpstreamError) -> any UpstreamExchange {
        guard !world.isClosed else {
            throw UpstreamError(.unreachable, effect: .none, detail: "the world ends")
        }
        let fails = !world.isHealed && world.happens(world.plan.probeFaults)
        await world.sleep(world.delay(upTo: 100), of: process)
        if fails, world.happens(0.5) {
            throw UpstreamError(.timeout, effect: .possible, detail: "simulated")
        }
        if fails { return ProbeExchange(503, "") }
        let found = world.origin.book.exchange(that: probe.step, of: probe.name)
        world.note(.probed(probe.step, name: probe.name, found: found))
        guard let found else { return ProbeExchange(404, "") }
        return ProbeExchange(200, Behaviour.text(of: probe.step, probe.name, found))
    }
}

/// The answer to a probe.
private final class ProbeExchange: UpstreamExchange {
    private let status: UInt16
    private var rest: [UInt8]

    init(_ status: UInt16, _ text: String) {
        self.status = status
        rest = Array(text.utf8)
    }

    func start() {}

    func head() async throws(UpstreamError) -> ResponseHead {
        ResponseHead(
            status: status, fields: ["Content-Type": "application/json"],
            framing: .length(UInt64(rest.count)))
    }

    func read() async throws(UpstreamError) -> ArraySlice<UInt8>? {
        defer { rest = [] }
        return rest.isEmpty ? nil : rest[...]
    }

    var trailers: Fields { Fields() }
    func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {}
    func finish(trailers: Fields) async throws(UpstreamError) {}
    func cancel() {}
}

extension Behaviour {
    /// The answer of an executed step.
    static func text(of step: Step, _ name: String, _ number: Int) -> String {
        #"{"n":\#(number),"step":"\#(step)","of":"\#(name)"}"#
    }

    /// The answer to a step's call.
    func content(
        of step: Step, _ order: Order, _ number: Int, _ world: World
    ) -> History.Content {
        let (status, meaning): (Int, History.Content.Meaning) =
            switch self {
            case .declines: (world.pick([400, 404, 422]), .declined)
            case .refuses: (world.pick([409, 429, 503]), .refused)
            case .fails: (world.pick([500, 502]), .unclear)
            default: (200, .acted)
            }
        return History.Content(
            status: status, text: Self.text(of: step, order.name, number), meaning: meaning)
    }
}
