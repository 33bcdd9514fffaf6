package import HTTP
package import Transport

/// Serves HTTP/1.1 on one event loop.
@safe package final class HTTPServer {
    let handler: any Handler
    let options: ServerOptions
    let reactor: Reactor
    private let places: ConnectionLimit
    private var listeners: [Listener] = []
    private var connections: [ObjectIdentifier: Connection] = [:]
    private(set) var isDraining = false
    private var drained: UnsafeContinuation<Void, Never>?
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
    ///   - descriptor: Taken from ``ListeningSockets``.
    ///   - takesProxyHeaders: Whether every connection begins with a PROXY header.
    package func listen(
        _ descriptor: Int32, takesProxyHeaders: Bool = false, on loop: isolated EventLoop
    ) {
        let listener = Listener(descriptor, limit: places, on: reactor)
        listeners.append(listener)
        loop.start {
            while let accepted = await listener.accept() {
                self.open(
                    accepted, port: listener.port, takesProxyHeader: takesProxyHeaders, on: loop)
            }
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
        wait(for: connection, until: connection.firstDeadline, on: loop)
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
        if connections.isEmpty { resumeDrain() }
    }

    private func resumeDrain() {
        guard let continuation = unsafe drained else { return }
        unsafe drained = nil
        unsafe continuation.resume()
    }

    /// Stops accepting, closes what idles, lets what runs end within `limit`, then cuts its
    /// connections and returns.
    ///
    /// - Returns: how many connections were cut.
    package func drain(within limit: Duration) async -> Int {
        isDraining = true
        for listener in listeners { listener.close() }
        for connection in connections.values { connection.closeIfIdle() }
        guard !connections.isEmpty else { return 0 }
        var cut = 0
        let timer = reactor.timer { [weak self] in
            guard let self else { return }
            cut = connections.count
            for connection in connections.values { connection.cut() }
            // Work that goes on without its client is not waited for any longer.
            resumeDrain()
        }
        reactor.arm(timer, at: reactor.now + limit)
        unsafe await withUnsafeContinuation { continuation in
            // Getting here may take a turn of the loop, in which the last connection may end.
            guard !connections.isEmpty else { return unsafe continuation.resume() }
            unsafe drained = unsafe continuation
        }
        reactor.disarm(timer)
        return cut
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
