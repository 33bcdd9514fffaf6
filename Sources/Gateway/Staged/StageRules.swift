package import HTTP

/// One step of a route's work: an entry of `stages` in `gateway.json`.
package struct StageRules: Sendable {
    /// The recovery point that is reached when it is done; `finished` for the last one.
    package var recoveryPoint: String
    package var call: StageCall
    /// What takes its effect back when a later stage fails for good.
    package var compensation: StageCall?

    /// A stage from its parts.
    package init(recoveryPoint: String, call: StageCall, compensation: StageCall? = nil) {
        self.recoveryPoint = recoveryPoint
        self.call = call
        self.compensation = compensation
    }
}

/// One call of an upstream, as a stage makes it.
package struct StageCall: Sendable {
    /// What it sends beside its fields.
    package enum Body: Sendable {
        case none
        /// The client's own bytes.
        case original
        case json(JSONTemplate)
    }

    /// What happens when nobody knows whether it was executed.
    package enum Unknown: Sendable {
        /// The record waits for an operator.
        case hold
        /// It is made again: this upstream tolerates repeats.
        case retry
        /// The upstream is asked.
        case probe(ProbeRules)
    }

    /// How often it is made in one run, when it may be made again.
    package struct Retry: Sendable {
        /// All of them; 1 is no repetition.
        package var attempts: Int
        /// Before the second one; doubled after each.
        package var backoff: Duration

        /// A number of attempts.
        package init(attempts: Int = 1, backoff: Duration = .milliseconds(500)) {
            self.attempts = attempts
            self.backoff = backoff
        }
    }

    /// The position of its upstream in ``RoutingTable/upstreams``; nil for the route's own.
    package var upstream: Int?
    package var method: Method
    package var path: Template
    /// These replace the client's fields of the same names.
    package var fields: [(name: FieldName, value: Template)] = []
    package var body: Body = .none
    /// Statuses that say that it is done.
    package var success = StatusSet([200...299])
    package var retry = Retry()
    package var unknown: Unknown = .hold

    /// A call with the defaults.
    package init(method: Method = .post, path: Template) {
        self.method = method
        self.path = path
    }

    /// How its outcome is found out; nil where it is not.
    var probe: ProbeRules? {
        if case .probe(let rules) = unknown { rules } else { nil }
    }

    /// Whether it may be made again without knowing what became of it.
    var toleratesRepeats: Bool {
        if case .retry = unknown { true } else { false }
    }
}
