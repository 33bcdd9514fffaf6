import HTTP
package import Telemetry

/// The gateway's counters and histograms, looked up once for a routing table.
package final class GatewayMetrics: Sendable {
    /// What happens to keys, by route.
    struct KeyCounters: Sendable {
        let executions: Counter
        let replays: Counter
        let waits: Counter
        let conflicts: Counter
        let mismatches: Counter
        let unknowns: Counter
        /// Calls of stages that were done, of those that took them back, and how often the work of
        /// a record was gone on with; of routes without stages always 0.
        let stages: Counter
        let compensations: Counter
        let resumptions: Counter
        /// By decision; none where keys are enforced.
        let shadow: [Counter]
    }

    /// What goes through the tunnels to one upstream.
    struct TunnelCounters: Sendable {
        private let open: Gauge
        private let total: Counter
        /// From clients, and to them.
        let bytesIn: Counter
        let bytesOut: Counter
    }

    private let requests: [Counter]
    private let totals: [Histogram]
    /// By route.
    let keys: [KeyCounters]
    private let upstreamErrors: [Counter]
    private let upstreamTimes: [Histogram]
    private let storeTime: Histogram
    /// By upstream.
    let tunnels: [TunnelCounters]
    private let badProxyHeaders: Counter
    /// What upstreams said of unknown outcomes.
    let probes: ProbeCounters
    /// How many tables are in use: those of requests that began before a reload count until these
    /// are over.
    private let tables: Gauge

    /// Registers the metrics of a table's routes and upstreams. Tables that follow one another
    /// share what bears the same names.
    package init(_ metrics: Metrics, table: RoutingTable) {
        let routes = table.routes.map(\.name)
        let upstreams = table.upstreams.map(\.name)
        let names = routes + [Self.noRoute]
        requests = names.flatMap { route in
            RequestOutcome.allCases.flatMap { outcome in
                Self.statusClasses.map { status in
                    metrics.counter(
                        "oncegate_requests_total", help: "Requests answered.",
                        labels: [
                            ("route", route), ("outcome", outcome.rawValue), ("status", status),
                        ])
                }
            }
        }
        totals = names.map { route in
            metrics.histogram(
                "oncegate_request_seconds", help: "From a request's head to its answer's end.",
                labels: [("route", route)])
        }
        keys = table.routes.map { KeyCounters(metrics, of: $0) }
        upstreamErrors = upstreams.flatMap { upstream in
            Self.reasons.flatMap { reason in
                ["none", "possible"].map { effect in
                    metrics.counter(
                        "oncegate_upstream_errors_total", help: "Failed upstream exchanges.",
                        labels: [
                            ("upstream", upstream), ("reason", reason), ("effect", effect),
                        ])
                }
            }
        }
        upstreamTimes = upstreams.map { upstream in
            metrics.histogram(
                "oncegate_upstream_seconds", help: "From a forwarded request to its answer's end.",
                labels: [("upstream", upstream)])
        }
        tunnels = upstreams.map { TunnelCounters(metrics, upstream: $0) }
        probes = ProbeCounters(metrics)
        badProxyHeaders = metrics.counter(
            "oncegate_bad_proxy_headers_total",
            help: "Connections closed because no PROXY header stood at their start.", labels: [])
        tables = metrics.gauge(
            "oncegate_routing_tables",
            help: "Routing tables in use; after a reload the old one stays for its last requests.")
        tables.add(1)
        storeTime = metrics.histogram(
            "oncegate_store_seconds", help: "Time that a request waits for the key store.")
    }

    deinit { tables.add(-1) }

    /// Counts a request that is over.
    func count(_ account: RequestAccount, totalTime: UInt64) {
        requests[position(of: account)].increment()
        totals[account.route ?? totals.count - 1].record(nanoseconds: Int(clamping: totalTime))
        if account.storeTime > 0 {
            storeTime.record(nanoseconds: Int(clamping: account.storeTime))
        }
    }

    /// Counts what was refused before it was a request: its head could not be read.
    package func countRefusedHead(_ status: UInt16) {
        let account = RequestAccount(startedAt: 0)
        account.begin(status, .refused)
        requests[position(of: account)].increment()
    }

    /// Counts a connection that was closed because no PROXY header stood at its start.
    package func countBadProxyHeader() { badProxyHeaders.increment() }

    private func position(of account: RequestAccount) -> Int {
        let route = account.route ?? totals.count - 1
        let outcomes = RequestOutcome.allCases.count
        let statusClass = min(Int(account.status) / 100, Self.statusClasses.count - 1)
        return (route * outcomes + account.outcome.position) * Self.statusClasses.count
            + statusClass
    }

    /// Counts a failed exchange.
    func count(_ error: UpstreamError, upstream: Int) {
        let effect = error.effect == .none ? 0 : 1
        upstreamErrors[(upstream * Self.reasons.count + error.reason.position) * 2 + effect]
            .increment()
    }

    /// Records how long an upstream had a request.
    func record(upstreamTime: UInt64, upstream: Int) {
        upstreamTimes[upstream].record(nanoseconds: Int(clamping: upstreamTime))
    }

    private static let noRoute = "none"
    private static let statusClasses = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
    private static let reasons = [
        "unreachable", "overloaded", "connect-timeout", "timeout", "cut-short", "malformed",
        "withdrawn",
    ]
}

extension GatewayMetrics.TunnelCounters {
    init(_ metrics: Metrics, upstream: String) {
        open = metrics.gauge(
            "oncegate_tunnels", help: "Connections that have switched protocols and are open.",
            labels: [("upstream", upstream)])
        total = metrics.counter(
            "oncegate_tunnels_total", help: "Connections that have switched protocols.",
            labels: [("upstream", upstream)])
        func bytes(_ direction: String) -> Counter {
            metrics.counter(
                "oncegate_tunnel_bytes_total", help: "Bytes from (in) and to (out) clients.",
                labels: [("upstream", upstream), ("direction", direction)])
        }
        bytesIn = bytes("in")
        bytesOut = bytes("out")
    }

    func begin() {
        open.add(1)
        total.increment()
    }

    func end() { open.add(-1) }
}

/// Counts the answers to probes.
struct ProbeCounters: Sendable {
    private let executed: Counter
    private let absent: Counter
    private let inconclusive: Counter

    init(_ metrics: Metrics) {
        func counter(_ result: String) -> Counter {
            metrics.counter(
                "oncegate_probes_total", help: "What upstreams said of unknown outcomes.",
                labels: [("result", result)])
        }
        executed = counter("executed")
        absent = counter("absent")
        inconclusive = counter("inconclusive")
    }

    func count(_ finding: ProbeSchedule.Finding) {
        switch finding {
        case .executed: executed.increment()
        case .absent: absent.increment()
        case .inconclusive: inconclusive.increment()
        }
    }
}

extension GatewayMetrics.KeyCounters {
    init(_ metrics: Metrics, of route: Route) {
        let (isShadow, route) = (route.keys?.isShadow == true, route.name)
        func counter(_ name: String, _ help: String) -> Counter {
            metrics.counter("oncegate_\(name)_total", help: help, labels: [("route", route)])
        }
        executions = counter("executions", "Keyed requests that were forwarded.")
        replays = counter("replays", "Answers that were given again.")
        waits = counter("waits", "Requests that waited for another one's answer.")
        conflicts = counter("conflicts", "Requests that were refused because one was in flight.")
        mismatches = counter("mismatches", "Keys that came with another request.")
        unknowns = counter("unknowns", "Requests whose outcome nobody knows.")
        stages = counter("stages", "Stages that were done.")
        compensations = counter("compensations", "Stages that were taken back.")
        resumptions = counter("resumptions", "Suspended keys that were gone on with.")
        shadow = (isShadow ? ShadowDecision.allCases : []).map { decision in
            metrics.counter(
                "oncegate_shadow_total",
                help: "What would be done with requests whose keys are only watched.",
                labels: [("route", route), ("decision", decision.rawValue)])
        }
    }
}

extension RequestOutcome {
    /// Its place among all cases.
    fileprivate var position: Int {
        switch self {
        case .forwarded: 0
        case .executed: 1
        case .released: 2
        case .unknown: 3
        case .unsaved: 4
        case .unprotected: 5
        case .replayed: 6
        case .joined: 7
        case .inFlight: 8
        case .refused: 9
        case .unreachable: 10
        case .storeUnavailable: 11
        case .abandoned: 12
        case .suspended: 13
        case .detached: 14
        }
    }
}

extension UpstreamError.Reason {
    fileprivate var position: Int {
        switch self {
        case .unreachable: 0
        case .overloaded: 1
        case .connectTimeout: 2
        case .timeout: 3
        case .cutShort: 4
        case .malformed: 5
        case .withdrawn: 6
        }
    }
}
