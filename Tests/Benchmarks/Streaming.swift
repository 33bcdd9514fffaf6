import Glibc

/// What a candidate takes while a gibibyte goes through it.
struct Streamed {
    /// The most memory beyond what it had before, downwards and upwards.
    var downMebibytes = 0.0
    var upMebibytes = 0.0
    /// User and system time.
    var downSeconds = 0.0
    var upSeconds = 0.0
}

extension Measurement {
    private static let gibibyte = 1 << 30
    /// How much is carried between two looks at the memory.
    private static let step = 64 << 20

    /// Streams a gibibyte down and one up through each candidate.
    func streams() throws -> [(candidate: String, Streamed)] {
        try candidates.map { candidate in
            var streamed = Streamed()
            (streamed.downMebibytes, streamed.downSeconds) = try stream(candidate, down)
            (streamed.upMebibytes, streamed.upSeconds) = try stream(candidate, up)
            return (candidate.name, streamed)
        }
    }

    private func stream(
        _ candidate: Candidate, _ carry: (Int32, _ look: () -> Void) throws -> Void
    ) throws -> (mebibytes: Double, seconds: Double) {
        guard let descriptor = Socket.connect(port: candidate.port) else {
            throw Failure("nobody listens on port \(candidate.port)")
        }
        defer { close(descriptor) }
        let before = candidate.processes.memoryBytes()
        let startedAt = candidate.processes.cpuNanoseconds()
        var most = before
        try carry(descriptor) { most = max(most, candidate.processes.memoryBytes()) }
        let used = candidate.processes.cpuNanoseconds() - startedAt
        return (Double(most - before) / 1_048_576, Double(used) / 1e9)
    }

    private func down(_ descriptor: Int32, _ look: () -> Void) throws {
        let request = "GET /s/\(Self.gibibyte) HTTP/1.1\r\nHost: bench.local\r\n\r\n"
        var unsent = Array(request.utf8)[...]
        try write(&unsent, to: descriptor)
        var reader = MessageReader()
        var isComplete = false
        var received = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 17)
        while !isComplete {
            let count = try read(descriptor, into: &buffer)
            let isSound = buffer.withUnsafeBytes { bytes in
                reader.take(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { message in
                    isComplete = message.bodyLength == Self.gibibyte
                }
            }
            guard isSound else { throw Failure("the streamed answer makes no sense") }
            if (received + count) / Self.step > received / Self.step { look() }
            received += count
        }
    }

    private func up(_ descriptor: Int32, _ look: () -> Void) throws {
        let request =
            "POST /s/2 HTTP/1.1\r\nHost: bench.local\r\nContent-Length: \(Self.gibibyte)\r\n\r\n"
        var head = Array(request.utf8)[...]
        try write(&head, to: descriptor)
        let piece = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 17)
        for sent in stride(from: 0, to: Self.gibibyte, by: piece.count) {
            var rest = piece[...]
            try write(&rest, to: descriptor)
            if (sent + piece.count) / Self.step > sent / Self.step { look() }
        }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = try read(descriptor, into: &buffer)
        guard String(decoding: buffer[..<count], as: UTF8.self).hasPrefix("HTTP/1.1 200") else {
            throw Failure("a streamed body was not taken")
        }
    }

    private func write(_ bytes: inout ArraySlice<UInt8>, to descriptor: Int32) throws {
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes {
                send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                bytes.removeFirst(count)
            } else {
                try wait(descriptor, for: POLLOUT)
            }
        }
    }

    private func read(_ descriptor: Int32, into buffer: inout [UInt8]) throws -> Int {
        while true {
            try wait(descriptor, for: POLLIN)
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 { return count }
            guard count < 0, errno == EAGAIN else {
                throw Failure("a streamed message was cut short")
            }
        }
    }

    private func wait(_ descriptor: Int32, for events: Int32) throws {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        guard poll(&entry, 1, 10_000) > 0, entry.revents & Int16(events) != 0 else {
            throw Failure("a stream stands still")
        }
    }
}
