import Testing

/// An upstream that speaks TLS: it is the one that the configuration trusts, or it is not asked.
@Suite(.ownThread) struct UpstreamTLSTests {
    @Test func `a verified upstream is asked`() throws {
        let origin = try TLSOrigin()
        try origin.runGateway(#"{"ca": "\#(origin.directory.path)/ca.pem"}"#) { client in
            let response = try client.exchange(Call(key: "k"))
            expectExecuted(response)
            #expect(response.text == #"{"order": 1}"#)
            expectReplay(try client.exchange(Call(key: "k")), of: response)
            expectExecuted(try client.exchange(Call(key: "l")))
        }
        #expect(origin.executions == 2)
    }

    @Test(arguments: ["null", #""other.pem""#])
    func `an upstream that nobody vouches for is not asked`(authority: String) throws {
        let origin = try TLSOrigin()
        let path = authority.replacing("other.pem", with: "\(origin.directory.path)/other.pem")
        try origin.runGateway(#"{"ca": \#(path)}"#) { client in
            let response = try client.exchange(Call(key: "k"))
            try expectProblem(response, 502, "upstream-unreachable", executed: "no")
        }
        #expect(origin.executions == 0)
    }

    @Test func `an upstream under another name is not asked`() throws {
        let origin = try TLSOrigin(name: "DNS:api.example")
        try origin.runGateway(#"{"ca": "\#(origin.directory.path)/ca.pem"}"#) { client in
            let response = try client.exchange(Call(key: "k"))
            try expectProblem(response, 502, "upstream-unreachable", executed: "no")
        }
        #expect(origin.executions == 0)
    }

    @Test func `another content of the file of authorities counts from a reload on`() throws {
        let origin = try TLSOrigin()
        let file = "\(origin.directory.path)/trusted.pem"
        try origin.trust("other", in: "trusted.pem")
        let configuration = Configuration {
            $0.members["threads"] = "1"
            $0.upstream["tls"] = #"{"ca": "\#(file)"}"#
        }
        try origin.runGateway(configuration) { gateway in
            let client = try RawClient(gateway.port)
            let refused = try client.exchange(Call(key: "k"))
            try expectProblem(refused, 502, "upstream-unreachable", executed: "no")
            try origin.trust("ca", in: "trusted.pem")
            let line = try gateway.hangUp()
            #expect(line["changes"]?.strings == ["changed upstreams.api.tls.ca"], "\(line)")
            expectExecuted(try client.exchange(Call(key: "k")))
            // Who is not trusted any more is not asked, not even on a connection that is open.
            try origin.trust("other", in: "trusted.pem")
            try gateway.hangUp()
            let again = try client.exchange(Call(key: "l"))
            try expectProblem(again, 502, "upstream-unreachable", executed: "no")
        }
        #expect(origin.executions == 1)
    }

    @Test func `verification can be turned off`() throws {
        let origin = try TLSOrigin()
        try origin.runGateway(#"{"verify": false}"#) { client in
            expectExecuted(try client.exchange(Call(key: "k")))
        }
        #expect(origin.executions == 1)
    }
}

/// A Python server behind TLS that makes an order for each POST, with a certificate made for it.
final class TLSOrigin {
    let directory: TemporaryDirectory
    private let server: ChildProcess
    private let port: String

    init(name: String = "IP:127.0.0.1", script: String = TLSOrigin.script) throws {
        directory = try TemporaryDirectory()
        let config = "[v3]\nsubjectAltName=\(name)\n[ca]\nbasicConstraints=critical,CA:TRUE\n"
        try directory.write("ext.cnf", config)
        for authority in ["ca", "other"] {
            try Self.openssl(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=\(authority) "
                    + "-keyout \(authority).key -out \(authority).pem", in: directory)
        }
        try Self.openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=origin -keyout origin.key -out origin.csr",
            in: directory)
        try Self.openssl(
            "x509 -req -in origin.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
                + "-extfile ext.cnf -extensions v3 -out origin.pem", in: directory)
        try directory.write("server.py", script)
        server = try ChildProcess(
            "/usr/bin/env", ["python3", "-u", "server.py"], in: directory.path)
        port = try server.output.first("the server's port") {
            $0.hasPrefix("port ") ? String($0.dropFirst(5)) : nil
        }
    }

    /// How many requests were executed.
    var executions: Int { server.output.all.filter { $0 == "executed" }.count }

    /// Runs a gateway in front with these `tls` settings.
    func runGateway(_ tls: String, _ body: (RawClient) throws -> Void) throws {
        try runGateway(Configuration { $0.upstream["tls"] = tls }) { gateway in
            try body(try RawClient(gateway.port))
        }
    }

    /// Makes an authority's certificate the content of a file.
    func trust(_ authority: String, in name: String) throws {
        try directory.write(name, try readFile("\(directory.path)/\(authority).pem"))
    }

    /// Runs a gateway in front.
    func runGateway(
        _ configuration: Configuration, _ body: (GatewayProcess) throws -> Void
    ) throws {
        let gateway = try GatewayProcess(
            configuration, upstreamURL: "https://127.0.0.1:\(port)")
        do {
            try body(gateway)
        } catch {
            Issue.record("\(error)\n\(gateway.lastWords)")
        }
        #expect(gateway.process.isRunning, "\(gateway.lastWords)")
        try gateway.kill()
    }

    private static func openssl(_ arguments: String, in directory: TemporaryDirectory) throws {
        let process = try ChildProcess(
            "/usr/bin/env", ["openssl"] + arguments.split(separator: " ").map(String.init),
            in: directory.path)
        guard try process.waitForExit() == .code(0) else {
            throw HarnessError("openssl \(arguments): \(try process.errors.complete())")
        }
    }

    static let script = """
        import http.server, ssl
        orders = 0
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_POST(self):
                global orders
                self.rfile.read(int(self.headers["Content-Length"]))
                orders += 1
                print("executed")
                body = ('{"order": %d}' % orders).encode()
                self.send_response(201)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *arguments):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("origin.pem", "origin.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        print("port", server.server_address[1])
        server.serve_forever()

        """
}
