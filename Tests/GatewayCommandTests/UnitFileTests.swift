import Testing

@testable import GatewayCommand

/// The unit files of `Examples/systemd`, as far as they can be wrong without systemd to say so.
@Suite struct UnitFileTests {
    /// The directives of a unit file, by section, in their order.
    private func unit(_ name: String) throws -> [String: [(name: String, value: String)]] {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/Examples/systemd/\(name)"
        let text = String(
            decoding: try Environment.contents(of: path, limit: 1 << 16), as: UTF8.self)
        var sections: [String: [(name: String, value: String)]] = [:]
        var section = ""
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            if line.hasPrefix("["), line.hasSuffix("]") {
                section = String(line.dropFirst().dropLast())
                sections[section] = []
                continue
            }
            let sides = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try #require(sides.count == 2 && !section.isEmpty, "\(name): \(line)")
            sections[section]?.append((String(sides[0]), String(sides[1])))
        }
        return sections
    }

    private func values(_ directives: [(name: String, value: String)]?, _ name: String) -> [String]
    {
        (directives ?? []).filter { $0.name == name }.map(\.value)
    }

    @Test func `the service is started, reloaded, watched and restarted as the gateway expects`()
        throws
    {
        let unit = try unit("oncegate.service")
        #expect(Set(unit.keys) == ["Unit", "Service", "Install"])
        let service = unit["Service"]
        let words = try #require(values(service, "ExecStart").first).split(separator: " ")
        #expect(words.first == "/usr/local/bin/oncegate")
        let command = try Command.parse(words.dropFirst().map { String($0) })
        #expect(command == .serve(ServeOptions(config: "/etc/oncegate/gateway.json")))
        // An older systemd keeps the first one.
        #expect(values(service, "Type") == ["notify", "notify-reload"])
        #expect(values(service, "ExecReload") == ["/bin/kill -HUP $MAINPID"])
        #expect(values(service, "Restart") == ["on-failure"])
        #expect(values(service, "WatchdogSec").count == 1)
        #expect(values(service, "StateDirectory") == ["oncegate"])
        #expect(values(service, "WorkingDirectory") == ["%S/oncegate"])
        #expect(values(unit["Unit"], "Requires") == ["oncegate.socket"])
        for name in [
            "NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices",
            "MemoryDenyWriteExecute", "RestrictNamespaces", "ProtectKernelModules",
        ] { #expect(values(service, name) == ["yes"], "\(name)") }
        #expect(values(service, "ProtectSystem") == ["strict"])
        #expect(values(service, "CapabilityBoundingSet") == [""])
        let families = values(service, "RestrictAddressFamilies")
        #expect(families == ["AF_INET AF_INET6 AF_UNIX"])
    }

    @Test func `the socket is that of the listener that is there by default`() throws {
        let unit = try unit("oncegate.socket")
        #expect(Set(unit.keys) == ["Unit", "Socket", "Install"])
        let address = try Address(try #require(values(unit["Socket"], "ListenStream").first))
        #expect(address == Configuration.Listener().address)
        #expect(values(unit["Socket"], "Accept") == [])
        #expect(values(unit["Install"], "WantedBy") == ["sockets.target"])
    }
}
