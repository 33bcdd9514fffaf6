package import HTTP
package import Transport

/// Serves HTTP/1.1 on one event loop.
@safe package final class HTTPServer {
    private(set) var handler: any Handler
    private(set) var options: ServerOptions
    /// Counts how often both were replaced, so that connections notice it between two requests.
    private(set) var generation = 0
    let reactor: Reactor
    private let places: ConnectionLimit
    private var listeners: [Listener] = []
    private var connections: [ObjectIdentifier: Connection] = [:]
    private(set) var isDraining = false
    private var patience = HTTPServer.lastRequest
    private var drained: UnsafeContinuation<Void, Never>?
    /// Listeners that may still give out connections.
    private var accepting = 0
    private var dateSecond: Int64 = -1
    private var dateText: [UInt8] = []
    var output = OutputBuffer()

    /// A server for one loop.
    ///
    /// - Parameter places: shared by the servers of all loops.
    package init(
        handler: any Handler, options: ServerOptions, places: ConnectionLimit, reactor: Reactor
    ) {
        self.handler = handler
        self.options = options
        self.places = places
        self.reactor = reactor
    }

    /// Connections open now.
    package var connectionCount: Int { connections.count }

    /// Accepts connections from now on.
    ///
    /// - Parameters:
    ///   - socket: Taken from ``ListeningSockets``.
    ///   - takesProxyHeaders: Whether every connection begins with a PROXY header.
    package func listen(
        _ socket: ListeningSocket, takesProxyHeaders: Bool = false, on loop: isolated EventLoop
    ) {
        let listener = Listener(socket, limit: places, on: reactor)
        listeners.append(listener)
        accepting += 1
        loop.start {
            while let accepted = await listener.accept() {
                self.open(
                    accepted, port: listener.port, takesProxyHeader: takesProxyHeaders, on: loop)
            }
            self.accepting -= 1
            self.resumeIfQuiet()
        }
    }

    private func open(
        _ accepted: Listener.Accepted, port: UInt16?, takesProxyHeader: Bool,
        on loop: isolated EventLoop
    ) {
        guard let stream = ByteStream(adopting: accepted.descriptor, on: reactor) else {
            return places.release()
        }
        let connection = Connection(
            stream, server: self, peer: accepted.peer, port: port,
            takesProxyHeader: takesProxyHeader)
        connections[ObjectIdentifier(connection)] = connection
        let deadline = connection.firstDeadline
        wait(
            for: connection, until: lastRequestDeadline.map { min($0, deadline) } ?? deadline,
            on: loop)
    }

    /// A connection has a task only while it has something to do.
    private func wait(for connection: Connection, until deadline: Instant, on loop: EventLoop) {
        connection.stream.watch.whenReadable(until: deadline) { wake in
            switch wake {
            case .ready: return self.serve(connection, on: loop)
            case .timeout: connection.giveUpWaiting()
            case .cancelled: connection.cut()
            }
            self.closed(connection)
        }
    }

    private func serve(_ connection: Connection, on loop: EventLoop) {
        loop.startFromLoop {
            guard let deadline = await connection.run() else { return self.closed(connection) }
            self.wait(for: connection, until: deadline, on: loop)
        }
    }

    private func closed(_ connection: Connection) {
        connections[ObjectIdentifier(connection)] = nil
        places.release()
        resumeIfQuiet()
    }

    private var isQuiet: Bool { connections.isEmpty && accepting == 0 }

    private func resumeIfQuiet() {
        if isQuiet { resumeDrain() }
    }

    private func resumeDrain() {
        guard let continuation = unsafe drained else { return }
        unsafe drained = nil
        unsafe continuation.resume()
    }

    /// Has requests that begin from now on answered by another handler, under other options. What
    /// is under way goes on with the handler that it began with; its waits are the new ones.
    package func replace(handler: any Handler, options: ServerOptions) {
        self.handler = handler
        self.options = options
        generation += 1
    }

    // MARK: The end

    /// How long a client may take over its next request, once no more connections are accepted.
    /// One that is on its way is answered; a close would cut it.
    private static let lastRequest = Duration.seconds(1)

    /// Until when a request has to begin that is waited for from now on; nil while all is as usual.
    var lastRequestDeadline: Instant? { isDraining ? reactor.now + patience : nil }

    /// Stops accepting: from now on each answer says that its connection closes, and a connection
    /// that waits for a request does so for a second, or `limit` if that is less.
    ///
    /// - Returns: whether all connections ended by themselves within `limit`.
    package func drain(within limit: Duration) async -> Bool {
        isDraining = true
        patience = min(Self.lastRequest, limit)
        for listener in listeners { listener.close() }
        let waiting = Array(connections.values)
        let timer = reactor.timer {
            for connection in waiting { connection.closeIfIdle() }
        }
        reactor.arm(timer, at: reactor.now + patience)
        await wait(within: limit)
        reactor.disarm(timer)
        return isQuiet
    }

    /// Lets answers that are being sent come to their end, at most for `limit`, then ends all
    /// connections: a request without an answer gets the one that the options have for this, an
    /// answer that has begun is cut.
    ///
    /// - Returns: how many connections had to be ended.
    package func cut(after limit: Duration) async -> Int {
        await wait(within: limit)
        let cut = connections.count
        for connection in Array(connections.values) { connection.cut() }
        return cut
    }

    /// Waits until no connection is open, at most for `limit`.
    private func wait(within limit: Duration) async {
        guard !isQuiet else { return }
        var isLate = false
        // Work that goes on without its client is not waited for any longer.
        let timer = reactor.timer { [weak self] in
            isLate = true
            self?.resumeDrain()
        }
        reactor.arm(timer, at: reactor.now + limit)
        unsafe await withUnsafeContinuation { continuation in
            // Getting here may take a turn of the loop, in which the last connection may end.
            guard !isQuiet, !isLate else { return unsafe continuation.resume() }
            unsafe drained = unsafe continuation
        }
        reactor.disarm(timer)
    }

    /// The value of `Date` for now (RFC 9110 section 6.6.1).
    var date: [UInt8] {
        if reactor.secondsSince1970 != dateSecond {
            dateSecond = reactor.secondsSince1970
            dateText.removeAll(keepingCapacity: true)
            HTTPDate.append(secondsSince1970: dateSecond, to: &dateText)
        }
        return dateText
    }
}
