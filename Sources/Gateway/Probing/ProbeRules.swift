package import HTTP

/// How an upstream is asked what became of a request: `probe` of a route in `gateway.json`.
package struct ProbeRules: Sendable {
    package var template: ProbeTemplate
    /// The least time between two negatives that count, and from the moment at which the record
    /// was found unknown to the first of them. No shorter than the upstream may take to act.
    package var spacing: Duration
    /// How often the gateway asks on its own; retries of clients ask further.
    package var attempts: Int
    /// Fields that the probe bears, as credentials.
    package var fields: Fields

    /// Rules from their parts.
    package init(
        template: ProbeTemplate, spacing: Duration = .seconds(10), attempts: Int = 20,
        fields: Fields = Fields()
    ) {
        self.template = template
        self.spacing = spacing
        self.attempts = attempts
        self.fields = fields
    }
}
