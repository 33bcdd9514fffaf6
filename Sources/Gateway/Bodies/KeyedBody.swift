import Crypto
import HTTP
import JSON
import Telemetry

/// A keyed request's whole body.
enum KeyedBody {
    case memory(ArraySlice<UInt8>)
    case spooled(SpooledContent)

    /// Bodies up to this long stay in memory.
    static let heldInMemory = 64 << 10

    var count: Int {
        switch self {
        case .memory(let bytes): bytes.count
        case .spooled(let content): content.file.count
        }
    }

    /// How it leaves. A spooled one is sent by ``startUpload(to:_:)``.
    var outgoing: UpstreamRequest.Body {
        switch self {
        case .memory(let bytes): .whole(bytes)
        case .spooled(let content): .stream(length: UInt64(content.file.count))
        }
    }

    /// All of it, or nil where it cannot be read.
    var bytes: ArraySlice<UInt8>? {
        switch self {
        case .memory(let bytes): bytes
        case .spooled(let content): (try? content.file.read(at: 0, atMost: count))?[...]
        }
    }

    /// Sends a spooled body beside the answer. It ends by itself when the exchange does.
    func startUpload(to exchange: any UpstreamExchange, _ services: LoopServices) {
        guard case .spooled(let content) = self else { return }
        services.start { await content.upload(to: exchange, services.log) }
    }
}

/// A body in a spool file, hashed while it was written, so that it need not be read for that.
final class SpooledContent {
    let file: any SpooledBody
    private let hasher = SHA256Hasher()
    private var parts: MultipartDigest?
    private var finished: (whole: Digest, parts: Digest?)?

    /// - Parameter boundary: What separates the parts, where the body is compared by them.
    init(_ file: any SpooledBody, boundary: [UInt8]?) {
        self.file = file
        hasher.begin()
        parts = boundary.flatMap { MultipartDigest(boundary: $0) }
    }

    func append(_ bytes: ArraySlice<UInt8>) throws(BodySpoolError) {
        try file.append(bytes)
        hasher.update(bytes)
        parts?.append(bytes)
    }

    /// The digests of all bytes, and of the parts, if it has such. Nothing can be added after.
    var digests: (whole: Digest, parts: Digest?) {
        if let finished { return finished }
        let digests = (whole: hasher.finish(), parts: parts?.finish())
        finished = digests
        parts = nil
        return digests
    }

    fileprivate func upload(to exchange: any UpstreamExchange, _ log: Log) async {
        var offset = 0
        do {
            while offset < file.count {
                let chunk = try file.read(at: offset, atMost: Self.chunk)
                guard !chunk.isEmpty else { throw BodySpoolError("the spool file was cut") }
                offset += chunk.count
                try await exchange.write(chunk[...])
            }
            try await exchange.finish(trailers: Fields())
        } catch let error as BodySpoolError {
            log.write(.error, "spooled body not sent") { $0.member("detail", error.detail) }
            exchange.cancel()
        } catch {
            // The upstream takes no more; the answer's side knows why.
        }
    }

    /// As much as is in memory of it at a time.
    private static let chunk = 64 << 10
}
