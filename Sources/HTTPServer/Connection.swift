import HTTP
import Transport

/// One client's connection: heads are parsed one after the other, each is answered before the next.
final class Connection {
    let stream: ByteStream
    let server: HTTPServer
    /// Known for good once the PROXY header was taken, where there is to be one.
    private(set) var downstream: Downstream
    /// Bytes that were received and not yet taken, from `inputStart` on. Empty between requests,
    /// so that a connection that idles holds no buffer.
    var input: [UInt8] = []
    var inputStart = 0
    private var parser: RequestParser
    private var isIdle = true
    /// Whether the connection's first head is still to come.
    private var isFirst = true
    /// Whether a PROXY header is still to come.
    private(set) var awaitsProxyHeader: Bool
    /// Whether a PROXY header said that the client's connection is TLS.
    private var isSecureByProxy = false
    /// Until when the first head has to be there, and what goes before it.
    let firstDeadline: Instant
    /// Which of the server's options the next request is read by.
    private var generation: Int
    private var exchange: Exchange?
    /// Whether the last reception was a long one, as the next may be.
    private var expectsMuch = false
    /// Whether the wait for the next request has the bound that the end of the server sets.
    private var awaitsLastRequest = false
    /// How many requests were answered since others last had their turn.
    private var answeredInARow = 0

    /// What a client may still send after an answer that does not wait for it, before the connection
    /// is cut: enough for it to read the answer, which a reset would throw away. Many send all of a
    /// body before they look for an answer.
    private static let lingeringBytes = 64 << 20
    private static let lingeringTime: Duration = .seconds(10)
    private static let lingeringSilence: Duration = .seconds(2)
    /// How long a task waits for the next head. A connection that idles longer waits without one,
    /// which takes a small part of the memory.
    private static let taskPatience: Duration = .milliseconds(20)

    init(
        _ stream: ByteStream, server: HTTPServer, peer: String, port: UInt16?,
        takesProxyHeader: Bool
    ) {
        let options = server.options
        self.stream = stream
        self.server = server
        awaitsProxyHeader = takesProxyHeader
        firstDeadline = server.reactor.now + options.requestHead
        generation = server.generation
        downstream = Self.downstream(peer, port, isSecure: options.isSecure, options)
        parser = Self.parser(for: downstream, options)
    }

    /// Serves until the connection ends, and closes it, or until it has idled for a while.
    ///
    /// - Returns: until when it may go on idling, without a task; nil once it is closed.
    func run() async -> Instant? {
        if awaitsProxyHeader {
            guard await takeProxyHeader() else {
                stream.close()
                return nil
            }
            awaitsProxyHeader = false
        }
        while true {
            let head: RequestHead
            switch await nextHead() {
            case .head(let next): head = next
            case .idle(let deadline): return deadline
            case .none:
                stream.close()
                return nil
            }
            isFirst = false
            let exchange = Exchange(head, on: self)
            self.exchange = exchange
            await exchange.run()
            self.exchange = nil
            guard exchange.isPersistent, !stream.watch.hasFailed else {
                if exchange.mayLinger || exchange.isAnswered && hasUnread { await linger() }
                break
            }
            // One client that sends its requests without waiting must not have the loop for itself.
            answeredInARow += 1
            if answeredInARow >= Reactor.readyInARow {
                answeredInARow = 0
                await server.reactor.letOthersGo()
                if stream.isClosed { break }
            }
        }
        stream.close()
        return nil
    }

    /// Whether there is something that no request will be made of, such as those that a client sent
    /// before it was told that the connection closes.
    private var hasUnread: Bool { !input.isEmpty || stream.watch.isReadable }

    /// Has the connection's facts from a proxy that says whose it is.
    func apply(_ header: ProxyHeader) {
        let peer: String
        let port: UInt16?
        switch header.origin {
        case .sender: return
        case .unix: (peer, port) = (Downstream.unixPeer, nil)
        case .client(let source, let destination):
            (peer, port) = (source.address.description, destination.port)
        }
        isSecureByProxy = header.isSecure
        describe(peer, port)
    }

    /// Notes whose connection it is, and reads what comes by the server's options of now.
    private func describe(_ peer: String, _ port: UInt16?) {
        let options = server.options
        generation = server.generation
        downstream = Self.downstream(
            peer, port, isSecure: options.isSecure || isSecureByProxy, options)
        parser = Self.parser(for: downstream, options)
    }

    private static func downstream(
        _ peer: String, _ port: UInt16?, isSecure: Bool, _ options: ServerOptions
    ) -> Downstream {
        Downstream(
            peer: peer, port: port, isSecure: isSecure,
            isTrusted: options.trustedPeers.contains(peer: peer))
    }

    private static func parser(
        for downstream: Downstream, _ options: ServerOptions
    ) -> RequestParser {
        RequestParser(
            limits: options.limits, takesHTTPS: downstream.isSecure || downstream.isTrusted)
    }

    /// Ends a connection that waits for its next request, unless that is there or has a bound of
    /// its own.
    func closeIfIdle() {
        if isIdle, !awaitsLastRequest, !stream.watch.isReadable { stream.close() }
    }

    /// Ends the connection whatever it does. A request without an answer gets one that says so.
    func cut() {
        exchange?.cut()
        stream.close()
    }

    /// Takes over options that the server got since.
    private func adoptOptions() {
        guard generation != server.generation, parser.isIdle else { return }
        describe(downstream.peer, downstream.port)
    }

    // MARK: Heads

    private enum Next {
        case head(RequestHead)
        /// Nothing came for a while; there is time until then.
        case idle(Instant)
        /// There is none, and will be none.
        case none
    }

    private func nextHead() async -> Next {
        let options = server.options
        var deadline = isFirst ? firstDeadline : server.reactor.now + options.keepAlive
        awaitsLastRequest = server.isDraining
        if let last = server.lastRequestDeadline { deadline = min(deadline, last) }
        isIdle = input.isEmpty
        while true {
            adoptOptions()
            let wasIdle = parser.isIdle
            do throws(RequestError) {
                switch try parseInput() {
                case .head(let head):
                    isIdle = false
                    return .head(head)
                case .ended: return .none
                case .incomplete: break
                }
            } catch {
                isIdle = false
                await refuse(error.status, error.reason)
                return .none
            }
            if wasIdle, !parser.isIdle {
                isIdle = false
                if !isFirst || awaitsLastRequest {
                    deadline = server.reactor.now + options.requestHead
                }
            }
            let patience = server.reactor.now + Self.taskPatience
            let mayIdle = parser.isIdle && patience < deadline
            switch await stream.watch.waitUntilReadable(until: mayIdle ? patience : deadline) {
            case .ready: continue
            case .cancelled: return .none
            case .timeout:
                if mayIdle { return .idle(deadline) }
                if !parser.isIdle { await refuse(408, "the request's head did not arrive in time") }
                return .none
            }
        }
    }

    private enum Input {
        case head(RequestHead)
        /// More has to be waited for.
        case incomplete
        /// Nothing more will come.
        case ended
    }

    /// Parses what was received already, then what there is to receive.
    private func parseInput() throws(RequestError) -> Input {
        if !input.isEmpty {
            let bytes = input
            let (consumed, head) = try parser.parse(bytes.span.extracting(inputStart...))
            take(consumed)
            if let head { return .head(head) }
        }
        if expectsMuch, stream.watch.isReadable { return try parseMuch() }
        let scratch = unsafe server.reactor.scratch
        switch unsafe stream.receive(into: scratch) {
        case .nothingYet: return .incomplete
        case .end, .failed: return .ended
        case .bytes(let count):
            expectsMuch = count >= Reactor.much
            let received = unsafe UnsafeRawBufferPointer(rebasing: scratch[..<count])
            let bytes = unsafe received.bindMemory(to: UInt8.self)
            let (consumed, head) = try unsafe parser.parse(Span(_unsafeElements: bytes))
            if consumed < count { unsafe input = Array(received[consumed...]) }
            return head.map { .head($0) } ?? .incomplete
        }
    }

    /// Receives into memory that becomes the input, so that a long body is not copied.
    private func parseMuch() throws(RequestError) -> Input {
        let (outcome, bytes) = stream.receive(atMost: Reactor.scratchSize)
        switch outcome {
        case .nothingYet: return .incomplete
        case .end, .failed: return .ended
        case .bytes(let count):
            expectsMuch = count >= Reactor.much
            let (consumed, head) = try parser.parse(bytes.span)
            (input, inputStart) = Reactor.rest(of: bytes, from: consumed)
            return head.map { .head($0) } ?? .incomplete
        }
    }

    /// Marks bytes of `input` as taken.
    func take(_ count: Int) {
        inputStart += count
        guard inputStart == input.count else { return }
        input = []
        inputStart = 0
    }

    // MARK: Refusals

    /// Answers what is not a request; the connection closes afterwards.
    private func refuse(_ status: UInt16, _ reason: String) async {
        server.options.onRefusal(status, reason, downstream)
        let (head, body) = server.options.refusal(status, reason)
        var bytes: [UInt8] = []
        ResponseSerializer.append(
            head, framing: .length(UInt64(body.count)), date: server.date, connection: .close,
            to: &bytes)
        bytes += body
        do {
            try await stream.write(bytes, idle: server.options.writeIdle)
            await linger()
        } catch {
            stream.close()
        }
    }

    /// Ends our direction and throws away what the client still sends, for a while: bytes that
    /// arrive at a closed socket would reset it, and the client might lose the answer.
    private func linger() async {
        stream.endWriting()
        input = []
        let deadline = server.reactor.now + Self.lingeringTime
        var left = Self.lingeringBytes
        while left > 0 {
            switch unsafe stream.receive(into: server.reactor.scratch) {
            case .bytes(let count): left -= count
            case .end, .failed: return
            case .nothingYet:
                let silence = server.reactor.now + Self.lingeringSilence
                guard
                    case .ready = await stream.watch.waitUntilReadable(
                        until: min(deadline, silence)),
                    server.reactor.now < deadline
                else { return }
            }
        }
    }
}
