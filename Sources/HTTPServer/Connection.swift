import HTTP
import Transport

/// One client's connection: heads are parsed one after the other, each is answered before the next.
final class Connection {
    let stream: ByteStream
    let server: HTTPServer
    private(set) var downstream: Downstream
    /// Bytes that were received and not yet taken, from `inputStart` on. Empty between requests,
    /// so that a connection that idles holds no buffer.
    var input: [UInt8] = []
    var inputStart = 0
    private var parser: RequestParser
    private var isIdle = true
    private let peer: String
    /// Which of the server's options the next request is read by.
    private var generation: Int
    private var exchange: Exchange?
    /// Whether the wait for the next request has the bound that the end of the server sets.
    private var awaitsLastRequest = false

    /// What a client may still send after a refusal before the connection is cut: enough for it to
    /// read the answer, which a reset would throw away.
    private static let lingeringBytes = 1 << 20
    private static let lingeringTime: Duration = .seconds(2)

    init(_ stream: ByteStream, server: HTTPServer, peer: String) {
        self.stream = stream
        self.server = server
        self.peer = peer
        generation = server.generation
        parser = RequestParser(limits: server.options.limits)
        downstream = Downstream(
            peer: peer, isSecure: server.options.isSecure, isTrusted: server.options.isTrusted(peer)
        )
    }

    /// Serves until the connection ends, and closes it.
    func run() async {
        var first = true
        while let head = await nextHead(isFirst: first) {
            first = false
            let exchange = Exchange(head, on: self)
            self.exchange = exchange
            await exchange.run()
            self.exchange = nil
            guard exchange.isPersistent, !stream.watch.hasFailed else {
                if exchange.mayLinger { await linger() }
                break
            }
        }
        stream.close()
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
        generation = server.generation
        parser = RequestParser(limits: server.options.limits)
        downstream = Downstream(
            peer: peer, isSecure: server.options.isSecure, isTrusted: server.options.isTrusted(peer)
        )
    }

    // MARK: Heads

    private func nextHead(isFirst: Bool) async -> RequestHead? {
        let options = server.options
        var deadline = server.reactor.now + (isFirst ? options.requestHead : options.keepAlive)
        awaitsLastRequest = server.isDraining
        if let last = server.lastRequestDeadline { deadline = min(deadline, last) }
        isIdle = input.isEmpty
        defer { isIdle = false }
        while true {
            adoptOptions()
            let wasIdle = parser.isIdle
            do throws(RequestError) {
                switch try parseInput() {
                case .head(let head): return head
                case .ended: return nil
                case .incomplete: break
                }
            } catch {
                await refuse(error.status, error.reason)
                return nil
            }
            if wasIdle, !parser.isIdle {
                isIdle = false
                if !isFirst || awaitsLastRequest {
                    deadline = server.reactor.now + options.requestHead
                }
            }
            switch await stream.watch.waitUntilReadable(until: deadline) {
            case .ready: continue
            case .cancelled: return nil
            case .timeout:
                if !parser.isIdle { await refuse(408, "the request's head did not arrive in time") }
                return nil
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
        let scratch = unsafe server.reactor.scratch
        switch unsafe stream.receive(into: scratch) {
        case .nothingYet: return .incomplete
        case .end, .failed: return .ended
        case .bytes(let count):
            let received = unsafe UnsafeRawBufferPointer(rebasing: scratch[..<count])
            let bytes = unsafe received.bindMemory(to: UInt8.self)
            let (consumed, head) = try unsafe parser.parse(Span(_unsafeElements: bytes))
            if consumed < count { unsafe input = Array(received[consumed...]) }
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
                guard case .ready = await stream.watch.waitUntilReadable(until: deadline) else {
                    return
                }
            }
        }
    }
}
