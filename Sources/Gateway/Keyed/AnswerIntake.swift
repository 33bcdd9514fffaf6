import HTTP

/// Takes upstreams' answers in, and passes long ones on to a client while they come.
struct AnswerIntake {
    let rules: KeyRules
    /// Who gets what comes; nil keeps it all back.
    var downstream: StreamedAnswer?

    /// The final answer, whole.
    func answer(of exchange: any UpstreamExchange) async throws(UpstreamError) -> ReceivedAnswer {
        let head = try await finalHead(of: exchange)
        return try await answer(ReceivedAnswer(head, rules), from: exchange)
    }

    /// What follows an answer's head.
    func answer(
        _ begun: ReceivedAnswer, from exchange: any UpstreamExchange
    ) async throws(UpstreamError) -> ReceivedAnswer {
        do throws(UpstreamError) {
            var answer = begun
            let framing = answer.head.framing
            var body = RecordedBody(limit: rules.responseLimit, framing)
            let heldLimit = rules.streams ? 0 : min(body.limit, Self.heldLimit)
            if heldLimit == 0 || framing.isLonger(than: heldLimit) {
                await downstream?.begin(answer)
            }
            while let chunk = try await exchange.read() {
                if let downstream {
                    if !downstream.hasBegun, body.count + chunk.count > heldLimit {
                        await downstream.begin(answer)
                        await downstream.pass(body.bytes[...])
                    }
                    if downstream.hasBegun { await downstream.pass(chunk) }
                }
                body.append(chunk)
            }
            answer.body = body.kept
            answer.trailers = ResponseForwarding.trailers(exchange.trailers)
            ResponseForwarding.removeKeyLines(from: &answer.trailers)
            return answer
        } catch {
            // The upstream has answered, so it has acted, whatever the client says of its bytes.
            throw UpstreamError(error.reason, effect: .possible, detail: error.detail)
        }
    }

    /// The final head; interim ones go to the client, if there is one.
    func finalHead(
        of exchange: any UpstreamExchange
    ) async throws(UpstreamError) -> ResponseHead {
        var head = try await exchange.head()
        while head.isInterim {
            if var interim = try ResponseForwarding.interim(head), let downstream {
                ResponseForwarding.removeKeyLines(from: &interim.fields)
                await downstream.pass(interim: interim)
            }
            head = try await exchange.head()
        }
        return head
    }

    /// Answers up to this long are whole before the client sees a byte of them.
    private static let heldLimit = 256 << 10
}

extension BodyFraming {
    /// Whether the length is known, and more than that.
    fileprivate func isLonger(than limit: Int) -> Bool {
        if case .length(let length) = self { length > UInt64(limit) } else { false }
    }
}
