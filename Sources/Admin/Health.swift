import HTTP
import JSON
package import Telemetry

/// Something that must hold before the gateway can do its work.
package struct ReadinessCheck {
    let name: String
    let isReady: () -> Bool

    /// A check whose name `/readyz` tells while it fails. `isReady` must not block.
    package init(_ name: String, isReady: @escaping () -> Bool) {
        self.name = name
        self.isReady = isReady
    }
}

extension AdminResource {
    /// `/healthz`: 200 as long as the event loop answers at all.
    package static var health: AdminResource {
        AdminResource(.path("/healthz"), methods: [.get]) { _, response in
            let body = Array("ok\n".utf8)
            try await response.respond(
                AdminAnswer(mediaType: "text/plain; charset=utf-8", body: body))
        }
    }

    /// `/readyz`: 200, or 503 while a check fails; `not_ready` lists the names of those that do.
    package static func readiness(_ checks: [ReadinessCheck]) -> AdminResource {
        AdminResource(.path("/readyz"), methods: [.get]) { _, response in
            let failing = checks.filter { !$0.isReady() }
            let answer = AdminAnswer(failing.isEmpty ? 200 : 503) { json in
                json.member("ready", failing.isEmpty)
                json.name("not_ready")
                json.beginArray()
                for check in failing { json.value(check.name) }
                json.endArray()
            }
            try await response.respond(answer)
        }
    }

    /// `/metrics`: everything that is counted, for Prometheus.
    package static func metrics(_ metrics: Metrics) -> AdminResource {
        AdminResource(.path("/metrics"), methods: [.get]) { _, response in
            try await response.respond(
                AdminAnswer(mediaType: PrometheusText.mediaType, body: metrics.prometheusText()))
        }
    }
}
