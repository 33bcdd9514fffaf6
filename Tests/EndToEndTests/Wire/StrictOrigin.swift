import Glibc

/// An origin on a loopback port that gives scripted bytes for answers and judges every byte that it
/// is sent by ``StrictParser``: the second oracle beside what a client sees.
///
/// It is one thread around `poll`. A request for ``fences`` is answered only when nothing else is
/// left to be read on any connection, so that whoever gets that answer knows that all bytes sent
/// before were seen.
final class StrictOrigin: Sendable {
    /// What the origin sends for one request.
    struct Answer: Sendable {
        /// When to send it.
        enum Moment: Sendable { case afterRequest, afterHead }
        /// What to do with the connection then.
        enum End: Sendable { case keep, close, reset }

        var pieces: [[UInt8]]
        var moment = Moment.afterRequest
        var end = End.keep
    }

    /// A request as it came, whole or not.
    struct Seen: Sendable {
        var message: StrictMessage
        var isComplete: Bool
        let connection: Int
    }

    /// What came since the last call of ``begin(_:)``.
    struct Record: Sendable {
        var requests: [Seen] = []
        /// What was sent that a strict reader does not take.
        var violations: [String] = []

        var complete: [StrictMessage] { requests.filter(\.isComplete).map(\.message) }
    }

    /// The targets of requests that belong to no case.
    static let fences: Set = ["/plain/fence", "/plain/alive"]
    static let fenceAnswer = wireBytes(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: Sat, 28 Nov 2026 00:00:00 GMT\r\n\r\nfence")
    static let plainAnswer = wireBytes(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: Sat, 28 Nov 2026 00:00:00 GMT\r\n\r\nok")

    private static let headAnswer = Array(plainAnswer.dropLast(2))

    let port: UInt16
    private let listener: Int32
    private let wake: (read: Int32, write: Int32)
    private let state = Monitor(State())

    private struct State {
        var answers: [Answer] = []
        var given = 0
        var record = Record()
        var isStopped = false
    }

    /// Whether what it is sent has to be as a gateway forwards it; otherwise it only has to be
    /// understood.
    private let judges: Bool

    /// Starts on a port that the kernel picks.
    init(judges: Bool = true) throws {
        self.judges = judges
        (listener, port) = try Self.listening()
        var ends: [Int32] = [0, 0]
        guard Self.pipe2(&ends) else { throw HarnessError("pipe: \(errno)") }
        wake = (ends[0], ends[1])
        startThread { [self] in serve() }
    }

    /// Closes the port and all connections.
    func stop() {
        state.with { $0.isStopped = true }
        _ = write(wake.write, "x", 1)
    }

    /// Forgets what came, and answers the next requests with these, then with a plain 200.
    func begin(_ answers: [Answer]) {
        state.with { state in
            state.answers = answers
            state.given = 0
            state.record = Record()
        }
    }

    /// What came since.
    var record: Record { state.with { $0.record } }

    // MARK: The thread

    /// A connection and what was read of it.
    private struct Peer {
        let descriptor: Int32
        let number: Int
        var parser: StrictParser
        /// The position in the record of the request under way.
        var current: Int?
        var isAnswered = false
        /// What is to be done once the request is complete.
        var end: Answer.End?
        var fence: Bool?
    }

    private func serve() {
        var peers: [Peer] = []
        var count = 0
        while !state.with({ $0.isStopped }) {
            var busy = pass(&peers, &count, timeout: -1)
            while busy { busy = pass(&peers, &count, timeout: 0) }
            for index in peers.indices where peers[index].fence == true {
                peers[index].fence = nil
                send(Self.fenceAnswer, peers[index].descriptor)
            }
        }
        for peer in peers { close(peer.descriptor) }
        for descriptor in [listener, wake.read, wake.write] { close(descriptor) }
    }

    /// Reads what is there; says whether anything was.
    private func pass(_ peers: inout [Peer], _ count: inout Int, timeout: Int32) -> Bool {
        var entries = [listener, wake.read].map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        entries += peers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, UInt(entries.count), timeout) > 0 else { return false }
        if entries[1].revents != 0 { return false }
        var gone: [Int] = []
        for index in peers.indices where entries[index + 2].revents != 0 {
            if !receive(&peers[index]) { gone.append(index) }
        }
        for index in gone.reversed() {
            close(peers[index].descriptor)
            peers.remove(at: index)
        }
        if entries[0].revents != 0 {
            let descriptor = accept(listener, nil, nil)
            if descriptor >= 0 {
                var one: Int32 = 1
                setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                let parser = StrictParser(.requests, isExacting: judges)
                peers.append(Peer(descriptor: descriptor, number: count, parser: parser))
                count += 1
            }
        }
        return true
    }

    /// Reads once from a peer; says whether it is still there.
    private func receive(_ peer: inout Peer) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(peer.descriptor, &bytes, bytes.count, 0)
        guard count > 0 else {
            if !peer.parser.buffer.isEmpty, peer.parser.unfinished == nil, judges, count == 0 {
                note("a request's head was cut short: \(latin(peer.parser.buffer.prefix(80)))")
            }
            return false
        }
        if peer.fence == true { note("bytes came before the answer: \(latin(bytes[..<count]))") }
        peer.parser.append(Array(bytes[..<count]))
        do {
            while true {
                let step = try peer.parser.next()
                switch step {
                case .needMore:
                    guard let unfinished = peer.parser.unfinished else { return true }
                    return update(&peer, unfinished, isComplete: false)
                case .message(let message):
                    guard update(&peer, message, isComplete: true) else { return false }
                    peer.current = nil
                    peer.isAnswered = false
                    peer.end = nil
                    guard !peer.parser.buffer.isEmpty else { return true }
                    note("bytes came behind a request: \(latin(peer.parser.buffer.prefix(200)))")
                }
            }
        } catch {
            note("\(error)")
            return false
        }
    }

    /// Records a request, and answers it when its moment has come; says whether the connection is
    /// to be kept.
    private func update(_ peer: inout Peer, _ message: StrictMessage, isComplete: Bool) -> Bool {
        if Self.fences.contains(message.start[1]) || message.all("Host") == ["fence"] {
            if isComplete { peer.fence = true }
            return true
        }
        let number = peer.number
        if let current = peer.current {
            state.with { state in
                guard state.record.requests.indices.contains(current) else { return }
                state.record.requests[current].message = message
                state.record.requests[current].isComplete = isComplete
            }
        } else {
            peer.current = state.with { state in
                state.record.requests.append(
                    Seen(message: message, isComplete: isComplete, connection: number))
                return state.record.requests.count - 1
            }
        }
        if isComplete, judges {
            for fault in message.faultsAsForwardedRequest {
                note("\(fault), in \(latin(message.rawHead).debugDescription)")
            }
        }
        if !peer.isAnswered {
            let answer = state.with { state -> Answer? in
                let next =
                    state.given < state.answers.count
                    ? state.answers[state.given]
                    : Answer(pieces: [
                        message.start[0] == "HEAD" ? Self.headAnswer : Self.plainAnswer
                    ])
                guard isComplete || next.moment == .afterHead else { return nil }
                state.given += 1
                return next
            }
            if let answer {
                peer.isAnswered = true
                for piece in answer.pieces { send(piece, peer.descriptor) }
                peer.end = answer.end
                if answer.end == .reset {
                    var linger = Glibc.linger(l_onoff: 1, l_linger: 0)
                    setsockopt(
                        peer.descriptor, SOL_SOCKET, SO_LINGER, &linger,
                        socklen_t(MemoryLayout<Glibc.linger>.size))
                }
                if answer.end != .keep { return false }
            }
        }
        return true
    }

    private func note(_ violation: String) {
        state.with { $0.record.violations.append(violation) }
    }

    private func send(_ bytes: [UInt8], _ descriptor: Int32) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(
                    descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }

    private static func listening() throws -> (Int32, UInt16) {
        let descriptor = socket(
            AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic -> Int32 in
                guard bind(descriptor, generic, length) == 0, listen(descriptor, 256) == 0
                else { return -1 }
                return getsockname(descriptor, generic, &length)
            }
        }
        guard descriptor >= 0, status == 0 else { throw HarnessError("listen: \(errno)") }
        return (descriptor, UInt16(bigEndian: address.sin_port))
    }

    private static func pipe2(_ ends: inout [Int32]) -> Bool {
        guard Glibc.pipe(&ends) == 0 else { return false }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return true
    }
}
