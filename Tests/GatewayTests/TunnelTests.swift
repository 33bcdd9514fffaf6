import HTTP
import TestSupport
import Testing

@testable import Gateway

/// Tunnels between two scripted ends, and the requests that lead to them.
@Loop @Suite struct TunnelTests {
    private let near = ScriptedTunnelEnd()
    private let far = ScriptedTunnelEnd()

    private func request(_ fields: Fields = ["Connection": "upgrade", "Upgrade": "x"]) -> Request {
        var all: Fields = ["Host": "a"]
        for line in fields.indices { all.append(line: line, of: fields) }
        return Request(
            head: RequestHead(method: .get, target: Array("/".utf8)[...], fields: all),
            body: ScriptedBody(), downstream: Downstream(peer: "192.0.2.1"))
    }

    private func bench(_ protocols: String = "x") throws -> Bench {
        var script = ScriptedUpstream.Script(101, ["Upgrade": protocols, "X-A": "1"])
        script.tunnel = far
        return try Bench(.init(script), keys: nil)
    }

    /// Opens a tunnel.
    private func open(_ bench: Bench) async -> (
        writer: RecordingResponseWriter, task: Task<Void, any Error>
    ) {
        let writer = RecordingResponseWriter()
        writer.tunnel = near
        let (_, task) = bench.begin(request(), to: writer)
        await writer.beginning()
        await bench.settle()
        return (writer, task)
    }

    @Test func `bytes go both ways, each direction ends for itself, and all is counted`()
        async throws
    {
        let bench = try bench("X")
        let (writer, task) = await open(bench)
        #expect(writer.status == 101)
        #expect(
            writer.head?.fields.pairs.map { "\($0.name): \($0.value)" }
                == ["X-A: 1", "Via: 1.1 oncegate", "Upgrade: X", "Connection: upgrade"])
        #expect(bench.counts(#"oncegate_tunnels{upstream="api"} 1"#))
        near.send("up")
        far.send("down")
        near.send("")
        await bench.settle()
        #expect(far.written == Array("up".utf8) && far.hasWritingEnded)
        #expect(near.written == Array("down".utf8) && !near.hasWritingEnded)
        far.send("more")
        far.send("")
        try await task.value
        #expect(near.written == Array("downmore".utf8) && near.hasWritingEnded)
        #expect(near.closedResetting == false && far.closedResetting == false)
        #expect(near.onReset == nil && far.onReset == nil)
        #expect(bench.timers.pending == 0)
        #expect(bench.counts(#"oncegate_tunnels{upstream="api"} 0"#))
        #expect(
            bench.counts(#"oncegate_tunnel_bytes_total{upstream="api",direction="out"} 8"#))
    }

    @Test func `a reset goes through to the other side`() async throws {
        for isNear in [true, false] {
            let (near, far) = (ScriptedTunnelEnd(), ScriptedTunnelEnd())
            var script = ScriptedUpstream.Script(101, ["Upgrade": "x"])
            script.tunnel = far
            let bench = try Bench(.init(script), keys: nil)
            let writer = RecordingResponseWriter()
            writer.tunnel = near
            let (_, task) = bench.begin(request(), to: writer)
            await writer.beginning()
            await bench.settle()
            (isNear ? near : far).reset()
            try await task.value
            #expect(near.closedResetting == true && far.closedResetting == true)
        }
    }

    @Test func `a reset reaches a tunnel whose other side does not read`() async throws {
        let bench = try bench()
        far.writeGate = Gate()
        let (_, task) = await open(bench)
        near.send("stuck")
        await bench.settle()
        near.reset()
        try await task.value
        #expect(far.written == [] && far.closedResetting == true)
    }

    @Test func `who has got all is not told otherwise by a reset after the end`() async throws {
        let bench = try bench()
        let (_, task) = await open(bench)
        far.send("all")
        far.send("")
        await bench.settle()
        far.reset()
        try await task.value
        #expect(near.written == Array("all".utf8))
        #expect(near.closedResetting == false && far.closedResetting == true)
    }

    @Test func `silence ends a tunnel, and every byte puts that off`() async throws {
        let bench = try bench()
        let (_, task) = await open(bench)
        for end in [near, far, near, far] {
            bench.timers.advance(by: .seconds(3599))
            end.send("still there")
            await bench.settle()
            #expect(near.closedResetting == nil)
        }
        bench.timers.advance(by: .seconds(3599))
        #expect(near.closedResetting == nil)
        bench.timers.advance(by: .seconds(1))
        #expect(near.closedResetting == false && far.closedResetting == false)
        try await task.value
    }

    @Test func `a tunnel that has ended in one direction may be silent for less long`()
        async throws
    {
        let bench = try bench()
        let (_, task) = await open(bench)
        near.send("")
        await bench.settle()
        bench.timers.advance(by: .seconds(59))
        far.send("a")
        await bench.settle()
        bench.timers.advance(by: .seconds(59))
        #expect(near.closedResetting == nil)
        bench.timers.advance(by: .seconds(1))
        #expect(near.closedResetting == false)
        try await task.value
    }

    @Test func `a client that is gone when the 101 comes leaves no connection behind`() async throws
    {
        let bench = try bench()
        // A writer without a connection of its own.
        await #expect(throws: DownstreamError.closed) {
            () async throws -> Void in _ = try await bench.send(request())
        }
        #expect(far.closedResetting == true)
        #expect(bench.timers.pending == 0)
    }

    @Test(arguments: [("y", "x"), ("", "x"), ("x, y", "x"), ("x", "h2c"), ("h2c", "h2c")])
    func `nothing is switched to that was not offered`(chosen: String, asked: String) async throws {
        let bench = try bench(chosen)
        let answer = try await bench.send(request(["Connection": "upgrade", "Upgrade": asked]))
        answer.expectProblem("outcome-unknown", 502, executed: "unknown")
        #expect(bench.upstream.received[0].wasCancelled)
    }

    @Test(
        arguments: [
            (["Upgrade": "x"], []), (["Connection": "upgrade"], []),
            (
                ["Connection": "a, Upgrade", "Upgrade": "x, h2c", "Upgrade": "y/2,TLS/1.0"],
                ["Upgrade: x, y/2", "Connection: upgrade"]
            ),
            (
                ["Connection": "upgrade, TE", "Upgrade": "x", "TE": "trailers"],
                ["Upgrade: x", "Connection: upgrade, TE", "TE: trailers"]
            ),
            (["TE": "trailers;q=0"], []), (["TE": "gzip"], []),
            (["TE": "gzip", "TE": "TRAILERS"], ["Connection: TE", "TE: trailers"]),
            (["Trailer": "X"], []), (["Expect": "100-continue"], []),
            (["Upgrade": "h2c", "HTTP2-Settings": "AA", "Connection": "upgrade"], []),
        ] as [(Fields, [String])])
    func `what a request asks of its connection is made anew`(
        fields: Fields, lines: [String]
    ) async throws {
        let bench = try Bench(.init(), keys: nil)
        try await bench.send(request(fields))
        let names: Set = ["Upgrade", "Connection", "TE", "Trailer", "Expect", "HTTP2-Settings"]
        let seen = bench.upstream.received[0].request.fields.pairs.filter {
            names.contains($0.name)
        }
        #expect(seen.map { "\($0.name): \($0.value)" } == lines)
    }
}
