import Glibc

/// Clients that send requests one after the other until they are told to stop, and note every one
/// that is not answered as it should be. Each uses keys of its own.
///
/// Half of them keep their connections, until an answer says that it closes; the others use a new
/// one for each request. A guarded and a plain request take turns.
final class SteadyClients: Sendable {
    private struct State {
        var isOver = false
        var answers = 0
        /// Answers after which the connection closed, though the client would have kept it.
        var closes = 0
        var keys: [String] = []
        var failures: [String] = []
    }

    private let state = Monitor(State())
    private let work: Monitor<[Background<Void>]> = Monitor([])

    /// Starts so many clients of a port.
    init(_ count: Int, of port: UInt16) {
        let work = (0..<count).map { number in
            Background<Void> { [state] in
                var client: RawClient?
                var serial = 0
                while !state.with({ $0.isOver }) {
                    serial += 1
                    let key = "c\(number)-\(serial)"
                    let call =
                        serial % 2 == 0
                        ? .get("/plain/\(key)") : Call(key: key) { $0.target = "/orders/\(key)" }
                    do {
                        let connection = try client ?? RawClient(port)
                        let answer = try connection.exchange(call)
                        let closes = answer.fields["Connection"] == "close"
                        client = number % 2 == 0 && !closes ? connection : nil
                        state.with { state in
                            state.answers += 1
                            if closes { state.closes += 1 }
                            state.keys.append(key)
                            if answer.status != 201 {
                                state.failures.append("\(key): \(answer.status) \(answer.text)")
                            }
                        }
                    } catch {
                        client = nil
                        state.with { $0.failures.append("\(key): \(type(of: error)) \(error)") }
                    }
                }
            }
        }
        self.work.with { $0 = work }
    }

    /// Requests answered so far.
    var answers: Int { state.with { $0.answers } }
    /// Answers that closed their connections.
    var closes: Int { state.with { $0.closes } }
    /// What went wrong.
    var failures: [String] { state.with { $0.failures } }
    /// The names of all requests that were answered.
    var keys: [String] { state.with { $0.keys } }

    /// Waits until so many more requests were answered.
    func waitForMore(_ count: Int) throws {
        let goal = answers + count
        try state.wait(for: "\(count) more answers") { $0.answers >= goal ? true : nil }
    }

    /// Has all of them stop after the request that they are at.
    func stop() throws {
        state.with { $0.isOver = true }
        for client in work.with({ $0 }) { try client.value() }
    }
}
