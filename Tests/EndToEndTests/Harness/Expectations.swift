import Testing

/// Expects a problem document (RFC 9457) of the gateway's own, and gives its members.
@discardableResult
func expectProblem(
    _ response: WireResponse, _ status: Int, _ name: String, executed: String? = nil,
    at location: SourceLocation = #_sourceLocation
) throws -> JSONText {
    #expect(response.status == status, "\(response.text)", sourceLocation: location)
    #expect(
        response.fields["Content-Type"] == "application/problem+json", "\(response)",
        sourceLocation: location)
    let problem = try response.json
    #expect(problem["type"]?.string == "urn:oncegate:\(name)", sourceLocation: location)
    #expect(problem["status"]?.number == Double(status), sourceLocation: location)
    if let executed {
        #expect(problem["executed"]?.string == executed, "\(problem)", sourceLocation: location)
    }
    return problem
}

/// Expects an answer that was stored before, and that it is this one.
func expectReplay(
    _ response: WireResponse, of first: WireResponse, as status: String = "replayed",
    at location: SourceLocation = #_sourceLocation
) {
    #expect(response.status == first.status, "\(response.text)", sourceLocation: location)
    #expect(response.body == first.body, "\(response.text)", sourceLocation: location)
    #expect(response.fields["Idempotent-Replayed"] == "true", sourceLocation: location)
    #expect(response.fields["Idempotency-Status"] == status, sourceLocation: location)
}

/// Expects that the request was executed now and its answer stored.
func expectExecuted(
    _ response: WireResponse, _ status: Int = 201, at location: SourceLocation = #_sourceLocation
) {
    #expect(response.status == status, "\(response.text)", sourceLocation: location)
    #expect(response.fields["Idempotency-Status"] == "executed", sourceLocation: location)
    #expect(response.fields.all("Idempotent-Replayed") == [], sourceLocation: location)
}
