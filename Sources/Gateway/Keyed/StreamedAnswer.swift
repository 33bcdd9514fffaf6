import HTTP
import Idempotency

/// The client's side of an answer that is worked for: it may vanish, or be told to come back, and
/// then nothing is sent any more, but the work goes on.
///
/// Of an answer that streams, what would complete it is held back until ``end(trailers:)``: the
/// last bytes where the length is known or the end of the connection is the end, else the last
/// chunk's mark.
@safe final class StreamedAnswer {
    /// What ended the client's wait.
    enum End {
        /// It has the answer, or what there is of it.
        case answered
        /// The work took longer than the route lets a client wait; nothing was sent.
        case late
        /// The client hung up.
        case gone
    }

    /// What is known of the client's request; of one that nobody waits for any more, nothing that
    /// is told.
    private(set) var account: RequestAccount
    private(set) var hasBegun = false
    /// Nil while the client waits.
    private(set) var ended: End?
    private let call: KeyedCall
    private var isLost = false
    private var isAnswering = false
    private var isSending = false
    private var waiting: UnsafeContinuation<Void, Never>?
    /// Bytes that may still be passed before the last; nil holds back each chunk until the next.
    private var untilLast: UInt64?
    private var endsWithMark = false
    private var pending: ArraySlice<UInt8> = []

    init(_ call: KeyedCall) {
        self.call = call
        account = call.account
    }

    /// Waits until the client has its answer, or waits no longer.
    func end() async -> End {
        // Something may be under way to the client, which comes before what it is told next.
        while isWaiting {
            await unsafe withUnsafeContinuation { continuation in
                // Getting here may take a turn of the loop, in which it may have ended.
                guard isWaiting else { return unsafe continuation.resume() }
                unsafe waiting = unsafe continuation
            }
        }
        return ended ?? .answered
    }

    private var isWaiting: Bool { ended == nil || ended == .late && isSending }

    /// Whether the client could be told to come back: nothing of an answer was sent to it.
    var mayBeLate: Bool { ended == nil && !isAnswering }

    /// Lets go of the client. What is done for it from now on goes nowhere.
    func detach(_ reason: End) {
        guard ended == nil else { return }
        isLost = true
        account = RequestAccount(startedAt: account.startedAt)
        pending = []
        finish(reason)
    }

    /// Notes that the client has all that it will get.
    func finish(_ reason: End = .answered) {
        if ended == nil { ended = reason }
        resume()
    }

    private func resume() {
        guard let continuation = unsafe waiting else { return }
        unsafe waiting = nil
        unsafe continuation.resume()
    }

    /// Passes an interim answer on.
    func pass(interim head: ResponseHead) async {
        guard call.request.head.version != .http10 else { return }
        let writer = call.writer
        await send { () async throws(DownstreamError) in try await writer.interim(head) }
    }

    /// Begins to stream.
    func begin(_ answer: ReceivedAnswer) async {
        hasBegun = true
        isAnswering = true
        switch answer.head.framing {
        case .length(let length): untilLast = length
        case .chunked, .untilClose, .none: endsWithMark = call.request.head.version != .http10
        }
        var lines: [UInt8] = []
        answer.head.fields.appendFieldSection(to: &lines)
        var head = answer.head
        head.fields = call.fields(lines, answer.status)
        account.dress(&head.fields)
        account.begin(head.status, RequestOutcome(answer.status))
        let (writer, begun) = (call.writer, head)
        await send { () async throws(DownstreamError) in try await writer.begin(begun) }
    }

    /// Passes bytes on, except the last ones.
    func pass(_ bytes: ArraySlice<UInt8>) async {
        guard !bytes.isEmpty, !isLost else { return }
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
    func end(trailers: Fields) async {
        await write(pending)
        let (writer, trailers) = (call.writer, account.trailers(trailers))
        await send { () async throws(DownstreamError) in try await writer.end(trailers: trailers) }
    }

    /// Gives an answer whole.
    func give(
        _ answer: ReceivedAnswer, _ status: KeyStatus, expires: Timestamp?,
        as outcome: RequestOutcome
    ) async {
        guard !isLost else { return }
        isAnswering = true
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
        account.begin(head.status, outcome)
        account.dress(&head.fields)
        let (writer, begun) = (call.writer, head)
        await send { () async throws(DownstreamError) in try await writer.begin(begun) }
        await write(body[...])
        await end(trailers: answer.trailers)
    }

    /// Gives an answer as it was stored.
    func give(_ reply: StoredReply, _ status: KeyStatus, expires: Timestamp?) async {
        guard !isLost else { return }
        isAnswering = true
        let call = call
        await send { () async throws(DownstreamError) in
            try await call.give(
                reply, status, as: RequestOutcome(status), expires: expires, isReplay: false)
        }
    }

    /// Gives a problem document.
    func give(
        _ problem: Problem, _ status: KeyStatus?, as outcome: RequestOutcome,
        at recoveryPoint: RecoveryPoint? = nil
    ) async {
        guard !isLost else { return }
        isAnswering = true
        let call = call
        await send { () async throws(DownstreamError) in
            try await call.give(problem, status, as: outcome, at: recoveryPoint)
        }
    }

    /// Cuts an answer that was begun.
    func abort() {
        account.outcome = .unknown
        if !isLost { call.writer.abort() }
    }

    private func write(_ bytes: ArraySlice<UInt8>) async {
        guard !bytes.isEmpty, !isLost else { return }
        account.bytesOut += bytes.count
        let writer = call.writer
        await send { () async throws(DownstreamError) in try await writer.write(bytes) }
    }

    private func send(_ body: () async throws(DownstreamError) -> Void) async {
        guard !isLost else { return }
        isSending = true
        do {
            try await body()
        } catch {
            isLost = true
        }
        isSending = false
        if ended == .late { resume() }
    }
}
