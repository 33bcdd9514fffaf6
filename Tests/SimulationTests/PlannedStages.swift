import Gateway
import HTTP
import TestSupport

/// How a stage of a simulated route treats what it does not know, and whether it is taken back.
struct PlannedStage: Hashable {
    enum Way: CaseIterable { case hold, probe, retry }

    var unknown: Way
    /// The compensation's way; nil without a compensation.
    var back: Way?
}

/// A call of the route's work: a stage's, or the one that takes it back.
struct Step: Hashable, CustomStringConvertible {
    var stage: Int
    var isBack = false

    static let names = ["reserved", "paid", "finished"]

    var description: String { Step.names[stage] + (isBack ? ".compensated" : "") }

    /// The step of a recovery point; nil for any other.
    init?(_ point: some StringProtocol) {
        let parts = point.split(separator: ".")
        guard let name = parts.first, let stage = Step.names.firstIndex(of: String(name)) else {
            return nil
        }
        self.init(stage: stage, isBack: parts.count > 1)
    }

    init(stage: Int, isBack: Bool = false) {
        self.stage = stage
        self.isBack = isBack
    }
}

extension Plan {
    /// Whether the route's work is done in stages.
    var isStaged: Bool { !stages.isEmpty }

    /// How a step treats what it does not know.
    func way(of step: Step) -> PlannedStage.Way {
        step.isBack ? stages[step.stage].back ?? .hold : stages[step.stage].unknown
    }

    /// Draws the ways of three stages.
    mutating func drawStages(_ random: inout SplitMix) {
        func way() -> PlannedStage.Way { PlannedStage.Way.allCases.randomElement(using: &random)! }
        // Every other world has one way for all, so that each shows what it promises alone.
        let common = Bool.random(using: &random) ? way() : nil
        let compensates = Bool.random(using: &random)
        stages = Step.names.indices.map { index in
            PlannedStage(
                unknown: common ?? way(),
                back: compensates && index < 2 && Int.random(in: 0..<4, using: &random) > 0
                    ? common ?? way() : nil)
        }
        // The pauses of probes and of the completer have doubled until then.
        rest = .seconds(400)
        stageAttempts = Int.random(in: 1...3, using: &random)
        streams = false
        repeatsUnknown = false
    }

    /// The stages as the route has them; nil without any.
    var stageRules: [StageRules]? {
        guard isStaged else { return nil }
        return stages.indices.map { index in
            var rules = StageRules(
                recoveryPoint: Step.names[index], call: call(Step(stage: index)))
            if stages[index].back != nil {
                rules.compensation = call(Step(stage: index, isBack: true))
            }
            return rules
        }
    }

    /// A step's call: it tells the upstream which answer it goes on from.
    private func call(_ step: Step) -> StageCall {
        let last = step.isBack ? step.stage : step.stage - 1
        let after = last < 0 ? "" : "?after={stages.\(Step.names[last]).body/n}"
        let earlier = Array(Step.names[..<(last + 1)])
        do {
            let path = try PathPattern("/**")
            var call = StageCall(
                path: try Template(
                    path: "/do/\(step)\(after)", for: path, words: .ofStage(after: earlier)))
            call.body = .original
            call.retry.attempts = stageAttempts
            switch way(of: step) {
            case .hold: call.unknown = .hold
            case .retry: call.unknown = .retry
            case .probe:
                let template = try ProbeTemplate(
                    "/ask/\(step)?{field.Authorization}/{key}", for: path,
                    words: .ofStage(after: earlier))
                call.unknown = .probe(ProbeRules(template: template, spacing: Self.spacing))
            }
            return call
        } catch {
            preconditionFailure("a stage: \(error)")
        }
    }

    /// The most time between a call and what the upstream does of it.
    static let longestWay = Duration.seconds(2)
    /// Before a negative counts: nothing that was sent is still to be executed.
    private static let spacing = Duration.seconds(3)
}
