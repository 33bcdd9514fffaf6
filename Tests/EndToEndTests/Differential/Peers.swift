import Glibc

/// A proxy before an origin of its own that records what it forwards.
final class Candidate: Sendable {
    let name: String
    let port: UInt16
    let origin: StrictOrigin
    /// Kept alive with it.
    private let process: ChildProcess?
    private let gateway: Gateway?
    private let directory: TemporaryDirectory?

    /// The gateway's process, which is stopped by its owner.
    private struct Gateway: @unchecked Sendable {
        // Only held, and killed at the end, by one thread.
        let process: GatewayProcess
    }

    private init(
        _ name: String, port: UInt16, _ origin: StrictOrigin, _ process: ChildProcess?,
        _ gateway: Gateway?, _ directory: TemporaryDirectory?
    ) {
        self.name = name
        self.port = port
        self.origin = origin
        self.process = process
        self.gateway = gateway
        self.directory = directory
    }

    /// This gateway, with plain routes alone.
    static func oncegate() throws -> Candidate {
        let origin = try StrictOrigin(judges: false)
        var configuration = Configuration()
        configuration.members["threads"] = "1"
        configuration.members["log"] = #"{"access": false}"#
        configuration.routes = [
            #"{"path": "/**", "upstream": "api", "limits": {"body": "none"}}"#
        ]
        let gateway = try GatewayProcess(
            configuration, upstreamURL: "http://127.0.0.1:\(origin.port)")
        return Candidate(
            "oncegate", port: gateway.port, origin, nil, Gateway(process: gateway), nil)
    }

    /// nginx, with one process that keeps its upstream connections, as one would run it.
    static func nginx() throws -> Candidate {
        try peer("nginx", "/usr/sbin/nginx") { port, originPort, directory in
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map {
                "\($0)_temp_path \(directory)/\($0);"
            }
            let file = """
                daemon off;
                master_process off;
                error_log stderr crit;
                pid \(directory)/nginx.pid;
                events { worker_connections 256; }
                http {
                    access_log off;
                    \(paths.joined(separator: "\n    "))
                    upstream origin { server 127.0.0.1:\(originPort); keepalive 8; }
                    server {
                        listen 127.0.0.1:\(port);
                        location / {
                            proxy_pass http://origin;
                            proxy_http_version 1.1;
                            proxy_set_header Connection "";
                            proxy_set_header Host $host;
                            proxy_ignore_client_abort on;
                        }
                    }
                }
                """
            return (file, { ["-p", directory, "-c", $0] })
        }
    }

    /// HAProxy with its defaults.
    static func haproxy() throws -> Candidate {
        try peer("haproxy", "/usr/sbin/haproxy") { port, originPort, _ in
            let file = """
                global
                    nbthread 1
                    maxconn 256
                defaults
                    mode http
                    timeout client 20s
                    timeout server 20s
                    timeout connect 5s
                    timeout http-request 20s
                frontend front
                    bind 127.0.0.1:\(port)
                    default_backend back
                backend back
                    server origin 127.0.0.1:\(originPort)

                """
            return (file, { ["-db", "-f", $0] })
        }
    }

    /// Starts a peer on a port that was free a moment ago, again if somebody else took it.
    private static func peer(
        _ name: String, _ binary: String,
        _ setUp: (UInt16, UInt16, String) -> (String, (String) -> [String])
    ) throws -> Candidate {
        let origin = try StrictOrigin(judges: false)
        for _ in 0..<5 {
            let directory = try TemporaryDirectory()
            let (socket, port) = try Socket.listening()
            socket.close()
            let (text, arguments) = setUp(port, origin.port, directory.path)
            let file = try directory.write("\(name).conf", text)
            let process = try ChildProcess(binary, arguments(file), in: directory.path)
            let deadline = Deadline()
            while process.isRunning && !deadline.hasPassed {
                if let probe = try? Socket.connected(to: port) {
                    probe.close()
                    return Candidate(name, port: port, origin, process, nil, directory)
                }
                _ = Glibc.poll(nil, 0, 5)
            }
            process.signal(SIGKILL)
        }
        throw HarnessError("\(name) does not start")
    }

    /// Ends it and its origin.
    func stop() throws {
        origin.stop()
        process?.signal(SIGKILL)
        try process?.waitForExit()
        try gateway?.process.kill()
    }
}

/// What a proxy made of an input.
struct Observation: Sendable {
    /// A request at the origin, as far as it says the same however it is written.
    struct Forwarded: Sendable, Equatable, CustomStringConvertible {
        let method: String
        let target: String
        /// In lower case, without the port.
        let host: String
        let body: String

        init(_ message: StrictMessage) {
            method = message.start[0]
            target = message.start[1]
            let value = message.all("Host").joined(separator: " and ").lowercased()
            let colon = value.lastIndex(of: ":")
            let isPort = colon.map { value[value.index(after: $0)...].allSatisfy(\.isNumber) }
            host = isPort == true ? String(value[..<colon!]) : value
            body = latin(message.body)
        }

        var description: String {
            let shown = body.isEmpty ? "" : " with \(body.prefix(60).debugDescription)"
            return "\(method) \(target) at \(host)\(shown)"
        }
    }

    var forwarded: [Forwarded] = []
    /// What the origin could not read, or read in a way that it should not.
    var violations: [String] = []
    /// All that the client was sent.
    var answer = ""

    /// The status of the last answer; 0 without one.
    var status: Int {
        let starts = answer.ranges(of: "HTTP/1.1 ")
        return starts.last.flatMap { Int(answer[$0.upperBound...].prefix(3)) } ?? 0
    }

    /// What the gateway says of its refusals.
    var detail: String {
        answer.ranges(of: #""detail":""#).map { range in
            String(answer[range.upperBound...].prefix { $0 != "\"" })
        }.joined(separator: " | ")
    }
}

extension Candidate {
    /// A request that comes behind every input: whether it is read as one tells where the input
    /// ended.
    static let last = "GET /plain/end HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n"

    /// Sends an input on a new connection.
    ///
    /// - Parameter quiet: For how long nothing may come before the client ends its direction.
    func observe(_ input: [UInt8], quiet: Duration) throws -> Observation {
        origin.begin([])
        var observation = Observation()
        let client = try Socket.connected(to: port)
        try? client.send(input + wireBytes(Self.last))
        var answer: [UInt8] = []
        if !receive(client, &answer, quiet) {
            client.shutWriting()
            _ = receive(client, &answer, .seconds(5))
        }
        client.close()
        try fence()
        let record = origin.record
        observation.forwarded = record.complete.map { .init($0) }
        observation.violations = record.violations
        observation.answer = latin(answer)
        return observation
    }

    /// Receives until nothing comes any more; says whether that was an end.
    private func receive(_ client: Socket, _ answer: inout [UInt8], _ quiet: Duration) -> Bool {
        while true {
            do {
                let bytes = try client.receive(by: Deadline(in: quiet))
                if bytes.isEmpty { return true }
                answer += bytes
            } catch is Socket.Reset {
                return true
            } catch { return false }
        }
    }

    private func fence() throws {
        let client = try Socket.connected(to: port)
        defer { client.close() }
        try client.send(
            wireBytes("GET /plain/fence HTTP/1.1\r\nHost: fence\r\nConnection: close\r\n\r\n"))
        var answer: [UInt8] = []
        guard receive(client, &answer, patience), latin(answer).contains("fence") else {
            throw HarnessError("\(name) does not answer: \(latin(answer))")
        }
    }
}
