import Glibc
import Testing

/// No request is lost, and none is executed twice, while configurations replace one another.
@Suite(.ownThread) struct ReloadUnderLoadTests {
    @Test func `reloads under load lose nothing and execute nothing twice`() throws {
        let other = try ScriptedOrigin()
        defer { other.stop() }
        let first = Configuration { $0.members["threads"] = "2" }
        let second = Configuration {
            $0.members["threads"] = "2"
            $0.members["limits"] = #"{"field_count": 64}"#
            $0.upstream["timeouts"] = #"{"idle": "45s"}"#
            $0.routes = [#"{"name": "extra", "path": "/extra", "upstream": "api"}"#]
        }
        try Site.run(first) { site in
            let clients = SteadyClients(6, of: site.gateway.port)
            try clients.waitForMore(20)
            for round in 0..<20 {
                try site.gateway.write(second, upstreamURL: "http://127.0.0.1:\(other.port)")
                try site.gateway.hangUp(expecting: "info")
                try clients.waitForMore(10)
                try site.gateway.write(round % 2 == 0 ? "{}" : #"{"listeners": 1"#)
                try site.gateway.hangUp(expecting: "error")
                // Not waited for: reloads may come one upon the other.
                for _ in 0..<3 { site.gateway.process.signal(SIGHUP) }
                try site.gateway.write(first)
                try site.gateway.hangUp(expecting: "info")
                try clients.waitForMore(10)
            }
            try clients.stop()
            #expect(clients.failures == [])
            #expect(clients.closes == 0)
            try expectEachOnce(clients, [site.origin, other])
            #expect(other.requests.count > 0)
            #expect(other.violations == [])
        }
    }
}

/// Expects that each guarded request was executed once, by whichever origin.
func expectEachOnce(
    _ clients: SteadyClients, _ origins: [ScriptedOrigin],
    at location: SourceLocation = #_sourceLocation
) throws {
    var executions: [String: Int] = [:]
    for origin in origins {
        for (order, answers) in origin.executions { executions[order, default: 0] += answers.count }
    }
    let all = clients.keys
    #expect(Set(all).count == all.count, sourceLocation: location)
    for key in all {
        // The origin counts plain ones by their targets.
        let count = executions[key] ?? executions["/plain/\(key)"] ?? 0
        #expect(count == 1, "\(key)", sourceLocation: location)
    }
}
