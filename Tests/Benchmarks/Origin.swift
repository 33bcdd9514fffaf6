import Glibc

/// The upstream behind all candidates: one thread, `poll`, keep-alive.
///
/// `/b/SIZE` answers that many bytes of JSON, 201 to POST and 200 otherwise; `?ms=50` lets it take
/// its time. `/s/SIZE` streams that many. `/counts` tells how often keys were executed since the last `/reset`.
final class Origin {
    private struct Connection {
        var reader = MessageReader()
        /// What could not be written at once.
        var unsent: [UInt8] = []
        /// Bytes that are still to be made.
        var streamed = 0
    }

    private let listener: Int32
    private var connections: [Connection] = []
    /// The listener, standard input, then the connections.
    private var polls: [pollfd]
    private let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 17, alignment: 16)
    private var answers: [Int: [UInt8]] = [:]
    /// Answers that take their time, by connection; all take the same, so the first is due first.
    private var delayed: [(dueAt: Int, descriptor: Int32, answer: [UInt8])] = []
    private var counts = ExecutionCounts()

    init() throws {
        let (descriptor, port) = try Socket.listen()
        listener = descriptor
        polls = [
            pollfd(fd: listener, events: Int16(POLLIN), revents: 0),
            pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
        ]
        print(port)
        fflush(nil)
    }

    deinit { input.deallocate() }

    /// Serves until standard input ends.
    func run() {
        while true {
            let wait = delayed.first.map {
                max(0, $0.dueAt - monotonicNanoseconds()) / 1_000_000 + 1
            }
            poll(&polls, nfds_t(polls.count), wait.map(Int32.init) ?? -1)
            if polls[1].revents != 0 { return }
            sendDelayed()
            for index in connections.indices.reversed() where polls[index + 2].revents != 0 {
                if !serve(index) { drop(index) }
            }
            if polls[0].revents != 0 { acceptAll() }
        }
    }

    private func acceptAll() {
        while let descriptor = Socket.accept(listener) {
            connections.append(Connection())
            polls.append(pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
        }
    }

    private func drop(_ index: Int) {
        let descriptor = polls[index + 2].fd
        delayed.removeAll { $0.descriptor == descriptor }
        close(descriptor)
        connections.swapAt(index, connections.count - 1)
        polls.swapAt(index + 2, polls.count - 1)
        connections.removeLast()
        polls.removeLast()
    }

    /// Reads, answers, writes; false when the connection is of no further use.
    private func serve(_ index: Int) -> Bool {
        if polls[index + 2].revents & Int16(POLLOUT) != 0 { return sendRest(index) }
        let descriptor = polls[index + 2].fd
        let count = recv(descriptor, input.baseAddress, input.count, 0)
        guard count > 0 else { return count < 0 && errno == EAGAIN }
        var reader = connections[index].reader
        connections[index].reader = MessageReader()
        defer { connections[index].reader = reader }
        return reader.take(UnsafeRawBufferPointer(rebasing: input[..<count])) { message in
            answer(message, on: index)
        }
    }

    private func answer(_ message: MessageReader.Message, on index: Int) {
        let head = message.head
        let isPost = head[0] == UInt8(ascii: "P")
        let path = head.drop { $0 != 0x20 }.dropFirst()
        if path.dropFirst().first == UInt8(ascii: "s") {
            return stream(number(path.dropFirst(3)).value, on: index)
        }
        if path.dropFirst().first != UInt8(ascii: "b") {
            if path.dropFirst().first == UInt8(ascii: "r") { counts = ExecutionCounts() }
            return send(Self.message(status: "200 OK", body: counts.lines), on: index)
        }
        counts.requests += 1
        if let key = fieldValue("idempotency-key:", in: head) { counts.add(key) }
        let (size, rest) = number(path.dropFirst(3))
        let bytes = answer(size: size, isPost: isPost)
        guard rest.first == UInt8(ascii: "?") else { return send(bytes, on: index) }
        let dueAt = monotonicNanoseconds() + number(rest.dropFirst(4)).value * 1_000_000
        delayed.append((dueAt, polls[index + 2].fd, bytes))
    }

    private func sendDelayed() {
        let now = monotonicNanoseconds()
        while let first = delayed.first, first.dueAt <= now {
            delayed.removeFirst()
            guard let place = polls.lastIndex(where: { $0.fd == first.descriptor }) else {
                continue
            }
            send(first.answer, on: place - 2)
        }
    }

    private func send(_ bytes: [UInt8], on index: Int) {
        connections[index].unsent += bytes
        _ = sendRest(index)
    }

    private func stream(_ size: Int, on index: Int) {
        connections[index].streamed = size
        send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n".utf8), on: index)
    }

    private func sendRest(_ index: Int) -> Bool {
        if connections[index].unsent.isEmpty, connections[index].streamed > 0 {
            let count = min(Self.piece.count, connections[index].streamed)
            connections[index].streamed -= count
            connections[index].unsent = Array(Self.piece[..<count])
        }
        let bytes = connections[index].unsent
        let count = Glibc.send(
            polls[index + 2].fd, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        if count < 0, errno != EAGAIN { return false }
        connections[index].unsent.removeFirst(max(0, count))
        let isSent = connections[index].unsent.isEmpty && connections[index].streamed == 0
        polls[index + 2].events = Int16(isSent ? POLLIN : POLLOUT)
        return true
    }

    private static let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 128 << 10)

    /// An answer of that size, made once.
    private func answer(size: Int, isPost: Bool) -> [UInt8] {
        let name = isPost ? -size - 1 : size
        if let known = answers[name] { return known }
        let filling = String(repeating: "x", count: max(0, size - 11))
        let made = Self.message(
            status: isPost ? "201 Created" : "200 OK", body: #"{"data":""# + filling + #""}"#)
        answers[name] = made
        return made
    }

    private static func message(status: String, body: String) -> [UInt8] {
        Array(
            """
            HTTP/1.1 \(status)\r
            Content-Type: application/json\r
            Cache-Control: max-age=3600\r
            Content-Length: \(body.utf8.count)\r
            \r
            \(body)
            """.utf8)
    }

    private func number(
        _ digits: Slice<UnsafeRawBufferPointer>
    ) -> (value: Int, rest: Slice<UnsafeRawBufferPointer>) {
        var value = 0
        var rest = digits
        while let digit = rest.first, digit &- 0x30 < 10 {
            value = value * 10 + Int(digit & 15)
            rest = rest.dropFirst()
        }
        return (value, rest)
    }
}

/// How often each key reached the origin.
struct ExecutionCounts {
    var requests = 0
    private(set) var keyed = 0
    /// Executions of the key that was executed most often.
    private(set) var most = 0
    private var executions: [UInt64: Int] = [:]

    /// Different keys.
    var distinct: Int { executions.count }

    init() {}

    /// Counts an execution of a key.
    mutating func add(_ key: Slice<UnsafeRawBufferPointer>) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        let count = executions[hash, default: 0] + 1
        executions[hash] = count
        keyed += 1
        most = max(most, count)
    }

    /// Name and value, line by line.
    var lines: String {
        "requests \(requests)\nkeyed \(keyed)\ndistinct \(distinct)\nmost \(most)\n"
    }
}
