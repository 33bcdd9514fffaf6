/// Where an upstream is and how it is to be spoken to.
package struct UpstreamOptions: Sendable, Hashable {
    /// `http://host:port` or `https://host:port`, without a path.
    package var url: String
    /// The Unix socket to connect to instead of the URL's host.
    package var unixSocket: String?
    /// From the start of a connection to its readiness, TLS included.
    package var connectTimeout: Duration = .seconds(3)
    /// How long the upstream may neither send nor take a byte.
    package var idleTimeout: Duration? = .seconds(60)
    /// For a whole exchange, from its start to the last byte of the answer.
    package var totalTimeout: Duration?
    /// How many requests it may have at one time, shared by all event loops; nil for any number.
    package var inFlight: InFlightLimit?
    /// How many idle connections are kept per event loop.
    package var keptConnections = 256
    /// How long an idle connection is kept; to be less than what the upstream does.
    package var keptFor: Duration = .seconds(30)
    /// PEM file of the authorities to trust in place of the system's.
    package var authorities: String?
    /// Whether the upstream's certificate and name are checked.
    package var verifies = true
    /// PEM files of the gateway's own certificate and its key.
    package var certificate: String?
    package var privateKey: String?

    /// Options with their defaults.
    package init(url: String) { self.url = url }
}
