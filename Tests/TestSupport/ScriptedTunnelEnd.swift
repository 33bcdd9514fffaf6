package import HTTP

/// One end of a tunnel: the test sends, ends and resets, and sees what it gets. Belongs to one actor.
package final class ScriptedTunnelEnd: TunnelEnd {
    /// What was written to it.
    package private(set) var written: [UInt8] = []
    package private(set) var hasWritingEnded = false
    /// How it was closed; nil while it is open.
    package private(set) var closedResetting: Bool?
    package var onReset: (() -> Void)?
    /// Opened by the test before a write goes on; nil for at once.
    package var writeGate: Gate?
    private var incoming: [[UInt8]] = []
    private var arrival = Gate()

    /// An end that is silent.
    package init() {}

    /// Has bytes come from its peer; none are the end.
    package func send(_ text: String) {
        incoming.append(Array(text.utf8))
        arrival.open()
    }

    /// Its peer resets.
    package func reset() { onReset?() }

    package func read() async throws(TunnelCut) -> ArraySlice<UInt8> {
        while incoming.isEmpty {
            guard closedResetting == nil else { throw TunnelCut() }
            arrival = Gate()
            await arrival.pass()
        }
        return incoming.removeFirst()[...]
    }

    package func write(_ bytes: ArraySlice<UInt8>) async throws(TunnelCut) {
        if let writeGate { await writeGate.pass() }
        guard closedResetting == nil else { throw TunnelCut() }
        written += bytes
    }

    package func endWriting() { hasWritingEnded = true }

    package func close(resetting: Bool) {
        guard closedResetting == nil else { return }
        closedResetting = resetting
        arrival.open()
        writeGate?.open()
    }
}
