import Testing

@testable import Gateway

/// What comes next in work of several stages.
@Suite struct StagePlanTests {
    /// All plans of up to five stages, each with every choice of what can be taken back.
    private static let plans: [[(point: String, isCompensable: Bool)]] = (1...5).flatMap { count in
        (0..<(1 << (count - 1))).map { mask in
            (0..<count).map { index in
                (index == count - 1 ? "finished" : "s\(index)", mask & 1 << index != 0)
            }
        }
    }

    /// All that can be done of a plan, in order, when the stage at a position fails; nil for none.
    private func course(
        _ stages: [(point: String, isCompensable: Bool)], failing: Int?
    ) -> [(step: StagePlan.Step, point: String)] {
        var course: [(StagePlan.Step, String)] = []
        for (index, stage) in stages.enumerated() {
            guard index == failing else {
                course.append((.stage(index), stage.point))
                continue
            }
            course.append((.stage(index), stage.point + ".failed"))
            for taken in stages.indices[..<index].reversed() where stages[taken].isCompensable {
                course.append((.compensation(taken), stages[taken].point + ".compensated"))
            }
            break
        }
        return course
    }

    @Test func `every prefix of every course goes on where it ended`() {
        for stages in Self.plans {
            let plan = StagePlan(stages)
            for failing in stages.indices.map(Optional.some) + [nil] {
                let course = course(stages, failing: failing)
                for length in 0...course.count {
                    let done = course[..<length].map(\.point)
                    let expected: StagePlan.Step =
                        if length < course.count {
                            course[length].step
                        } else if let failing {
                            .fail(failing)
                        } else {
                            .misfit(course.count)
                        }
                    #expect(plan.step(after: done) == expected, "\(stages) after \(done)")
                }
            }
        }
    }

    @Test func `what is not a prefix of any course fits nowhere`() {
        let stages = [("a", true), ("b", false), ("c", true), ("finished", false)]
        let plan = StagePlan(stages.map { (point: $0.0, isCompensable: $0.1) })
        for done in [
            ["b"], ["x"], ["a", "c"], ["a", "a"], ["a.compensated"], ["b.failed"],
            ["a", "b", "c.failed", "b.compensated"], ["a", "b", "c.failed", "c.compensated"],
            ["a", "b", "c.failed", "a.compensated", "a.compensated"], ["a.failed", "a"],
            ["a", "b", "c", "finished"], ["a", "b", "c", "finished.failed", "a.compensated"],
            ["a", "b", "c", "finished", "x"],
        ] {
            guard case .misfit = plan.step(after: done) else {
                Issue.record("\(done) fits: \(plan.step(after: done))")
                continue
            }
        }
    }

    @Test func `a plan that got more stages at its end goes on with them`() {
        let plan = StagePlan([("a", false), ("b", false), ("finished", false)])
        #expect(plan.step(after: ["a"]) == .stage(1))
    }

    @Test func `a point leads back to its step`() {
        for stages in Self.plans {
            let plan = StagePlan(stages)
            for index in stages.indices {
                #expect(plan.step(to: stages[index].point) == .stage(index))
                #expect(plan.point(of: .stage(index)) == stages[index].point)
                let taken = stages[index].point + ".compensated"
                #expect(
                    plan.step(to: taken)
                        == (stages[index].isCompensable ? .compensation(index) : nil))
                #expect(plan.isLast(index) == (index == stages.count - 1))
                #expect(
                    plan.hasCompensation(before: index)
                        == stages[..<index].contains { $0.isCompensable })
            }
            #expect(plan.step(to: "no") == nil)
            #expect(plan.step(to: "s0.failed") == nil)
        }
    }

    @Test func `names leave room for what the gateway appends`() {
        #expect(StageRules.flaw(ofName: String(repeating: "x", count: 52)) == nil)
        #expect(StageRules.flaw(ofName: String(repeating: "x", count: 53)) != nil)
        #expect(StageRules.flaw(ofName: "a.failed") != nil)
        #expect(StageRules.flaw(ofName: "a.compensated") != nil)
        #expect(StageRules.flaw(ofName: "failed") == nil)
    }
}
