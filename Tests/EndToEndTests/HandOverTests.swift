import Glibc
import Testing

/// A gateway under a service manager, which the tests play: it holds the listening socket, and is
/// told how the gateway does.
@Suite(.ownThread) struct HandOverTests {
    /// A gateway that is handed these sockets. The variables are set by a shell, which has the
    /// process's number.
    private func activated(
        _ sockets: [(socket: Socket, port: UInt16)], names: String = "",
        _ change: (inout Configuration) -> Void = { _ in }
    ) -> Configuration {
        Configuration { configuration in
            configuration.sockets = sockets.map(\.socket)
            configuration.launcher = [
                "/bin/sh", "-c", #"LISTEN_PID=$$ exec "$@""#, "sh",
            ]
            configuration.environment = [
                "LISTEN_FDS": "\(sockets.count)", "LISTEN_FDNAMES": names,
            ]
            configuration.members["threads"] = "2"
            if let port = sockets.first?.port {
                configuration.members["listeners"] = #"[{"address": "127.0.0.1:\#(port)"}]"#
            }
            change(&configuration)
        }
    }

    @Test func `restarts under load lose nothing and execute nothing twice`() throws {
        let socket = try Socket.listening()
        try Site.run(activated([socket])) { site in
            #expect(site.gateway.port == socket.port)
            let clients = SteadyClients(6, of: socket.port)
            for _ in 0..<5 {
                try clients.waitForMore(30)
                site.gateway.terminate()
                // Its clients are not told to wait: they connect to nobody meanwhile.
                #expect(try site.gateway.process.waitForExit() == .code(0))
                try site.gateway.restart()
            }
            try clients.waitForMore(30)
            try clients.stop()
            #expect(clients.failures == [])
            #expect(clients.closes > 0)
            try expectEachOnce(clients, [site.origin])
        }
    }

    @Test func `connections that queue before it starts are served, and those after its end later`()
        throws
    {
        let socket = try Socket.listening()
        let early = try RawClient(socket.port)
        try early.send(Call(key: "early"))
        try Site.run(activated([socket], names: "http")) { site in
            expectExecuted(try early.response())
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            let between = try RawClient(socket.port)
            try between.send(Call(key: "between"))
            try site.gateway.restart()
            expectExecuted(try between.response())
            // The variables go no further.
            let environment = try readFile("/proc/\(site.gateway.process.pid)/environ")
            #expect(environment.contains("LISTEN_FDS"))
            let lines = site.gateway.process.errors.all.filter { $0.contains(#""inherited":true"#) }
            #expect(lines.count == 1)
        }
    }

    @Test
    func `one that is terminated while it starts ends in order, and leaves no sockets behind`()
        throws
    {
        let manager = try NotifySocket()
        let directory = try TemporaryDirectory()
        let paths = (0..<60).map { "\(directory.path)/\($0)" }
        let listeners = paths.map { #"{"address": "unix:\#($0)"}"# }.joined(separator: ", ")
        let configuration = Configuration {
            $0.members["listeners"] = "[\(listeners)]"
            $0.members["admin"] = "null"
        }
        let file = try directory.write(
            "gateway.json",
            configuration.text(upstreamURL: "http://127.0.0.1:1", directory: directory.path))
        for _ in 0..<5 {
            let process = try ChildProcess(
                GatewayProcess.binary, ["serve", "--config", file],
                environment: ["NOTIFY_SOCKET": manager.path])
            try manager.waitFor { $0 == "STATUS=recovering" }
            process.signal(SIGTERM)
            #expect(try process.waitForExit() == .code(0))
            let lines = try process.errors.complete()
            #expect(lines.last?.contains(#""drained""#) == true, "\(lines)")
            #expect(paths.filter { access($0, F_OK) == 0 } == [])
        }
    }

    @Test func `the admin listener is inherited too`() throws {
        let (socket, admin) = (try Socket.listening(), try Socket.listening())
        // In any order.
        let configuration = activated([admin, socket]) {
            $0.members["listeners"] = #"[{"address": "localhost:\#(socket.port)"}]"#
            $0.members["admin"] = #"{"address": "127.0.0.1:\#(admin.port)"}"#
        }
        try Site.run(configuration) { site in
            #expect(site.gateway.adminPort == admin.port)
            #expect(try site.admin("/readyz").status == 200)
            expectExecuted(try site.send(Call(key: "k")))
        }
    }

    @Test func `variables that are for another process are ignored`() throws {
        try Site.run(
            Configuration { $0.environment = ["LISTEN_FDS": "1", "LISTEN_PID": "1"] }
        ) { site in
            expectExecuted(try site.send(Call(key: "k")))
        }
    }

    @Test func `a socket that no listener has, or that is none, is told`() throws {
        let (socket, stray) = (try Socket.listening(), try Socket.listening())
        let connected = try Socket.connected(to: stray.port)
        let datagrams = try NotifySocket()
        for (extra, said) in [
            (stray.socket.number, "no listener has the address of descriptor 4 (\"b\", 127.0.0.1:"),
            (connected.number, "descriptor 4 (\"b\") does not listen"),
            (datagrams.number, "descriptor 4 (\"b\") is no stream socket"),
        ] {
            let directory = try TemporaryDirectory()
            let configuration = activated([socket])
            let file = try directory.write(
                "gateway.json",
                configuration.text(upstreamURL: "http://127.0.0.1:9", directory: directory.path))
            let words = configuration.launcher + [GatewayProcess.binary, "serve", "--config", file]
            let process = try ChildProcess(
                words[0], Array(words.dropFirst()), in: directory.path,
                environment: ["LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"],
                descriptors: [socket.socket.number, extra])
            #expect(try process.waitForExit() == .code(1))
            let errors = try process.errors.complete().joined()
            #expect(errors.contains(said), "\(errors)")
            // Nothing was opened before.
            #expect(access("\(directory.path)/oncegate.db", F_OK) != 0)
        }
    }

    @Test func `the service manager is told of start, reload, refusal and end`() throws {
        let manager = try NotifySocket()
        try Site.run(
            Configuration { $0.environment = ["NOTIFY_SOCKET": manager.path] }
        ) { site in
            try manager.waitFor { $0.contains("READY=1") && $0.contains("STATUS=serving") }
            #expect(manager.messages.first == "STATUS=recovering")
            try site.gateway.hangUp()
            try manager.waitFor { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") }
            try manager.waitFor { $0.contains("READY=1") && $0.contains("(generation 2)") }
            try site.gateway.write("{}")
            try site.gateway.hangUp()
            try manager.waitFor { $0.contains("READY=1") && $0.contains("reload refused") }
            site.gateway.terminate()
            #expect(try site.gateway.process.waitForExit() == .code(0))
            try manager.waitFor { $0.hasPrefix("STOPPING=1\n") }
            try manager.waitFor { $0.hasPrefix("EXTEND_TIMEOUT_USEC=") }
            let all = manager.messages
            let reloading = all.filter { $0.hasPrefix("RELOADING=1") }.count
            #expect(reloading == 2 && all.filter { $0.contains("READY=1") }.count == 3, "\(all)")
            #expect(!all.contains { $0.contains("WATCHDOG") })
        }
    }

    @Test func `an abstract socket is told too, and the watchdog is fed while all goes on`() throws
    {
        let manager = try NotifySocket(
            abstract: "oncegate-\(getpid())-\(UInt32.random(in: 0...9999))")
        try Site.run(
            Configuration {
                $0.environment = [
                    "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "100000",
                ]
            }
        ) { site in
            for _ in 0..<5 { try manager.waitFor { $0 == "WATCHDOG=1" } }
            expectExecuted(try site.send(Call(key: "k")))
            try manager.waitFor { $0 == "WATCHDOG=1" }
        }
    }

    @Test func `a watchdog of another process is not fed`() throws {
        let manager = try NotifySocket()
        try Site.run(
            Configuration {
                $0.environment = [
                    "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1",
                ]
            }
        ) { site in
            try manager.waitFor { $0.contains("READY=1") }
            expectExecuted(try site.send(Call(key: "k")))
            #expect(!manager.messages.contains("WATCHDOG=1"))
        }
    }
}
