import HTTP
import Transport

/// One request and its answer on a connection: the body to pull, and the writer to answer with.
final class Exchange: RequestBody, ResponseWriter {
    private enum Phase {
        case awaitingAnswer
        /// The head is out, or held back with what else could follow at once.
        case answering(BodyFraming)
        case answered
        /// Cut in the middle, or the client is gone.
        case broken
    }

    /// Two pieces, of which so many bytes were sent.
    private struct Unsent {
        var first: [UInt8]
        var second: ArraySlice<UInt8>
        var sent: Int
    }

    private let connection: Connection
    private let head: RequestHead
    private var phase = Phase.awaitingAnswer
    private var decoder: BodyDecoder
    private var owesContinue: Bool
    /// Whether the body was begun to be read, and by whoever reads it given up.
    private var isPulled = false
    private var isAbandoned = false
    /// Whether another request may follow.
    private(set) var isPersistent: Bool
    /// Whether the answer is out.
    var isAnswered: Bool { if case .answered = phase { true } else { false } }
    /// Whether the client should be given time to read the answer before the connection closes.
    private(set) var mayLinger = false
    /// Bytes of the answer that wait for the end of the loop's turn, or for more to go with them.
    private var held: [UInt8] = []
    private var flushesAtEndOfTurn = false
    /// A whole answer that was sent in part.
    private var unsent: Unsent?
    /// Whether something is on its way, behind which `held` has to stay.
    private var isSending = false

    /// Bodies up to this size are copied behind their head, which is cheaper than a second piece.
    private static let copied = 16 << 10
    /// The most that is received into one array.
    private static let chunk = 64 << 10

    init(_ head: RequestHead, on connection: Connection) {
        self.head = head
        self.connection = connection
        decoder = BodyDecoder(head.framing, limits: connection.server.options.limits)
        owesContinue = head.expectsContinue
        isPersistent = head.isPersistent
    }

    private var server: HTTPServer { connection.server }
    private var writeIdle: Duration { server.options.writeIdle }

    /// Lets the handler answer, and sees to it that there is an answer, or a visible cut.
    func run() async {
        do {
            let request = Request(head: head, body: self, downstream: connection.downstream)
            try await server.handler.respond(to: request, through: self)
        } catch DownstreamError.bodyTimeout {
            await refuse(408, "the request's body did not arrive in time")
        } catch DownstreamError.malformed(let reason) {
            await refuse(400, reason)
        } catch is DownstreamError {
            phase = .broken
        } catch {
            await refuse(500, "the gateway failed")
        }
        connection.stream.watch.onFailure = nil
        switch phase {
        case .answered: break
        case .awaitingAnswer: await refuse(500, "the gateway had no answer")
        case .answering: abort()
        case .broken: isPersistent = false
        }
        mayLinger = isAnswered && (!decoder.isComplete || owesContinue)
    }

    private func refuse(_ status: UInt16, _ reason: String) async {
        guard case .awaitingAnswer = phase else { return }
        isPersistent = false
        server.options.onRefusal(status, reason, connection.downstream)
        let (head, body) = server.options.refusal(status, reason)
        try? await respond(head, body: body[...])
    }

    // MARK: The request's body

    var trailers: Fields { decoder.trailers }

    func read() async throws(DownstreamError) -> ArraySlice<UInt8>? {
        isPulled = true
        if owesContinue { try askForBody() }
        while true {
            guard !isAbandoned else { throw .closed }
            if let bytes = try nextInput() { return bytes }
            if decoder.isComplete { return nil }
            try await receive()
        }
    }

    func whole() throws(DownstreamError) -> ArraySlice<UInt8>? {
        guard !owesContinue, !isAbandoned, let remaining = decoder.remaining,
            connection.input.count - connection.inputStart >= remaining
        else { return nil }
        isPulled = true
        return try nextInput()
    }

    /// Tells the client to continue. That does not wait: an answer may be on its way by another
    /// task.
    private func askForBody() throws(DownstreamError) {
        // Whoever has an answer without having been asked for the body need not send it.
        guard !hasBegun else { throw .closed }
        owesContinue = false
        guard connection.input.isEmpty, !decoder.isComplete else { return }
        held.append(contentsOf: "HTTP/1.1 100 Continue\r\n\r\n".utf8)
        flushAtEndOfTurn()
    }

    func abandon() {
        guard !decoder.isComplete else { return }
        isAbandoned = true
        isPersistent = false
        connection.stream.watch.interruptReading()
    }

    /// Body bytes among those that were received already.
    private func nextInput() throws(DownstreamError) -> ArraySlice<UInt8>? {
        guard !connection.input.isEmpty || decoder.isComplete else { return nil }
        let input = connection.input
        var offset = connection.inputStart
        let step: BodyDecoder.Step
        do throws(BodyError) {
            step = try decoder.next(input.span, &offset)
        } catch {
            isPersistent = false
            throw .malformed(error.reason)
        }
        guard case .data(let range) = step else {
            connection.take(offset - connection.inputStart)
            return nil
        }
        connection.take(offset - connection.inputStart)
        return input[range]
    }

    private func receive() async throws(DownstreamError) {
        let limit = min(decoder.remaining ?? UInt64(Self.chunk / 4), UInt64(Self.chunk))
        let bytes: [UInt8]
        do throws(StreamError) {
            bytes = try await connection.stream.read(
                atMost: Int(limit), until: server.reactor.now + server.options.bodyIdle)
        } catch {
            isPersistent = false
            switch error {
            case .timeout: throw .bodyTimeout
            case .closed: throw .closed
            }
        }
        guard !bytes.isEmpty else {
            isPersistent = false
            throw .closed
        }
        connection.input = bytes
        connection.inputStart = 0
    }

    // MARK: The answer

    var hasBegun: Bool {
        if case .awaitingAnswer = phase { false } else { true }
    }

    var isDownstreamGone: Bool {
        if case .broken = phase { true } else { connection.stream.watch.hasFailed }
    }

    var onDownstreamGone: (() -> Void)? {
        get { connection.stream.watch.onFailure }
        set {
            if let action = newValue, isDownstreamGone { return action() }
            connection.stream.watch.onFailure = newValue
        }
    }

    func interim(_ head: ResponseHead) async throws(DownstreamError) {
        guard self.head.version == .http11, !hasBegun else { return }
        if head.status == 100 {
            guard owesContinue else { return }
            owesContinue = false
        }
        var bytes = takeHeld()
        ResponseSerializer.append(
            head, framing: .none, date: [], connection: .implicit, to: &bytes)
        try await send(bytes)
    }

    func upgrade(_ head: ResponseHead) async throws(DownstreamError) -> any TunnelEnd {
        precondition(!hasBegun, "a request has one answer")
        var bytes = takeHeld()
        ResponseSerializer.append(
            head, framing: .none, date: [], connection: .implicit, to: &bytes)
        phase = .answered
        isPersistent = false
        try await send(bytes)
        return ClientTunnel(connection)
    }

    func respond(
        _ head: ResponseHead, body: ArraySlice<UInt8>
    ) async throws(DownstreamError) {
        if case .part = try respondAtOnce(head, body: body) { try await finishResponding() }
    }

    func respondAtOnce(
        _ head: ResponseHead, body: ArraySlice<UInt8>
    ) throws(DownstreamError) -> ImmediateAnswer {
        precondition(!hasBegun, "a request has one answer")
        var bytes = server.output.take()
        if !held.isEmpty { bytes.append(contentsOf: takeHeld()) }
        takeRestOfBody()
        let hasBody = appendHead(head, framing: .length(UInt64(body.count)), to: &bytes)
        phase = .answered
        var second: ArraySlice<UInt8> = []
        if hasBody, body.count > Self.copied {
            second = body
        } else if hasBody {
            bytes.append(contentsOf: body)
        }
        switch connection.stream.send(bytes, second, from: 0) {
        case .bytes(let count) where count == bytes.count + second.count:
            server.output.giveBack(bytes)
            return .whole
        case .bytes(let count): unsent = Unsent(first: bytes, second: second, sent: count)
        case .nothingYet: unsent = Unsent(first: bytes, second: second, sent: 0)
        case .end, .failed:
            phase = .broken
            isPersistent = false
            throw .closed
        }
        return .part
    }

    func finishResponding() async throws(DownstreamError) {
        guard let rest = unsent else { return }
        unsent = nil
        try await send(rest.first, rest.second, from: rest.sent)
    }

    func begin(_ head: ResponseHead) async throws(DownstreamError) {
        precondition(!hasBegun, "a request has one answer")
        var framing = head.framing
        if case .chunked = framing, self.head.version == .http10 { framing = .untilClose }
        if case .untilClose = framing, self.head.version == .http11 { framing = .chunked }
        if case .untilClose = framing { isPersistent = false }
        // What somebody is about to read is theirs.
        if !isPulled || isAbandoned { takeRestOfBody() }
        let hasBody = appendHead(head, framing: framing, to: &held)
        phase = .answering(hasBody ? framing : .none)
        flushAtEndOfTurn()
    }

    func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError) {
        guard case .answering(let framing) = phase, framing != .none, !bytes.isEmpty else {
            return try throwIfBroken()
        }
        let isChunked = framing == .chunked
        if isChunked { ChunkSerializer.appendSize(bytes.count, to: &held) }
        var first = takeHeld()
        if bytes.count <= Self.copied {
            first.append(contentsOf: bytes)
            if isChunked { ChunkSerializer.appendDataEnd(to: &first) }
            try await send(first)
        } else {
            try await send(first, bytes)
            // Goes with the next chunk, or the end, or at the end of the turn.
            if isChunked {
                ChunkSerializer.appendDataEnd(to: &held)
                flushAtEndOfTurn()
            }
        }
    }

    func end(trailers: Fields) async throws(DownstreamError) {
        guard case .answering(let framing) = phase else { return try throwIfBroken() }
        if framing == .chunked { ChunkSerializer.appendEnd(trailers: trailers, to: &held) }
        let last = takeHeld()
        if !last.isEmpty { try await send(last) }
        phase = .answered
    }

    func abort() {
        phase = .broken
        isPersistent = false
        held = []
        connection.stream.resetOnClose()
        connection.stream.close()
    }

    /// Tells the client that there will be no answer, if none has begun. The connection is closed
    /// right after it, which ends whatever the handler still does with this exchange.
    func cut() {
        guard case .awaitingAnswer = phase, connection.stream.watch.isWritable,
            let (head, body) = server.options.lastAnswer?()
        else { return }
        var bytes: [UInt8] = []
        let hasBody = appendHead(head, framing: .length(UInt64(body.count)), to: &bytes)
        isPersistent = false
        // As much as the kernel takes at once: nobody waits for a client any more.
        _ = connection.stream.send(bytes, hasBody ? body[...] : [], from: 0)
        connection.stream.endWriting()
    }

    private func throwIfBroken() throws(DownstreamError) {
        if case .broken = phase { throw .closed }
    }

    /// Writes a head, and decides whether the connection lives on.
    /// - Returns: whether a body may follow it.
    private func appendHead(
        _ head: ResponseHead, framing: BodyFraming, to bytes: inout [UInt8]
    ) -> Bool {
        if !decoder.isComplete || owesContinue || server.isDraining || !head.isPersistent {
            isPersistent = false
        }
        let says: ResponseSerializer.Connection =
            !isPersistent ? .close : self.head.version == .http10 ? .keepAlive : .implicit
        let isBodiless = self.head.method == .head || head.status == 204 || head.status == 304
        // A HEAD or 304 that knows the length of what it does not carry says so itself.
        let declares = head.status != 304 && !(isBodiless && head.fields.contains(.contentLength))
        ResponseSerializer.append(
            head, framing: declares ? framing : .none, date: server.date, connection: says,
            to: &bytes)
        return !isBodiless
    }

    /// Takes a body that was not pulled, if it was received with its head; otherwise the connection
    /// has to close, since what follows could not be told from the next request.
    private func takeRestOfBody() {
        guard !decoder.isComplete, !owesContinue else { return }
        while true {
            do {
                guard try nextInput() != nil else { return }
            } catch { return }
        }
    }

    // MARK: Sending

    private func send(
        _ first: [UInt8], _ second: ArraySlice<UInt8> = [], from sent: Int = 0
    ) async throws(DownstreamError) {
        isSending = true
        defer {
            isSending = false
            if !held.isEmpty { flushAtEndOfTurn() }
        }
        do throws(StreamError) {
            try await connection.stream.write(first, second, from: sent, idle: writeIdle)
        } catch {
            phase = .broken
            isPersistent = false
            throw error == .timeout ? .writeTimeout : .closed
        }
    }

    /// What was held back, to go in front of what is sent now.
    private func takeHeld() -> [UInt8] {
        var bytes: [UInt8] = []
        swap(&bytes, &held)
        return bytes
    }

    private func flushAtEndOfTurn() {
        guard !flushesAtEndOfTurn else { return }
        flushesAtEndOfTurn = true
        server.reactor.atEndOfTurn { [weak self] in self?.flush() }
    }

    /// Sends what was held back, as far as the kernel takes it, and the rest when it takes more:
    /// whoever answers may have nothing to add for long.
    private func flush() {
        flushesAtEndOfTurn = false
        guard !held.isEmpty, !isSending else { return }
        switch connection.stream.send(held, [], from: 0) {
        case .bytes(let count):
            held.removeFirst(count)
            if !held.isEmpty { flush() }
        case .nothingYet: connection.stream.watch.onWritable = { [weak self] in self?.flush() }
        case .end, .failed: break
        }
    }
}
