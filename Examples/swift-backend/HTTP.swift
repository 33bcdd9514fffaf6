// As much HTTP/1.1 as the backend needs: one message each way on a loopback connection. A backend
// of yours has a framework for this.

import Glibc

/// A request or an answer: its first line, its fields by their names in lower case, its body.
struct Message {
    var start: String
    var fields: [String: String] = [:]
    var body: [UInt8] = []
}

extension Message {
    /// An answer.
    init(status: Int, json: String = "{}") {
        start = "HTTP/1.1 \(status) \(status < 300 ? "Fine" : "Not fine")"
        fields = ["content-type": "application/json"]
        body = Array(json.utf8)
    }
}

/// A TCP connection, closed with its last use.
final class Connection {
    private let descriptor: Int32
    private var unread: [UInt8] = []
    private static let longestHead = 65_536
    private static let longestBody = 1 << 20

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        // Nobody keeps the only thread for longer.
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    }

    deinit { close(descriptor) }

    /// Reads a message; nil when there is none, or no whole one.
    func read() -> Message? {
        let mark = Array("\r\n\r\n".utf8)
        var end = find(mark)
        while end == nil {
            guard unread.count < Self.longestHead, receive() else { return nil }
            end = find(mark)
        }
        let head = String(decoding: unread.prefix(end ?? 0), as: UTF8.self)
        unread.removeFirst((end ?? 0) + mark.count)
        var lines = head.split(separator: "\r\n").makeIterator()
        var message = Message(start: String(lines.next() ?? ""))
        while let line = lines.next() {
            let sides = line.split(separator: ":", maxSplits: 1)
            guard sides.count == 2 else { return nil }
            message.fields[sides[0].lowercased()] = String(sides[1].drop { $0 == " " })
        }
        let length = Int(message.fields["content-length"] ?? "0") ?? -1
        guard 0...Self.longestBody ~= length else { return nil }
        while unread.count < length { guard receive() else { return nil } }
        message.body = Array(unread.prefix(length))
        return message
    }

    /// Writes a message; false when the other side is gone.
    @discardableResult
    func write(_ message: Message) -> Bool {
        var head = message.start + "\r\n"
        for (name, value) in message.fields { head += "\(name): \(value)\r\n" }
        head += "content-length: \(message.body.count)\r\nconnection: close\r\n\r\n"
        var rest = (Array(head.utf8) + message.body)[...]
        while !rest.isEmpty {
            let count = Array(rest).withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private func receive() -> Bool {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return false }
        unread += buffer[..<count]
        return true
    }

    private func find(_ mark: [UInt8]) -> Int? {
        guard unread.count >= mark.count else { return nil }
        return (0...(unread.count - mark.count)).first { unread[$0...].starts(with: mark) }
    }
}

extension Connection {
    /// Sends a request to a loopback port and reads the answer.
    static func exchange(_ request: Message, port: UInt16) throws -> Message {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let connection = Connection(descriptor)
        let isConnected = withAddress(port) { connect(descriptor, $0, $1) == 0 }
        guard isConnected, connection.write(request), let answer = connection.read() else {
            throw Failure("no answer from port \(port)")
        }
        return answer
    }

    /// A listening socket on a loopback port, 0 for one that the kernel picks.
    static func listen(on port: UInt16) throws -> (descriptor: Int32, port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        guard withAddress(port, { bind(descriptor, $0, $1) == 0 }),
            Glibc.listen(descriptor, 128) == 0
        else { throw Failure("port \(port) is taken") }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                getsockname(descriptor, $0, &length)
            }
        }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func withAddress<Result>(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
