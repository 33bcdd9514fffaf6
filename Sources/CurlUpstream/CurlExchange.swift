import HTTP
import Transport

/// One request on one connection, sent once.
final class CurlExchange: UpstreamExchange {
    private var request: UpstreamRequest
    private let client: CurlClient
    /// Nil before there is one.
    private var connection: CurlConnection?
    private var totalDeadline: Instant?
    /// Held until it is over; nil where any number may be under way.
    private var place: InFlightPlace?
    private var parser: ResponseParser
    private var decoder = BodyDecoder(.none)
    /// Whether the final head came, and with it the decoder.
    private var hasHead = false
    /// Received and not yet taken, from `inputStart` on.
    private var input: [UInt8] = []
    private var inputStart = 0
    /// The request's head, and the body where it is whole, as far as they were not sent.
    private var unsent: (first: ArraySlice<UInt8>, second: ArraySlice<UInt8>)?
    /// Whether a byte of the request was handed to the connection.
    private var hasSent = false
    private var isRequestComplete = false
    /// Whether a streamed body is on its way, and when it came to its end.
    private var isSendingBody = false
    private var bodyEnd = Instant(nanoseconds: 0)
    private var isPersistent = false
    private var isOver = false
    /// Whether whoever wanted the answer wants it no more.
    private var isGivenUp = false
    /// What ended it early, whichever side found it: the body's failure is the answer's too.
    private var cause: UpstreamError?

    private static let copied = 16 << 10
    private static let chunk = 64 << 10

    init(_ request: UpstreamRequest, of client: CurlClient) {
        self.request = request
        self.client = client
        parser = ResponseParser(for: request.method)
    }

    private var reactor: Reactor { client.multi.reactor }

    func startAtOnce() throws(UpstreamError) -> Bool {
        totalDeadline = client.options.totalTimeout.map { reactor.now + $0 }
        try takePlace()
        guard !isGivenUp, let kept = client.takeIdle() else { return false }
        connection = kept
        try prepareRequest()
        do throws(UpstreamError) {
            return try sendSome()
        } catch {
            try forgetConnection(error)
            return false
        }
    }

    func start() async throws(UpstreamError) {
        if connection == nil, unsent == nil, try startAtOnce() { return }
        if unsent != nil, try await sendRequest() { return }
        guard !isGivenUp else { throw failure(.cutShort, "it was given up") }
        let fresh = try CurlConnection.new(client.options, on: client.multi)
        connection = fresh
        do throws(UpstreamError) {
            try await fresh.connect()
        } catch {
            cause = error
            cancel()
            throw error
        }
        try prepareRequest()
        guard try await sendRequest() else {
            throw UpstreamError(
                .unreachable, effect: .none, detail: "the new connection was closed at once")
        }
    }

    private func takePlace() throws(UpstreamError) {
        guard place == nil, !isOver, let limit = client.options.inFlight else { return }
        place = limit.take()
        guard place != nil else {
            throw failure(.overloaded, "as many requests are in flight as may be")
        }
    }

    /// Writes the request down, if it may be sent.
    private func prepareRequest() throws(UpstreamError) {
        try checkMaySend()
        var bytes = client.output.take()
        RequestSerializer.append(request, to: &bytes)
        var second: ArraySlice<UInt8> = []
        if case .whole(let body) = request.body {
            if body.count <= Self.copied {
                bytes.append(contentsOf: body)
            } else {
                second = body
            }
        }
        unsent = (bytes[...], second)
    }

    private func checkMaySend() throws(UpstreamError) {
        guard let maySend = request.maySend, !maySend() else { return }
        cancel()
        throw UpstreamError(.withdrawn, effect: .none, detail: "it was not to be sent any more")
    }

    /// Sends what is left of the request, waiting while the connection takes nothing.
    /// - Returns: false when the connection broke before it took a byte.
    private func sendRequest() async throws(UpstreamError) -> Bool {
        do throws(UpstreamError) {
            while try !sendSome() {
                try await waitUntilWritable()
                if !hasSent { try checkMaySend() }
            }
            return true
        } catch {
            try forgetConnection(error)
            return false
        }
    }

    /// Sends what the connection takes of the request now.
    /// - Returns: whether that was the rest.
    private func sendSome() throws(UpstreamError) -> Bool {
        while let rest = unsent {
            guard !isOver, let connection else {
                throw failure(.cutShort, "the exchange is over")
            }
            switch connection.send(rest.first, rest.second) {
            case .bytes(let count):
                if count > 0 { hasSent = true }
                let ofFirst = min(count, rest.first.count)
                guard count == rest.first.count + rest.second.count else {
                    unsent = (
                        rest.first.dropFirst(ofFirst), rest.second.dropFirst(count - ofFirst)
                    )
                    continue
                }
                unsent = nil
                if rest.second.isEmpty { client.output.giveBack(Array(rest.first)) }
                noteRequestSent()
            case .wouldBlock: return false
            case .end: throw failure(.cutShort, "the upstream closed")
            case .failed(let reason): throw failure(.cutShort, reason)
            }
        }
        return true
    }

    private func noteRequestSent() {
        if case .stream = request.body {
            isSendingBody = true
            return
        }
        isRequestComplete = true
        // A long wait for the answer is not to hold the body in memory.
        request.body = .none
    }

    /// Makes way for a fresh connection when this one broke before it took a byte: nothing has left
    /// yet then.
    private func forgetConnection(_ error: UpstreamError) throws(UpstreamError) {
        guard !hasSent, error.reason == .cutShort, !isGivenUp else { throw error }
        isOver = false
        cause = nil
        unsent = nil
        try takePlace()
    }

    func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {
        guard !bytes.isEmpty, case .stream(let length) = request.body else { return }
        guard length == nil else { return try await sendMore(bytes) }
        var chunk: [UInt8] = []
        chunk.reserveCapacity(bytes.count + 16)
        ChunkSerializer.appendSize(bytes.count, to: &chunk)
        chunk.append(contentsOf: bytes)
        ChunkSerializer.appendDataEnd(to: &chunk)
        try await sendMore(chunk[...])
    }

    func forgoBody() { endBody() }

    func finish(trailers: Fields) async throws(UpstreamError) {
        if case .stream(nil) = request.body {
            var last: [UInt8] = []
            ChunkSerializer.appendEnd(trailers: trailers, to: &last)
            try await sendMore(last[...])
        }
        isRequestComplete = true
        endBody()
    }

    // MARK: The answer

    var trailers: Fields { decoder.trailers }

    func head() async throws(UpstreamError) -> ResponseHead {
        while true {
            if let head = try parseHead() {
                guard !head.isInterim else { return head }
                isPersistent = head.isPersistent
                decoder = BodyDecoder(head.framing)
                hasHead = true
                try concludeIfComplete()
                return head
            }
            try await waitUntilReadable()
        }
    }

    private func parseHead() throws(UpstreamError) -> ResponseHead? {
        do throws(ResponseError) {
            if !input.isEmpty {
                let bytes = input
                let (consumed, head) = try parser.parse(bytes.span.extracting(inputStart...))
                take(consumed)
                if head != nil { return head }
            }
        } catch { throw failure(.malformed, error.reason) }
        guard let connection, !isOver else { return nil }
        if connection.expectsMuch, connection.watch?.isReadable == true {
            return try parseMuch(from: connection)
        }
        let scratch = unsafe reactor.scratch
        guard let count = try received(unsafe connection.receive(into: scratch)) else {
            return nil
        }
        connection.expectsMuch = count >= Reactor.much
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: scratch[..<count])
        let elements = unsafe bytes.bindMemory(to: UInt8.self)
        do throws(ResponseError) {
            let (consumed, head) = try unsafe parser.parse(Span(_unsafeElements: elements))
            if consumed < count { unsafe input = Array(bytes[consumed...]) }
            return head
        } catch { throw failure(.malformed, error.reason) }
    }

    /// Receives into memory that becomes the input, so that a long body is not copied.
    private func parseMuch(from connection: CurlConnection) throws(UpstreamError) -> ResponseHead? {
        let (outcome, bytes) = connection.receive(atMost: Reactor.scratchSize)
        guard let count = try received(outcome) else { return nil }
        connection.expectsMuch = count >= Reactor.much
        do throws(ResponseError) {
            let (consumed, head) = try parser.parse(bytes.span)
            (input, inputStart) = Reactor.rest(of: bytes, from: consumed)
            return head
        } catch { throw failure(.malformed, error.reason) }
    }

    func wholeBody() throws(UpstreamError) -> ArraySlice<UInt8>? {
        guard hasHead else { return nil }
        if isOver { return decoder.isComplete ? [] : nil }
        guard let remaining = decoder.remaining, input.count - inputStart >= remaining else {
            return nil
        }
        return try nextInput()
    }

    func read() async throws(UpstreamError) -> ArraySlice<UInt8>? {
        guard hasHead else { return nil }
        while true {
            if let bytes = try nextInput() { return bytes }
            if isOver {
                // Given up in the middle, it has no end: what came must not be taken for all of it.
                guard decoder.isComplete else {
                    throw failure(.cutShort, "the exchange was given up")
                }
                return nil
            }
            if try receiveBody() {
                await connection?.letOthersGo()
                continue
            }
            try await waitUntilReadable()
        }
    }

    /// Body bytes among those that were received already; looks for the end behind them, so that
    /// the connection is free as soon as it can be.
    private func nextInput() throws(UpstreamError) -> ArraySlice<UInt8>? {
        guard !input.isEmpty else { return nil }
        guard let range = try step() else {
            try concludeIfComplete()
            return nil
        }
        let bytes = input[range]
        take(range.upperBound - inputStart)
        try concludeIfComplete()
        return bytes
    }

    /// The next range of body bytes; nil at the end of the input or the body.
    private func step() throws(UpstreamError) -> Range<Int>? {
        let bytes = input
        var offset = inputStart
        let step: BodyDecoder.Step
        do throws(BodyError) {
            step = try decoder.next(bytes.span, &offset)
        } catch { throw failure(.malformed, error.reason) }
        if case .data(let range) = step { return range }
        take(offset - inputStart)
        return nil
    }

    /// Receives body bytes into memory of their own.
    /// - Returns: whether there were any, or the end of the body was found.
    private func receiveBody() throws(UpstreamError) -> Bool {
        guard let connection, connection.watch?.isReadable == true else { return false }
        let limit = Int(min(decoder.remaining ?? UInt64(Self.chunk), UInt64(Self.chunk)))
        let (outcome, bytes) = connection.receive(atMost: limit)
        if case .end = outcome {
            do throws(BodyError) {
                try decoder.finish()
            } catch { throw failure(.cutShort, error.reason) }
            try concludeIfComplete()
            return true
        }
        guard try received(outcome) != nil else { return false }
        input = bytes
        inputStart = 0
        return true
    }

    private func received(_ transfer: CurlConnection.Transfer) throws(UpstreamError) -> Int? {
        switch transfer {
        case .bytes(let count): return count
        case .wouldBlock: return nil
        case .end: throw failure(.cutShort, "the upstream closed before its answer was complete")
        case .failed(let reason): throw failure(.cutShort, reason)
        }
    }

    private func take(_ count: Int) {
        inputStart += count
        guard inputStart == input.count else { return }
        input = []
        inputStart = 0
    }

    /// Frees the connection once the answer is complete.
    private func concludeIfComplete() throws(UpstreamError) {
        guard !isOver, hasHead, decoder.isComplete else { return }
        guard input.isEmpty else {
            throw failure(.malformed, "there are bytes after the end of the answer")
        }
        isOver = true
        place = nil
        if let connection, isPersistent, isRequestComplete {
            client.keep(connection)
        } else {
            connection?.close()
        }
    }

    func tunnel() -> (any TunnelEnd)? {
        guard !isOver, let connection, let watch = connection.watch else { return nil }
        isOver = true
        let received = input[inputStart...]
        input = []
        inputStart = 0
        let tunnel = UpstreamTunnel(connection, watch, place, after: received)
        place = nil
        return tunnel
    }

    func cancel() {
        guard !isOver else { return }
        isGivenUp = true
        end()
    }

    private func end() {
        isOver = true
        place = nil
        connection?.abort()
    }

    // MARK: Waiting and sending

    /// Sends more of a streamed body. An upstream that takes no more may have answered already, so
    /// its connection is left to be read.
    private func sendMore(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {
        do throws(UpstreamError) {
            try await send(bytes, isAnswerAwaited: true)
        } catch {
            endBody()
            throw error
        }
    }

    private func endBody() {
        isSendingBody = false
        bodyEnd = reactor.now
    }

    private func send(
        _ bytes: ArraySlice<UInt8>, isAnswerAwaited: Bool = false
    ) async throws(UpstreamError) {
        var rest = bytes
        while !rest.isEmpty {
            guard !isOver, let connection else {
                throw failure(.cutShort, "the exchange is over")
            }
            switch connection.send(rest) {
            case .bytes(let count):
                if count > 0 { hasSent = true }
                rest = rest.dropFirst(count)
            case .wouldBlock: try await waitUntilWritable()
            case .end: throw failure(.cutShort, "the upstream closed")
            case .failed(let reason):
                guard isAnswerAwaited else { throw failure(.cutShort, reason) }
                throw UpstreamError(.cutShort, effect: .possible, detail: reason)
            }
        }
    }

    private func waitUntilWritable() async throws(UpstreamError) {
        guard !isOver, let connection, let watch = connection.watch else {
            throw failure(.cutShort, "the exchange is over")
        }
        client.multi.stall(connection)
        let wake = await watch.waitUntilWritable(until: deadline)
        client.multi.resume(connection)
        try check(wake)
    }

    private func waitUntilReadable() async throws(UpstreamError) {
        guard !isOver, let watch = connection?.watch else {
            throw failure(.cutShort, "the exchange was given up")
        }
        let started = reactor.now
        while true {
            let wake = await watch.waitUntilReadable(until: answerDeadline(started))
            let isLate = answerDeadline(started).map { $0 <= reactor.now } ?? true
            if case .timeout = wake, !isLate { continue }
            return try check(wake)
        }
    }

    private func check(_ wake: Wake) throws(UpstreamError) {
        switch wake {
        case .ready: return
        case .timeout: throw failure(.timeout, "the upstream was silent for too long")
        case .cancelled: throw failure(.cutShort, "the exchange was given up")
        }
    }

    /// Until when an answer's next bytes may come. While a body is on its way nothing is expected,
    /// and whoever sends it is held to limits of its own; silence counts from the body's end.
    private func answerDeadline(_ started: Instant) -> Instant? {
        guard let idle = client.options.idleTimeout else { return totalDeadline }
        let silent = (isSendingBody ? reactor.now : max(started, bodyEnd)) + idle
        return totalDeadline.map { min($0, silent) } ?? silent
    }

    private var deadline: Instant? {
        guard let idle = client.options.idleTimeout else { return totalDeadline }
        let silent = reactor.now + idle
        return totalDeadline.map { min($0, silent) } ?? silent
    }

    /// Closes the connection; what was sent cannot be taken back. What is said of a failure that
    /// follows from an earlier one is the earlier one.
    private func failure(_ reason: UpstreamError.Reason, _ detail: String) -> UpstreamError {
        if let cause { return cause }
        if !isOver { end() }
        let error = UpstreamError(reason, effect: hasSent ? .possible : .none, detail: detail)
        cause = error
        return error
    }
}
