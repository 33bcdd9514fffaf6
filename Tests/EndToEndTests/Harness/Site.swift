import Glibc
import Testing

/// A gateway with an origin behind it.
final class Site {
    private(set) var origin: ScriptedOrigin
    let gateway: GatewayProcess

    private init(_ configuration: Configuration) throws {
        origin = try ScriptedOrigin()
        gateway = try GatewayProcess(
            configuration, upstreamURL: "http://127.0.0.1:\(origin.port)")
    }

    /// Starts both, runs `body`, and takes both down, whatever happens. A gateway that died on the
    /// way, or sent the origin something that is no HTTP, is a failure.
    static func run(
        _ configuration: Configuration = Configuration(), _ body: (Site) throws -> Void
    ) throws {
        let site = try Site(configuration)
        defer { site.origin.stop() }
        do {
            try body(site)
        } catch {
            Issue.record("\(error)\n\(site.gateway.lastWords)")
        }
        if !site.gateway.wasEnded && !site.gateway.process.isRunning {
            Issue.record("the gateway died\n\(site.gateway.lastWords)")
        }
        #expect(site.origin.violations == [])
        try site.gateway.kill()
    }

    /// Has the origin execute what comes to a path when the gate opens, and not before.
    func holdOrders(at path: String = "/orders") -> Gate {
        let gate = Gate()
        origin.on(path) { exchange in
            try exchange.readBody()
            try gate.pass()
            try exchange.execute()
        }
        return gate
    }

    /// A new connection to the gateway.
    func connect(receiveBuffer: Int32? = nil) throws -> RawClient {
        try RawClient(gateway.port, receiveBuffer: receiveBuffer)
    }

    /// Sends a request on a new connection and reads the response.
    func send(_ call: Call) throws -> WireResponse { try connect().exchange(call) }

    /// Sends a request on a thread of its own.
    func sendInBackground(_ call: Call) -> Background<WireResponse> {
        let port = gateway.port
        return Background { try RawClient(port).exchange(call, within: patience) }
    }

    /// Sends a request to the admin listener.
    func admin(_ target: String) throws -> WireResponse {
        try RawClient(gateway.adminPort).exchange(.get(target))
    }

    /// Changes something through the admin listener.
    func admin(post target: String, _ body: String, token: String?) throws -> WireResponse {
        try RawClient(gateway.adminPort).exchange(
            Call {
                $0.target = target
                $0.authorization = token.map { "Bearer \($0)" }
                $0.body = body
            })
    }

    /// Asks the admin listener again until the answer's text `isWanted`.
    func pollAdmin(_ target: String, until isWanted: (String) -> Bool) throws -> WireResponse {
        let deadline = Deadline()
        while true {
            let response = try admin(target)
            if isWanted(response.text) { return response }
            if deadline.hasPassed {
                throw HarnessError("in vain, the last answer: \(response.text)")
            }
            _ = Glibc.poll(nil, 0, 10)
        }
    }

    /// Waits until the gateway takes no connections any more.
    func waitUntilRefused() throws {
        let deadline = Deadline()
        while !deadline.hasPassed {
            do {
                _ = try connect()
                _ = Glibc.poll(nil, 0, 5)
            } catch is Socket.Reset {
                return
            }
        }
        throw HarnessError("the gateway still takes connections")
    }

    /// Waits until the gateway says that it drains.
    func waitUntilDraining() throws {
        _ = try gateway.process.errors.first("the beginning of draining") { line in
            line.contains(#""message":"draining""#) ? true : nil
        }
    }

    /// Sends a request again until the answer `isWanted`, which time alone brings about.
    func poll(_ call: Call, until isWanted: (WireResponse) -> Bool) throws -> WireResponse {
        let deadline = Deadline()
        while true {
            let response = try send(call)
            if isWanted(response) { return response }
            _ = Glibc.poll(nil, 0, 10)
            if deadline.hasPassed {
                throw HarnessError("in vain, the last answer: \(response.status) \(response.text)")
            }
        }
    }

    /// Takes the origin down: its port refuses connections.
    func stopOrigin() { origin.stop() }

    /// Starts a new origin on the port of the one that was stopped.
    func startOrigin() throws { origin = try ScriptedOrigin(port: origin.port) }
}
