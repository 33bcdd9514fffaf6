import Glibc

/// A client that sends exactly the bytes that it is told to.
final class RawClient {
    private let socket: Socket
    private let reader: WireReader

    /// Connects to a loopback port.
    convenience init(_ port: UInt16, receiveBuffer: Int32? = nil) throws {
        try self.init(at: .v4(port), receiveBuffer: receiveBuffer)
    }

    /// Connects to a place.
    init(at place: Socket.Place, receiveBuffer: Int32? = nil) throws {
        socket = try Socket.connected(to: place, receiveBuffer: receiveBuffer)
        reader = WireReader(socket)
    }

    deinit { socket.close() }

    /// Sends bytes as they are.
    func send(_ bytes: [UInt8]) throws { try socket.send(bytes) }

    /// Sends bytes as far as they can leave within a moment.
    /// - Returns: whether all left.
    func sendNow(_ bytes: [UInt8]) throws -> Bool {
        do {
            try socket.send(bytes, by: Deadline(in: .milliseconds(500)))
            return true
        } catch is HarnessError {
            return false
        }
    }

    /// Sends a text as it is.
    func send(_ text: String) throws { try send(Array(text.utf8)) }

    /// Sends a whole request.
    func send(_ call: Call) throws { try send(call.bytes) }

    /// Reads the next response.
    func response(to method: String = "POST", within limit: Duration = patience) throws
        -> WireResponse
    {
        try reader.response(to: method, by: Deadline(in: limit))
    }

    /// Sends a request and reads the response.
    func exchange(_ call: Call, within limit: Duration = patience) throws -> WireResponse {
        try send(call)
        return try response(to: call.method, within: limit)
    }

    /// Reads a head alone.
    func head() throws -> WireHead { try reader.head(by: Deadline()) }

    /// Reads a chunk's data; nil for the last one.
    func chunk() throws -> [UInt8]? { try reader.chunk(by: Deadline()) }

    /// Reads exactly so many bytes.
    func bytes(_ count: Int) throws -> [UInt8] { try reader.exactly(count, Deadline()) }

    /// Reads and drops so many bytes.
    func skip(_ count: Int, within limit: Duration = patience) throws {
        try reader.skip(count, by: Deadline(in: limit))
    }

    /// Whether nothing is there to be read: no byte, no end.
    var isQuiet: Bool { reader.rest.isEmpty && !socket.hasInput }

    /// Waits for the gateway to close the connection; gives the bytes that came before the end.
    @discardableResult
    func remainder(within limit: Duration = patience) throws -> [UInt8] {
        do {
            return try reader.untilClose(by: Deadline(in: limit))
        } catch is Socket.Reset {
            return reader.rest
        }
    }

    /// Is slow, as a client may be.
    func pause(milliseconds: Int32) { _ = poll(nil, 0, milliseconds) }

    /// Ends the sending direction.
    func shutWriting() { socket.shutWriting() }

    /// Hangs up in order.
    func close() { socket.close() }

    /// Hangs up with a reset.
    func reset() { socket.reset() }
}

/// A request to be sent; the least that a test says is its key.
struct Call: Sendable {
    var method = "POST"
    var target = "/orders"
    var key: String?
    /// Sent as `X-Order`, by which the origin counts.
    var order: String?
    var authorization: String? = "Bearer alice"
    var contentType: String? = "application/json"
    var fields: [(String, String)] = []
    var body: String? = #"{"item": "book"}"#

    /// A keyed `POST /orders`; the key is the order's name too, unless `order` says another.
    init(key: String? = nil, order: String? = nil, _ change: (inout Call) -> Void = { _ in }) {
        self.key = key
        self.order = order ?? key
        change(&self)
    }

    /// A request without a body.
    static func get(_ target: String, _ fields: [(String, String)] = []) -> Call {
        Call {
            $0.method = "GET"
            $0.target = target
            $0.contentType = nil
            $0.body = nil
            $0.fields = fields
        }
    }

    /// The request's bytes.
    var bytes: [UInt8] {
        var lines = ["\(method) \(target) HTTP/1.1", "Host: api.example"]
        if let authorization { lines.append("Authorization: \(authorization)") }
        if let key { lines.append("Idempotency-Key: \(key)") }
        if let order { lines.append("X-Order: \(order)") }
        if let contentType { lines.append("Content-Type: \(contentType)") }
        lines += fields.map { "\($0.0): \($0.1)" }
        if let body { lines.append("Content-Length: \(body.utf8.count)") }
        return Array((lines.joined(separator: "\r\n") + "\r\n\r\n" + (body ?? "")).utf8)
    }
}
