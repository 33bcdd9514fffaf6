package import HTTP

/// The answer to what never becomes a request that a route could take: a `bad-request` problem.
package enum BadRequest {
    /// The problem document for a status that the server chose, with its reason.
    package static func answer(
        _ status: UInt16, _ reason: String
    ) -> (head: ResponseHead, body: [UInt8]) {
        let problem = Problem(.badRequest, status, reason, executed: .no)
        return (problem.head, problem.body)
    }
}

/// The answer to a request that has none when the gateway ends: an `outcome-unknown` problem.
package enum LastAnswer {
    /// The problem document. What it says holds for a request in any state.
    package static func answer() -> (head: ResponseHead, body: [UInt8]) {
        let problem = Problem(
            .outcomeUnknown, 504,
            "The gateway ends, and there is no answer yet, so the request may or may not have been "
                + "executed. Sent again with the same idempotency key, it is not executed twice by "
                + "itself; without one, find out what became of it first.",
            executed: .unknown)
        return (problem.head, problem.body)
    }
}
