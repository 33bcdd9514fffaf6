import Glibc
import Synchronization

/// Many requests over few keys, sent at the same time, as impatient clients do: a request whose
/// connection is cut is sent again with the same key.
final class DemoStorm: Sendable {
    /// How one request ended.
    struct Answer: Sendable {
        let key: Int
        let start: ContinuousClock.Instant
        let end: ContinuousClock.Instant
        let result: Result

        var milliseconds: Double {
            let (seconds, attoseconds) = (end - start).components
            return Double(seconds) * 1000 + Double(attoseconds) / 1e15
        }
    }

    /// What a client was told.
    enum Result: Sendable, Hashable {
        /// An order; the answer's body tells one from another.
        case order([UInt8])
        /// The gateway does not know whether it was placed, and holds the key.
        case unknown
        /// Anything else, in words.
        case failed(String)
    }

    /// How often a request is tried, at most, before it counts as failed.
    private static let tries = 200

    private let requests: [Int]
    private let port: UInt16
    private let next = Atomic(0)
    private let finished = Mutex<[Answer]>([])

    /// A storm with the key of each request, in the order in which they are sent.
    init(keys requests: [Int], port: UInt16) {
        self.requests = requests
        self.port = port
    }

    /// The number of requests.
    var count: Int { requests.count }

    /// The answers so far.
    var answers: [Answer] { finished.withLock { $0 } }

    /// Sends all requests over so many connections; `watch` is called every few milliseconds, and
    /// once at the end, with the number of requests that are done.
    func blow(connections: Int, watch: (Int) throws(DemoError) -> Void) throws(DemoError) {
        let threads = (0..<min(connections, count)).compactMap { _ in
            DemoThread { self.work() }
        }
        guard !threads.isEmpty else { throw DemoError("no thread for a client") }
        while true {
            let done = finished.withLock { $0.count }
            try watch(done)
            if done == count { break }
            usleep(5_000)
        }
        for thread in threads { thread.join() }
    }

    /// One client: takes the next request until none is left.
    private func work() {
        var socket: DemoSocket?
        while true {
            let index = next.add(1, ordering: .relaxed).oldValue
            guard index < count else { return }
            let start = ContinuousClock.now
            let result = result(of: requests[index], on: &socket)
            let answer = Answer(key: requests[index], start: start, end: .now, result: result)
            finished.withLock { $0.append(answer) }
        }
    }

    private func result(of key: Int, on socket: inout DemoSocket?) -> Result {
        let request = Self.request(key)
        var last = "nobody listens"
        for _ in 0..<Self.tries {
            if socket == nil { socket = DemoSocket(to: port) }
            if let connection = socket {
                if connection.send(request), let response = connection.receive() {
                    if response["connection"]?.lowercased() == "close" { socket = nil }
                    if let result = Self.result(of: response) { return result }
                    last = response.startLine
                } else {
                    socket = nil
                    last = "the connection was cut"
                }
            }
            usleep(25_000)
        }
        return .failed(last)
    }

    /// What a response means; nil when it says to try again.
    private static func result(of response: DemoMessage) -> Result? {
        switch response.status {
        case 201: return .order(response.body)
        case 409, 503: return nil
        case 502, 504:
            let isHeld = String(decoding: response.body, as: UTF8.self)
                .contains("urn:oncegate:outcome-unknown")
            return isHeld ? .unknown : nil
        default: return .failed(response.startLine)
        }
    }

    private static func request(_ key: Int) -> [UInt8] {
        let body = #"{"item": "book", "reference": "\#(key)"}"#
        return Array(
            """
            POST /orders HTTP/1.1\r
            Host: orders.example\r
            Idempotency-Key: demo-\(key)\r
            Content-Type: application/json\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """.utf8)
    }
}
