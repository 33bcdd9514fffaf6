package import HTTP

/// An upstream that answers as it is told, and remembers what it was sent.
///
/// Belongs to one actor, like every client.
package final class ScriptedUpstream: UpstreamClient {
    /// What happens to one request.
    package struct Script {
        /// The exchange fails before anything is sent, or while it is.
        package var failure: UpstreamError?
        /// Opened by the test when the connection is there; nil for at once.
        package var connectGate: Gate?
        /// The other end of a tunnel, for a 101.
        package var tunnel: (any TunnelEnd)?
        /// Opened by the test before the first head comes; nil for at once.
        package var gate: Gate?
        package var interim: [ResponseHead] = []
        package var head = ResponseHead(status: 200)
        package var chunks: [[UInt8]] = []
        /// Opened by the test before each chunk; nil for at once.
        package var chunkGate: Gate?
        package var trailers = Fields()
        /// Instead of the head, or after all chunks instead of the end.
        package var cut: UpstreamError?
        package var cutsHead = false
        /// Whether the answer waits until the request's body has come whole.
        package var readsBody = true

        /// An answer with a body.
        package init(
            _ status: UInt16 = 200, _ fields: Fields = Fields(), body: String? = nil
        ) {
            let bytes = body.map { Array($0.utf8) } ?? []
            head = ResponseHead(
                status: status, fields: fields, framing: .length(UInt64(bytes.count)))
            if !bytes.isEmpty { chunks = [bytes] }
        }

        /// A failure of the exchange.
        package static func failing(
            _ reason: UpstreamError.Reason, effect: UpstreamError.Effect
        ) -> Script {
            var script = Script()
            script.failure = UpstreamError(reason, effect: effect, detail: "scripted")
            return script
        }

        /// An answer in chunks, without a known length.
        package static func chunked(_ chunks: [[UInt8]], trailers: Fields = Fields()) -> Script {
            var script = Script()
            script.head.framing = .chunked
            script.chunks = chunks
            script.trailers = trailers
            return script
        }

        /// The request is sent and the answer never begins.
        package static func silent(_ reason: UpstreamError.Reason = .cutShort) -> Script {
            var script = Script()
            script.cutsHead = true
            script.cut = UpstreamError(reason, effect: .possible, detail: "scripted")
            return script
        }
    }

    /// One request as it arrived.
    package struct Received {
        package let request: UpstreamRequest
        /// The body, however it came.
        package var body: [UInt8] = []
        package var trailers = Fields()
        package var isComplete = false
        package var wasCancelled = false
    }

    private let script: (Int) -> Script
    /// In the order in which they came.
    package fileprivate(set) var received: [Received] = []
    /// Opens when the given number of requests has arrived.
    private var arrivals: [(count: Int, gate: Gate)] = []

    /// - Parameter script: What happens to a request, by its number, from 0.
    package init(_ script: @escaping (Int) -> Script) {
        self.script = script
    }

    /// An upstream that does the same to every request.
    package convenience init(_ script: Script = Script()) {
        self.init { _ in script }
    }

    package func exchange(for request: UpstreamRequest) -> any UpstreamExchange {
        LaterExchange { () async throws(UpstreamError) in try await self.open(request) }
    }

    private func open(
        _ request: UpstreamRequest
    ) async throws(UpstreamError) -> any UpstreamExchange {
        if let maySend = request.maySend, !maySend() {
            throw UpstreamError(.withdrawn, effect: .none, detail: "scripted")
        }
        let script = script(received.count)
        var arrived = Received(request: request)
        switch request.body {
        case .none: arrived.isComplete = true
        case .whole(let body):
            arrived.body = Array(body)
            arrived.isComplete = true
        case .stream: break
        }
        received.append(arrived)
        arrivals.removeAll { arrival in
            guard arrival.count <= received.count else { return false }
            arrival.gate.open()
            return true
        }
        if let gate = script.connectGate { await gate.pass() }
        if let failure = script.failure { throw failure }
        return ScriptedExchange(script, self, received.count - 1)
    }

    /// Waits until that many requests have arrived.
    package func arrival(of count: Int) async {
        guard received.count < count else { return }
        let gate = Gate()
        arrivals.append((count, gate))
        await gate.pass()
    }
}

/// One exchange with a scripted upstream.
private final class ScriptedExchange: UpstreamExchange {
    private let script: ScriptedUpstream.Script
    private let upstream: ScriptedUpstream
    private let number: Int
    private let bodyGate = Gate()
    private var interimCount = 0
    private var chunkCount = 0
    private var hasEnded = false
    private var isCancelled = false

    init(_ script: ScriptedUpstream.Script, _ upstream: ScriptedUpstream, _ number: Int) {
        self.script = script
        self.upstream = upstream
        self.number = number
        if upstream.received[number].isComplete { bodyGate.open() }
    }

    func start() {}

    func tunnel() -> (any TunnelEnd)? { script.tunnel }

    func write(_ bytes: ArraySlice<UInt8>) async throws(UpstreamError) {
        try throwIfCancelled()
        upstream.received[number].body += bytes
    }

    func finish(trailers: Fields) async throws(UpstreamError) {
        try throwIfCancelled()
        upstream.received[number].trailers = trailers
        upstream.received[number].isComplete = true
        bodyGate.open()
    }

    func head() async throws(UpstreamError) -> ResponseHead {
        if let gate = script.gate { await gate.pass() }
        if interimCount < script.interim.count {
            interimCount += 1
            return script.interim[interimCount - 1]
        }
        if script.readsBody { await bodyGate.pass() }
        try throwIfCancelled()
        if script.cutsHead, let cut = script.cut { throw cut }
        return script.head
    }

    func read() async throws(UpstreamError) -> ArraySlice<UInt8>? {
        if let gate = script.chunkGate { await gate.pass() }
        try throwIfCancelled()
        if chunkCount < script.chunks.count {
            chunkCount += 1
            return script.chunks[chunkCount - 1][...]
        }
        if let cut = script.cut { throw cut }
        hasEnded = true
        return nil
    }

    var trailers: Fields { hasEnded ? script.trailers : Fields() }

    func cancel() {
        isCancelled = true
        if !hasEnded { upstream.received[number].wasCancelled = true }
        bodyGate.open()
        script.gate?.open()
        script.chunkGate?.open()
    }

    private func throwIfCancelled() throws(UpstreamError) {
        if isCancelled {
            throw UpstreamError(.cutShort, effect: .possible, detail: "cancelled")
        }
    }
}

/// Holds tasks up until it is opened. Belongs to one actor.
package final class Gate {
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var isOpen = false

    /// A gate that is shut.
    package init() {}

    /// Lets everybody through, now and later.
    package func open() {
        isOpen = true
        let resumed = waiting
        waiting = []
        for continuation in resumed { continuation.resume() }
    }

    /// Waits until the gate is open.
    package func pass() async {
        guard !isOpen else { return }
        await withCheckedContinuation { waiting.append($0) }
    }
}
