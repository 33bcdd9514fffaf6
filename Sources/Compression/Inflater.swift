private import CCompression

/// gzip (RFC 1952), any number of members, and the zlib format (RFC 1950).
@safe final class Inflater: Decoder {
    private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
    private let isGzip: Bool

    /// Nil when there is no memory.
    init?(isGzip: Bool) {
        self.isGzip = isGzip
        unsafe stream.initialize(to: z_stream())
        guard unsafe ccompression_inflate_init(stream, isGzip ? 31 : 15) == Z_OK else {
            return nil
        }
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    func step(
        _ input: UnsafeBufferPointer<UInt8>, _ room: UnsafeMutableBufferPointer<UInt8>
    ) -> DecoderStep {
        let inputCount = UInt32(clamping: input.count)
        let roomCount = UInt32(clamping: room.count)
        unsafe stream.pointee.next_in = unsafe UnsafeMutablePointer(mutating: input.baseAddress)
        unsafe stream.pointee.avail_in = inputCount
        unsafe stream.pointee.next_out = room.baseAddress
        unsafe stream.pointee.avail_out = roomCount
        let result = unsafe inflate(stream, Z_NO_FLUSH)
        var step = unsafe DecoderStep(
            consumed: Int(inputCount - stream.pointee.avail_in),
            produced: Int(roomCount - stream.pointee.avail_out))
        switch result {
        case Z_OK, Z_BUF_ERROR: return step
        case Z_STREAM_END:
            step.isEnd = true
            // What follows is another member, or wrong.
            if isGzip, unsafe inflateReset(stream) != Z_OK { return .malformed }
            return step
        default: return .malformed
        }
    }
}
