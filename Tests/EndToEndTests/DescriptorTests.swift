import Glibc
import Testing

/// The gateway lives on when it can open nothing more.
@Suite(.ownThread) struct DescriptorTests {
    @Test func `no descriptor for an upstream connection: nothing is sent, and it is tried anew`()
        throws
    {
        let faults = try Faults()
        try Site.run(Configuration { $0.faults = faults }) { site in
            try faults.set("socket * EMFILE")
            let failed = try site.send(Call(key: "k"))
            #expect((502...503).contains(failed.status), "\(failed.text)")
            #expect(try failed.json["executed"]?.string == "no")
            #expect(site.origin.requests.isEmpty)
            try faults.clear()
            expectExecuted(try site.send(Call(key: "k")))
        }
    }

    @Test func `no descriptor for a client: it waits until there is one`() throws {
        let faults = try Faults()
        try Site.run(Configuration { $0.faults = faults }) { site in
            let early = try site.connect()
            expectExecuted(try early.exchange(Call(key: "a")))
            try faults.set("accept * EMFILE")
            let late = site.sendInBackground(Call(key: "b"))
            try faults.waitForMore(than: 2)
            // Who is connected is served meanwhile.
            expectExecuted(try early.exchange(Call(key: "c")))
            #expect(!late.isDone)
            try faults.clear()
            expectExecuted(try late.value())
        }
    }

    @Test func `clients that hold all descriptors are outlived`() throws {
        try Site.run(Configuration { $0.launcher = ["/usr/bin/prlimit", "--nofile=64:64"] }) {
            site in
            let first = try site.send(Call(key: "k"))
            expectExecuted(first)
            var idle = try (0..<120).map { _ in try site.connect() }
            // The connections that were taken first are served as ever, if only by a refusal.
            let answer = try idle[0].exchange(Call(key: "k"))
            expectReplay(answer, of: first)
            idle.removeAll()
            expectExecuted(try site.poll(Call(key: "l")) { $0.status == 201 })
            #expect(site.origin.executions(of: "k") == 1)
        }
    }
}
