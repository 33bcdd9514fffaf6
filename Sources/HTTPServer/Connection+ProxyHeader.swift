import HTTP
import Transport

extension Connection {
    /// Takes the PROXY header that stands before the first request, in the time that the first
    /// head has.
    ///
    /// - Returns: false when there is none, and nothing of the connection may be read as HTTP.
    func takeProxyHeader() async -> Bool {
        var parser = ProxyHeaderParser()
        while true {
            do throws(ProxyHeaderError) {
                switch try receiveProxyHeader(&parser) {
                case .header(let header):
                    apply(header)
                    return true
                case .incomplete: break
                case .ended:
                    if !parser.isIdle { noteBadProxyHeader("it ended within its PROXY header") }
                    return false
                }
            } catch {
                noteBadProxyHeader(error.reason)
                return false
            }
            switch await stream.watch.waitUntilReadable(until: firstDeadline) {
            case .ready: continue
            case .cancelled: return false
            case .timeout:
                giveUpWaiting()
                return false
            }
        }
    }

    private enum Received {
        case header(ProxyHeader)
        /// More has to be waited for.
        case incomplete
        /// Nothing more will come.
        case ended
    }

    /// Receives once; what follows the header is input.
    private func receiveProxyHeader(
        _ parser: inout ProxyHeaderParser
    ) throws(ProxyHeaderError) -> Received {
        let scratch = unsafe server.reactor.scratch
        switch unsafe stream.receive(into: scratch) {
        case .nothingYet: return .incomplete
        case .end, .failed: return .ended
        case .bytes(let count):
            let received = unsafe UnsafeRawBufferPointer(rebasing: scratch[..<count])
            let bytes = unsafe received.bindMemory(to: UInt8.self)
            let (consumed, header) = try unsafe parser.parse(Span(_unsafeElements: bytes))
            if consumed < count { unsafe input = Array(received[consumed...]) }
            return header.map { .header($0) } ?? .incomplete
        }
    }

    /// Ends the connection because nothing came in time.
    func giveUpWaiting() {
        if awaitsProxyHeader { noteBadProxyHeader("its PROXY header did not arrive in time") }
        cut()
    }

    private func noteBadProxyHeader(_ reason: String) {
        server.options.onBadProxyHeader(reason, downstream)
    }
}
