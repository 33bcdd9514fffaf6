import Glibc

/// An API that is not idempotent, on a loopback port: every request that it executes makes a new
/// order with a new number. Tests script what it does with a path.
///
/// Each connection has a thread, and a script runs on it, so it may block on a ``Gate``.
final class ScriptedOrigin: Sendable {
    /// What the origin does with a request whose head was read.
    typealias Script = @Sendable (OriginExchange) throws -> Void

    let port: UInt16
    private let listener: Socket
    private let state = Monitor(State())

    private struct State {
        var scripts: [String: Script] = [:]
        var whenConnected: (@Sendable (Int) -> Bool) = { _ in true }
        var requests: [WireRequest] = []
        var executions: [String: [[UInt8]]] = [:]
        var orders = 0
        var connections: [Socket] = []
        var idle: Set<Int> = []
        var open: Set<Int> = []
        var violations: [String] = []
    }

    /// Starts on a port, 0 for one that the kernel picks.
    convenience init(port: UInt16 = 0) throws { try self.init(at: .v4(port)) }

    /// Starts somewhere.
    init(at place: Socket.Place) throws {
        (listener, port) = try Socket.listening(at: place)
        startThread { [listener, self] in
            while let connection = listener.accepted() { self.take(connection) }
        }
    }

    /// Closes the port and all connections.
    func stop() {
        listener.shut()
        listener.close()
        state.with { $0.connections.forEach { $0.shut() } }
    }

    /// Says what is to be done with requests for a path.
    func on(_ path: String, _ script: @escaping Script) {
        state.with { $0.scripts[path] = script }
    }

    /// Executes requests for a path and gives them this answer.
    func answer(
        _ path: String, _ status: Int, _ fields: [(String, String)] = [], _ body: String = ""
    ) {
        on(path) { exchange in
            try exchange.readBody()
            try exchange.execute(answering: status, fields, body)
        }
    }

    /// Decides whether a connection, numbered from 0, is served (`true`) or closed.
    func whenConnected(_ decide: @escaping @Sendable (Int) -> Bool) {
        state.with { $0.whenConnected = decide }
    }

    /// All requests whose heads came in, in order.
    var requests: [WireRequest] { state.with { $0.requests } }

    /// The number of connections that were ever taken.
    var connectionCount: Int { state.with { $0.connections.count } }

    /// What the gateway sent that is no HTTP.
    var violations: [String] { state.with { $0.violations } }

    /// How often a request with this `X-Order` (else: with this target) was executed.
    func executions(of order: String) -> Int { answers(of: order).count }

    /// The bodies with which executions of an order were answered, in order.
    func answers(of order: String) -> [[UInt8]] { state.with { $0.executions[order] ?? [] } }

    /// All orders with the answers that they got.
    var executions: [String: [[UInt8]]] { state.with { $0.executions } }

    /// Waits until so many requests have come in; gives the last of them.
    @discardableResult
    func waitForRequests(_ count: Int) throws -> WireRequest {
        try state.wait(for: "\(count) requests at the origin") {
            $0.requests.count >= count ? $0.requests[count - 1] : nil
        }
    }

    /// Waits until an order was executed.
    func waitForExecution(of order: String) throws {
        try state.wait(for: "the execution of \(order)") {
            $0.executions[order] == nil ? nil : true
        }
    }

    /// Waits until no connection is open any more.
    func waitForNoConnections() throws {
        try state.wait(for: "all connections to close") { $0.open.isEmpty ? true : nil }
    }

    /// Waits until none of the connections before one is open any more.
    func waitForNoConnectionBefore(_ number: Int) throws {
        try state.wait(for: "connections before \(number) to close") {
            $0.open.contains { $0 < number } ? nil : true
        }
    }

    /// Closes the connections on which no request is under way.
    func closeIdleConnections() {
        state.with { state in
            for index in state.idle { state.connections[index].shut() }
        }
    }

    private func take(_ connection: Socket) {
        let (number, isServed) = state.with { state in
            state.connections.append(connection)
            let number = state.connections.count - 1
            state.open.insert(number)
            return (number, state.whenConnected(number))
        }
        startThread { [self] in
            do {
                if isServed { try serve(connection, number) }
            } catch let error as WireReader.Malformed {
                state.with { $0.violations.append(error.description) }
            } catch {}
            connection.close()
            state.with { state in
                state.open.remove(number)
                state.idle.remove(number)
            }
        }
    }

    private func serve(_ connection: Socket, _ number: Int) throws {
        let reader = WireReader(connection)
        while true {
            state.with { _ = $0.idle.insert(number) }
            var request = try reader.request(withBody: false, by: Deadline(in: .seconds(3600)))
            request.connection = number
            let (index, script) = state.with { state in
                state.idle.remove(number)
                state.requests.append(request)
                return (state.requests.count - 1, state.scripts[request.path] ?? Self.order)
            }
            let exchange = OriginExchange(
                origin: self, index: index, request: request, socket: connection, reader: reader)
            try script(exchange)
            if exchange.isClosed || request.fields["Connection"] == "close" { return }
        }
    }

    private static let order: Script = { exchange in
        try exchange.readBody()
        try exchange.execute()
    }

    fileprivate func update(_ index: Int, _ request: WireRequest) {
        state.with { $0.requests[index] = request }
    }

    fileprivate func count(_ order: String, _ makeBody: (Int) -> [UInt8]) -> [UInt8] {
        state.with { state in
            state.orders += 1
            let body = makeBody(state.orders)
            state.executions[order, default: []].append(body)
            return body
        }
    }
}

/// One request at the origin, and what can be done with it.
final class OriginExchange {
    private(set) var request: WireRequest
    let socket: Socket
    let reader: WireReader
    /// Whether the script gave the connection up.
    private(set) var isClosed = false
    private let origin: ScriptedOrigin
    private let index: Int

    fileprivate init(
        origin: ScriptedOrigin, index: Int, request: WireRequest, socket: Socket, reader: WireReader
    ) {
        self.origin = origin
        self.index = index
        self.request = request
        self.socket = socket
        self.reader = reader
    }

    /// What executions are counted by.
    var order: String { request.fields["X-Order"] ?? request.target }

    /// Reads the whole body.
    func readBody() throws {
        try reader.body(of: &request, by: Deadline())
        origin.update(index, request)
    }

    /// Counts an execution without an answer, as if the answer were lost.
    func executeSilently() { _ = origin.count(order) { _ in [] } }

    /// Counts an execution and answers it: 201 with a new order's number, unless told otherwise.
    func execute(
        answering status: Int = 201, _ fields: [(String, String)] = [], _ body: String? = nil
    ) throws {
        let bytes = origin.count(order) { number in
            Array((body ?? #"{"order": \#(number)}"#).utf8)
        }
        let type = body == nil ? [("Content-Type", "application/json")] : []
        try reply(status, type + fields, bytes)
    }

    /// Answers without counting an execution.
    func reply(_ status: Int, _ fields: [(String, String)] = [], _ body: [UInt8] = []) throws {
        let hasBody = request.method != "HEAD" && status != 204 && status != 304
        var head = "HTTP/1.1 \(status) \(status == 201 ? "Created" : "Fine")\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        let saysLength = fields.contains { $0.0 == "Content-Length" }
        if hasBody && !saysLength { head += "Content-Length: \(body.count)\r\n" }
        try send(Array((head + "\r\n").utf8) + (hasBody ? body : []))
    }

    /// Sends bytes as they are.
    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    /// Sends a text as it is.
    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Is slow, as an origin may be.
    func pause(milliseconds: Int32) { _ = Glibc.poll(nil, 0, milliseconds) }

    /// Closes the connection in order.
    func close() {
        isClosed = true
        socket.shutWriting()
    }

    /// Resets the connection.
    func reset() {
        isClosed = true
        socket.reset()
    }
}
