import HTTP

extension Problem {
    /// No route takes the request.
    static var noRoute: Problem {
        Problem(
            .noRoute, 404, "No route takes this host, path and method. Check the URL.",
            executed: .no)
    }

    /// The path cannot be decoded.
    static var malformedPath: Problem {
        Problem(
            .badRequest, 400,
            "The path has a malformed percent sequence or an encoded NUL. Correct the URL.",
            executed: .no)
    }

    /// The body is longer than the route takes.
    static func bodyTooLarge(limit: Int) -> Problem {
        Problem(
            .bodyTooLarge, 413,
            "The request body is longer than the \(limit) bytes that are taken here. Send less.",
            executed: .no)
    }

    /// The request's body did not come as it should; nil when nobody is left to be told.
    static func brokenBody(_ error: DownstreamError, executed: Executed) -> Problem? {
        switch error {
        case .closed, .writeTimeout: nil
        case .bodyTimeout:
            Problem(
                .badRequest, 408,
                "The request body stopped coming. Send the request again.", executed: executed)
        case .malformed(let reason):
            Problem(
                .badRequest, 400, "The request body is malformed: \(reason). Correct its framing.",
                executed: executed)
        }
    }

    /// Nothing was sent to the upstream.
    static func unreachable(_ reason: UpstreamError.Reason) -> Problem {
        let status: UInt16 =
            switch reason {
            case .overloaded, .withdrawn: 503
            case .connectTimeout, .timeout: 504
            case .unreachable, .cutShort, .malformed: 502
            }
        return Problem(
            .upstreamUnreachable, status,
            "The upstream could not be reached, and nothing was sent to it. The request can be "
                + "sent again.",
            executed: .no,
            retryAfter: reason == .overloaded || reason == .withdrawn ? 1 : nil)
    }

    /// Something was sent to the upstream, and no whole answer came back. `reason` is nil when that
    /// was an earlier request.
    static func outcomeUnknown(_ reason: UpstreamError.Reason?, isKeyed: Bool) -> Problem {
        let advice =
            isKeyed
            ? "A retry with the same key does not execute it again by itself; find out at the "
                + "upstream what became of it."
            : "Find out what became of it before it is sent again."
        return Problem(
            .outcomeUnknown, reason == .timeout ? 504 : 502,
            "The request was sent to the upstream, but no whole answer came back, so it may have "
                + "been executed. " + advice,
            executed: .unknown)
    }

    /// No key could be claimed. Whether an earlier request with the key was executed is what the
    /// store would have said.
    static var storeUnavailable: Problem {
        Problem(
            .storeUnavailable, 503,
            "The key store does not answer, so this request was not forwarded; whether an earlier "
                + "one with the key was executed cannot be told. Send it again, with the same key.",
            executed: .unknown, retryAfter: 1)
    }

    /// There is no room for the body, without which nobody can say whether it was sent before.
    static var spoolUnavailable: Problem {
        Problem(
            .storeUnavailable, 503,
            "There is no room for the request body now, so this request was not forwarded; whether "
                + "an earlier one with the key was executed cannot be told. Send it again later, "
                + "with the same key.",
            executed: .unknown, retryAfter: 1)
    }

    /// No key could be claimed, and another request with the same key was forwarded all the same.
    static var claimedWithoutStore: Problem {
        Problem(
            .storeUnavailable, 503,
            "The key store does not answer. Another request with this key was forwarded without "
                + "protection; this one was not. One that is sent again may be executed again.",
            executed: .unknown, retryAfter: 1)
    }

    /// A key is asked for, and there is none, neither in its field nor where else it could be.
    static func keyMissing(_ header: FieldName, or source: KeySource? = nil) -> Problem {
        let place =
            switch source {
            case .header(let name): ", or with \(name)"
            case .json(let pointer): ", or with a string or number at \(pointer) of a JSON body"
            case .fingerprint, nil: ""
            }
        return Problem(
            .keyMissing, 400,
            "This request needs a key. Send it again with \(header) and a value of your own, the "
                + "same for every retry" + place + ".",
            executed: .no)
    }

    /// The key is none.
    static func keyInvalid(_ header: FieldName, _ reason: String) -> Problem {
        Problem(.keyInvalid, 400, "\(header) is not a key: \(reason).", executed: .no)
    }

    /// The first request is still at work.
    static func inFlight(retryAfter: Int) -> Problem {
        Problem(
            .inFlight, 409,
            "A request with this key is being executed. Send it again, with the same key, to get "
                + "its answer.",
            executed: .pending, retryAfter: max(1, retryAfter))
    }

    /// The request's own transfer takes longer than the route lets a client wait.
    static var stillInFlight: Problem {
        Problem(
            .inFlight, 504,
            "The request was forwarded and is still being executed. Send it again, with the same "
                + "key, to get its answer.",
            executed: .pending, retryAfter: 1)
    }

    /// The key belongs to another request.
    static func keyReused(differs: [String]) -> Problem {
        var problem = Problem(
            .keyReused, 422,
            "This key was used for another request. A retry repeats the request exactly; a new "
                + "request takes a new key.",
            executed: .no)
        problem.differs = differs
        return problem
    }

    /// The answer's time is over.
    static var keyExpired: Problem {
        Problem(
            .keyExpired, 410,
            "The answer under this key is no longer kept. Find out at the upstream what became of "
                + "the request; a new request takes a new key.",
            executed: .unknown)
    }

    /// The request was executed; its answer's body was not kept.
    static func responseNotKept(originalStatus: UInt16) -> Problem {
        var problem = Problem(
            .responseNotKept, 410,
            "The request was executed, and its answer had status \(originalStatus); the body was "
                + "not kept. Fetch the result from the upstream by other means.",
            executed: .yes)
        problem.originalStatus = originalStatus
        return problem
    }
}
