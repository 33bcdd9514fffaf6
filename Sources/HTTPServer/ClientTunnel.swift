import HTTP
import Transport

/// A client's connection after a 101.
final class ClientTunnel: TunnelEnd {
    private let connection: Connection
    private var stream: ByteStream { connection.stream }

    /// The most that is received into one array.
    private static let chunk = 64 << 10

    init(_ connection: Connection) { self.connection = connection }

    func read() async throws(TunnelCut) -> ArraySlice<UInt8> {
        if !connection.input.isEmpty {
            let bytes = connection.input[connection.inputStart...]
            connection.take(bytes.count)
            return bytes
        }
        do throws(StreamError) {
            return try await stream.read(atMost: Self.chunk, until: nil)[...]
        } catch {
            throw TunnelCut()
        }
    }

    func write(_ bytes: ArraySlice<UInt8>) async throws(TunnelCut) {
        do throws(StreamError) {
            try await stream.write([], bytes, idle: nil)
        } catch {
            throw TunnelCut()
        }
    }

    func endWriting() { stream.endWriting() }

    var onReset: (() -> Void)? {
        get { stream.watch.onReset }
        set { stream.watch.onReset = newValue }
    }

    func close(resetting: Bool) {
        if resetting { stream.resetOnClose() }
        stream.close()
    }
}
