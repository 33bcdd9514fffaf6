import Gateway
import HTTP
import JSON

extension Configuration.Idempotency {
    /// Checks what concerns the stages among each other and beside the route's other members.
    func checkStages(_ cursor: Cursor, _ reading: inout Reading) {
        guard let stages, let place = cursor.member("stages") else { return }
        var taken: Set<String> = []
        for (index, (stage, element)) in zip(stages, place.elements).enumerated() {
            let point = element.member("recovery_point") ?? element
            guard !reading.isFlawed(point.path), !stage.recoveryPoint.isEmpty else { continue }
            let isLast = index == stages.count - 1
            if isLast != (stage.recoveryPoint == "finished") {
                reading.tell(
                    isLast
                        ? "expected \"finished\" for the last stage, found \(point.found)"
                        : "expected \"finished\" for the last stage only", at: point)
            } else if !taken.insert(stage.recoveryPoint).inserted {
                reading.tell("another stage has this name", at: point)
            }
            if isLast, let place = element.given("compensate") {
                reading.tell("has no effect: no stage follows that could fail", at: place)
            }
            checkProbe(of: stage.call, element, &reading)
            if let compensation = stage.compensate, let place = element.given("compensate") {
                checkProbe(of: compensation, place, &reading)
            }
        }
        checkCompany(cursor, &reading)
    }

    private func checkProbe(of call: StageCall, _ cursor: Cursor, _ reading: inout Reading) {
        switch call.unknown ?? unknown {
        case .probe:
            let probe = cursor.member("probe") ?? cursor.missing("probe")
            guard call.probe == nil, !reading.isFlawed(probe.path) else { return }
            reading.tell(
                "is missing; expected an object such as { \"path\": \"/orders?reference={key}\" }, "
                    + "because unknown is \"probe\"", at: probe)
        case .hold, .retry:
            // One that says otherwise itself has told so already.
            guard call.unknown == nil, call.probe != nil, let place = cursor.member("probe") else {
                return
            }
            reading.tell("has no effect unless unknown is \"probe\"", at: place)
        }
    }

    /// What cannot be had together with stages.
    private func checkCompany(_ cursor: Cursor, _ reading: inout Reading) {
        if mode == .shadow, let place = cursor.member("mode") {
            reading.tell("expected \"enforce\" with stages: they cannot only be watched", at: place)
        }
        if stream, let place = cursor.member("stream") {
            reading.tell("expected false with stages", at: place)
        }
        if storeDown == .pass, let place = cursor.member("store_down") {
            reading.tell(
                "expected \"refuse\" with stages: without a store nobody knows how far they are",
                at: place)
        }
        if let place = cursor.member("backend_stages"), place.value.bool == true {
            reading.tell("expected false with stages", at: place)
        }
        if let place = cursor.given("probe") {
            reading.tell("expected none with stages: each stage has its own", at: place)
        }
    }
}

extension Configuration.Route {
    /// Checks the templates of the stages, and that a body is bounded that has to be kept.
    func checkStages(_ cursor: Cursor, _ reading: inout Reading) {
        guard let stages = idempotency?.stages,
            let place = cursor.member("idempotency")?.member("stages")
        else { return }
        if limits.body.map({ $0 > Self.longestStagedBody }) ?? true {
            let limit = cursor.member("limits")?.member("body") ?? place
            reading.tell(
                "expected limits.body of at most \"64MiB\" with stages: the request is stored "
                    + "with its body", at: limit)
        }
        guard let pattern = try? PathPattern(path) else { return }
        let names = stages.map(\.recoveryPoint)
        for (index, (stage, element)) in zip(stages, place.elements).enumerated() {
            stage.call.checkTemplates(element, pattern, Array(names[..<index]), &reading)
            guard let compensation = stage.compensate, let place = element.given("compensate")
            else { continue }
            compensation.checkTemplates(place, pattern, Array(names[...index]), &reading)
        }
    }

    private static let longestStagedBody = 64 << 20
}

extension Configuration.Idempotency.StageCall {
    /// Compiles each template, so that a mistake is told at its place.
    fileprivate func checkTemplates(
        _ cursor: Cursor, _ pattern: PathPattern, _ earlier: [String], _ reading: inout Reading
    ) {
        let words = Template.Words.ofStage(after: earlier)
        func check(
            _ place: Cursor?, _ compile: () throws(PatternError) -> Void,
            _ reading: inout Reading
        ) {
            guard let place, !reading.isFlawed(place.path) else { return }
            do {
                try compile()
            } catch {
                reading.tell(error.reason, at: place)
            }
        }
        let path = cursor.member("path")
        check(
            path,
            { () throws(PatternError) in
                _ = try Template(path: self.path, for: pattern, words: words)
            }, &reading)
        for header in headers {
            let place = cursor.member("headers")?.member(header.name.description)
            check(
                place,
                { () throws(PatternError) in
                    _ = try Template(header.value, for: pattern, words: words)
                }, &reading)
        }
        if let probe {
            check(
                cursor.member("probe")?.member("path"),
                { () throws(PatternError) in
                    _ = try ProbeTemplate(probe.path, for: pattern, words: words)
                }, &reading)
        }
        if case .json(let value) = body, let place = cursor.member("body") {
            checkStrings(of: value, place, pattern, words, &reading)
        }
    }

    private func checkStrings(
        of value: JSONValue, _ cursor: Cursor, _ pattern: PathPattern, _ words: Template.Words,
        _ reading: inout Reading
    ) {
        switch value.kind {
        case .string(let text):
            do {
                _ = try Template(text, for: pattern, words: words)
            } catch {
                reading.tell(error.reason, at: cursor)
            }
        case .array(let elements):
            for (element, place) in zip(elements, cursor.elements) {
                checkStrings(of: element, place, pattern, words, &reading)
            }
        case .object(let members):
            for member in members {
                guard let place = cursor.member(member.name) else { continue }
                checkStrings(of: member.value, place, pattern, words, &reading)
            }
        case .null, .bool, .number: break
        }
    }
}
