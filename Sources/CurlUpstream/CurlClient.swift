package import HTTP
import Transport

/// One upstream, from one event loop: its connections and the requests on them.
package final class CurlClient: UpstreamClient {
    let options: UpstreamOptions
    let multi: CurlMulti
    /// Idle connections, the one used last at the end: it is taken first.
    private var idle: [CurlConnection] = []
    private var sweep: LoopTimer?
    private var isClosed = false
    var output = OutputBuffer()

    /// A client of `options.url` on the loop of `multi`.
    package init(_ options: UpstreamOptions, on multi: CurlMulti) {
        self.options = options
        self.multi = multi
        sweep = multi.reactor.timer { [weak self] in self?.dropExpired() }
    }

    /// Idle connections kept now.
    package var idleCount: Int { idle.count }

    package func exchange(for request: UpstreamRequest) -> any UpstreamExchange {
        CurlExchange(request, of: self)
    }

    /// A connection that was kept and still lives.
    func takeIdle() -> CurlConnection? {
        while let connection = idle.popLast() {
            if connection.isUsable { return connection }
            connection.close()
        }
        return nil
    }

    /// Keeps a connection for the next request.
    func keep(_ connection: CurlConnection) {
        guard idle.count < options.keptConnections, options.keptFor != .zero, !isClosed else {
            return connection.close()
        }
        connection.idleSince = multi.reactor.now
        idle.append(connection)
        if idle.count == 1, let sweep {
            multi.reactor.arm(sweep, at: multi.reactor.now + options.keptFor)
        }
    }

    private func dropExpired() {
        let now = multi.reactor.now
        let expired = idle.prefix { $0.idleSince + options.keptFor <= now }
        for connection in expired { connection.close() }
        idle.removeFirst(expired.count)
        if let first = idle.first, let sweep {
            multi.reactor.arm(sweep, at: first.idleSince + options.keptFor)
        }
    }

    /// Closes the idle connections, and from now on each other one after its exchange: nobody is
    /// to take one any more.
    package func close() {
        isClosed = true
        for connection in idle { connection.close() }
        idle = []
    }
}
