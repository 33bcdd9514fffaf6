import HTTP
import Idempotency

/// The client's side of an answer that is worked for: it may vanish, and then nothing is sent any
/// more, but nobody is told, because the work goes on.
///
/// Of an answer that streams, what would complete it is held back until ``end(trailers:)``: the
/// last bytes where the length is known or the end of the connection is the end, else the last
/// chunk's mark.
struct StreamedAnswer {
    private let call: KeyedCall
    private var isLost = false
    private(set) var hasBegun = false
    /// Bytes that may still be passed before the last; nil holds back each chunk until the next.
    private var untilLast: UInt64?
    private var endsWithMark = false
    private var pending: ArraySlice<UInt8> = []

    init(_ call: KeyedCall) {
        self.call = call
    }

    /// Passes an interim answer on.
    mutating func pass(interim head: ResponseHead) async {
        guard call.request.head.version != .http10 else { return }
        let writer = call.writer
        await send { () async throws(DownstreamError) in try await writer.interim(head) }
    }

    /// Begins to stream.
    mutating func begin(_ answer: ReceivedAnswer) async {
        hasBegun = true
        switch answer.head.framing {
        case .length(let length): untilLast = length
        case .chunked, .untilClose, .none: endsWithMark = call.request.head.version != .http10
        }
        var lines: [UInt8] = []
        answer.head.fields.appendFieldSection(to: &lines)
        var head = answer.head
        head.fields = call.fields(lines, answer.status)
        call.account.begin(head.status, RequestOutcome(answer.status))
        let (writer, begun) = (call.writer, head)
        await send { () async throws(DownstreamError) in try await writer.begin(begun) }
    }

    /// Passes bytes on, except the last ones.
    mutating func pass(_ bytes: ArraySlice<UInt8>) async {
        guard !bytes.isEmpty else { return }
        if let remaining = untilLast {
            untilLast = remaining - min(remaining, UInt64(bytes.count))
            if untilLast == 0 {
                pending += bytes
            } else {
                await write(bytes)
            }
        } else if endsWithMark {
            await write(bytes)
        } else {
            await write(pending)
            pending = bytes
        }
    }

    /// Completes an answer that was begun.
    mutating func end(trailers: Fields) async {
        await write(pending)
        let writer = call.writer
        await send { () async throws(DownstreamError) in try await writer.end(trailers: trailers) }
    }

    /// Gives an answer whole.
    mutating func give(
        _ answer: ReceivedAnswer, _ status: KeyStatus, expires: Timestamp?,
        as outcome: RequestOutcome
    ) async {
        var lines: [UInt8] = []
        answer.head.fields.appendFieldSection(to: &lines)
        var head = answer.head
        head.fields = call.fields(lines, status, expires: expires)
        let body = answer.body ?? []
        guard answer.trailers.count > 0 else {
            let (call, whole) = (call, head)
            return await send { () async throws(DownstreamError) in
                try await call.give(whole, body[...], as: outcome)
            }
        }
        call.account.begin(head.status, outcome)
        let (writer, begun) = (call.writer, head)
        await send { () async throws(DownstreamError) in try await writer.begin(begun) }
        await write(body[...])
        await end(trailers: answer.trailers)
    }

    private mutating func write(_ bytes: ArraySlice<UInt8>) async {
        guard !bytes.isEmpty, !isLost else { return }
        call.account.bytesOut += bytes.count
        let writer = call.writer
        await send { () async throws(DownstreamError) in try await writer.write(bytes) }
    }

    private mutating func send(_ body: () async throws(DownstreamError) -> Void) async {
        guard !isLost else { return }
        do {
            try await body()
        } catch {
            isLost = true
        }
    }
}
