private import CCompression

/// Zstandard (RFC 8878).
package enum Zstandard {
    /// Compresses in one frame, at a level that costs little: some 10 ms a MiB of JSON.
    ///
    /// - Returns: nil when the bytes do not become fewer.
    package static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        let room = bytes.count - 1
        guard room > 0 else { return nil }
        var size = 0
        let compressed = unsafe [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            size = unsafe bytes.withUnsafeBytes { source in
                unsafe ZSTD_compress(
                    buffer.baseAddress, room, source.baseAddress, source.count, level)
            }
            count = ZSTD_isError(size) == 0 ? size : 0
        }
        return ZSTD_isError(size) == 0 ? compressed : nil
    }

    private static let level: Int32 = 3
}

/// Zstandard, any number of frames, with windows up to 8 MiB (RFC 9659).
@safe final class ZstandardDecoder: Decoder {
    private let context: OpaquePointer

    /// Nil when there is no memory.
    init?() {
        guard let context = unsafe ZSTD_createDCtx() else { return nil }
        unsafe self.context = context
        let result = unsafe ZSTD_DCtx_setParameter(
            context, ZSTD_d_windowLogMax, Self.largestWindow)
        guard ZSTD_isError(result) == 0 else { return nil }
    }

    deinit { _ = unsafe ZSTD_freeDCtx(context) }

    func step(
        _ input: UnsafeBufferPointer<UInt8>, _ room: UnsafeMutableBufferPointer<UInt8>
    ) -> DecoderStep {
        var source = unsafe ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var target = unsafe ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
        let result = unsafe ZSTD_decompressStream(context, &target, &source)
        guard ZSTD_isError(result) == 0 else { return .malformed }
        return unsafe DecoderStep(
            consumed: source.pos, produced: target.pos, isEnd: result == 0)
    }

    /// As a power of two.
    private static let largestWindow: Int32 = 23
}
