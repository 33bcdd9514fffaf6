import HTTP

/// A body under way, and its bytes so far.
struct BodyReader: ~Copyable {
    private var decoder: BodyDecoder
    private var bytes: [UInt8] = []

    init(_ framing: BodyFraming, limits: HTTPLimits = limits) {
        decoder = BodyDecoder(framing, limits: limits)
    }

    /// Reads on and logs; says whether the body is complete, or nil when it is refused.
    mutating func read(_ piece: [UInt8], _ offset: inout Int, _ log: inout [UInt8]) -> Bool? {
        do {
            while true {
                let start = offset
                switch try decoder.next(piece.span, &offset) {
                case .data(let range):
                    require(!range.isEmpty, "a range is empty")
                    require(range.lowerBound >= start, "a range was read before")
                    require(range.upperBound <= offset, "a range was not taken")
                    require(offset <= piece.count, "more was taken than was there")
                    log += piece[range]
                    bytes += piece[range]
                case .needMore:
                    require(offset == piece.count, "a piece was left")
                    return false
                case .end:
                    require(decoder.isComplete, "an end is not complete")
                    log += Array("end".utf8)
                    decoder.trailers.appendFieldSection(to: &log)
                    return true
                }
            }
        } catch {
            log += Array("! \(error.reason)".utf8)
            return nil
        }
    }

    /// Requires that a complete body, written again in chunks, is read as it is.
    func checkRoundTrip() {
        var written: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 7) {
            let chunk = bytes[start..<min(start + 7, bytes.count)]
            ChunkSerializer.appendSize(chunk.count, to: &written)
            written += chunk
            ChunkSerializer.appendDataEnd(to: &written)
        }
        ChunkSerializer.appendEnd(trailers: decoder.trailers, to: &written)
        var again = BodyReader(.chunked, limits: wideLimits)
        var offset = 0
        var log: [UInt8] = []
        require(again.read(written, &offset, &log) == true, "a written body is refused")
        require(again.bytes == bytes, "a written body is another")
        require(
            lines(again.decoder.trailers) == lines(decoder.trailers), "written trailers are others")
    }
}

/// The lines as they are written, without those that the serializers make.
private func lines(_ fields: Fields, without dropped: [FieldName] = []) -> [UInt8] {
    var kept = fields
    for name in dropped { kept.removeAll(name) }
    var bytes: [UInt8] = []
    kept.appendFieldSection(to: &bytes)
    let again = Fields(fieldSection: bytes)
    require(again.count == kept.count, "a written field section has other lines")
    return bytes
}

/// Room for what writing adds: the space after each colon, and the fields of the framing.
private let wideLimits = HTTPLimits(
    requestLine: 256, fields: 1024, fieldCount: 16, trailers: 128)

/// Requires that a head, written as a request, is read as it is.
func checkRoundTrip(_ head: RequestHead) {
    var request = UpstreamRequest(
        method: head.method, target: head.target, fields: head.fields, body: .none)
    switch head.framing {
    case .length(let count): request.body = .stream(length: count)
    case .chunked: request.body = .stream(length: nil)
    case .none, .untilClose: break
    }
    if head.version == .http10 {
        request.fields.removeAll(.expect)
        if !request.fields.contains(.host) { request.fields.append(.host, "a") }
    }
    var bytes: [UInt8] = []
    RequestSerializer.append(request, to: &bytes)
    var parser = RequestParser(limits: wideLimits)
    guard let (consumed, read) = try? parser.parse(bytes.span), let read else {
        fatalError("a written request is refused")
    }
    require(consumed == bytes.count, "a written request is not taken whole")
    require(read.method == head.method && read.target == head.target, "another request line")
    require(read.framing == head.framing, "another framing")
    let dropped = [FieldName.contentLength, .transferEncoding]
    require(
        lines(read.fields, without: dropped) == lines(request.fields, without: dropped),
        "other fields")
}

/// Requires that a head, written as a response, is read as it is.
func checkRoundTrip(_ head: ResponseHead, to method: Method) {
    var bytes: [UInt8] = []
    ResponseSerializer.append(
        head, framing: head.framing, date: Array("now".utf8),
        connection: head.isPersistent ? .implicit : .close, to: &bytes)
    var parser = ResponseParser(for: method, limits: wideLimits)
    guard let (consumed, read) = try? parser.parse(bytes.span), let read else {
        fatalError("a written response is refused")
    }
    require(consumed == bytes.count, "a written response is not taken whole")
    require(read.status == head.status && read.framing == head.framing, "another answer")
    require(head.reason.isEmpty || read.reason == head.reason, "another reason")
    require(head.isInterim || read.isPersistent == head.isPersistent, "another persistence")
    var dropped: [FieldName] = [.transferEncoding, .connection, .keepAlive]
    if head.framing != .none { dropped.append(.contentLength) }
    if !head.fields.contains(.date) { dropped.append(.date) }
    require(
        lines(read.fields, without: dropped) == lines(head.fields, without: dropped),
        "other fields")
}
