import Glibc
import Synchronization

/// The API that the demo protects: every `POST /orders` places a new order, however often it was
/// placed before. Each order takes 20–50 ms, like a card that is charged.
final class OrderAPI: Sendable {
    /// The loopback port on which it listens.
    let port: UInt16
    private let ledger = Mutex(Ledger())

    private struct Ledger {
        var lastOrder = 0
        /// How many orders were placed, by the reference in the request's body.
        var orders: [String: Int] = [:]
    }

    /// Starts on a free port; it runs until the process ends.
    init() throws(DemoError) {
        let (listener, port) = try DemoSocket.listening()
        self.port = port
        let thread = DemoThread { [self] in
            while let connection = DemoSocket.accept(from: listener) {
                DemoThread { self.serve(DemoSocket(connection)) }?.detach()
            }
        }
        guard let thread else { throw DemoError("no thread for the order API") }
        thread.detach()
    }

    /// The number of orders by reference, since they were taken last.
    func takeOrders() -> [String: Int] {
        ledger.withLock { ledger in
            defer { ledger.orders = [:] }
            return ledger.orders
        }
    }

    private func serve(_ connection: DemoSocket) {
        while let request = connection.receive() {
            guard connection.send(answer(to: request)) else { return }
        }
    }

    private func answer(to request: DemoMessage) -> [UInt8] {
        let body = String(decoding: request.body, as: UTF8.self)
        guard request.startLine.hasPrefix("POST /orders "), let reference = reference(in: body)
        else { return response("404 Not Found", "{}") }
        let order = ledger.withLock { ledger in
            ledger.lastOrder += 1
            ledger.orders[reference, default: 0] += 1
            return ledger.lastOrder
        }
        usleep(UInt32.random(in: 20_000...50_000))
        return response("201 Created", #"{"order": \#(order)}"#)
    }

    /// The value of the body's member `reference`.
    private func reference(in body: String) -> String? {
        let parts = body.split(separator: "\"")
        guard let index = parts.firstIndex(of: "reference"), index + 2 < parts.count else {
            return nil
        }
        return String(parts[index + 2])
    }

    private func response(_ status: String, _ body: String) -> [UInt8] {
        Array(
            """
            HTTP/1.1 \(status)\r
            Content-Type: application/json\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """.utf8)
    }
}
