import HTTP
import Transport

/// An upstream's connection after a 101.
final class UpstreamTunnel: TunnelEnd {
    private let connection: CurlConnection
    private let watch: SocketWatch
    /// Held until it is closed, as by the exchange before.
    private var place: InFlightPlace?
    /// Came together with the 101.
    private var received: ArraySlice<UInt8>

    /// The most that is received into one array.
    private static let chunk = 64 << 10

    init(
        _ connection: CurlConnection, _ watch: SocketWatch, _ place: InFlightPlace?,
        after received: ArraySlice<UInt8>
    ) {
        self.place = place
        self.connection = connection
        self.watch = watch
        self.received = received
    }

    func read() async throws(TunnelCut) -> ArraySlice<UInt8> {
        guard received.isEmpty else {
            defer { received = [] }
            return received
        }
        while true {
            if watch.isReadable {
                let (outcome, bytes) = connection.receive(atMost: Self.chunk)
                switch outcome {
                case .bytes:
                    await connection.letOthersGo()
                    return bytes[...]
                case .end: return []
                // Many who speak TLS just close at the end of what they have to say.
                case .failed where watch.hasEnded && !watch.wasReset: return []
                case .failed: throw TunnelCut()
                case .wouldBlock: break
                }
            }
            guard case .ready = await watch.waitUntilReadable(until: nil) else {
                throw TunnelCut()
            }
        }
    }

    func write(_ bytes: ArraySlice<UInt8>) async throws(TunnelCut) {
        var rest = bytes
        while !rest.isEmpty {
            switch connection.send(rest) {
            case .bytes(let count): rest = rest.dropFirst(count)
            case .wouldBlock: try await waitUntilWritable()
            case .end, .failed: throw TunnelCut()
            }
        }
    }

    func endWriting() async throws(TunnelCut) {
        while true {
            switch connection.endWriting() {
            case .bytes: return
            case .wouldBlock: try await waitUntilWritable()
            case .end, .failed: throw TunnelCut()
            }
        }
    }

    private func waitUntilWritable() async throws(TunnelCut) {
        guard case .ready = await watch.waitUntilWritable(until: nil) else { throw TunnelCut() }
    }

    var onReset: (() -> Void)? {
        get { watch.onReset }
        set { watch.onReset = newValue }
    }

    func close(resetting: Bool) {
        place = nil
        if resetting { connection.resetOnClose() }
        connection.close()
    }
}
