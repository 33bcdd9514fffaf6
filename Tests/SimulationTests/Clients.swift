import HTTP
import JSON
import TestSupport

/// The clients: they send their orders, retry what came to nothing, and lose patience.
extension World {
    /// Sends all clients on their way.
    func startClients() {
        for orders in plan.clients {
            busyClients += 1
            Task(executorPreference: outside) {
                for order in orders { await self.insist(on: order) }
                self.busyClients -= 1
            }
        }
    }

    private func insist(on order: Order) async {
        await sleep(delay(upTo: 5000))
        for _ in 0...plan.retries {
            let answer = await send(order, to: pick(hosts), patience: plan.patience)
            // Now and then a client loses the answer, and asks again.
            if let answer, answer.isFinal, !happens(0.4) { return }
            await sleep(delay(upTo: plan.retryDelay))
        }
    }

    /// Asks every gateway for every order, now that nothing fails any more.
    func askForAll() {
        note(.asked)
        busyClients += 1
        var orders: [Order] = []
        for order in plan.clients.joined() where !orders.contains(order) { orders.append(order) }
        Task(executorPreference: outside) { [orders] in
            for order in orders {
                for host in self.hosts { _ = await self.send(order, to: host, patience: 600_000) }
            }
            self.busyClients -= 1
        }
    }

    /// Sends a request; nil when no answer came.
    private func send(
        _ order: Order, to host: Host, patience: Int
    ) async -> History.Answer? {
        guard let process = host.process, process.isServing else { return nil }
        let call = Call(requestNumber(), order, process)
        note(.sent(request: call.number, order, process: process.number))
        return await withUnsafeContinuation { continuation in
            call.begin(patience: .milliseconds(patience)) { continuation.resume(returning: $0) }
        }
    }
}

extension History.Answer {
    /// Whether a client is content with it.
    fileprivate var isFinal: Bool { problem == nil && (status < 500 && status != 429) }
}

/// One request on its connection.
final class Call: @unchecked Sendable {
    let number: Int
    let order: Order
    let process: SimulatedProcess
    private(set) lazy var writer = Wire(self)
    private var result: ((History.Answer?) -> Void)?
    private var isOver = false
    fileprivate var world: World { process.world }

    init(_ number: Int, _ order: Order, _ process: SimulatedProcess) {
        self.number = number
        self.order = order
        self.process = process
    }

    /// Sends the request; the client waits no longer than it has patience.
    func begin(patience: Duration, _ result: @escaping (History.Answer?) -> Void) {
        self.result = result
        _ = world.after(patience) { self.hangUp() }
        process.take(self)
    }

    /// The request, as the server reads it.
    var request: Request {
        var fields: Fields = ["Host": "shop.example", "Content-Type": "application/json"]
        fields.append(.authorization, order.scope)
        fields.append(.idempotencyKey, order.key)
        fields.append(FieldName("X-Request"), "\(number)")
        let head = RequestHead(
            method: .post, target: Array("/orders/\(order.scope)".utf8)[...], fields: fields,
            framing: .length(UInt64(order.body.utf8.count)))
        return Request(
            head: head, body: ScriptedBody([order.body]),
            downstream: Downstream(peer: "192.0.2.1"))
    }

    private func hangUp() {
        guard !isOver else { return }
        world.note(.hungUp(request: number))
        end(nil)
        _ = world.after(world.delay(upTo: 50), of: process) { self.writer.hangUp() }
    }

    /// The gateway has answered.
    fileprivate func answer(_ answer: History.Answer) {
        process.forget(self)
        guard !isOver else { return }
        world.note(.answered(request: number, answer))
        isOver = true
        _ = world.after(world.delay(upTo: 50)) { self.tell(answer) }
    }

    /// The connection ends within the answer, or before it.
    func cut() {
        guard !isOver else { return }
        world.note(.cut(request: number))
        end(nil)
    }

    /// The gateway has not answered, and is done.
    func drop() {
        guard !isOver else { return }
        world.note(.dropped(request: number))
        end(nil)
    }

    private func end(_ answer: History.Answer?) {
        isOver = true
        process.forget(self)
        _ = world.after(world.delay(upTo: 50)) { self.tell(answer) }
    }

    private func tell(_ answer: History.Answer?) {
        let result = result
        self.result = nil
        result?(answer)
    }
}

/// A client's end of an answer.
final class Wire: ResponseWriter {
    private unowned let call: Call
    private var head: ResponseHead?
    private var body: [UInt8] = []
    private(set) var isDownstreamGone = false
    var onDownstreamGone: (() -> Void)? {
        didSet { if isDownstreamGone { onDownstreamGone?() } }
    }

    fileprivate init(_ call: Call) { self.call = call }

    var hasBegun: Bool { head != nil }

    func interim(_ head: ResponseHead) async throws(DownstreamError) { try await pass() }

    func respond(_ head: ResponseHead, body: ArraySlice<UInt8>) async throws(DownstreamError) {
        try await begin(head)
        self.body = Array(body)
        call.answer(History.Answer(head, self.body))
    }

    func begin(_ head: ResponseHead) async throws(DownstreamError) {
        precondition(self.head == nil, "a request has one answer")
        self.head = head
        try await pass()
    }

    func write(_ bytes: ArraySlice<UInt8>) async throws(DownstreamError) {
        try await pass()
        body += bytes
    }

    func end(trailers: Fields) async throws(DownstreamError) {
        try await pass()
        guard let head else { return }
        call.answer(History.Answer(head, body))
    }

    func abort() { call.cut() }

    fileprivate func hangUp() {
        isDownstreamGone = true
        onDownstreamGone?()
    }

    /// Waits for room in the connection's buffer.
    private func pass() async throws(DownstreamError) {
        let world = call.world
        await world.sleep(world.delay(upTo: 5), of: call.process)
        if isDownstreamGone || world.isClosed {
            isDownstreamGone = true
            throw .closed
        }
    }
}

extension History.Answer {
    fileprivate init(_ head: ResponseHead, _ body: [UInt8]) {
        status = Int(head.status)
        keyStatus = head.fields.text(FieldName("Idempotency-Status"))
        isReplay = head.fields.contains(FieldName("Idempotent-Replayed"))
        guard head.fields.text(FieldName("Content-Type")) == "application/problem+json" else {
            text = String(decoding: body, as: UTF8.self)
            return
        }
        let document = try? JSON.parse(body[...])
        problem = document?["type"]?.string.map { String($0.dropFirst("urn:oncegate:".count)) }
        executed = document?["executed"]?.string
    }
}
