/// A content coding (RFC 9110 section 8.4.1) that can be taken off.
package enum ContentCoding: Sendable, Hashable, CaseIterable {
    case gzip
    /// The zlib format (RFC 1950), as the RFC says; the bare stream that some send is not taken.
    case deflate
    case brotli
    case zstandard

    /// The coding of that name, in whatever case; nil for one that cannot be taken off.
    package init?(name: some Collection<UInt8>) {
        guard name.count <= 8 else { return nil }
        switch String(decoding: name, as: UTF8.self).lowercased() {
        case "gzip", "x-gzip": self = .gzip
        case "deflate": self = .deflate
        case "br": self = .brotli
        case "zstd": self = .zstandard
        default: return nil
        }
    }

    /// What was encoded.
    ///
    /// Memory is bounded by `limit` and by the coding's window, of which zstd's may have 8 MiB
    /// (RFC 9659) and brotli's 16 MiB.
    ///
    /// - Returns: nil when the bytes are malformed, cut short or followed by others, and when
    ///   there would be more than `limit` of them decoded.
    package func decode(_ bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
        switch self {
        case .gzip: Inflater(isGzip: true)?.decode(bytes, limit: limit)
        case .deflate: Inflater(isGzip: false)?.decode(bytes, limit: limit)
        case .brotli: BrotliDecoder()?.decode(bytes, limit: limit)
        case .zstandard: ZstandardDecoder()?.decode(bytes, limit: limit)
        }
    }
}

/// Takes one coding off one text. It is used once.
protocol Decoder: AnyObject {
    /// Decodes what it can of `input` into `room`, which is never empty.
    func step(
        _ input: UnsafeBufferPointer<UInt8>, _ room: UnsafeMutableBufferPointer<UInt8>
    ) -> DecoderStep
}

/// What one step took and gave.
struct DecoderStep {
    var consumed = 0
    var produced = 0
    var isMalformed = false
    /// Whether the text may end here.
    var isEnd = false

    static var malformed: DecoderStep { DecoderStep(isMalformed: true) }
}

extension Decoder {
    /// Decodes a whole text.
    func decode(_ bytes: Span<UInt8>, limit: Int) -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: min(64 << 10 - 1, limit) + 1)
        var output: [UInt8] = []
        var offset = 0
        while true {
            let step = unsafe bytes.extracting(offset...).withUnsafeBufferPointer {
                input -> DecoderStep in
                unsafe room.withUnsafeMutableBufferPointer { room -> DecoderStep in
                    unsafe self.step(input, room)
                }
            }
            guard !step.isMalformed, output.count + step.produced <= limit else { return nil }
            offset += step.consumed
            output += room[..<step.produced]
            if step.isEnd, offset == bytes.count { return output }
            guard step.consumed + step.produced > 0 else { return nil }
        }
    }
}
