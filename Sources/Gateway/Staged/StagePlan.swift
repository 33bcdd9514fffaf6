/// What is to be done in which order, and what comes next after what is done. No I/O.
///
/// A record's stages are read as a prefix of one of these sequences: the stages of the plan in
/// order; or some of them, the failure of the next one, and the compensations of those before it
/// from the last to the first.
struct StagePlan: Sendable {
    /// What comes next.
    enum Step: Equatable, Sendable {
        /// The stage at this position.
        case stage(Int)
        /// The compensation of the stage at this position.
        case compensation(Int)
        /// Nothing is left to be taken back; the failure's answer, at this position among what is
        /// done, is the answer.
        case fail(Int)
        /// What is done, from this position on, is not of this plan.
        case misfit(Int)
    }

    private let stages: [(point: String, isCompensable: Bool)]

    init(_ stages: [StageRules]) {
        self.init(stages.map { ($0.recoveryPoint, $0.compensation != nil) })
    }

    init(_ stages: [(point: String, isCompensable: Bool)]) { self.stages = stages }

    /// What comes after these recovery points.
    func step(after done: [String]) -> Step {
        var count = 0
        while count < done.count, count < stages.count, done[count] == stages[count].point {
            count += 1
        }
        if count == done.count { return count < stages.count ? .stage(count) : .misfit(count) }
        guard count < stages.count, done[count] == Self.failure(of: stages[count].point) else {
            return .misfit(count)
        }
        let failed = count
        var position = failed + 1
        for stage in stages.indices[..<failed].reversed() where stages[stage].isCompensable {
            guard position < done.count else { return .compensation(stage) }
            guard done[position] == Self.compensation(of: stages[stage].point) else {
                return .misfit(position)
            }
            position += 1
        }
        return position == done.count ? .fail(failed) : .misfit(position)
    }

    /// Whether a stage is the last one, whose answer is the client's.
    func isLast(_ stage: Int) -> Bool { stage == stages.count - 1 }

    /// Whether something is to be taken back when the stage at a position fails.
    func hasCompensation(before stage: Int) -> Bool {
        stages[..<stage].contains { $0.isCompensable }
    }

    /// Which step leads to a recovery point; nil for a point that no step leads to.
    func step(to point: String) -> Step? {
        for (index, stage) in stages.enumerated() {
            if stage.point == point { return .stage(index) }
            if stage.isCompensable, Self.compensation(of: stage.point) == point {
                return .compensation(index)
            }
        }
        return nil
    }

    /// The recovery point of a step.
    func point(of step: Step) -> String? {
        switch step {
        case .stage(let index): stages[index].point
        case .compensation(let index): Self.compensation(of: stages[index].point)
        case .fail, .misfit: nil
        }
    }

    /// The recovery point at which a stage has failed for good.
    static func failure(of point: String) -> String { point + failed }
    /// The recovery point at which a stage was taken back.
    static func compensation(of point: String) -> String { point + compensated }

    private static let failed = ".failed"
    private static let compensated = ".compensated"
}

extension StageRules {
    /// Why a recovery point cannot be a stage's; nil when it can.
    package static func flaw(ofName name: String) -> String? {
        guard name.utf8.count <= longestName else {
            return "expected at most \(longestName) characters"
        }
        guard !name.hasSuffix(".failed"), !name.hasSuffix(".compensated") else {
            return "expected a name without \".failed\" or \".compensated\" at its end: those are "
                + "the gateway's own"
        }
        return nil
    }

    /// As long as leaves room for what the gateway appends.
    private static let longestName = 52
}
