import Glibc
import HTTP
import JSON
import Transport

/// Calls a running gateway's admin listener, for commands that ask it to do something. It blocks.
struct AdminClient {
    private let address: Address
    private let token: Secret?

    /// What the gateway answered.
    struct Answer {
        let status: UInt16
        let body: [UInt8]

        /// The body as JSON; nil if it is none.
        var json: JSONValue? { try? JSON.parse(body[...]) }

        /// For people: what went wrong.
        var problem: String {
            json?["detail"]?.string ?? "the gateway answered \(status)"
        }
    }

    /// Why there is no answer.
    struct Failure: Error { let description: String }

    /// A client for the admin listener of this configuration; nil if it is turned off.
    init?(_ configuration: Configuration) {
        guard let admin = configuration.admin else { return nil }
        address = admin.address
        token = admin.token
    }

    /// The most bytes of an answer.
    private static let limit = 64 << 20

    /// Sends a request on a connection of its own and reads the answer.
    ///
    /// - Parameter patience: Seconds without a byte after which it gives up.
    func call(
        _ method: HTTP.Method, _ target: String, body: [UInt8] = [], patience: Int = 60
    ) throws(Failure) -> Answer {
        let descriptor = address.socketAddress.connected()
        guard descriptor >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw Failure(
                description: "no gateway answers at admin.address \(address.text): \(reason)")
        }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: patience, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        try send(head(method, target, body.count) + body, on: descriptor)
        return try parse(try receive(from: descriptor), method)
    }

    private func head(_ method: HTTP.Method, _ target: String, _ length: Int) -> [UInt8] {
        var head = "\(method.token) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        if let token { head += "Authorization: Bearer \(token.value)\r\n" }
        if length > 0 {
            head += "Content-Type: application/json\r\nContent-Length: \(length)\r\n"
        }
        return Array((head + "\r\n").utf8)
    }

    private func send(_ bytes: [UInt8], on descriptor: Int32) throws(Failure) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            // A gateway that answers early is heard nevertheless.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Everything until the gateway closes.
    private func receive(from descriptor: Int32) throws(Failure) -> [UInt8] {
        var all: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe part.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            if count < 0, errno == EINTR { continue }
            if count < 0 {
                let reason = unsafe String(cString: strerror(errno))
                throw Failure(description: "the gateway at \(address.text) fell silent: \(reason)")
            }
            guard count > 0 else { return all }
            all += part[..<count]
            guard all.count <= Self.limit else {
                throw Failure(description: "the gateway's answer is longer than 64 MiB")
            }
        }
    }

    private func parse(_ bytes: [UInt8], _ method: HTTP.Method) throws(Failure) -> Answer {
        do {
            var parser = ResponseParser(for: method)
            let (start, head) = try parser.parse(bytes.span)
            guard let head else { throw Failure(description: "") }
            var decoder = BodyDecoder(head.framing)
            var offset = start
            var body: [UInt8] = []
            while case .data(let range) = try decoder.next(bytes.span, &offset) {
                body += bytes[range]
            }
            try decoder.finish()
            return Answer(status: head.status, body: body)
        } catch {
            throw Failure(
                description: "what answers at admin.address \(address.text) is no gateway")
        }
    }
}
