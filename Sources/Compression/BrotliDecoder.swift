private import CCompression

/// Brotli (RFC 7932), without large windows.
@safe final class BrotliDecoder: Decoder {
    private let state: OpaquePointer

    /// Nil when there is no memory.
    init?() {
        guard let state = unsafe BrotliDecoderCreateInstance(nil, nil, nil) else { return nil }
        unsafe self.state = state
    }

    deinit { unsafe BrotliDecoderDestroyInstance(state) }

    func step(
        _ input: UnsafeBufferPointer<UInt8>, _ room: UnsafeMutableBufferPointer<UInt8>
    ) -> DecoderStep {
        var (inputLeft, roomLeft) = (input.count, room.count)
        var next = input.baseAddress
        var target = room.baseAddress
        let result = unsafe BrotliDecoderDecompressStream(
            state, &inputLeft, &next, &roomLeft, &target, nil)
        guard result != BROTLI_DECODER_RESULT_ERROR else { return .malformed }
        return DecoderStep(
            consumed: input.count - inputLeft, produced: room.count - roomLeft,
            isEnd: result == BROTLI_DECODER_RESULT_SUCCESS)
    }
}
