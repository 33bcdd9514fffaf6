import Testing

/// Everything that HTTP/1.1 asks of a gateway, what it forbids, and what attackers make of it, as
/// rows of a table, against the real binary. See ``WireCase``.
@Suite(.ownThread) struct WireSuiteTests {
    static let rows: [WireCase] =
        requestLineRows + hostRows + fieldRows + limitRows + lengthRows + codingRows + chunkRows
        + smugglingRows + bodyRows + answerRows + brokenAnswerRows + persistenceRows
        + forwardingRows + answerForwardingRows + keyedRows

    @Test func `each name of a case is there once, and each case says where it is from`() {
        let names = Self.rows.map(\.name)
        let repeated = Dictionary(grouping: names) { $0 }.filter { $0.value.count > 1 }.keys
        #expect(repeated.sorted() == [])
        #expect(Self.rows.filter { $0.source.isEmpty || $0.sends.isEmpty }.map(\.name) == [])
    }

    @Test func `every case of the wire suite is as expected`() throws {
        let origin = try StrictOrigin()
        defer { origin.stop() }
        var configuration = Configuration()
        configuration.idempotency["scope"] = #""shared""#
        configuration.members["threads"] = "1"
        configuration.routes = [
            #"{"path": "/small/**", "upstream": "api", "limits": {"body": "1KiB"}}"#
        ]
        let gateway = try GatewayProcess(
            configuration, upstreamURL: "http://127.0.0.1:\(origin.port)")
        var asExpected = 0
        var runs = 0
        for row in Self.rows {
            var isAsExpected = true
            for isBytewise in [false, true] where !isBytewise || WireRun.canBeBytewise(row) {
                runs += 1
                var run = WireRun(
                    row, origin: origin, port: gateway.port, isBytewise: isBytewise, number: runs)
                let complaints = run.run()
                guard !complaints.isEmpty else { continue }
                isAsExpected = false
                let list = complaints.map { "    \($0)" }.joined(separator: "\n")
                Issue.record(
                    """
                    \(row.name) (\(row.source))\(isBytewise ? ", byte by byte" : "")
                    \(list)
                        sent: \(row.sends.joined().debugDescription.prefix(600))
                    """)
            }
            if isAsExpected { asExpected += 1 }
        }
        #expect(gateway.process.isRunning, "\(gateway.lastWords)")
        try gateway.kill()
        print("wire suite: \(Self.rows.count) cases, \(asExpected) as expected, \(runs) runs")
        #expect(asExpected == Self.rows.count)
        #expect(Self.rows.count >= 300)
    }
}
