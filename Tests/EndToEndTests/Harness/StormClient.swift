import Glibc

extension StormHistory {
    /// Sends one request, as soon as the gateway takes connections.
    static func observe(
        _ key: String, on port: UInt16, cut: Bool
    ) throws -> Observation {
        let deadline = Deadline()
        while true {
            let start = ContinuousClock.now
            let client: RawClient
            do {
                client = try RawClient(port)
            } catch {
                guard !deadline.hasPassed else { throw error }
                _ = poll(nil, 0, 5)
                continue
            }
            let outcome = try outcome(of: key, client, cut: cut)
            return .init(key: key, start: start, end: .now, outcome: outcome)
        }
    }

    private static func outcome(
        of key: String, _ client: RawClient, cut: Bool
    ) throws -> Outcome {
        do {
            try client.send(Call(key: key))
            if cut {
                client.reset()
                return .none
            }
            let response = try client.response()
            let problem =
                response.fields["Content-Type"] == "application/problem+json"
                ? try response.json["type"]?.string : nil
            return .answer(
                status: response.status, body: response.body,
                isReplayed: response.fields["Idempotent-Replayed"] == "true", problem: problem)
        } catch let error where error is HarnessError || error is WireReader.Malformed {
            throw error
        } catch {
            return .none
        }
    }
}
