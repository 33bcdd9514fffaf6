import HTTP

/// What a route's answers get right before they are sent, forwarded ones, replays and the gateway's
/// own problems alike. Nothing of it is stored.
struct AnswerDress {
    var rules: FieldRules?
    /// What the rules' words stand for, where there are rules.
    var values: EdgeValues?
    /// Who may read problems, and the origin that asks.
    var crossOrigin: (rules: CrossOrigin, origin: ArraySlice<UInt8>)?

    /// The dress of one request's answer.
    init(_ route: Route, _ request: borrowing Request, _ path: DecodedPath?, _ edge: RequestEdge) {
        rules = route.answerFields
        if rules != nil {
            values = EdgeValues(
                request.head, path, route.path, from: request.downstream, edge)
        }
        if let rules = route.crossOrigin, let origin = request.head.fields[CrossOrigin.origin] {
            crossOrigin = (rules, origin)
        }
    }
}

extension RequestAccount {
    /// The trailer fields that an answer may have: none of a name that its dress rules.
    func trailers(_ received: Fields) -> Fields {
        guard received.count > 0 else { return received }
        let requestID = edge.requestIDField
        var fields = received
        fields.removeAll { index in
            if let requestID, received.isLine(at: index, named: requestID) { return true }
            return dress?.rules?.drops(index, of: received) ?? false
        }
        return fields
    }

    /// Gives a final answer's fields what they get at the edge: the route's rules, for a problem
    /// the leave to be read, the request's id, and of all that the leave for scripts of other origins
    /// to see it, where they may see anything.
    func dress(_ fields: inout Fields, isProblem: Bool = false) {
        if let dress {
            if let rules = dress.rules, let values = dress.values {
                rules.apply(to: &fields, values)
            }
            if isProblem, let (rules, origin) = dress.crossOrigin,
                !fields.contains(.accessControlAllowOrigin)
            {
                rules.allow(origin, in: &fields)
            }
        }
        let requestID = edge.requestIDField
        if let requestID {
            fields.removeAll(requestID)
            fields.append(requestID, edge.requestID)
        }
        guard isKeyed || requestID != nil,
            fields.contains(.accessControlAllowOrigin)
                || fields.contains(.accessControlExposeHeaders)
        else { return }
        if isKeyed {
            fields.append(.accessControlExposeHeaders, edge.rules.exposedOfKeyed)
        } else if let requestID {
            fields.append(.accessControlExposeHeaders, requestID.spelling)
        }
    }
}
