import Glibc
import HTTP
import JSON
import Transport

/// Calls a running gateway's admin listener, for commands that ask it to do something. It blocks.
struct AdminClient {
    let address: Address
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
    struct Failure: Error {
        /// What a caller can decide on.
        enum Kind { case unreachable, tooLong, other }

        let description: String
        var kind = Kind.other
    }

    /// A client for the listener at an address.
    init(_ address: Address, token: Secret?) {
        self.address = address
        self.token = token
    }

    /// A client for the admin listener of this configuration; nil if it is turned off.
    init?(_ configuration: Configuration) {
        guard let admin = configuration.admin else { return nil }
        address = admin.address
        token = admin.token
    }

    /// Whether somebody takes connections there.
    var isAnswered: Bool {
        let descriptor = address.connected()
        guard descriptor >= 0 else { return false }
        close(descriptor)
        return true
    }

    /// Sends a request on a connection of its own and reads the answer.
    ///
    /// - Parameters:
    ///   - patience: Seconds without a byte after which it gives up.
    ///   - limit: The most bytes of an answer.
    func call(
        _ method: HTTP.Method, _ target: String, body: [UInt8] = [], patience: Int = 60,
        limit: Int = 64 << 20
    ) throws(Failure) -> Answer {
        if let token, !token.value.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) {
            throw Failure(description: "the admin token has a character that no token can have")
        }
        let descriptor = address.connected()
        guard descriptor >= 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw Failure(
                description: "no gateway answers at \(address.text): \(reason)",
                kind: .unreachable)
        }
        defer { close(descriptor) }
        var pause = timeval(tv_sec: patience, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &pause, size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &pause, size)
        try send(head(method, target, body.count) + body, on: descriptor)
        return try parse(try receive(from: descriptor, limit), method)
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
    private func receive(from descriptor: Int32, _ limit: Int) throws(Failure) -> [UInt8] {
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
            guard all.count <= limit else {
                throw Failure(
                    description: "the gateway's answer is longer than \(limit >> 20) MiB",
                    kind: .tooLong)
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
                description: "what answers at \(address.text) is no gateway's admin listener")
        }
    }
}

extension Address {
    /// A blocking socket that is connected to one of the addresses that its host has, the caller's
    /// to close; -1 with `errno` set if nobody takes the connection within ten seconds for each.
    fileprivate func connected() -> Int32 {
        guard case .tcp(let host, let port) = self else { return socketAddress.connected() }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, "\(port)", &hints, &found) == 0 else {
            errno = EHOSTUNREACH
            return -1
        }
        defer { unsafe freeaddrinfo(found) }
        var next = unsafe found
        while let entry = unsafe next?.pointee {
            let descriptor = unsafe entry.connected()
            if descriptor >= 0 { return descriptor }
            unsafe next = unsafe entry.ai_next
        }
        return -1
    }
}

extension addrinfo {
    fileprivate func connected() -> Int32 {
        let kind = unsafe ai_socktype | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = unsafe socket(ai_family, kind, 0)
        guard descriptor >= 0 else { return -1 }
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        if unsafe connect(descriptor, ai_addr, ai_addrlen) == 0 { return descriptor }
        let cause = errno == EINPROGRESS ? ETIMEDOUT : errno
        close(descriptor)
        errno = cause
        return -1
    }
}
