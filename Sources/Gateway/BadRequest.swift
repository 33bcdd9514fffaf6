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
